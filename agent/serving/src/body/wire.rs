//! Observations and actions as they go over the wire.

use std::sync::Arc;

use mindseye_interface::{ActionSpace, Frame, Neutral, Observation, config};

use crate::message::{Array, Map, Value};
use crate::policy::image;
use crate::{Error, Result};

/// What a client is told first.
pub(super) fn greeting(space: &ActionSpace, control_step_secs: f64) -> Value {
    let neutral = |neutral: &Neutral| match *neutral {
        Neutral::Value(value) => Value::from(value),
        Neutral::HoldPosition { proprioception } => Value::from([("proprioception", proprioception.into())]),
    };
    let actions = Value::from([
        ("names", space.names.clone().into()),
        ("units", space.units.clone().into()),
        ("low", space.low.clone().into()),
        ("high", space.high.clone().into()),
        ("neutral", Value::List(space.neutral.iter().map(neutral).collect())),
    ]);
    Value::from([
        ("server", "mindseye".into()),
        ("kind", "body".into()),
        ("protocol", 1usize.into()),
        ("version", env!("CARGO_PKG_VERSION").into()),
        ("actions", actions),
        ("control_step_secs", control_step_secs.into()),
    ])
}

/// Meaning and bounds of actions, and the duration of a control step, of a greeting.
pub(super) fn described(greeting: &Value) -> Result<(ActionSpace, f64)> {
    let map = greeting.as_map().ok_or_else(|| Error::field("greeting", "a map", greeting.kind()))?;
    if map.get("kind").and_then(Value::as_text) != Some("body") {
        let expected = "a body (mindseye serve --scene, or your own)";
        return Err(Error::field("greeting.kind", expected, map.get("kind").unwrap_or(&Value::Nil).kind()));
    }
    if let Some(other) = map.get("protocol").filter(|protocol| **protocol != Value::Int(1)) {
        let got = other.number().map_or_else(|| other.kind(), |number| number.to_string());
        return Err(Error::field("greeting.protocol", "1", got));
    }
    let of = |name: &str| map.get("actions").and_then(Value::as_map).and_then(|actions| actions.get(name));
    let texts = |name: &str| -> Result<Vec<String>> {
        let Some(Value::List(texts)) = of(name) else { return Err(Error::field(name, "a list of text", "none")) };
        let text = |text: &Value| {
            text.as_text().map(ToOwned::to_owned).ok_or_else(|| Error::field(name, "a list of text", text.kind()))
        };
        texts.iter().map(text).collect()
    };
    let numbers = |name: &str| -> Result<Vec<f64>> {
        of(name).and_then(Value::numbers).ok_or_else(|| Error::field(name, "a list of numbers", "none"))
    };
    let neutral = |value: &Value| match value.as_map().and_then(|map| map.get("proprioception")) {
        Some(Value::Int(index)) if *index >= 0 => Ok(Neutral::HoldPosition { proprioception: *index as usize }),
        _ => match value.number() {
            Some(value) => Ok(Neutral::Value(value)),
            None => Err(Error::field("neutral", "numbers, or {proprioception: index}", value.kind())),
        },
    };
    let neutral = match of("neutral") {
        None | Some(Value::Nil) => Vec::new(),
        Some(Value::List(values)) => values.iter().map(neutral).collect::<Result<_>>()?,
        // Taken for none, it would be the middle of the bounds, and a joint would be driven there.
        Some(other @ Value::Array(_)) => {
            let numbers = other.numbers().ok_or_else(|| Error::field("neutral", "numbers [A]", other.kind()))?;
            numbers.into_iter().map(Neutral::Value).collect()
        }
        Some(other) => return Err(Error::field("neutral", "a list with an entry per action", other.kind())),
    };
    let space = ActionSpace {
        names: texts("names")?,
        units: texts("units")?,
        low: numbers("low")?,
        high: numbers("high")?,
        neutral,
        max_step: Vec::new(),
    };
    config::Validate::validate(&space)?;
    let step_secs = map.get("control_step_secs").and_then(Value::number).filter(|secs| (1e-4..=60.0).contains(secs));
    let step_secs = step_secs.ok_or_else(|| Error::field("control_step_secs", "0.0001 to 60", "none"))?;
    Ok((space, step_secs))
}

/// Whether a body says that it has ended the episode: true or 1, also as numpy has them.
pub(super) fn terminated(answer: &Map) -> Result<bool> {
    let value = answer.get("terminated").unwrap_or(&Value::Nil);
    let number = match value {
        Value::Nil => return Ok(false),
        Value::Bool(ended) => return Ok(*ended),
        other => other.numbers().and_then(|numbers| (numbers.len() == 1).then(|| numbers[0])),
    };
    match number {
        Some(0.0) => Ok(false),
        Some(1.0) => Ok(true),
        _ => Err(Error::field("terminated", "true or false", value.kind())),
    }
}

/// An observation as a message.
pub(super) fn packed(observation: &Observation) -> Map {
    let frame = |frame: &Frame| {
        Value::from([
            ("camera", frame.camera.to_string().into()),
            ("image", Array::of_image(&frame.image).into()),
            ("captured_secs", frame.captured_secs.into()),
        ])
    };
    let fields = [
        ("frames", Value::List(observation.frames.iter().map(frame).collect())),
        ("state", Array::of_floats(&observation.proprioception).into()),
        ("tick", observation.tick.into()),
        ("time_secs", observation.time_secs.into()),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The observation in a message.
pub(super) fn observation(answer: &Map) -> Result<Observation> {
    let of = |name: &str| answer.get(name).unwrap_or(&Value::Nil);
    let Value::List(frames) = of("frames") else {
        return Err(Error::field("frames", "a list", of("frames").kind()));
    };
    let frame = |value: &Value| -> Result<Frame> {
        let wrong = || Error::field("frames", "maps of camera, image and captured_secs", value.kind());
        let map = value.as_map().ok_or_else(wrong)?;
        let part = |name: &str| map.get(name).ok_or_else(wrong);
        let camera: Arc<str> = part("camera")?.as_text().ok_or_else(wrong)?.into();
        let captured = part("captured_secs")?.number().filter(|secs| secs.is_finite()).ok_or_else(wrong)?;
        Ok(Frame::new(&camera, image("image", part("image")?)?, captured))
    };
    let numbers = of("state").numbers().ok_or_else(|| Error::field("state", "numbers [N]", of("state").kind()))?;
    let time = of("time_secs").number().filter(|secs| secs.is_finite());
    Ok(Observation {
        frames: frames.iter().map(frame).collect::<Result<_>>()?,
        proprioception: numbers.into_iter().map(|number| number as f32).collect(),
        tick: of("tick").number().map_or(0, |tick| tick as u64),
        time_secs: time.ok_or_else(|| Error::field("time_secs", "a finite number", of("time_secs").kind()))?,
    })
}
