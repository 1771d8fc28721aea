//! Bodies that do not keep to the protocol: what they say is refused by name, and nobody waits for them without end.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::net::TcpListener;
use std::time::{Duration, Instant};

use mindseye_interface::{Action, Environment, Image, ImageSize, Neutral};
use mindseye_serving::body::RemoteBody;
use mindseye_serving::message::{Array, Map, Value};
use tungstenite::{Message, WebSocket, accept};

type Socket = WebSocket<std::net::TcpStream>;

/// A body that greets with `greeting`; what it does then is `act`, once.
fn body(greeting: Value, act: impl FnOnce(&mut Socket) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("ws://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut socket = accept(listener.accept().unwrap().0).unwrap();
        socket.send(Message::binary(greeting.encode())).unwrap();
        act(&mut socket);
    });
    address
}

fn greeting(change: &[(&str, Value)]) -> Value {
    let list = |values: &[f64]| Value::List(values.iter().map(|&value| value.into()).collect());
    let text = |values: [&str; 2]| Value::List(values.map(Value::from).into());
    let mut actions = Map::from([
        ("names".to_owned(), text(["x", "y"])),
        ("units".to_owned(), text(["m", "m"])),
        ("low".to_owned(), list(&[-1.0, -1.0])),
        ("high".to_owned(), list(&[1.0, 1.0])),
    ]);
    let mut map = Map::from([
        ("kind".to_owned(), "body".into()),
        ("protocol".to_owned(), 1usize.into()),
        ("control_step_secs".to_owned(), 0.1.into()),
    ]);
    for (name, value) in change {
        if *name == "protocol" { &mut map } else { &mut actions }.insert((*name).to_owned(), value.clone());
    }
    map.insert("actions".to_owned(), Value::Map(actions));
    Value::Map(map)
}

fn neutral_of(neutral: Value) -> Result<Vec<Neutral>, String> {
    let address = body(greeting(&[("neutral", neutral)]), |_| {});
    let connected = RemoteBody::connect(&address, None, 5.0).map_err(|error| error.to_string())?;
    Ok(connected.action_space().neutral.clone())
}

/// Symptom: a body whose neutral action came as a numpy array was held in the middle of its bounds: a joint would have
/// been driven there. Cause: what was no list was taken for none. Fix: arrays are read, all else is refused.
#[test]
fn a_neutral_action_is_read_or_refused_and_never_left_out() {
    let expected = vec![Neutral::Value(0.25), Neutral::Value(-0.5)];
    assert_eq!(neutral_of(Array::of_floats(&[0.25, -0.5]).into()).unwrap(), expected);
    assert_eq!(neutral_of(Value::List(vec![0.25.into(), (-0.5).into()])).unwrap(), expected);
    assert_eq!(neutral_of(Value::Nil).unwrap(), []);
    for wrong in [Value::from(0.25), "hold".into(), Value::Map(Map::new()), true.into()] {
        let error = neutral_of(wrong).unwrap_err();
        assert!(error.contains("neutral: expected") && !error.contains('\n'), "{error}");
    }
    let other = body(greeting(&[("protocol", 2usize.into())]), |_| {});
    let error = RemoteBody::connect(&other, None, 5.0).err().unwrap().to_string();
    assert!(error.contains("greeting.protocol: expected 1, got 2"), "{error}");
}

/// Symptom: a body that answered nothing and sent pings was waited for without end, through Ctrl-C. Cause: the time was
/// looked at only when nothing came. Fix: it is looked at whatever comes.
#[test]
fn a_body_that_only_pings_has_not_answered() {
    let address = body(greeting(&[]), |socket| {
        while socket.send(Message::Ping(Vec::new().into())).is_ok() {
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let mut remote = RemoteBody::connect(&address, None, 0.3).unwrap();
    let asked = Instant::now();
    let error = remote.observe().unwrap_err().to_string();
    assert!(error.contains("expected an answer within 0.3 s, got none"), "{error}");
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
}

fn ended_by(terminated: Value) -> Result<bool, String> {
    let image = Image::filled(ImageSize::square(4).unwrap(), [1, 2, 3]);
    let frame = Value::from([
        ("camera", "top".into()),
        ("image", Array::of_image(&image).into()),
        ("captured_secs", 0.0.into()),
    ]);
    let answer = Value::from([
        ("frames", Value::List(vec![frame])),
        ("state", Value::List(Vec::new())),
        ("tick", 1usize.into()),
        ("time_secs", 0.1.into()),
        ("terminated", terminated),
    ]);
    let address = body(greeting(&[]), move |socket| {
        socket.read().unwrap();
        socket.send(Message::binary(answer.encode())).unwrap();
        let _ = socket.read(); // until the other side has had enough
    });
    let mut remote = RemoteBody::connect(&address, None, 5.0).unwrap();
    let step = remote.step(&Action::new(vec![0.0, 0.0]).unwrap()).map_err(|error| error.to_string())?;
    Ok(step.terminated)
}

/// Symptom: a robot went on after its body had ended the episode and said so as 1. Cause: all but `true` was false.
#[test]
fn the_end_of_an_episode_is_understood_or_refused() {
    assert_eq!(ended_by(true.into()), Ok(true));
    assert_eq!(ended_by(1usize.into()), Ok(true));
    assert_eq!(ended_by(Array::of_floats(&[1.0]).into()), Ok(true));
    assert_eq!(
        (ended_by(false.into()), ended_by(Value::Nil), ended_by(0usize.into())),
        (Ok(false), Ok(false), Ok(false))
    );
    for wrong in [Value::from("yes"), 2usize.into(), Value::List(Vec::new())] {
        assert!(ended_by(wrong).unwrap_err().contains("terminated: expected true or false"));
    }
}
