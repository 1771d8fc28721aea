//! Messages: what openpi's client really sends, and what nobody should.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::path::Path;

use mindseye_agent::session::Executed;
use mindseye_interface::{Image, ImageSize, Seed};
use mindseye_serving::message::{Array, Dtype, MAX_VALUES, Value};
use mindseye_serving::policy::{GoalRequest, Request, image};
use rand::Rng as _;

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    std::fs::read(folder.join(format!("openpi_{name}.msgpack"))).unwrap()
}

fn request(bytes: &[u8]) -> Request {
    Request::of(&Value::decode(bytes).unwrap()).unwrap()
}

fn refused(message: Value) -> String {
    let error = Request::of(&message).unwrap_err().to_string();
    assert!(!error.contains('\n') && error.len() < 600, "{error}");
    error
}

/// The pixels that the script writes: 16 x 16.
fn written(row: usize, column: usize) -> [u8; 3] {
    [0, 1, 2].map(|channel| ((row * 16 + column + 5 * channel) % 256) as u8)
}

#[test]
fn messages_of_openpis_client_are_read_to_the_pixel() {
    let libero = request(&fixture("libero"));
    assert_eq!(libero.proprioception, [0.5, -0.25, 1.5]);
    assert_eq!((libero.images.len(), libero.images[0].key.as_str()), (2, "observation/image"));
    let (base, wrist) = (&libero.images[0].image, &libero.images[1].image);
    for (row, column) in [(0, 0), (3, 7), (15, 15)] {
        assert_eq!(base.rgb(row, column), written(row, column));
        assert_eq!(wrist.rgb(row, 15 - column), written(row, column));
    }
    let aloha = request(&fixture("aloha"));
    assert_eq!((aloha.images[0].key.as_str(), &aloha.images[0].image), ("images/cam_high", base), "[3, H, W]");
    assert_eq!(aloha.proprioception, [0.5, -0.25]);
    let scalars = request(&fixture("scalars"));
    assert_eq!((scalars.executed, scalars.new_episode), (Some(Executed::Steps(3)), false));
    assert_eq!(scalars.committed.unwrap().rows("committed", 2).unwrap(), [[0.0; 2]; 2]);
}

#[test]
fn what_is_written_is_read_again() {
    let array = Array::of_rows(&[vec![0.1, -2.0], vec![3.5, f64::from(f32::MAX)]], 2);
    let nested = Value::from([
        ("actions", array.into()),
        ("numbers", vec![1.5, -0.0, f64::INFINITY].into()),
        ("whole", Value::List(vec![Value::Int(i64::MIN), Value::Int(200), Value::Nil, true.into()])),
        ("text", "ä \u{1f916}".into()),
        ("bytes", Value::Bytes(vec![0, 255])),
        ("map", Value::from([("inner", Value::Map(Default::default()))])),
    ]);
    assert_eq!(Value::decode(&nested.encode()).unwrap(), nested);
}

#[test]
fn images_come_in_four_shapes_and_everything_else_is_named() {
    let size = ImageSize::new(2, 4).unwrap();
    let pixels: Vec<u8> = (0..24).map(|value| value * 10).collect();
    let expected = Image::new(size, pixels.clone()).unwrap();
    let planes: Vec<u8> = (0..3).flat_map(|channel| pixels.iter().skip(channel).step_by(3).copied()).collect();
    let array = |dtype, shape: &[usize], data: Vec<u8>| Value::from(Array::new(dtype, shape.to_vec(), data).unwrap());
    let floats = |values: &[u8]| values.iter().flat_map(|value| (f32::from(*value) / 255.0).to_le_bytes()).collect();
    for value in [
        array(Dtype::U8, &[2, 4, 3], pixels.clone()),
        array(Dtype::U8, &[1, 2, 4, 3], pixels.clone()),
        array(Dtype::U8, &[3, 2, 4], planes.clone()),
        array(Dtype::F32, &[2, 4, 3], floats(&pixels)),
        array(Dtype::F32, &[3, 2, 4], floats(&planes)),
    ] {
        assert_eq!(image("image", &value).unwrap(), expected, "{}", value.kind());
    }
    for (value, got) in [
        (array(Dtype::U8, &[2, 4], vec![0; 8]), "uint8 [2, 4]"),
        (array(Dtype::U8, &[2, 3, 4], vec![0; 24]), "uint8 [2, 3, 4]"),
        (array(Dtype::U8, &[0, 4, 3], vec![]), "0x4"),
        (array(Dtype::of_numpy("<i4").unwrap(), &[1, 1, 3], vec![0; 12]), "int32"),
        (array(Dtype::F32, &[1, 1, 3], 255f32.to_le_bytes().repeat(3)), "the value 255"),
        (array(Dtype::F32, &[1, 1, 3], f32::NAN.to_le_bytes().repeat(3)), "NaN"),
        (Value::Bytes(vec![0xff, 0xd8, 0xff]), "JPEG"),
        (Value::Bytes(b"GIF89a".to_vec()), "image"),
        ("/etc/passwd".into(), "text"),
    ] {
        let error = image("observation/image", &value).unwrap_err().to_string();
        assert!(error.starts_with("observation/image: expected an image") && error.contains(got), "{got}: {error}");
    }
}

#[test]
fn goals_and_keys_are_read_or_refused_by_name() {
    let state = Value::from([("block_x_m", 0.25.into())]);
    let region = Value::from([("block_x_m", vec![0.2, 0.3].into())]);
    let of = |key: &str, value: &Value| Request::of(&Value::from([(key, value.clone())])).unwrap().goal;
    assert!(matches!(of("goal_state", &state), Some(GoalRequest::State(_))));
    assert!(matches!(of("goal_region", &region), Some(GoalRequest::State(_))));
    assert_eq!(of("goal", &"live".into()), Some(GoalRequest::Live));
    assert_eq!(of("goal", &Value::Nil), None);
    for (message, part) in [
        (Value::from([("goals", "live".into())]), "did you mean goal"),
        (Value::from([("goal", "/etc/passwd".into())]), "paths are not read"),
        (Value::from([("goal", "live".into()), ("goal_state", state.clone())]), "one goal"),
        (Value::from([("goal_state", Value::Map(Default::default()))]), "goal_state: expected names"),
        (Value::from([("goal_region", Value::from([("x", vec![1.0, 0.0].into())]))]), "goal_region.x"),
        (Value::from([("state", vec![f64::NAN].into())]), "state: expected finite numbers"),
        (Value::from([("state", 1.0.into()), ("observation/state", 1.0.into())]), "expected one list"),
        (Value::from([("executed", Value::Int(-1))]), "executed: expected a number"),
        (Value::from([("new_episode", 1usize.into())]), "new_episode: expected true or false"),
        (Value::from([("observation/imag", 1.0.into())]), "key: expected one of"),
        (Value::from([("key\u{1b}[31m", 1.0.into())]), "\\u{1b}"),
        (Value::Int(1), "message: expected a map"),
    ] {
        let error = refused(message);
        assert!(error.contains(part), "{part}: {error}");
    }
}

/// No bytes of any kind panic, or cost more memory than a multiple of the message.
#[test]
fn hostile_bytes_are_refused_in_one_line() {
    let array = |pairs: &[(&[u8], &[u8])]| {
        let mut bytes = vec![0x80 | pairs.len() as u8];
        for (key, value) in pairs {
            bytes.extend([&[0xc4, key.len() as u8], *key, *value].concat());
        }
        bytes
    };
    let marker: (&[u8], &[u8]) = (b"__ndarray__", b"\xc3");
    let data: (&[u8], &[u8]) = (b"data", b"\xc4\x04\x00\x00\x80\x3f");
    let float: (&[u8], &[u8]) = (b"dtype", b"\xa3<f4");
    let one: (&[u8], &[u8]) = (b"shape", b"\x91\x01");
    assert!(Value::decode(&array(&[marker, data, float, one])).is_ok());
    for (name, bytes) in [
        ("no data", array(&[marker, float, one])),
        ("no dtype", array(&[marker, data, one])),
        ("objects", array(&[marker, data, (b"dtype", b"\xa3|O8"), one])),
        ("a list of fields", array(&[marker, data, (b"dtype", b"\x91\xa3<f4"), one])),
        ("a huge shape", array(&[marker, data, float, (b"shape", b"\x92\xce\xff\xff\xff\xff\xce\xff\xff\xff\xff")])),
        ("an overflow", array(&[marker, data, float, (b"shape", b"\x91\xcf\xff\xff\xff\xff\xff\xff\xff\xff")])),
        ("a negative side", array(&[marker, data, float, (b"shape", b"\x91\xff")])),
        ("too short", array(&[marker, data, float, (b"shape", b"\x91\x02")])),
        ("text as data", array(&[marker, (b"data", b"\xa4abcd"), float, one])),
        ("a number of text", array(&[(b"__npgeneric__", b"\xc3"), (b"data", b"\xa1x"), float])),
        ("a number as a key", vec![0x81, 0x01, 0x02]),
        ("a key twice", vec![0x82, 0xa1, b'a', 0x01, 0xa1, b'a', 0x02]),
        ("bytes as text", vec![0xa1, 0xff]),
        ("a promise", vec![0xdd, 0xff, 0xff, 0xff, 0xff]),
        ("an extension", vec![0xc7, 0x01, 0x05, 0x00]),
        ("depth", [vec![0x91; 100_000], vec![0xc0]].concat()),
        ("many", [&[0xdd][..], &(MAX_VALUES as u32 + 1).to_be_bytes(), &vec![0xc0; MAX_VALUES + 1]].concat()),
        ("nothing", vec![]),
    ] {
        let error = Value::decode(&bytes).unwrap_err().to_string();
        assert!(error.starts_with("message: ") && !error.contains('\n') && error.len() < 400, "{name}: {error}");
    }
}

#[test]
fn damaged_messages_never_panic() {
    let originals = ["libero", "aloha", "scalars"].map(fixture);
    let mut rng = Seed::new(5).rng();
    for round in 0..6000 {
        let mut bytes = originals[round % 3].clone();
        if round % 2 == 0 {
            bytes.truncate(rng.random_range(0..bytes.len()));
        }
        for _ in 0..rng.random_range(1..4) {
            // Most bytes are pixels: damage is done where it matters.
            let at = rng.random_range(0..bytes.len().clamp(1, 120)).min(bytes.len().saturating_sub(1));
            if let Some(byte) = bytes.get_mut(at) {
                *byte = rng.random_range(0..=255);
            }
        }
        if let Ok(value) = Value::decode(&bytes) {
            let _ = Request::of(&value);
        }
    }
}
