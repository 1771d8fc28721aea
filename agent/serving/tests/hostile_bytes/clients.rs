//! Servers that lie to our clients.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mindseye_cameras::Sources;
use mindseye_interface::{Action, Environment, Rng, Seed};
use mindseye_serving::body::RemoteBody;
use mindseye_serving::client::PolicyClient;
use mindseye_serving::message::{Array, Value};
use rand::Rng as _;
use tungstenite::handshake::derive_accept_key;

use super::bytes::{mutated, noise, server_frame};
use super::support::world;

/// Longest time that a client waits for an answer, seconds.
const ANSWER_SECS: f64 = 0.2;
/// Longest time for a client to give up, seconds: it connects, hears a greeting and asks a few times.
const GIVES_UP_SECS: f64 = 10.0;

/// A server that answers every connection with lies, until it is dropped.
pub struct Liar {
    pub address: SocketAddr,
    ended: Arc<AtomicBool>,
}

impl Liar {
    pub fn start(seed: u64, lie: fn(&mut TcpStream, &mut Rng)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let own = ended.clone();
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                if own.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(mut stream) = stream else { continue };
                std::thread::spawn(move || {
                    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
                    let _ = stream.set_write_timeout(Some(Duration::from_secs(1)));
                    lie(&mut stream, &mut Seed::new(seed).child("lie").index(number as u64).rng());
                });
            }
        });
        Self { address, ended }
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// The answer to a websocket's head, mostly right.
fn accept(stream: &mut TcpStream, rng: &mut Rng) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).to_lowercase();
    let original = String::from_utf8_lossy(&head).into_owned();
    let at = text.find("sec-websocket-key: ").map_or(0, |at| at + "sec-websocket-key: ".len());
    let key = original[at..].lines().next().unwrap_or_default().trim().to_owned();
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key.as_bytes())
    );
    let bytes = if rng.random_range(0..5) == 0 { mutated(answer.as_bytes(), rng) } else { answer.into_bytes() };
    let _ = stream.write_all(&bytes);
}

fn greeting() -> Value {
    let actions = Value::from([
        ("names", Value::List(vec!["x".into(), "y".into()])),
        ("units", Value::List(vec!["m".into(), "m".into()])),
        ("low", vec![-1.0, -1.0].into()),
        ("high", vec![1.0, 1.0].into()),
        ("neutral", Value::List(vec![Value::Float(0.0), Value::from([("proprioception", Value::Int(0))])])),
    ]);
    Value::from([("kind", "body".into()), ("actions", actions), ("control_step_secs", Value::Float(0.1))])
}

fn observation() -> Value {
    let image = Array::of_image(world(1).1.image().unwrap());
    let frame = Value::from([("camera", "top".into()), ("image", image.into()), ("captured_secs", Value::Float(0.0))]);
    Value::from([
        ("frames", Value::List(vec![frame])),
        ("state", Array::of_floats(&[0.1, 0.2]).into()),
        ("tick", Value::Int(3)),
        ("time_secs", Value::Float(0.3)),
        ("actions", Array::of_rows(&[vec![0.0, 0.1]], 2).into()),
    ])
}

/// A body, or a policy, that greets and answers with what is nearly right.
pub fn body_lie(stream: &mut TcpStream, rng: &mut Rng) {
    accept(stream, rng);
    let (greeting, answer) = (greeting().encode(), observation().encode());
    let said = if rng.random_range(0..3) == 0 { mutated(&greeting, rng) } else { greeting };
    let _ = stream.write_all(&server_frame(&said, rng));
    for _ in 0..4 {
        if !stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {
            return;
        }
        let bytes = match rng.random_range(0..5) {
            0 => noise(rng),
            1 => server_frame(&answer, rng),
            _ => {
                let payload = mutated(&answer, rng);
                server_frame(&payload, rng)
            }
        };
        let _ = stream.write_all(&bytes);
    }
}

/// A camera that sends what is nearly an MJPEG stream.
pub fn camera_lie(stream: &mut TcpStream, rng: &mut Rng) {
    let _ = stream.read(&mut [0; 4096]);
    let header = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n";
    let bytes = if rng.random_range(0..3) == 0 { mutated(header, rng) } else { header.to_vec() };
    let _ = stream.write_all(&bytes);
    let jpeg = jpeg();
    for _ in 0..rng.random_range(1..20) {
        let part = format!("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", jpeg.len());
        let part = [part.as_bytes(), &jpeg, b"\r\n"].concat();
        let sent = if rng.random_range(0..3) == 0 { part } else { mutated(&part, rng) };
        if stream.write_all(&sent).is_err() {
            return;
        }
    }
}

fn jpeg() -> Vec<u8> {
    let mut bytes = Vec::new();
    let pixels: Vec<u8> = (0..32 * 32 * 3).map(|value| (value % 251) as u8).collect();
    let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 80);
    encoder.encode(&pixels, 32, 32, image::ExtendedColorType::Rgb8).unwrap();
    bytes
}

/// Talks to a liar as `act` and other clients do. What they say does not matter; that they end does.
pub fn believe(address: SocketAddr) -> Result<(), String> {
    let (url, begun) = (format!("ws://{address}"), Instant::now());
    if let Ok(mut body) = RemoteBody::connect(&url, None, ANSWER_SECS) {
        let _ = body.observe();
        let action = Action::new(vec![0.0; body.action_space().width()]);
        let _ = action.and_then(|action| body.step(&action));
        let _ = body.stop();
    }
    if let Ok(mut client) = PolicyClient::connect(&url, None) {
        drop(client.actions(&Value::from([("new_episode", true.into())])));
    }
    let secs = begun.elapsed().as_secs_f64();
    if secs > GIVES_UP_SECS { Err(format!("a client gave up after {secs:.1} s")) } else { Ok(()) }
}

/// Looks through a camera that lies.
pub fn look(address: SocketAddr) -> Result<(), String> {
    let uri = format!("http://{address}/x.mjpg#timeout_s=0.2,retry_s=0.1");
    let camera = Sources::standard().open(&uri.parse().map_err(|error| format!("{error}"))?);
    let camera = camera.map_err(|error| error.to_string())?;
    std::thread::sleep(Duration::from_millis(30));
    let _ = (camera.status(), camera.read_latest(Duration::from_secs(1)));
    Ok(())
}
