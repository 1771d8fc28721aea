//! The side of the body.

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mindseye_interface::{Environment, Seed};

use super::wire::{greeting, packed};
use crate::message::{Map, Value};
use crate::server::{Limits, Server, Service, Session};
use crate::{Error, Result};

/// Shortest time after which a body whose driver says nothing is stopped.
const LEAST_HOLD: Duration = Duration::from_millis(200);
/// Control steps without a word after which it is stopped.
const HOLD_STEPS: f64 = 3.0;

/// A body that one client at a time drives. It is stopped when that client leaves, is lost, or says nothing for three
/// control steps.
pub struct BodyService {
    body: Mutex<Box<dyn Environment>>,
    hold_after: Duration,
}

impl BodyService {
    /// Offers `body`.
    pub fn new(body: Box<dyn Environment>) -> Self {
        let secs = (HOLD_STEPS * body.control_step_secs()).clamp(0.0, 600.0);
        Self { body: Mutex::new(body), hold_after: Duration::from_secs_f64(secs).max(LEAST_HOLD) }
    }
}

impl Service for BodyService {
    fn open(&self) -> Result<Box<dyn Session + '_>> {
        let body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Box::new(Driven { body, hold_after: self.hold_after, moved: None }))
    }
}

/// Serves `body` at `address` to one client at a time until `stop` becomes true, and tells its address through `log`.
///
/// # Errors
/// As [`Server::bind`].
pub fn serve_environment(
    body: Box<dyn Environment>,
    address: SocketAddr,
    token: Option<String>,
    stop: &AtomicBool,
    log: &(dyn Fn(&str) + Sync),
) -> Result<()> {
    let server = Server::bind(address, Limits { max_clients: 1, ..Limits::default() }, token)?;
    log(&format!("a body at ws://{}", server.address()?));
    server.run(&BodyService::new(body), stop, log);
    Ok(())
}

/// The body in the hands of a client.
struct Driven<'a> {
    body: MutexGuard<'a, Box<dyn Environment>>,
    hold_after: Duration,
    /// When it was commanded last; none after it was stopped.
    moved: Option<Instant>,
}

impl Driven<'_> {
    fn stop(&mut self) -> Result<()> {
        self.moved = None;
        Ok(self.body.stop()?)
    }
}

impl Session for Driven<'_> {
    fn greeting(&self) -> Value {
        greeting(self.body.action_space(), self.body.control_step_secs())
    }

    fn answer(&mut self, message: &[u8]) -> Result<Value> {
        let message = Value::decode(message)?;
        let empty = Map::new();
        let map = message.as_map().unwrap_or(&empty);
        let verb = map.get("do").and_then(Value::as_text).unwrap_or_default();
        match verb {
            "describe" => Ok(self.greeting()),
            "reset" => {
                let seed = match map.get("seed") {
                    None | Some(Value::Nil) => 0,
                    Some(Value::Int(seed)) => *seed as u64,
                    Some(other) => return Err(Error::field("seed", "a whole number", other.kind())),
                };
                self.moved = None;
                Ok(Value::Map(packed(&self.body.reset(Seed::new(seed))?)))
            }
            "observe" => Ok(Value::Map(packed(&self.body.observe()?))),
            "step" => {
                let (space, action) = (self.body.action_space(), map.get("action").unwrap_or(&Value::Nil));
                let numbers = action.numbers().filter(|numbers| numbers.len() == space.width());
                let Some(numbers) = numbers else {
                    let expected = format!("{} numbers ({})", space.width(), space.names.join(", "));
                    return Err(Error::field("action", expected, action.kind()));
                };
                let action = space.normalise(&numbers)?;
                self.moved = Some(Instant::now());
                let step = self.body.step(&action)?;
                let mut answer = packed(&step.observation);
                answer.insert("terminated".into(), step.terminated.into());
                Ok(Value::Map(answer))
            }
            "stop" => {
                self.stop()?;
                Ok(Value::from([("stopped", true.into())]))
            }
            other => {
                let got = if other.is_empty() { message.kind() } else { other.to_owned() };
                Err(Error::field("do", "describe, reset, observe, step or stop", got))
            }
        }
    }

    fn idle(&mut self) {
        if self.moved.is_some_and(|moved| moved.elapsed() > self.hold_after) {
            // What fails here fails again at the driver's next word, who is told.
            let _ = self.stop();
        }
    }
}

impl Drop for Driven<'_> {
    fn drop(&mut self) {
        if self.moved.is_some() {
            let _ = self.body.stop();
        }
    }
}
