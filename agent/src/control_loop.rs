//! The control loop: an agent drives an environment, control step by control step, and keeps its time.
//!
//! Everything here is about a body that is no simulator: the environment runs on a thread of its own, so that a call
//! that blocks is reported while it blocks; after any error the environment is stopped; people change the goal, a
//! weight, or pause through a channel that is read between two ticks.

mod reporting;
mod worker;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, TryRecvError, never};
use mindseye_interface::{Action, Environment, Goal, Observation, Step, SystemClock};

pub use reporting::{Reporter, channel};

use self::worker::Worker;
use crate::{Agent, Error, Result, TickReport};

/// How long a run lasts, and how it keeps time.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Control steps after which the run ends; none by default.
    pub max_steps: Option<u64>,
    /// Control steps from one tick to the next, from 1 to the action chunk; by default what the task says (see
    /// [`Task::replan_every`](crate::Task::replan_every)).
    pub replan_every: Option<usize>,
    /// Whether every control step takes [`Environment::control_step_secs`] (true by default); otherwise steps follow
    /// each other at once.
    pub real_time: bool,
    /// The longest that one call to the environment may take, seconds; none by default. A longer one is reported while
    /// it blocks ([`TickListener::on_blocked`]) and ends the run with [`Error::Watchdog`] when it returns.
    pub watchdog_secs: Option<f64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_steps: None, replan_every: None, real_time: true, watchdog_secs: None }
    }
}

/// Watches a run. Nothing that a listener does changes the run, except by taking time.
pub trait TickListener {
    /// After a tick, before its chunk is executed.
    fn on_tick(&mut self, observation: &Observation, report: &TickReport);

    /// After a control step.
    fn on_step(&mut self, _action: &Action, _step: &Step) {}

    /// The environment has not answered for `secs` seconds: called while `operation` still blocks.
    fn on_blocked(&mut self, _operation: &'static str, _secs: f64) {}
}

/// A listener that ignores everything.
impl TickListener for () {
    fn on_tick(&mut self, _observation: &Observation, _report: &TickReport) {}
}

/// What people may ask of a run; takes effect between two ticks.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Pursue another goal.
    SetGoal(Goal),
    /// Change the weight of a cost term.
    SetWeight {
        /// Its name.
        name: String,
        /// Its new weight.
        weight: f32,
    },
    /// Stop the body and wait.
    Pause,
    /// Continue after a pause.
    Resume,
}

/// How a run went.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunSummary {
    /// Ticks of the agent.
    pub ticks: u64,
    /// Control steps executed.
    pub steps: u64,
    /// Control steps that began later than their time, in real time.
    pub late_steps: u64,
    /// Whether the environment ended the episode for good.
    pub terminated: bool,
    /// Commands that were refused, with the reason.
    pub refused_commands: Vec<String>,
}

/// Drives `environment` with `agent` until `limits` say so, the environment terminates, or `stop` becomes true; then
/// the environment is stopped.
///
/// # Errors
/// The environment's; [`Error::Watchdog`] when it took too long; [`Error::Shape`] for limits that do not fit the agent;
/// [`Error::Task`] when the agent knows no action that holds still. The environment is stopped before the error is
/// returned.
pub fn run(
    agent: &mut Agent,
    environment: &mut dyn Environment,
    limits: &Limits,
    listener: &mut dyn TickListener,
    stop: &AtomicBool,
) -> Result<RunSummary> {
    run_with_commands(agent, environment, limits, listener, stop, &never())
}

/// As [`run`], with `commands` from people.
///
/// # Errors
/// As [`run`]. A command that makes no sense is no error: see [`RunSummary::refused_commands`].
pub fn run_with_commands(
    agent: &mut Agent,
    environment: &mut dyn Environment,
    limits: &Limits,
    listener: &mut dyn TickListener,
    stop: &AtomicBool,
    commands: &Receiver<Command>,
) -> Result<RunSummary> {
    let step_time = limits.real_time.then(|| Duration::from_secs_f64(environment.control_step_secs().max(0.0)));
    let width = environment.action_space().width();
    std::thread::scope(|scope| {
        let limit = limits.watchdog_secs.map(|secs| Duration::from_secs_f64(secs.max(0.0)));
        let worker = Worker::start(scope, environment, limit);
        let mut run =
            Run { worker, limits, listener, stop, commands, width, step_time, summary: RunSummary::default() };
        let ended = run.run_until_done(agent);
        let stopped = run.worker.stop(run.listener);
        ended?;
        stopped?;
        Ok(run.summary)
    })
}

/// How often a paused run looks whether it is to end.
const PAUSE_POLL: Duration = Duration::from_millis(20);

/// A run under way.
struct Run<'a> {
    worker: Worker,
    limits: &'a Limits,
    listener: &'a mut dyn TickListener,
    stop: &'a AtomicBool,
    commands: &'a Receiver<Command>,
    width: usize,
    step_time: Option<Duration>,
    summary: RunSummary,
}

impl Run<'_> {
    fn run_until_done(&mut self, agent: &mut Agent) -> Result<()> {
        let clock = SystemClock::start();
        let mut observation = self.worker.observe(self.listener)?;
        let mut next_step = Instant::now();
        while !self.is_over() {
            if self.obey(agent)? {
                // The body stood still meanwhile: what is observed now does not follow from the last chunk.
                agent.start_episode();
                observation = self.worker.observe(self.listener)?;
                next_step = Instant::now();
                continue;
            }
            let report = agent.tick(&observation, &clock);
            self.summary.ticks += 1;
            self.listener.on_tick(&observation, &report);
            let steps = self.steps_of(&report)?;
            let mut executed = 0;
            for values in report.action_chunk.chunks_exact(self.width).take(steps) {
                if self.is_over() {
                    break;
                }
                self.wait_until(&mut next_step);
                let action = Action::new(values.to_vec())?;
                let step = self.worker.step(action.clone(), self.listener)?;
                (executed, self.summary.steps) = (executed + 1, self.summary.steps + 1);
                self.listener.on_step(&action, &step);
                self.summary.terminated = step.terminated;
                observation = step.observation;
            }
            agent.report_executed(executed);
        }
        Ok(())
    }

    /// Whether the run is to end before the next control step.
    fn is_over(&self) -> bool {
        let is_long = self.limits.max_steps.is_some_and(|most| self.summary.steps >= most);
        is_long || self.summary.terminated || self.stop.load(Ordering::Relaxed)
    }

    /// How many control steps of the chunk in `report` are executed before the next tick.
    fn steps_of(&self, report: &TickReport) -> Result<usize> {
        if report.action_chunk.is_empty() {
            let got = report.error.clone().unwrap_or_else(|| "none".into());
            return Err(Error::task("acting", "an action that holds still", got));
        }
        if report.directive.action_width != self.width {
            let (expected, got) = (self.width.to_string(), report.directive.action_width.to_string());
            return Err(Error::Shape { operation: "numbers per action of the environment", expected, got });
        }
        let chunk = report.directive.action_chunk;
        let steps = self.limits.replan_every.unwrap_or(report.directive.replan_every);
        if !(1..=chunk).contains(&steps) {
            let (expected, got) = (format!("1 to {chunk} (the action chunk)"), steps.to_string());
            return Err(Error::Shape { operation: "replan_every", expected, got });
        }
        Ok(steps)
    }

    /// Waits for the time of the next control step, in real time.
    fn wait_until(&mut self, next_step: &mut Instant) {
        let Some(step_time) = self.step_time else { return };
        let now = Instant::now();
        if now < *next_step {
            std::thread::sleep(*next_step - now);
        } else {
            self.summary.late_steps += u64::from(self.summary.steps > 0);
            *next_step = now; // a late step delays those after it: they are not rushed
        }
        *next_step += step_time;
    }

    /// Takes all commands that have come; true after a pause.
    fn obey(&mut self, agent: &mut Agent) -> Result<bool> {
        let mut was_paused = false;
        loop {
            match self.commands.try_recv() {
                Ok(Command::Pause) => {
                    was_paused = true;
                    self.pause(agent)?;
                }
                Ok(command) => self.take(agent, command),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return Ok(was_paused),
            }
        }
    }

    /// Stops the body and waits for [`Command::Resume`]; other commands take effect meanwhile.
    fn pause(&mut self, agent: &mut Agent) -> Result<()> {
        self.worker.stop(self.listener)?;
        while !self.stop.load(Ordering::Relaxed) {
            match self.commands.recv_timeout(PAUSE_POLL) {
                Ok(Command::Resume) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Ok(command) => self.take(agent, command),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        Ok(())
    }

    fn take(&mut self, agent: &mut Agent, command: Command) {
        let taken = match command {
            Command::SetGoal(goal) => agent.set_goal(goal),
            Command::SetWeight { name, weight } => agent.set_weight(&name, weight),
            Command::Pause | Command::Resume => Ok(()),
        };
        self.summary.refused_commands.extend(taken.err().map(|error| error.to_string()));
    }
}
