//! What a message asks a policy for.
//!
//! Three vocabularies are understood: openpi's (`observation/image`, `observation/state`), LeRobot's
//! (`observation.images.top`, `observation.state`) and that of `mindseye plan` (`image`, `proprioception`). A key that
//! none of them has is refused: a goal with a slip of the pen would be none.

use mindseye_agent::session::Executed;
use mindseye_interface::text::did_you_mean;
use mindseye_interface::{Goal, StateInterval, StateTarget};

use super::images::{GivenImage, image};
use crate::message::{Map, Value};
use crate::{Error, Result};

/// The keys of this protocol, beside names of cameras.
pub const KEYS: [&str; 14] = [
    "image",
    "images",
    "state",
    "proprioception",
    "goal",
    "goal_proprioception",
    "goal_state",
    "goal_region",
    "executed",
    "new_episode",
    "committed",
    "observation/image",
    "observation/state",
    "prompt",
];

/// What clients send along and this agent has no use for: text, and the columns of recordings.
const IGNORED: [&str; 9] = [
    "prompt",
    "task",
    "robot_type",
    "timestamp",
    "frame_index",
    "episode_index",
    "index",
    "task_index",
    "observation.environment_state",
];

/// Largest value of a state that makes sense in any unit.
const MOST: f64 = 1e9;

/// One request.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Request {
    /// What the cameras show now; none: the frame was lost.
    pub images: Vec<GivenImage>,
    /// Measurements of the robot itself, in the units of the recordings.
    pub proprioception: Vec<f32>,
    /// Another goal.
    pub goal: Option<GoalRequest>,
    /// Measurements at that goal.
    pub goal_proprioception: Vec<f32>,
    /// What was executed since the last plan.
    pub executed: Option<Executed>,
    /// Whether a new episode begins.
    pub new_episode: bool,
    /// Actions that are executed before this request's plan can be, in the robot's units: the plan begins with them.
    pub committed: Option<Value>,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq)]
pub enum GoalRequest {
    /// What these images show.
    Images(Vec<GivenImage>),
    /// What the cameras show in this request.
    Live,
    /// Values or bounds of named dimensions of the state, which the state probe reads.
    State(Goal),
}

impl Request {
    /// The request in `message`.
    ///
    /// # Errors
    /// [`Error::Field`] naming the key, what it can be, and what came.
    pub fn of(message: &Value) -> Result<Self> {
        let Some(map) = message.as_map() else {
            return Err(Error::field("message", "a map of an observation", message.kind()));
        };
        let mut request = Self::default();
        for (key, value) in map {
            request.take(key, value)?;
        }
        Ok(request)
    }

    fn take(&mut self, key: &str, value: &Value) -> Result<()> {
        match key {
            _ if IGNORED.contains(&key) || key.starts_with("next.") => {}
            "observation" => {
                let parts = map(key, value)?;
                parts.iter().try_for_each(|(part, value)| self.take(&format!("observation/{part}"), value))?;
            }
            "observation/prompt" => {}
            "state" | "proprioception" | "observation/state" | "observation.state" | "observation/proprioception" => {
                if !self.proprioception.is_empty() {
                    return Err(Error::field(key, "one list of measurements", "two"));
                }
                self.proprioception = floats(key, value)?;
            }
            "goal" => match value {
                Value::Nil => {}
                Value::Text(text) if text == "live" => self.set_goal(key, GoalRequest::Live)?,
                Value::Text(_) => {
                    let expected = "an image, images by camera, or the word live (paths are not read)";
                    return Err(Error::field(key, expected, "other text"));
                }
                _ => self.set_goal(key, GoalRequest::Images(images(key, value)?))?,
            },
            "goal_state" => {
                let target = |(name, value): (&String, &Value)| {
                    let expected = || {
                        let got = value.number().map_or_else(|| value.kind(), |number| format!("{number:e}"));
                        Error::field(format!("{key}.{name}"), format!("a number within +-{MOST:e}"), got)
                    };
                    let value = value.number().filter(|value| value.abs() <= MOST).ok_or_else(expected)?;
                    Ok(StateTarget { name: name.clone(), value, scale: None })
                };
                let targets = map(key, value)?.iter().map(target).collect::<Result<Vec<_>>>()?;
                self.set_goal(key, GoalRequest::State(Goal::State(not_empty(key, targets)?)))?;
            }
            "goal_region" => {
                let interval = |(name, value): (&String, &Value)| match value.numbers().as_deref() {
                    Some(&[low, high]) if low <= high && low >= -MOST && high <= MOST => {
                        Ok(StateInterval { name: name.clone(), low, high, scale: None })
                    }
                    Some(numbers) => {
                        let expected = format!("[from, to] with from <= to, within +-{MOST:e}");
                        Err(Error::field(format!("{key}.{name}"), expected, format!("{numbers:?}")))
                    }
                    None => Err(Error::field(format!("{key}.{name}"), "[from, to]", value.kind())),
                };
                let intervals = map(key, value)?.iter().map(interval).collect::<Result<Vec<_>>>()?;
                self.set_goal(key, GoalRequest::State(Goal::Region(not_empty(key, intervals)?)))?;
            }
            "goal_proprioception" => self.goal_proprioception = floats(key, value)?,
            "executed" => self.executed = executed(value)?,
            "new_episode" => {
                let Value::Bool(is_new) = value else {
                    return Err(Error::field(key, "true or false", value.kind()));
                };
                self.new_episode = *is_new;
            }
            "committed" => self.committed = (*value != Value::Nil).then(|| value.clone()),
            _ if is_image(key) => {
                if *value != Value::Nil {
                    self.images.extend(images(key, value)?);
                }
            }
            _ => {
                let expected = format!("one of {}, or observation.images.CAMERA", KEYS.join(", "));
                return Err(Error::field("key", expected, format!("{key}{}", did_you_mean(key, KEYS))));
            }
        }
        Ok(())
    }

    fn set_goal(&mut self, key: &str, goal: GoalRequest) -> Result<()> {
        match self.goal.replace(goal) {
            None => Ok(()),
            Some(_) => Err(Error::field(key, "one goal (goal, goal_state or goal_region)", "two")),
        }
    }
}

/// Whether an image, or images by camera, stand at `key`.
fn is_image(key: &str) -> bool {
    let last = key.rsplit('/').next().unwrap_or_default();
    let openpi = key.starts_with("observation/") && (last.contains("image") || key.contains("/images"));
    openpi || key == "image" || key == "images" || key == "observation.image" || key.starts_with("observation.images.")
}

fn map<'a>(key: &str, value: &'a Value) -> Result<&'a Map> {
    value.as_map().ok_or_else(|| Error::field(key, "a map", value.kind()))
}

fn not_empty<T>(key: &str, values: Vec<T>) -> Result<Vec<T>> {
    if values.is_empty() { Err(Error::field(key, "names with values", "none")) } else { Ok(values) }
}

/// The image at `key`, or those of the cameras in a map there.
fn images(key: &str, value: &Value) -> Result<Vec<GivenImage>> {
    let given = |key: String, value: &Value| Ok(GivenImage { image: image(&key, value)?, key });
    match value {
        Value::Map(cameras) => cameras.iter().map(|(name, value)| given(format!("{key}/{name}"), value)).collect(),
        _ => Ok(vec![given(key.to_owned(), value)?]),
    }
}

/// Finite numbers.
fn floats(key: &str, value: &Value) -> Result<Vec<f32>> {
    let wrong = |got: String| Error::field(key, "finite numbers [N]", got);
    let numbers = value.numbers().ok_or_else(|| wrong(value.kind()))?;
    match numbers.iter().find(|number| !(**number as f32).is_finite()) {
        Some(number) => Err(wrong(number.to_string())),
        None => Ok(numbers.into_iter().map(|number| number as f32).collect()),
    }
}

/// What was executed: a number of control steps, or the action of each.
fn executed(value: &Value) -> Result<Option<Executed>> {
    let wrong = || Error::field("executed", "a number of control steps, or actions [N, A]", value.kind());
    Ok(match value {
        Value::Nil => None,
        Value::Int(steps) => Some(Executed::Steps(usize::try_from(*steps).map_err(|_| wrong())?)),
        Value::Array(array) if array.shape().len() == 2 => {
            let width = array.shape()[1].max(1);
            let rows = value.numbers().ok_or_else(wrong)?;
            Some(Executed::Actions(rows.chunks(width).map(<[f64]>::to_vec).collect()))
        }
        Value::List(rows) if rows.iter().any(|row| row.number().is_none()) => {
            let rows = rows.iter().map(Value::numbers).collect::<Option<Vec<_>>>();
            Some(Executed::Actions(rows.ok_or_else(wrong)?))
        }
        Value::List(_) | Value::Array(_) => Some(Executed::Flat(value.numbers().ok_or_else(wrong)?)),
        _ => return Err(wrong()),
    })
}
