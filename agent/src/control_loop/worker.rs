//! The environment on a thread of its own, so that a call that blocks is noticed while it blocks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use mindseye_interface::{Action, Environment, Observation, Step};

use super::TickListener;
use crate::{Error, Result};

/// A call to the environment.
enum Call {
    Observe,
    Step(Action),
    Stop,
}

/// What it returned.
enum Answer {
    Observed(mindseye_interface::Result<Observation>),
    Stepped(mindseye_interface::Result<Step>),
    Stopped(mindseye_interface::Result<()>),
}

/// The loop's end of the environment's thread.
pub(super) struct Worker {
    calls: Sender<Call>,
    answers: Receiver<Answer>,
    limit: Option<Duration>,
}

impl Worker {
    /// Calls `environment` on a thread of `scope` until the worker is dropped. An answer that takes longer than `limit`
    /// is reported at once and refused when it comes.
    pub fn start<'scope, 'environment: 'scope>(
        scope: &'scope std::thread::Scope<'scope, '_>,
        environment: &'environment mut dyn Environment,
        limit: Option<Duration>,
    ) -> Self {
        let (calls, received) = bounded::<Call>(1);
        let (answered, answers) = bounded(1);
        scope.spawn(move || {
            for call in received {
                // After a panic the thread ends; the loop finds its channel closed.
                let answer = catch_unwind(AssertUnwindSafe(|| match call {
                    Call::Observe => Answer::Observed(environment.observe()),
                    Call::Step(action) => Answer::Stepped(environment.step(&action)),
                    Call::Stop => Answer::Stopped(environment.stop()),
                }));
                let Ok(answer) = answer else { return };
                if answered.send(answer).is_err() {
                    return;
                }
            }
        });
        Self { calls, answers, limit }
    }

    /// See [`Environment::observe`].
    pub fn observe(&self, listener: &mut dyn TickListener) -> Result<Observation> {
        match self.call("observing", Call::Observe, listener)? {
            Answer::Observed(observed) => Ok(observed?),
            _ => Err(Error::EnvironmentLost { operation: "observing" }),
        }
    }

    /// See [`Environment::step`].
    pub fn step(&self, action: Action, listener: &mut dyn TickListener) -> Result<Step> {
        match self.call("a control step", Call::Step(action), listener)? {
            Answer::Stepped(stepped) => Ok(stepped?),
            _ => Err(Error::EnvironmentLost { operation: "a control step" }),
        }
    }

    /// See [`Environment::stop`].
    pub fn stop(&self, listener: &mut dyn TickListener) -> Result<()> {
        match self.call("stopping", Call::Stop, listener)? {
            Answer::Stopped(stopped) => Ok(stopped?),
            _ => Err(Error::EnvironmentLost { operation: "stopping" }),
        }
    }

    fn call(&self, operation: &'static str, call: Call, listener: &mut dyn TickListener) -> Result<Answer> {
        let lost = Error::EnvironmentLost { operation };
        let started = Instant::now();
        if self.calls.send(call).is_err() {
            return Err(lost);
        }
        let Some(limit) = self.limit else { return self.answers.recv().map_err(|_| lost) };
        match self.answers.recv_timeout(limit) {
            Ok(answer) => Ok(answer),
            Err(RecvTimeoutError::Disconnected) => Err(lost),
            Err(RecvTimeoutError::Timeout) => {
                listener.on_blocked(operation, limit.as_secs_f64());
                self.answers.recv().map_err(|_| lost)?;
                let (limit_secs, took_secs) = (limit.as_secs_f64(), started.elapsed().as_secs_f64());
                Err(Error::Watchdog { operation, limit_secs, took_secs })
            }
        }
    }
}
