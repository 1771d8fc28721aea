//! Observations, checks and actions as answers carry them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mindseye_episodes::image_codec::{decode_image, resized};
use mindseye_interface::{ActionSpace, Frame, GoalCheck, Image, ImageSize};
use serde_json::{Value, json};

use crate::description::Description;
use crate::fields::{Defect, Field};

/// What a world says after a control step.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Sensed {
    /// By camera, in the cameras' order; empty where no images were asked for.
    pub images: Vec<Image>,
    pub proprioception: Vec<f32>,
    /// The true state `[K]`.
    pub state: Vec<f64>,
    pub terminated: bool,
    /// Where the task's object is in the first image.
    pub object: Option<[f64; 2]>,
    /// The task's predicate, and the goal that it was asked for.
    pub check: Option<Check>,
    pub goal: Option<Vec<f64>>,
}

/// The task's predicate, with the oracle's energy.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Check {
    pub check: GoalCheck,
    pub energy: f64,
}

/// Most measures of a check.
const MOST_METRICS: usize = 32;

impl Sensed {
    /// Reads the observation in `field`, with images of `side` where they were asked for.
    pub fn read(field: &Field<'_>, world: &Description, side: ImageSize, images: bool) -> Result<Self, Defect> {
        let numbers = |name: &str, count: usize| match count {
            0 => Ok(Vec::new()),
            count => field.get(name)?.numbers(count),
        };
        let read_image = |camera: &crate::CameraDescription| {
            let frame = field.get("frames")?.get(&camera.name)?;
            let size = camera.size().map_err(|error| Defect(error.to_string()))?;
            let image = read_image(&frame, size)?;
            if size == side {
                return Ok(image);
            }
            Image::new(side, resized(&image, side)).map_err(|error| Defect(error.to_string()))
        };
        let cameras = if images { &world.cameras[..] } else { &[] };
        let object = field.optional("object")?.map(|object| object.numbers(2)).transpose()?;
        Ok(Self {
            images: cameras.iter().map(read_image).collect::<Result<_, _>>()?,
            proprioception: numbers("proprioception", world.proprioception.len())?
                .into_iter()
                .map(|value| value as f32)
                .collect(),
            state: numbers("state", world.state.len())?,
            terminated: field.optional("terminated")?.map_or(Ok(false), |field| field.truth())?,
            object: object.map(|object| [object[0], object[1]]),
            check: field.optional("check")?.map(|field| Check::read(&field)).transpose()?,
            goal: None,
        })
    }

    /// The frames, captured at `secs`.
    pub fn frames(&self, names: &[Arc<str>], secs: f64) -> Vec<Frame> {
        names.iter().zip(&self.images).map(|(name, image)| Frame::new(name, image.clone(), secs)).collect()
    }
}

/// An image of `size`, raw or as a file.
fn read_image(field: &Field<'_>, size: ImageSize) -> Result<Image, Defect> {
    let kinds = field.entries()?;
    let [(kind @ ("raw" | "png" | "jpeg"), text)] = &kinds[..] else {
        return Err(field.defect("one of raw, png, jpeg"));
    };
    let bytes = BASE64_STANDARD.decode(text.text()?).map_err(|error| text.got("base64", error))?;
    if *kind == "raw" {
        let (expected, got) = (format!("{} bytes of base64", size.rgb_len()), bytes.len());
        return Image::new(size, bytes).map_err(|_| text.got(expected, got));
    }
    decode_image(&bytes, size).map_err(|error| text.got(format!("a {kind} image"), error))
}

/// An image as it is sent.
pub(crate) fn image_json(image: &Image) -> Value {
    json!({ "raw": BASE64_STANDARD.encode(image.pixels()) })
}

impl Check {
    /// Reads the check in `field`.
    pub fn read(field: &Field<'_>) -> Result<Self, Defect> {
        let distance = field.get("distance")?.number()?;
        let mut metrics = BTreeMap::new();
        if let Some(named) = field.optional("metrics")? {
            let entries = named.entries()?;
            if entries.len() > MOST_METRICS {
                return Err(named.defect(format!("at most {MOST_METRICS} metrics")));
            }
            for (name, value) in entries {
                let name = interned(name).ok_or_else(|| value.got("a name of few letters", name.len()))?;
                let number = value.value().as_bool().map(f64::from).map_or_else(|| value.number(), Ok)?;
                metrics.insert(name, number);
            }
        }
        let (moderate, strict) = (field.get("moderate")?.truth()?, field.get("strict")?.truth()?);
        let energy = field.optional("energy")?.map_or(Ok(distance), |energy| energy.number())?;
        Ok(Self { check: GoalCheck { moderate, strict, distance, metrics }, energy })
    }

    /// What is said of a goal that cannot be checked.
    pub fn unknown() -> Self {
        let (distance, metrics) = (f64::INFINITY, BTreeMap::new());
        Self { check: GoalCheck { moderate: false, strict: false, distance, metrics }, energy: f64::INFINITY }
    }

    /// As it is sent.
    pub fn json(&self) -> Value {
        let GoalCheck { moderate, strict, distance, metrics } = &self.check;
        let energy = self.energy;
        json!({ "moderate": moderate, "strict": strict, "distance": distance, "metrics": metrics, "energy": energy })
    }
}

/// `name` for as long as the program runs: reports keep names of measures that way. Few worlds have few measures; a
/// name of many letters or one too many is refused.
fn interned(name: &str) -> Option<&'static str> {
    static NAMES: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.iter().find(|known| **known == name) {
        return Some(known);
    }
    if name.is_empty() || name.len() > 64 || names.len() >= 256 || !mindseye_interface::text::is_printable(name) {
        return None;
    }
    names.push(Box::leak(name.to_owned().into_boxed_str()));
    names.last().copied()
}

/// The action space in the optional field `action` of a result.
pub(crate) fn read_space(result: &Field<'_>, width: usize) -> Result<Option<ActionSpace>, Defect> {
    let Some(field) = result.optional("action")? else { return Ok(None) };
    let space: ActionSpace =
        serde_json::from_value(field.value().clone()).map_err(|error| field.got("an action space", error))?;
    mindseye_interface::config::Validate::validate(&space).map_err(|error| Defect(error.to_string()))?;
    if space.width() != width {
        return Err(field.got(format!("{width} dimensions"), space.width()));
    }
    Ok(Some(space))
}
