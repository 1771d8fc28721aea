//! The side of whoever drives the body.

use mindseye_interface::{Action, ActionSpace, Environment, Error as InterfaceError, Observation, Seed, Step};

use super::wire::{described, observation, terminated};
use crate::channel::Channel;
use crate::message::{Map, Value};
use crate::{Error, Result};

/// Longest time for a reset, seconds: a robot drives to its start.
const RESET_SECS: f64 = 60.0;

/// A body at an address, as [`Environment`]. After a lost connection [`Environment::observe`] and
/// [`Environment::reset`] connect again; commands are never repeated.
pub struct RemoteBody {
    url: String,
    token: Option<String>,
    answer_secs: f64,
    channel: Option<Channel>,
    space: ActionSpace,
    step_secs: f64,
}

impl RemoteBody {
    /// Connects to the body at `url`, as `ws://127.0.0.1:8001`. Each of its answers takes at most `answer_secs`.
    ///
    /// # Errors
    /// [`Error::Connection`] where nobody answers, [`Error::Remote`] where another drives it already, [`Error::Field`]
    /// for a server of something else.
    pub fn connect(url: &str, token: Option<&str>, answer_secs: f64) -> Result<Self> {
        let (channel, greeting) = Channel::connect(url, token, answer_secs)?;
        let (space, step_secs) = described(&greeting)?;
        let (url, token) = (url.to_owned(), token.map(ToOwned::to_owned));
        Ok(Self { url, token, answer_secs, channel: Some(channel), space, step_secs })
    }

    fn reconnect(&mut self) -> Result<()> {
        if self.channel.is_some() {
            return Ok(());
        }
        let (channel, greeting) = Channel::connect(&self.url, self.token.as_deref(), self.answer_secs)?;
        let found = described(&greeting)?;
        if found != (self.space.clone(), self.step_secs) {
            return Err(Error::field("body", "the same body as before", "one with other actions"));
        }
        self.channel = Some(channel);
        Ok(())
    }

    fn ask(&mut self, verb: &str, with: Option<(&str, Value)>) -> Result<Map> {
        let Some(channel) = &mut self.channel else {
            return Err(Error::connection(&self.url, "the connection was lost"));
        };
        let mut question = Map::from([("do".to_owned(), Value::from(verb))]);
        question.extend(with.map(|(name, value)| (name.to_owned(), value)));
        let secs = if verb == "reset" { self.answer_secs.max(RESET_SECS) } else { self.answer_secs };
        match channel.ask_within(&Value::Map(question), secs) {
            Ok(Value::Map(answer)) => Ok(answer),
            Ok(other) => Err(self.out_of_step(Error::field("answer", "a map", other.kind()))),
            // The server is there and refuses: the connection stays.
            Err(error @ Error::Remote { .. }) => Err(error),
            Err(error) => Err(self.out_of_step(error)),
        }
    }

    /// Ends the connection over `error`: after a message that nobody asked for, every answer would be that to the
    /// question before.
    fn out_of_step(&mut self, error: Error) -> Error {
        self.channel = None;
        error
    }

    fn observed(&mut self, verb: &str, with: Option<(&str, Value)>) -> Result<Observation> {
        self.reconnect()?;
        let answer = self.ask(verb, with)?;
        observation(&answer).map_err(|error| self.out_of_step(error))
    }
}

fn failed(operation: &'static str) -> impl Fn(Error) -> InterfaceError {
    move |error| match error {
        Error::Interface(error) => error,
        other => InterfaceError::Environment { operation, reason: other.to_string() },
    }
}

impl Environment for RemoteBody {
    fn reset(&mut self, seed: Seed) -> mindseye_interface::Result<Observation> {
        let bits = seed.value() as i64; // messages have signed numbers
        self.observed("reset", Some(("seed", Value::Int(bits)))).map_err(failed("resetting the body"))
    }

    fn observe(&mut self) -> mindseye_interface::Result<Observation> {
        self.observed("observe", None).map_err(failed("observing"))
    }

    fn step(&mut self, action: &Action) -> mindseye_interface::Result<Step> {
        let physical = self.space.denormalise(action)?;
        let stepped = self.ask("step", Some(("action", physical.into()))).and_then(|answer| {
            let seen = observation(&answer).map_err(|error| self.out_of_step(error))?;
            Ok(Step { observation: seen, terminated: terminated(&answer)? })
        });
        stepped.map_err(failed("a control step"))
    }

    fn stop(&mut self) -> mindseye_interface::Result<()> {
        self.reconnect().map_err(failed("stopping the body"))?;
        let answer = self.ask("stop", None).map_err(failed("stopping the body"))?;
        if answer.contains_key("frames") {
            self.channel = None; // that answers a step or a look: the answer to this is still to come
        }
        Ok(())
    }

    fn action_space(&self) -> &ActionSpace {
        &self.space
    }

    fn control_step_secs(&self) -> f64 {
        self.step_secs
    }
}
