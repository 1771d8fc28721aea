//! Strangers at our servers, beside honest clients.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use mindseye_interface::{Environment, Rng};
use mindseye_serving::body::RemoteBody;
use mindseye_serving::client::PolicyClient;
use mindseye_serving::message::Value;
use rand::Rng as _;

use super::bytes::{frame, mutated, noise};
use super::support::first_request;

/// How long a stranger waits for bytes.
const WAIT: Duration = Duration::from_millis(20);
/// Longest time in which an honest client is served on a busy machine.
pub const HONEST_SECS: f64 = 20.0;

/// The head with which a websocket begins.
pub const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Writes `bytes`, in parts at times, and reads a little of what comes.
fn exchange(stream: &mut TcpStream, bytes: &[u8], rng: &mut Rng) {
    let cut = if rng.random_range(0..5) == 0 { rng.random_range(0..=bytes.len()) } else { bytes.len() };
    let _ = stream.write_all(&bytes[..cut]);
    if cut < bytes.len() {
        std::thread::sleep(Duration::from_millis(rng.random_range(0..5)));
        let _ = stream.write_all(&bytes[cut..]);
    }
    let _ = stream.read(&mut [0; 4096]);
}

fn connected(address: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(WAIT)).ok()?;
    stream.set_write_timeout(Some(Duration::from_secs(2))).ok()?;
    Some(stream)
}

/// One stranger at a server of messages, which is asked such `questions`.
pub fn websocket_stranger(address: SocketAddr, questions: &[Vec<u8>], rng: &mut Rng) {
    let Some(mut stream) = connected(address) else { return };
    match rng.random_range(0..4) {
        0 => exchange(&mut stream, &noise(rng), rng),
        1 => exchange(&mut stream, &mutated(UPGRADE, rng), rng),
        _ => {
            exchange(&mut stream, UPGRADE, rng);
            for _ in 0..rng.random_range(1..5) {
                let question = &questions[rng.random_range(0..questions.len())];
                let payload = mutated(question, rng);
                let bytes = frame(&payload, rng);
                exchange(&mut stream, &bytes, rng);
            }
        }
    }
}

/// One stranger at the web page.
pub fn page_stranger(address: SocketAddr, rng: &mut Rng) {
    let requests: [&[u8]; 4] = [
        b"GET /state.json?token=abcdefgh HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /live.png HTTP/1.1\r\nHost: localhost:80\r\nAccept: */*\r\n\r\n",
        b"POST /press/hold HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Mindseye: 1\r\nContent-Length: 0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: [::1]:1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ];
    let Some(mut stream) = connected(address) else { return };
    let request = mutated(requests[rng.random_range(0..requests.len())], rng);
    exchange(&mut stream, &request, rng);
}

/// Asks as an honest client does; how long it took, seconds.
pub fn honest_policy(url: &str) -> Result<f64, String> {
    let begun = Instant::now();
    let mut client = PolicyClient::connect(url, None).map_err(|error| error.to_string())?;
    client.actions(&first_request(1)).map_err(|error| error.to_string())?;
    Ok(begun.elapsed().as_secs_f64())
}

/// Drives as an honest client does. Where a stranger has the only place, it asks again.
pub fn honest_body(url: &str) -> Result<f64, String> {
    let begun = Instant::now();
    loop {
        let driven = RemoteBody::connect(url, None, HONEST_SECS).and_then(|mut body| {
            let seen = body.observe()?;
            let still = body.action_space().hold(&seen.proprioception)?;
            body.step(&still)?;
            Ok(body.stop()?)
        });
        match driven {
            Ok(()) => return Ok(begun.elapsed().as_secs_f64()),
            Err(error) if begun.elapsed().as_secs_f64() > HONEST_SECS => return Err(error.to_string()),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// Reads the page as a browser does.
pub fn honest_page(address: SocketAddr) -> Result<f64, String> {
    let begun = Instant::now();
    let mut said = String::new();
    while begun.elapsed().as_secs_f64() < HONEST_SECS {
        if let Some(mut stream) = connected(address) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let _ = stream.write_all(b"GET /state.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
            said.clear();
            let _ = stream.read_to_string(&mut said);
            if said.starts_with("HTTP/1.1 200") && said.contains("\"points\"") {
                return Ok(begun.elapsed().as_secs_f64());
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(format!("the page said {said:?}"))
}

/// What drivers ask a body.
pub fn body_questions() -> Vec<Vec<u8>> {
    let questions = [
        Value::from([("do", "describe".into())]),
        Value::from([("do", "reset".into()), ("seed", Value::Int(3))]),
        Value::from([("do", "observe".into())]),
        Value::from([("do", "step".into()), ("action", vec![0.01, -0.01].into())]),
        Value::from([("do", "stop".into())]),
    ];
    questions.iter().map(Value::encode).collect()
}

/// What robots ask a policy. Most are refused before a plan is made, which takes time.
pub fn policy_questions() -> Vec<Vec<u8>> {
    let committed = Value::from([("committed", vec![0.0, 0.0].into()), ("executed", Value::Int(2))]);
    let region = Value::from([("goal_region", Value::from([("block_x_m", vec![0.1, 0.2].into())]))]);
    [first_request(1), committed, region, Value::from([("new_episode", true.into())])]
        .iter()
        .map(Value::encode)
        .collect()
}
