//! The policy server and its client over loopback.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::{Running, checkpoint, first_request, image, task, world};
use mindseye_agent::ModelSource;
use mindseye_interface::Seed;
use mindseye_serving::Result;
use mindseye_serving::client::PolicyClient;
use mindseye_serving::message::{Array, Dtype, Map, Value};
use mindseye_serving::policy::PolicySession;
use mindseye_serving::server::{Limits, Server, Service, Session};

fn actions(answer: &Map) -> Vec<f64> {
    answer["actions"].numbers().unwrap()
}

/// What follows the first request: the world after the first chunk of `plan`.
fn next_request(seed: u64, plan: &[f64]) -> Value {
    let (mut world, _) = world(seed);
    for action in plan.chunks(2).take(5) {
        let action = world.action_space().normalise(action).unwrap();
        world.step(&action).unwrap();
    }
    Value::from([("observation/image", image(&world.observe().unwrap()))])
}

#[test]
fn every_client_gets_what_an_agent_of_its_own_plans() {
    let server = Running::policy(Limits::default(), None);
    let plans = |seed: u64| {
        let mut client = PolicyClient::connect(&server.url(), None).unwrap();
        let first = client.infer(&first_request(seed)).unwrap();
        let second = client.infer(&next_request(seed, &actions(&first))).unwrap();
        (client.metadata().clone(), first, second)
    };
    let served: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|seed| scope.spawn(move || plans(seed))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let checkpoint = checkpoint();
    let source = ModelSource::from(&checkpoint);
    for (seed, (metadata, first, second)) in served.iter().enumerate() {
        let mut alone = PolicySession::new(&source, checkpoint.fingerprint(), &task(), Seed::new(0)).unwrap();
        let mut ask = |message: &Value| alone.answer(alone.read(&message.encode()).unwrap()).unwrap();
        assert_eq!(actions(&ask(&first_request(seed as u64))), actions(first), "client {seed}");
        assert_eq!(actions(&ask(&next_request(seed as u64, &actions(first)))), actions(second), "client {seed}");
        let Value::Array(array) = &first["actions"] else { panic!("{:?}", first["actions"]) };
        assert_eq!((array.dtype(), array.shape()), (Dtype::F32, &[20, 2][..]));
        assert!(array.numbers().all(|value| value.abs() <= 0.031_250_1), "in metres, within the bounds");
        assert_eq!(metadata["action_chunk"], Value::Int(5));
        assert_eq!(metadata["control_step_secs"], Value::Float(0.1));
        let camera = &metadata["cameras"];
        assert!(matches!(camera, Value::List(all) if all[0].as_map().unwrap()["width"] == Value::Int(64)));
        let timing = |answer: &Map, name: &str| answer["server_timing"].as_map().unwrap().get(name).cloned();
        assert!(timing(first, "infer_ms").is_some() && timing(first, "prev_total_ms").is_none());
        assert!(timing(second, "prev_total_ms").is_some() && timing(second, "waiting_ms").is_some());
        assert_eq!((&first["surprise"], first["fallback"].clone()), (&Value::Nil, Value::Nil));
        assert!(second["surprise"].number().is_some_and(|surprise| surprise < 1.0), "{:?}", second["surprise"]);
    }
}

#[test]
fn an_error_names_the_key_and_the_session_goes_on() {
    let server = Running::policy(Limits::default(), None);
    let mut client = PolicyClient::connect(&server.url(), None).unwrap();
    let (_, observation) = world(0);
    let grey = |shape: &[usize]| -> Value {
        Array::new(Dtype::U8, shape.to_vec(), vec![7; shape.iter().product()]).unwrap().into()
    };
    let now = || image(&observation);
    for (message, part) in [
        (Value::from([("image", now())]), "goal: expected one"),
        (Value::from([("image", grey(&[64, 64]))]), "image: expected an image"),
        (Value::from([("image", now()), ("goal", grey(&[64, 64, 4]))]), "goal: expected an image"),
        (Value::from([("image", now()), ("observation/wrist_image", now())]), "wrist_image"),
        (Value::from([("goal", "live".into())]), "goal: expected images beside"),
        (Value::from([("image", now()), ("goal_state", Value::from([("nothing", 1.0.into())]))]), "block_x_m"),
        (Value::from([("image", now()), ("goal", now()), ("executed", 6usize.into())]), "executed"),
        (Value::from([("image", now()), ("committed", vec![0.0; 3].into())]), "committed: expected an array [N, 2]"),
        (Value::from([("image", now()), ("committed", vec![1.0, 0.0].into())]), "committed: expected target_x within"),
        (Value::from([("image", now()), ("committed", vec![0.0; 40].into())]), "fewer than the 20 control steps"),
        (Value::Int(3), "message: expected a map"),
    ] {
        let error = client.infer(&message).unwrap_err().to_string();
        assert!(error.contains(part) && !error.contains('\n'), "{part}: {error}");
    }
    assert_eq!(actions(&client.infer(&first_request(0)).unwrap()).len(), 40, "and now it plans");
    let state = Value::from([("block_x_m", 0.4.into()), ("block_y_m", 0.5.into())]);
    let answer = client.infer(&Value::from([("image", now()), ("goal_state", state)])).unwrap();
    assert!(answer["distance"].as_map().unwrap()["now"].number().unwrap() > 0.0, "by the state probe");
    let live = client.infer(&Value::from([("image", now()), ("goal", "live".into())])).unwrap();
    assert_eq!(live["distance"].as_map().unwrap()["now"].number(), Some(0.0), "what is seen is wanted");
}

/// Real-time chunking: what is executed while the answer is made is a condition of the plan.
#[test]
fn a_plan_begins_with_what_is_committed_and_continues_from_there() {
    let checkpoint = checkpoint();
    let source = ModelSource::from(&checkpoint);
    let mut session = PolicySession::new(&source, checkpoint.fingerprint(), &task(), Seed::new(0)).unwrap();
    let mut ask = |more: &[(&str, Value)]| {
        let Value::Map(mut message) = first_request(2) else { unreachable!() };
        message.insert("new_episode".into(), true.into());
        message.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        session.answer(session.read(&Value::Map(message).encode()).unwrap()).unwrap()
    };
    let free = actions(&ask(&[]));
    let rows = [[-0.02f32, 0.013], [0.017, -0.031], [0.03, 0.03], [0.0, -0.011]].map(|row| row.map(f64::from).to_vec());
    let planned = actions(&ask(&[("committed", Array::of_rows(&rows, 2).into())]));
    let committed = rows.concat();
    assert_eq!(planned[..8], committed, "to the last bit");
    assert_ne!(planned[8..], free[8..], "the rest is another plan");
    let again = actions(&ask(&[]));
    assert_ne!(again[..8], committed, "only that request was bound");
}

/// Symptom: after a request that was refused for its goal, every request without one failed, and the memory was gone.
/// Cause: a session changed before all of a request had been looked at.
#[test]
fn a_request_that_is_refused_changes_neither_goal_nor_memory() {
    let checkpoint = checkpoint();
    let source = ModelSource::from(&checkpoint);
    let sessions = [true, false].map(|is_troubled| {
        let mut session = PolicySession::new(&source, checkpoint.fingerprint(), &task(), Seed::new(0)).unwrap();
        let Value::Map(first) = first_request(2) else { unreachable!() };
        let mut ask = |message: Map| session.read(&Value::Map(message).encode()).and_then(|read| session.answer(read));
        ask(first.clone()).unwrap();
        let mut next = first;
        next.remove("goal");
        let state = |name: &str, value: f64| Value::from([(name, value.into())]);
        let many = Array::of_rows(&vec![vec![0.0, 0.0]; 40_000], 2);
        for wrong in [
            [("new_episode", true.into()), ("goal_state", state("nowhere_m", 1.0))],
            [("new_episode", true.into()), ("goal_state", state("agent_x_m", 1e300))],
            [
                ("goal_region", Value::from([("agent_x_m", Value::List(vec![0.5.into(), 0.3.into()]))])),
                ("prompt", "".into()),
            ],
            [("executed", many.clone().into()), ("prompt", "".into())],
            [("committed", many.clone().into()), ("prompt", "".into())],
        ] {
            if is_troubled {
                let mut message = next.clone();
                message.extend(wrong.into_iter().map(|(name, value): (&str, Value)| (name.to_owned(), value)));
                ask(message).unwrap_err();
            }
        }
        let reply = ask(next).unwrap();
        (actions(&reply), reply["surprise"].clone())
    });
    assert!(sessions[0] == sessions[1] && sessions[0].1.number().is_some(), "as if nothing had been asked");
}

#[test]
fn more_clients_than_allowed_are_refused_in_words_and_the_next_comes_in() {
    let server = Running::policy(Limits { max_clients: 1, ..Limits::default() }, None);
    let first = PolicyClient::connect(&server.url(), None).unwrap();
    let error = PolicyClient::connect(&server.url(), None).err().unwrap().to_string();
    assert!(error.contains("503") && error.contains("fewer than 1 clients"), "{error}");
    assert_eq!(http(&server, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").1, "OK\n");
    drop(first);
    server.wait_for("left");
    PolicyClient::connect(&server.url(), None).unwrap();
}

#[test]
fn connections_that_say_nothing_take_no_words_from_those_that_are_refused() {
    let server = Running::start(Large(1), Limits { max_clients: 1, ..Limits::default() }, None);
    let silent: Vec<TcpStream> = (0..80).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    let (line, body) = http(&server, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(line.contains("503") && body.contains("fewer than 1 clients"), "{line}: {body}");
    drop(silent);
    let comes_in = |_| {
        std::thread::sleep(Duration::from_millis(5));
        PolicyClient::connect(&server.url(), None).is_ok()
    };
    assert!((0..1000).any(comes_in), "once they have gone");
}

/// Status line and body of the answer to `request`.
fn http(server: &Running, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
}

#[test]
fn strangers_web_pages_and_nonsense_are_refused() {
    let server = Running::start(Large(1), Limits::default(), Some("a secret of some length"));
    let error = PolicyClient::connect(&server.url(), None).err().unwrap().to_string();
    assert!(error.contains("401") && error.contains("Api-Key"), "{error}");
    assert!(PolicyClient::connect(&server.url(), Some("a secret of some lengtH")).is_err());
    PolicyClient::connect(&server.url(), Some("a secret of some length")).unwrap();
    let open = Running::start(Large(1), Limits::default(), None);
    let page = "GET / HTTP/1.1\r\nHost: x\r\nOrigin: http://evil.example\r\nUpgrade: websocket\r\n\r\n";
    assert!(http(&open, page).0.contains("403"));
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
        ("POST / HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
        ("\x16\x03\x01 nonsense\r\n\r\n", "400"),
        (&format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(20_000)), "431"),
    ] {
        let line = http(&open, request).0;
        assert!(line.contains(status), "{status}: {line}");
    }
    let everyone = "0.0.0.0:0".parse().unwrap();
    let error = Server::bind(everyone, Limits::default(), None).err().unwrap().to_string();
    assert!(error.contains("--host") && error.contains("--token-file"), "{error}");
}

/// Answers everything but nothing with so many mebibytes.
struct Large(usize);

impl Service for Large {
    fn open(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(Self(self.0)))
    }
}

impl Session for Large {
    fn greeting(&self) -> Value {
        Value::Map(Map::new())
    }

    fn answer(&mut self, message: &[u8]) -> Result<Value> {
        let bytes = if message == Value::Nil.encode() { 0 } else { self.0 << 20 };
        Ok(Value::from([("bytes", Value::Bytes(vec![0; bytes]))]))
    }
}

/// A websocket by hand.
fn opened(server: &Running) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).unwrap();
    let upgrade = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    stream.write_all(upgrade.as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
    stream
}

/// A masked binary frame of `length` zeros, of which only `sent` bytes follow.
fn frame(length: u32, sent: usize) -> Vec<u8> {
    [&[0x82, 0xff, 0, 0, 0, 0][..], &length.to_be_bytes(), &[0; 4], &vec![0; sent]].concat()
}

#[test]
fn clients_that_read_nothing_send_half_or_trickle_are_dropped_and_hold_up_nobody() {
    let limits = Limits { message_secs: 1.0, message_bytes: 1 << 20, ..Limits::default() };
    let server = Running::start(Large(8), limits, None);
    let mut good = PolicyClient::connect(&server.url(), None).unwrap();
    let mut ask = || assert_eq!(good.infer(&Value::Nil).unwrap().len(), 1);
    ask();
    let mut reads_nothing = opened(&server);
    (0..4).for_each(|_| reads_nothing.write_all(&frame(1, 1)).unwrap());
    let mut sends_half = opened(&server);
    sends_half.write_all(&frame(1000, 500)).unwrap();
    ask();
    server.wait_for("to read an answer within");
    server.wait_for("a whole message within");
    let mut trickles = opened(&server);
    trickles.set_nodelay(true).unwrap();
    server.log.lock().unwrap().clear();
    let bytes = frame(1000, 1000);
    // For three seconds, if it were let.
    let dropped = bytes.chunks(7).any(|part| {
        std::thread::sleep(Duration::from_millis(20));
        trickles.write_all(part).is_err()
    });
    server.wait_for("a whole message within");
    assert!(dropped);
    let mut boasts = opened(&server);
    boasts.write_all(&frame(u32::MAX, 10)).unwrap();
    server.wait_for("too long");
    let mut unmasked = opened(&server);
    unmasked.write_all(&[0x82, 0x01, 0x00]).unwrap();
    server.wait_for("unmasked");
    ask();
}

#[test]
fn the_end_of_the_server_is_said_to_its_clients() {
    let mut server = Running::start(Large(1), Limits::default(), None);
    let mut client = PolicyClient::connect(&server.url(), None).unwrap();
    server.end();
    let error = client.infer(&Value::Nil).unwrap_err().to_string();
    assert!(error.contains("the server ends"), "{error}");
}
