//! `run` and `evaluate`: interactive runs, and the first pairs of an evaluation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use mindseye_evaluation::HOLD_STEPS;
use mindseye_interface::config::require_range;
use mindseye_runs::{InteractiveRun, RunArguments as WhichRun, RunSetup, TickRecord};

use crate::layout;
use crate::output::{Output, OutputArguments};
use crate::queue::Queue;
use crate::setup::{Scenes, figure_of};
use crate::stop::Interrupted;
use crate::tick::TickLogger;

/// Ticks that wait for the thread that logs, each with its images and plans (a few hundred kilobytes).
const WAITING_TICKS: usize = 32;

/// Record a run: until its goal is held, or so many ticks.
///
/// A saved run (`--load`, from the window or the page of `mindseye live`) is recorded as it was, with all that was done
/// to it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    mindseye-rerun run push_t --out push_t.rrd\n  \
    mindseye-rerun run two_room --pair 3 --speed 1 --connect rerun+http://127.0.0.1:9876/proxy\n  \
    mindseye-rerun run --load push_t_seed_0_pair_0.run.json --out reached_in.rrd")]
pub struct RunArguments {
    #[command(flatten)]
    which: WhichRun,
    #[command(flatten)]
    output: OutputArguments,
    /// Ticks at most.
    #[arg(long, default_value_t = 100)]
    ticks: usize,
    /// Seconds of the run per second, to watch it while it goes; by default as fast as possible.
    #[arg(long, value_name = "FACTOR")]
    speed: Option<f64>,
}

/// Record the first pairs of an evaluation, each as a recording of its own in one file.
///
/// What the agent does is what it does in `mindseye evaluate` with the same seed, checkpoint and task: as many control
/// steps as the protocol allows, and success by the same predicates.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    mindseye-rerun evaluate two_room --episodes 4 --out two_room.rrd\n  \
    mindseye-rerun evaluate push_t --seed 1 --pair 10 --episodes 2 --goal-offset 50 --out far.rrd")]
pub struct EvaluateArguments {
    #[command(flatten)]
    which: WhichRun,
    #[command(flatten)]
    output: OutputArguments,
    /// Number of pairs, from --pair on.
    #[arg(long, default_value_t = 4)]
    episodes: usize,
}

/// How far a run is.
#[derive(Debug, Default)]
struct Outcome {
    /// Control steps that count.
    steps: usize,
    /// The first one after which the moderate predicate held.
    moderate_step: Option<usize>,
    /// Newest control steps in a row after which the strict predicate held.
    strict_steps: usize,
}

impl Outcome {
    /// Counts the control steps of a tick, up to `budget_steps` in all.
    fn count(&mut self, record: &TickRecord, budget_steps: usize) {
        for step in record.steps.iter().take(budget_steps.saturating_sub(self.steps)) {
            self.steps += 1;
            self.strict_steps = if step.strict { self.strict_steps + 1 } else { 0 };
            if step.moderate && self.moderate_step.is_none() {
                self.moderate_step = Some(self.steps);
            }
        }
    }

    fn is_held(&self) -> bool {
        self.moderate_step.is_some() && self.strict_steps >= HOLD_STEPS
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, text: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.moderate_step {
            Some(step) => write!(text, "moderate at step {step}")?,
            None => write!(text, "not reached in {} steps", self.steps)?,
        }
        let strict = if self.strict_steps >= HOLD_STEPS { "strict" } else { "not strict" };
        write!(text, ", {strict}")
    }
}

/// A run that is being recorded.
struct Recorded<'a> {
    output: &'a Output,
    stream: rerun::RecordingStream,
    queue: Queue<Arc<TickRecord>>,
}

impl<'a> Recorded<'a> {
    fn begin(output: &'a Output, run: &InteractiveRun) -> Result<Self> {
        let stream = output.recording(layout::RUNS, &run.title(), &layout::of_run())?;
        let mut logger = TickLogger::new(stream.clone(), run, figure_of(run)?)?;
        let queue = Queue::start(WAITING_TICKS, output.overflow(), move |record: Arc<TickRecord>| logger.log(&record))?;
        Ok(Self { output, stream, queue })
    }

    /// Brings a tick; `false` where no more are taken.
    fn put(&mut self, record: &Arc<TickRecord>) -> Result<bool> {
        self.output.check()?;
        Ok(self.queue.put(record.clone()))
    }

    /// Waits for what was put, and returns how many ticks were dropped.
    fn end(self, name: &str) -> Result<u64> {
        let dropped = self.queue.finish(self.output.patience())?;
        self.stream.send_recording_name(name)?;
        self.output.end(self.stream)?;
        Ok(dropped)
    }
}

impl RunArguments {
    /// Records the run.
    ///
    /// # Errors
    /// When there is no such run, or the output cannot be written; [`Interrupted`] at the request of `stop`, after the
    /// output was ended.
    pub fn run(&self, stop: &AtomicBool, say: &mut dyn FnMut(&str)) -> Result<()> {
        require_range("--ticks", self.ticks, 1, 1_000_000)?;
        if let Some(speed) = self.speed {
            require_range("--speed", speed, 1e-3, 1e3)?;
        }
        refuse_paused(&self.which)?;
        let output = self.output.open()?;
        let mut run = self.which.run(&Scenes)?;
        let mut recorded = Recorded::begin(&output, &run)?;
        let (mut outcome, mut is_taken) = (Outcome::default(), true);
        let loaded = run.history().to_vec();
        for record in &loaded {
            outcome.count(record, usize::MAX);
            is_taken = is_taken && recorded.put(record)?;
        }
        let mut next = Instant::now();
        while loaded.is_empty() && is_taken && run.history().len() < self.ticks && !outcome.is_held() {
            if !wait_until(next, stop) {
                break;
            }
            let record = run.advance()?;
            outcome.count(&record, usize::MAX);
            is_taken = recorded.put(&record)?;
            if let Some(speed) = self.speed {
                next += Duration::from_secs_f64(record.steps.len() as f64 * run.control_step_secs() / speed);
            }
        }
        let (ticks, name) = (run.history().len(), output.name().to_owned());
        let dropped = recorded.end(&format!("{}: {outcome}", run.title()))?;
        output.publish()?;
        say(&format!("{}: {outcome}; {ticks} ticks in {name}{}", run.title(), dropped_text(dropped)));
        ended(stop, &format!("{ticks} ticks"), &name)
    }
}

impl EvaluateArguments {
    /// Records the pairs.
    ///
    /// # Errors
    /// As [`RunArguments::run`].
    pub fn run(&self, stop: &AtomicBool, say: &mut dyn FnMut(&str)) -> Result<()> {
        require_range("--episodes", self.episodes, 1, 1000)?;
        refuse_paused(&self.which)?;
        let output = self.output.open()?;
        let pairs = self.which.pairs(&Scenes, self.episodes)?;
        let (mut done, mut moderate, mut strict, mut dropped) = (0, 0, 0, 0);
        for setup in pairs.setups {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let (outcome, title, lost) = evaluated(&output, setup, pairs.budget_steps, stop)?;
            say(&format!("{title}: {outcome}"));
            done += 1;
            moderate += usize::from(outcome.moderate_step.is_some());
            strict += usize::from(outcome.strict_steps >= HOLD_STEPS);
            dropped += lost;
        }
        let name = output.name().to_owned();
        output.publish()?;
        say(&format!("{moderate} of {done} moderate, {strict} strict; in {name}{}", dropped_text(dropped)));
        ended(stop, &format!("{done} of {} pairs", self.episodes), &name)
    }
}

/// Records one pair for as many control steps as its evaluation has.
fn evaluated(
    output: &Output,
    setup: RunSetup,
    budget_steps: usize,
    stop: &AtomicBool,
) -> Result<(Outcome, String, u64)> {
    let mut run = InteractiveRun::new(setup)?;
    let mut recorded = Recorded::begin(output, &run)?;
    let (mut outcome, mut is_taken) = (Outcome::default(), true);
    while outcome.steps < budget_steps && is_taken && !stop.load(Ordering::Relaxed) {
        let record = run.advance()?;
        if record.steps.is_empty() {
            break; // no action is known to hold still
        }
        outcome.count(&record, budget_steps);
        is_taken = recorded.put(&record)?;
    }
    let title = run.title();
    let dropped = recorded.end(&format!("{title}: {outcome}"))?;
    Ok((outcome, title, dropped))
}

/// Waits for `until`; `false` where `stop` came first.
fn wait_until(until: Instant, stop: &AtomicBool) -> bool {
    loop {
        if stop.load(Ordering::Relaxed) {
            return false;
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(Duration::from_millis(20)));
    }
}

fn refuse_paused(which: &WhichRun) -> Result<()> {
    if which.is_paused() {
        bail!("--paused: expected a run that nobody has to resume, got one that waits");
    }
    Ok(())
}

fn dropped_text(dropped: u64) -> String {
    if dropped == 0 { String::new() } else { format!(" ({dropped} ticks were not taken in time, and dropped)") }
}

/// The end of work that may have been stopped.
fn ended(stop: &AtomicBool, done: &str, name: &str) -> Result<()> {
    if stop.load(Ordering::Relaxed) {
        return Err(Interrupted(format!("stopped: {done} are whole in {name}")).into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_says_when_the_goal_was_reached_and_whether_it_is_held() {
        let outcome = |strict_steps| Outcome { steps: 12, moderate_step: Some(7), strict_steps };
        assert_eq!(outcome(HOLD_STEPS).to_string(), "moderate at step 7, strict");
        assert_eq!(outcome(HOLD_STEPS - 1).to_string(), "moderate at step 7, not strict");
        assert!(outcome(HOLD_STEPS).is_held() && !outcome(HOLD_STEPS - 1).is_held());
        let missed = Outcome { steps: 50, moderate_step: None, strict_steps: 0 };
        assert_eq!(missed.to_string(), "not reached in 50 steps, not strict");
    }
}
