//! What a line of text asks a session for.

use std::collections::BTreeMap;
use std::fmt::Formatter;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::NamedImages;
use crate::{Error, Result};

/// Most bytes of a line: images of 16 megapixels in base64.
pub const MAX_LINE_BYTES: usize = 64 << 20;
/// Most numbers in a list of a request: those of a chunk are far fewer.
const MAX_NUMBERS: usize = 65_536;
/// Most cameras of a request.
const MAX_CAMERAS: usize = 64;

/// One request: what is observed now, and what happened since the request before.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PlanRequest {
    /// What the cameras show now; none: the frame was lost.
    pub image: Option<NamedImages>,
    /// Measurements of the robot itself, in the units of the recordings.
    pub proprioception: Vec<f32>,
    /// What was executed since the last plan; by default the first chunk of that plan.
    pub executed: Option<Executed>,
    /// Another goal.
    pub goal: Option<NamedImages>,
    /// Measurements at that goal, for models that take proprioception.
    pub goal_proprioception: Vec<f32>,
    /// Whether a new episode begins: the image does not follow from the one before.
    pub new_episode: bool,
}

/// What was executed since the last plan.
#[derive(Debug, Clone, PartialEq)]
pub enum Executed {
    /// So many control steps of its first chunk.
    Steps(usize),
    /// These actions, one list of numbers per control step, in the robot's units.
    Actions(Vec<Vec<f64>>),
    /// The same in one list.
    Flat(Vec<f64>),
}

/// The fields of a request, and what each is to be.
const FIELDS: [(&str, &str); 6] = [
    ("image", "the path of a PNG or JPEG file, its bytes in base64, or those by camera"),
    ("proprioception", "a list of numbers"),
    ("executed", "a number of control steps, or a list with the action of each"),
    ("goal", "as image"),
    ("goal_proprioception", "a list of numbers"),
    ("new_episode", "true or false"),
];

impl PlanRequest {
    /// The request in a line of JSON.
    ///
    /// # Errors
    /// [`Error::Request`] for what is no request, naming the field; numbers and cameras are counted as they are read,
    /// so that a line takes memory in proportion to its images alone.
    pub fn parse(line: &[u8]) -> Result<Self> {
        let refused = |reason: String| Error::Request { reason };
        if line.trim_ascii().is_empty() {
            return Err(refused("expected an object, as {\"image\": \"now.png\"}, got an empty line".into()));
        }
        let request: Self = serde_json::from_slice(line).map_err(|error| refused(said(&error)))?;
        if !request.goal_proprioception.is_empty() && request.goal.is_none() {
            return Err(refused("goal_proprioception: expected a goal with it, got none".into()));
        }
        if request.new_episode && request.executed.is_some() {
            return Err(refused("executed: expected none in a new episode, got some".into()));
        }
        Ok(request)
    }
}

/// A parser's message without the place that is said twice.
fn said(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let message = text.split(" at line ").next().unwrap_or(&text);
    match error.is_data() {
        true => message.into(),
        false => format!("expected one line of JSON, got {message} at column {}", error.column()),
    }
}

impl<'de> Deserialize<'de> for PlanRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = PlanRequest;

    fn expecting(&self, text: &mut Formatter<'_>) -> std::fmt::Result {
        write!(text, "an object, as {{\"image\": \"now.png\"}}")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> std::result::Result<PlanRequest, M::Error> {
        let mut request = PlanRequest::default();
        let mut seen = [false; FIELDS.len()];
        while let Some(name) = map.next_key::<String>()? {
            let Some(index) = FIELDS.iter().position(|(field, _)| *field == name) else {
                let known: Vec<&str> = FIELDS.iter().map(|(field, _)| *field).collect();
                map.next_value::<IgnoredAny>()?;
                return Err(M::Error::custom(format!("{name}: expected one of {}", known.join(", "))));
            };
            if std::mem::replace(&mut seen[index], true) {
                return Err(M::Error::custom(format!("{name}: expected it once, got it twice")));
            }
            match index {
                0 => request.image = value(&mut map, index)?,
                1 => request.proprioception = value::<_, Numbers<f32>>(&mut map, index)?.unwrap_or_default().0,
                2 => request.executed = value(&mut map, index)?,
                3 => request.goal = value(&mut map, index)?,
                4 => request.goal_proprioception = value::<_, Numbers<f32>>(&mut map, index)?.unwrap_or_default().0,
                _ => request.new_episode = value(&mut map, index)?.unwrap_or_default(),
            }
        }
        Ok(request)
    }
}

/// The value of field `index`; none where it is null.
fn value<'de, M: MapAccess<'de>, T: Deserialize<'de>>(
    map: &mut M,
    index: usize,
) -> std::result::Result<Option<T>, M::Error> {
    let (name, expected) = FIELDS[index];
    map.next_value().map_err(|error| {
        let text = error.to_string();
        let reason = text.split(" at line ").next().unwrap_or(&text).to_owned();
        M::Error::custom(format!("{name}: expected {expected}; {reason}"))
    })
}

/// A list of numbers that is not too long.
#[derive(Debug, Default)]
struct Numbers<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Numbers<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct List<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
            type Value = Numbers<T>;

            fn expecting(&self, text: &mut Formatter<'_>) -> std::fmt::Result {
                text.write_str("a list of numbers")
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> std::result::Result<Numbers<T>, S::Error> {
                let mut numbers = Vec::new();
                while let Some(number) = list.next_element()? {
                    numbers.push(number);
                    require_few(numbers.len())?;
                }
                Ok(Numbers(numbers))
            }
        }
        deserializer.deserialize_seq(List(std::marker::PhantomData))
    }
}

fn require_few<E: serde::de::Error>(count: usize) -> std::result::Result<(), E> {
    if count <= MAX_NUMBERS { Ok(()) } else { Err(E::custom(format!("at most {MAX_NUMBERS} numbers, got more"))) }
}

/// A number of a flat list, or the action of one control step.
enum Entry {
    Number(f64),
    Row(Vec<f64>),
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Entry;

            fn expecting(&self, text: &mut Formatter<'_>) -> std::fmt::Result {
                text.write_str("a number, or the numbers of an action")
            }

            fn visit_f64<E>(self, number: f64) -> std::result::Result<Entry, E> {
                Ok(Entry::Number(number))
            }

            fn visit_i64<E>(self, number: i64) -> std::result::Result<Entry, E> {
                Ok(Entry::Number(number as f64))
            }

            fn visit_u64<E>(self, number: u64) -> std::result::Result<Entry, E> {
                Ok(Entry::Number(number as f64))
            }

            fn visit_seq<S: SeqAccess<'de>>(self, list: S) -> std::result::Result<Entry, S::Error> {
                let numbers = Numbers::deserialize(serde::de::value::SeqAccessDeserializer::new(list))?;
                Ok(Entry::Row(numbers.0))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for Executed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct StepsOrActions;
        impl<'de> Visitor<'de> for StepsOrActions {
            type Value = Executed;

            fn expecting(&self, text: &mut Formatter<'_>) -> std::fmt::Result {
                text.write_str(FIELDS[2].1)
            }

            fn visit_u64<E: serde::de::Error>(self, steps: u64) -> std::result::Result<Executed, E> {
                usize::try_from(steps).map(Executed::Steps).map_err(E::custom)
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> std::result::Result<Executed, S::Error> {
                let (mut flat, mut rows, mut numbers) = (Vec::new(), Vec::new(), 0);
                while let Some(entry) = list.next_element()? {
                    match entry {
                        Entry::Number(number) => flat.push(number),
                        Entry::Row(row) => rows.push(row),
                    }
                    numbers += rows.last().map_or(1, |row| row.len().max(1));
                    require_few(numbers)?;
                    if !flat.is_empty() && !rows.is_empty() {
                        return Err(S::Error::custom("one kind of list, got numbers beside lists"));
                    }
                }
                Ok(if rows.is_empty() { Executed::Flat(flat) } else { Executed::Actions(rows) })
            }
        }
        deserializer.deserialize_any(StepsOrActions)
    }
}

impl<'de> Deserialize<'de> for NamedImages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> Visitor<'de> for OneOrMore {
            type Value = NamedImages;

            fn expecting(&self, text: &mut Formatter<'_>) -> std::fmt::Result {
                text.write_str(FIELDS[0].1)
            }

            fn visit_str<E>(self, image: &str) -> std::result::Result<NamedImages, E> {
                Ok(NamedImages::One(image.to_owned()))
            }

            fn visit_string<E>(self, image: String) -> std::result::Result<NamedImages, E> {
                Ok(NamedImages::One(image))
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> std::result::Result<NamedImages, M::Error> {
                let mut images = BTreeMap::new();
                while let Some((camera, image)) = map.next_entry::<String, String>()? {
                    if images.len() == MAX_CAMERAS {
                        return Err(M::Error::custom(format!("at most {MAX_CAMERAS} cameras, got more")));
                    }
                    if images.insert(camera.clone(), image).is_some() {
                        return Err(M::Error::custom(format!("one image of {camera}, got two")));
                    }
                }
                if images.is_empty() {
                    return Err(M::Error::custom("an image (or null where the frame was lost), got an empty object"));
                }
                Ok(NamedImages::ByCamera(images))
            }
        }
        deserializer.deserialize_any(OneOrMore)
    }
}
