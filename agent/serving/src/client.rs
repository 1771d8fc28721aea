//! A client of policy servers: ours, and openpi's.

use crate::channel::Channel;
use crate::message::{Map, Value};
use crate::{Error, Result};

/// A connection to a policy, which plans from observations.
///
/// ```no_run
/// use mindseye_serving::client::PolicyClient;
/// use mindseye_serving::message::{Array, Value};
/// # fn act(now: &mindseye_interface::Image, goal: &mindseye_interface::Image) -> mindseye_serving::Result<()> {
/// let mut policy = PolicyClient::connect("ws://127.0.0.1:8000", None)?;
/// let observation = Value::from([("image", Array::of_image(now).into()), ("goal", Array::of_image(goal).into())]);
/// let actions: Vec<Vec<f64>> = policy.actions(&observation)?;
/// # Ok(())
/// # }
/// ```
pub struct PolicyClient {
    channel: Channel,
    metadata: Map,
}

/// Longest wait for an answer, seconds.
const ANSWER_SECS: f64 = 60.0;

impl PolicyClient {
    /// Connects to `url`, as `ws://127.0.0.1:8000`, with the token of a server that asks for one.
    ///
    /// # Errors
    /// [`Error::Connection`] where nobody answers, [`Error::Remote`] with the words of a server that refuses.
    pub fn connect(url: &str, token: Option<&str>) -> Result<Self> {
        let (channel, greeting) = Channel::connect(url, token, ANSWER_SECS)?;
        match greeting {
            Value::Map(metadata) => Ok(Self { channel, metadata }),
            other => Err(Error::field("metadata", "a map", other.kind())),
        }
    }

    /// What the server said of its policy.
    pub fn metadata(&self) -> &Map {
        &self.metadata
    }

    /// The policy's answer to `observation`, with all that it says.
    ///
    /// # Errors
    /// [`Error::Remote`] with the server's words, after which a session with mindseye goes on; [`Error::Connection`]
    /// where the connection broke.
    pub fn infer(&mut self, observation: &Value) -> Result<Map> {
        match self.channel.ask(observation)? {
            Value::Map(answer) => Ok(answer),
            other => Err(Error::field("answer", "a map", other.kind())),
        }
    }

    /// The actions of the policy's answer, one list of numbers per control step, in the robot's units.
    ///
    /// # Errors
    /// As [`PolicyClient::infer`]; [`Error::Field`] for an answer without finite actions `[T, A]`.
    pub fn actions(&mut self, observation: &Value) -> Result<Vec<Vec<f64>>> {
        let answer = self.infer(observation)?;
        let actions = answer.get("actions").unwrap_or(&Value::Nil);
        let width = match actions {
            Value::Array(array) => array.shape().last().copied().unwrap_or(0),
            _ => 0,
        };
        let rows = actions.rows("actions", width)?;
        match rows.iter().flatten().find(|value| !value.is_finite()) {
            Some(value) => Err(Error::field("actions", "finite numbers", value)),
            None => Ok(rows),
        }
    }
}
