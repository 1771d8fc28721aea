//! Training a JEPA from recorded episodes: a pure function of (config, data, seed), whatever the number of threads and however
//! often it is stopped and resumed.

mod config;
mod data;
mod diagnostics;
mod probe;
mod records;
mod refinement;
mod state;
mod step;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use mindseye_interface::Seed;
use serde::{Deserialize, Serialize};

pub use config::{DataConfig, TrainingConfig};
pub use data::{Batch, TrainingData};
pub(crate) use diagnostics::covariance as latent_covariance;
pub use diagnostics::encode as encode_batch;
pub use diagnostics::{RolloutError, Validation, effective_rank, validate};
pub use probe::{Probe, ProbeErrors};
pub use records::Record;
pub use refinement::RefinementConfig;
pub(crate) use step::thread_pool;

use crate::checkpoint::Checkpoint;
use crate::jepa::Jepa;
use crate::{Error, Result};
use records::Records;
use refinement::Refinement;
use state::TrainingState;
use step::Stepper;

/// What the run is given beside config and data.
pub struct RunOptions<'a> {
    /// Root of every random choice.
    pub seed: Seed,
    /// Threads that share the work; the result does not depend on it.
    pub threads: usize,
    /// Folder for the state, the metrics and the event file.
    pub folder: &'a Path,
    /// Checkpoint whose weights to start from instead of fresh ones; its model has to be shaped as the recipe's.
    pub start: Option<&'a Checkpoint>,
    /// Continue from the state in `folder`.
    pub resume: bool,
    /// Stop after this step at the latest, as if from outside.
    pub stop_after: Option<usize>,
    /// Set from outside (Ctrl-C): training saves its state and returns.
    pub stop: &'a AtomicBool,
    /// Called after every step with what is known.
    pub progress: &'a dyn Fn(&Progress<'_>),
}

/// Where the run is, for a progress bar.
#[derive(Debug)]
pub struct Progress<'a> {
    /// Steps done.
    pub step: usize,
    /// Steps to do.
    pub steps: usize,
    /// Loss terms of the last step, by name.
    pub terms: &'a [(&'static str, f32)],
    /// Seconds in which this process waited for windows to be copied together.
    pub waited_secs: f64,
    /// Seconds that this process has trained.
    pub elapsed_secs: f64,
    /// The newest validation, right after it was made.
    pub validation: Option<&'a Validation>,
}

/// How a run went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingReport {
    /// Steps done.
    pub steps: usize,
    /// Whether all steps were done (not stopped before).
    pub finished: bool,
    /// The root seed.
    pub seed: u64,
    /// Wall-clock minutes in training steps and validations, over all processes that took part.
    pub minutes: f64,
    /// Episodes in the training part of the data.
    pub training_episodes: usize,
    /// The last validation.
    pub validation: Option<Validation>,
    /// The run that this one started from; none if it started from fresh weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Box<Start>>,
}

/// The run that another one started from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// Its recipe.
    pub recipe: TrainingConfig,
    /// How it went.
    pub training: TrainingReport,
}

/// Trains a model to the end of its schedule, or until stopped.
///
/// # Errors
/// When the config or the data make no sense, a file cannot be written, or a loss is not finite ([`Error::Diverged`]).
pub fn train(config: &TrainingConfig, data: &TrainingData, options: &RunOptions<'_>) -> Result<(Jepa, TrainingReport)> {
    config.validate_for(data)?;
    let started = Instant::now();
    let mut state = if options.resume {
        TrainingState::load(options.folder, config, options.seed, data)?
    } else {
        config.validate_start(options.start.map(|start| &start.model))?;
        TrainingState::fresh(config, options.seed, options.start, data)?
    };
    let mut records = Records::open(options.folder, state.step)?;
    let stepper = Stepper::new(config, options.threads)?;
    let mut batches = data.batches(config.data.batch, options.seed.child("batches"));
    let seconds_before = records.seconds_before;
    let elapsed_secs = || seconds_before + started.elapsed().as_secs_f64();
    let mut validation = None;
    let mut refinement = None;
    let mut waited_secs = 0.0;
    let steps = config.all_steps();
    let last_step = options.stop_after.map_or(steps, |step| step.min(steps));
    while state.step < last_step && !options.stop.load(Ordering::Relaxed) {
        let outcome = if state.step < config.steps {
            let asked = Instant::now();
            let batch = batches.get(state.step);
            waited_secs += asked.elapsed().as_secs_f64();
            stepper.step(&mut state, &batch, options.seed)?
        } else {
            if state.step == config.steps {
                state.begin_refinement(data, config)?;
            }
            let prepared = match refinement.take() {
                Some(prepared) => prepared,
                None => {
                    let seed = options.seed.child("refinement");
                    Refinement::prepare(&state.model, data, &config.refinement, seed, stepper.pool())?
                }
            };
            stepper.refine(&mut state, refinement.insert(prepared))?
        };
        let done = state.step;
        if done % config.report_every == 0 || done == steps {
            records.write(&outcome.record(done, elapsed_secs()))?;
        }
        if done % config.save_every == 0 && done < steps {
            state.save(options.folder, config, options.seed, data)?;
        }
        let validate_now = done % config.validate_every == 0 || done == steps;
        if validate_now {
            if done <= config.steps {
                state.fix_whitening(data, config)?;
            }
            let measured = validate(&state.model, data, options.seed.child("validation"))?;
            records.write(&measured.record(done))?;
            validation = Some(measured);
        }
        (options.progress)(&Progress {
            step: done,
            steps,
            terms: &outcome.terms,
            waited_secs,
            elapsed_secs: started.elapsed().as_secs_f64(),
            validation: validation.as_ref().filter(|_| validate_now),
        });
    }
    if config.steps > 0 && state.step <= config.steps {
        state.fix_whitening(data, config)?;
    }
    state.save(options.folder, config, options.seed, data)?;
    records.finish()?;
    let finished = state.step == steps;
    if finished && validation.is_none() {
        validation = Some(validate(&state.model, data, options.seed.child("validation"))?); // resumed after its last step
    }
    let report = TrainingReport {
        steps: state.step,
        finished,
        seed: options.seed.value(),
        minutes: elapsed_secs() / 60.0,
        training_episodes: data.training_episodes(),
        validation,
        start: state.start,
    };
    Ok((state.model, report))
}

/// Refuses numbers that are not finite.
pub(crate) fn require_finite(step: usize, what: &'static str, value: f64) -> Result<()> {
    if value.is_finite() { Ok(()) } else { Err(Error::Diverged { step, what }) }
}
