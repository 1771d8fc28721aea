//! The control loop: an agent drives an environment, control step by control step, and keeps its time.
//!
//! Everything here is about a body that is no simulator: the environment runs on a thread of its own, so that a call
//! that blocks is reported while it blocks; after any error the environment is stopped; people change the goal, a
//! weight, or pause through a channel that is read between two ticks.

mod ahead;
mod hold;
mod reporting;
mod worker;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, TryRecvError, never};
use mindseye_interface::{Action, ActionSpace, Environment, Goal, Observation, Step, SystemClock};

pub use hold::Latch;
pub use reporting::{Reporter, channel};

use self::ahead::PlanUnderWay;
use self::hold::{Fault, Known};
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
    /// Control steps that are executed while the next plan is made (real-time chunking): they are conditions of it. 0
    /// (the default): the body waits for a plan between two control steps. At most those from one plan to the next.
    pub plan_ahead: usize,
    /// Whether every control step takes [`Environment::control_step_secs`] (true by default); otherwise steps follow
    /// each other at once.
    pub real_time: bool,
    /// The longest that one call to the environment may take, seconds; none by default. A longer one is reported while
    /// it blocks ([`TickListener::on_blocked`]) and ends the run with [`Error::Watchdog`] when it returns.
    pub watchdog_secs: Option<f64>,
    /// When the body is held still until a person says [`Command::Resume`]; none by default: then an error ends the
    /// run, and nothing else is looked at.
    pub latch: Option<Latch>,
    /// The most that a number of a normalised action may differ from the command before (from holding still at first);
    /// no limit by default.
    pub max_change: Option<f32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_steps: None,
            replan_every: None,
            plan_ahead: 0,
            real_time: true,
            watchdog_secs: None,
            latch: None,
            max_change: None,
        }
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

    /// The body is held still for `reason`, until a person resumes.
    fn on_held(&mut self, _reason: &str) {}

    /// The run continues.
    fn on_resumed(&mut self) {}
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
    /// Pursue what is observed now.
    GoalIsNow,
    /// Stop the body and wait.
    Pause,
    /// Continue after a pause, or after the body was held.
    Resume,
}

/// How a run went.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunSummary {
    /// Ticks of the agent.
    pub ticks: u64,
    /// Control steps executed.
    pub steps: u64,
    /// Control steps that began later than their time by more than a twentieth of it, in real time.
    pub late_steps: u64,
    /// Plans that came later than the control steps that were to be executed meanwhile: the plan before went on.
    pub late_plans: u64,
    /// Whether the environment ended the episode for good.
    pub terminated: bool,
    /// Why the body was held, each time.
    pub holds: Vec<String>,
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
    let (space, lag) = (environment.action_space().clone(), environment.observation_lag_steps());
    let width = space.width();
    std::thread::scope(|scope| {
        let limit = limits.watchdog_secs.map(|secs| Duration::from_secs_f64(secs.max(0.0)));
        let worker = Worker::start(scope, environment, limit);
        let summary = RunSummary::default();
        let mut run = Run {
            worker,
            limits,
            listener,
            stop,
            commands,
            width,
            space,
            step_time,
            lag,
            commanded: None,
            known: Known::default(),
            under_way: None,
            summary,
        };
        let ended = run.run_until_done(agent);
        let stopped = run.worker.stop(run.listener);
        ended?;
        stopped?;
        Ok(run.summary)
    })
}

/// How often a paused run looks whether it is to end.
const PAUSE_POLL: Duration = Duration::from_millis(20);
/// A control step that begins later than this share of a step (one in so many) is late.
const LATE_PART: u32 = 20;

/// A run under way.
struct Run<'a> {
    worker: Worker,
    limits: &'a Limits,
    listener: &'a mut dyn TickListener,
    stop: &'a AtomicBool,
    commands: &'a Receiver<Command>,
    width: usize,
    space: ActionSpace,
    step_time: Option<Duration>,
    /// See [`Environment::observation_lag_steps`].
    lag: usize,
    /// Normalised values of the command before.
    commanded: Option<Vec<f32>>,
    /// What observations look like.
    known: Known,
    /// The plan under way, where the next one is made meanwhile.
    under_way: Option<PlanUnderWay>,
    summary: RunSummary,
}

impl Run<'_> {
    fn run_until_done(&mut self, agent: &mut Agent) -> Result<()> {
        let clock = SystemClock::start();
        let mut observation = self.begin(agent)?;
        let mut next_step = Instant::now();
        while !self.is_over() {
            if self.obey(agent, &observation)? {
                self.under_way = None;
                // The body stood still meanwhile: what is observed now does not follow from the last chunk.
                agent.start_episode();
                observation = self.begin(agent)?;
                next_step = Instant::now();
                continue;
            }
            let acted = match self.limits.plan_ahead {
                0 if self.lag == 0 => self.act(agent, &observation, &clock, &mut next_step),
                ahead => self.act_ahead(agent, &observation, &clock, (&mut next_step, ahead)),
            };
            match acted {
                Ok(next) => observation = next,
                Err(fault) => {
                    self.under_way = None;
                    self.hold(agent, fault, &observation)?;
                    observation = self.begin(agent)?;
                    next_step = Instant::now();
                }
            }
        }
        Ok(())
    }

    /// One tick and the control steps that it decided, from `observation` to the next.
    fn act(
        &mut self,
        agent: &mut Agent,
        observation: &Observation,
        clock: &SystemClock,
        next_step: &mut Instant,
    ) -> std::result::Result<Observation, Fault> {
        let report = agent.tick(observation, clock);
        self.summary.ticks += 1;
        self.listener.on_tick(observation, &report);
        if let Some(reason) = self.limits.latch.as_ref().and_then(|latch| latch.reason(observation, &report)) {
            return Err(Fault::Unsafe(reason));
        }
        let steps = self.steps_of(&report)?;
        self.know_command(observation)?;
        let (mut executed, mut newest) = (Vec::with_capacity(steps), observation.clone());
        for values in report.action_chunk.chunks_exact(self.width).take(steps) {
            if self.is_over() {
                break;
            }
            let (action, step) = self.control_step(values, next_step)?;
            executed.push(action);
            newest = step.observation;
        }
        match self.limits.max_change {
            None => agent.report_executed(executed.len()),
            Some(_) if executed.is_empty() => agent.report_executed(0),
            Some(_) => agent.report_executed_actions(&executed),
        }
        Ok(newest)
    }

    /// Executes the action of `values`, as near to the one before as it has to be, at its time.
    fn control_step(&mut self, values: &[f32], next_step: &mut Instant) -> std::result::Result<(Action, Step), Fault> {
        self.wait_until(next_step);
        let action = Action::new(self.within_reach(values))?;
        let step = self.worker.step(action.clone(), self.listener)?;
        self.summary.steps += 1;
        self.listener.on_step(&action, &step);
        self.commanded = Some(action.values().to_vec());
        self.summary.terminated = step.terminated;
        // What cannot be trusted is not waited for until the next tick.
        match self.limits.latch.as_ref().and_then(|_| self.known.unlike(&step.observation)) {
            Some(reason) if !step.terminated => Err(Fault::Unsafe(reason)),
            _ => Ok((action, step)),
        }
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
        } else if now - *next_step > step_time / LATE_PART {
            self.summary.late_steps += u64::from(self.summary.steps > 0);
            *next_step = now; // a late step delays those after it: they are not rushed
        }
        *next_step += step_time;
    }

    /// Takes all commands that have come; true after a pause.
    fn obey(&mut self, agent: &mut Agent, observation: &Observation) -> Result<bool> {
        let mut was_paused = false;
        loop {
            match self.commands.try_recv() {
                Ok(Command::Pause) => {
                    was_paused = true;
                    self.worker.stop(self.listener)?;
                    if !self.wait_for_resume(agent) {
                        // Whoever paused has gone: the body does not begin to move by itself.
                        return Err(Error::Held { reason: "paused, and nobody is left who could resume it".into() });
                    }
                }
                Ok(Command::GoalIsNow) => self.pursue(agent, observation),
                Ok(command) => self.take(agent, command),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return Ok(was_paused),
            }
        }
    }

    /// Waits for [`Command::Resume`]; other commands take effect meanwhile. False where nobody can say it any more.
    fn wait_for_resume(&mut self, agent: &mut Agent) -> bool {
        while !self.stop.load(Ordering::Relaxed) {
            match self.commands.recv_timeout(PAUSE_POLL) {
                Ok(Command::Resume) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
                Ok(Command::GoalIsNow) => match self.worker.observe(self.listener) {
                    Ok(observation) => self.pursue(agent, &observation),
                    Err(error) => self.summary.refused_commands.push(error.to_string()),
                },
                Ok(command) => self.take(agent, command),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        true
    }

    fn pursue(&mut self, agent: &mut Agent, observation: &Observation) {
        let taken = agent.set_image_goal(observation.clone());
        self.summary.refused_commands.extend(taken.err().map(|error| error.to_string()));
    }

    fn take(&mut self, agent: &mut Agent, command: Command) {
        let taken = match command {
            Command::SetGoal(goal) => agent.set_goal(goal),
            Command::SetWeight { name, weight } => agent.set_weight(&name, weight),
            Command::Pause | Command::Resume | Command::GoalIsNow => Ok(()),
        };
        self.summary.refused_commands.extend(taken.err().map(|error| error.to_string()));
    }
}
