//! Training of a JEPA from recorded episodes: a pure function of (config, data, seed), with any number of threads and
//! workers and however often it is stopped and resumed. Encoder and predictor are trained together, then the predictor
//! alone.

mod best;
mod config;
mod data;
mod data_statistics;
mod diagnostics;
mod finetuning;
mod joint;
mod memory;
mod seen;

use mindseye_interface::Seed;
use serde::{Deserialize, Serialize};
use serde_json::json;

pub use config::{DataConfig, PredictorFinetuning, TrainingConfig};
pub use data::{Batch, TrainingData};
pub use data_statistics::DataStatistics;
pub(crate) use data_statistics::MAX_VALUE;
pub use diagnostics::{LatentSpread, RolloutError, Validation, validate};
pub use seen::{Familiar, SeenEpisodes, fingerprint_of};

use best::BestPredictor;
use finetuning::FinetuningObjective;
use joint::{JointObjective, Networks};

use super::network::Jepa;
use crate::optimiser::OptimiserConfig;
use crate::trainer::{Objective, Run, RunOptions, Trainer};
use crate::{Error, Result};

/// File of a model's training state in the folder of its run.
pub const STATE_FILE: &str = "state.safetensors";
/// File of a model's records in the folder of its run.
const METRICS_FILE: &str = "metrics.jsonl";

/// A trained model to start from.
#[derive(Debug, Clone, Copy)]
pub struct StartingPoint<'a> {
    /// Its weights; the model has to be shaped as the recipe's.
    pub model: &'a Jepa,
    /// Its recipe.
    pub recipe: &'a TrainingConfig,
    /// Its training.
    pub training: &'a TrainingReport,
}

/// The outcome of a run.
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
    /// Step after which the predictor was as it is, where that is not the last one
    /// ([`PredictorFinetuning::keep_best`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictor_step: Option<usize>,
    /// Which episodes the run was trained and validated on; none of runs of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<SeenEpisodes>,
}

/// The run that another one started from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// Its recipe.
    pub recipe: TrainingConfig,
    /// Its outcome.
    pub training: TrainingReport,
}

/// Trained model, its report, and the seconds in which this process waited for data.
#[derive(Debug)]
pub struct TrainedModel {
    /// The model.
    pub model: Jepa,
    /// How the run went.
    pub report: TrainingReport,
    /// Seconds in which this process waited for windows to be copied together.
    pub waited_secs: f64,
}

/// Trains a model to the end of its schedule, or until stopped. `start` is the model to start from; a resumed run
/// ignores it. `on_validation` gets the step and the validation made there.
///
/// # Errors
/// When the config or the data make no sense, the config needs more memory than `options.memory` (nothing is written
/// then), a file cannot be written, or a loss is not finite ([`Error::Diverged`]).
pub fn train(
    config: &TrainingConfig,
    data: &TrainingData,
    start: Option<StartingPoint<'_>>,
    options: &RunOptions<'_>,
    on_validation: &dyn Fn(usize, &Validation),
) -> Result<TrainedModel> {
    data.require_fit(config)?;
    config.require_memory(options.memory)?;
    if !options.resume {
        config.validate_start(start.map(|start| start.model))?;
    }
    let networks = Networks::new(config, options.seed, start.map(|start| start.model), data)?;
    let start = start.map(|start| Start { recipe: start.recipe.clone(), training: start.training.clone() });
    // A resumed run takes the start that was stored.
    let start = if options.resume { json!(null) } else { start.map_or(json!(false), |start| json!(start)) };
    let run = Run {
        name: "train",
        steps: config.all_steps(),
        report_every: config.report_every,
        save_every: config.save_every,
        identity: json!({ "config": config, "data": data.fingerprint(), "start": start }),
    };
    let trainer = Trainer::with_files(*options, run, &networks.weights(), STATE_FILE, Some(METRICS_FILE))?;
    let best = if config.finetuning.keep_best { Some(BestPredictor::open(options)?) } else { None };
    ModelRun { config, data, options, on_validation, trainer, best, validation: None }.finish(networks)
}

/// A run under way.
struct ModelRun<'a> {
    config: &'a TrainingConfig,
    data: &'a TrainingData,
    options: &'a RunOptions<'a>,
    on_validation: &'a dyn Fn(usize, &Validation),
    trainer: Trainer<'a>,
    best: Option<BestPredictor>,
    validation: Option<Validation>,
}

impl ModelRun<'_> {
    /// Does both stages, or as much of them as there is time for.
    fn finish(mut self, networks: Networks) -> Result<TrainedModel> {
        let (config, data, seed) = (self.config, self.data, self.options.seed);
        let mut joint = JointObjective::new(config, data, seed, networks);
        self.trainer.begin_stage(config.optimiser.clone(), config.steps);
        let mut stopped = !self.stage(&mut joint, config.steps, |joint| &mut joint.networks)?;
        let (mut networks, mut predictor_step) = (joint.networks, None);
        if !stopped && config.finetuning.steps > 0 {
            if self.trainer.done() == config.steps {
                networks.fix_whitening(data, config)?;
                if self.best.is_some() {
                    let validation = self.validate(&networks.model)?;
                    self.offer(&validation, &networks)?;
                }
            }
            let learning_rate = config.finetuning.learning_rate;
            let optimiser = OptimiserConfig { learning_rate, ..config.optimiser.clone() };
            self.trainer.begin_stage(optimiser, config.finetuning.steps);
            let prepare = || {
                let seed = seed.child("refinement");
                FinetuningObjective::prepare(networks, data, &config.finetuning, config.micro_batches, seed)
            };
            let mut finetuning = self.trainer.pool().install(prepare)?;
            stopped = !self.stage(&mut finetuning, config.all_steps(), |finetuning| &mut finetuning.networks)?;
            networks = finetuning.networks;
            if let Some(best) = self.best.as_ref().filter(|_| !stopped) {
                predictor_step = best.restore(self.trainer.done(), &networks.weights())?;
                self.validation = self.validation.filter(|_| predictor_step.is_none());
            }
        }
        let steps = self.trainer.done();
        if config.steps > 0 && steps <= config.steps {
            networks.fix_whitening(data, config)?;
        }
        if !stopped && self.validation.is_none() {
            self.validation = Some(self.validate(&networks.model)?); // resumed after its last step
        }
        let start =
            self.trainer.identity().and_then(|identity| identity.get("start")).filter(|start| start.is_object());
        let start = start.map(|start| serde_json::from_value(start.clone())).transpose();
        let start = start.map_err(|error| Error::file(STATE_FILE.as_ref(), format!("start: {error}")))?;
        let report = TrainingReport {
            steps,
            finished: !stopped,
            seed: seed.value(),
            minutes: self.trainer.elapsed_secs() / 60.0,
            training_episodes: data.training_episodes(),
            validation: self.validation,
            start,
            predictor_step,
            seen: Some(data.seen()?),
        };
        let waited_secs = self.trainer.waited_secs();
        self.trainer.finish(&networks.weights())?;
        Ok(TrainedModel { model: networks.model, report, waited_secs })
    }

    /// Does steps until `end` steps are done, with validations in between; false when it was stopped before.
    fn stage<O: Objective<Error = Error>>(
        &mut self,
        objective: &mut O,
        end: usize,
        networks: impl Fn(&mut O) -> &mut Networks,
    ) -> Result<bool> {
        while self.trainer.done() < end {
            let until =
                (self.trainer.done() / self.config.validate_every + 1).saturating_mul(self.config.validate_every);
            if !self.trainer.run_until(objective, until.min(end))? {
                return Ok(false);
            }
            let done = self.trainer.done();
            if done.is_multiple_of(self.config.validate_every) || done == self.config.all_steps() {
                let networks = networks(objective);
                if done <= self.config.steps {
                    networks.fix_whitening(self.data, self.config)?;
                }
                let measured = self.validate(&networks.model)?;
                self.trainer.record(&measured.record(done))?;
                (self.on_validation)(done, &measured);
                if done > self.config.steps {
                    self.offer(&measured, networks)?;
                }
                self.validation = Some(measured);
            }
        }
        Ok(true)
    }

    /// Keeps the predictor if it is the best so far, and the recipe asks for that.
    fn offer(&mut self, validation: &Validation, networks: &Networks) -> Result<()> {
        let step = self.trainer.done();
        self.best.as_mut().map_or(Ok(()), |best| best.offer(step, validation, &networks.weights()))
    }

    fn validate(&self, model: &Jepa) -> Result<Validation> {
        let seed: Seed = self.options.seed.child("validation");
        self.trainer.pool().install(|| validate(model, self.data, seed))
    }
}
