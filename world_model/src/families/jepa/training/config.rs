//! A training run in one file.

use mindseye_interface::config::{Validate, require_range};
use serde::{Deserialize, Serialize};

use crate::families::jepa::config::ModelConfig;
use crate::families::jepa::losses::LossConfig;
use crate::families::jepa::network::Jepa;
use crate::optimiser::OptimiserConfig;
use crate::{Error, Result};

/// Windows of the recorded episodes that a step is trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Windows per step. Independent windows matter more than long ones.
    pub batch: usize,
    /// Frames per window, one action chunk apart; the predictor is unrolled over `frames - 1` chunks.
    pub frames: usize,
    /// Only every `frame_stride`-th image of an episode is decoded and kept: windows start there. 1 (default) keeps
    /// all; the length of an action chunk, say 5, keeps a fifth of the memory, so that more episodes fit.
    #[serde(default = "every_frame", alias = "picture_every")]
    pub frame_stride: usize,
    /// Fraction of the episodes kept for validation.
    pub validation_fraction: f64,
}

fn every_frame() -> usize {
    1
}

/// Everything that determines the weights, beside data and seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Optimiser steps of encoder and predictor together; 0 keeps the latents of the model that the run starts from.
    pub steps: usize,
    /// Micro batches that a batch is divided into, from 1 to 256; 2 in all shipped recipes. As many threads can work at
    /// once. Part of the recipe: sums are made micro batch by micro batch, so another number gives other bits.
    #[serde(alias = "shards")]
    pub micro_batches: usize,
    /// Steps between records of the losses in the metrics.
    pub report_every: usize,
    /// Steps between validations.
    pub validate_every: usize,
    /// Steps between saved states (a crash loses at most these).
    pub save_every: usize,
    /// Steps of training the decoder that draws predicted latents; 0 for none.
    pub decoder_steps: usize,
    /// The model.
    pub model: ModelConfig,
    /// The data.
    pub data: DataConfig,
    /// The loss terms.
    #[serde(default)]
    pub loss: LossConfig,
    /// The optimiser.
    #[serde(default)]
    pub optimiser: OptimiserConfig,
    /// Finetuning of the predictor alone, after all `steps` of the model.
    #[serde(default, alias = "refinement")]
    pub finetuning: PredictorFinetuning,
}

/// Settings of the finetuning of the predictor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictorFinetuning {
    /// Optimiser steps after those of the joint training; 0 for none.
    pub steps: usize,
    /// Windows per step.
    pub batch: usize,
    /// Frames per window: the predictor is unrolled over `frames - 1` chunks, from every frame.
    pub frames: usize,
    /// Largest learning rate; the other settings are those of `optimiser`.
    pub learning_rate: f64,
    /// Keep the predictor with the smallest held-out error of all validations from the end of the joint training on,
    /// not the last one: of few episodes it learns each by heart. (The error that is reported is then the smallest of
    /// several, and so a little too good.)
    #[serde(default, skip_serializing_if = "is_false")]
    pub keep_best: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl Default for PredictorFinetuning {
    fn default() -> Self {
        Self { steps: 0, batch: 256, frames: 6, learning_rate: 1e-3, keep_best: false }
    }
}

impl PredictorFinetuning {
    fn validate(&self, micro_batches: usize) -> mindseye_interface::Result<()> {
        require_range("finetuning.steps", self.steps, 0, 100_000_000)?;
        require_range("finetuning.batch", self.batch, micro_batches, 1_000_000)?;
        require_range("finetuning.frames", self.frames, 2, 1000)?;
        require_range("finetuning.learning_rate", self.learning_rate, 1e-8, 1.0)
    }
}

impl Validate for TrainingConfig {
    fn validate(&self) -> mindseye_interface::Result<()> {
        require_range("steps", self.steps, 0, 100_000_000)?;
        require_range("micro_batches", self.micro_batches, 1, 256)?;
        require_range("report_every", self.report_every, 1, usize::MAX)?;
        require_range("validate_every", self.validate_every, 1, usize::MAX)?;
        require_range("save_every", self.save_every, 1, usize::MAX)?;
        require_range("decoder_steps", self.decoder_steps, 0, 10_000_000)?;
        require_range("data.batch", self.data.batch, self.micro_batches, 1_000_000)?;
        require_range("data.frames", self.data.frames, 2, 1000)?;
        require_range("data.frame_stride", self.data.frame_stride, 1, self.model.action_chunk)?;
        require_range(
            "model.action_chunk % data.frame_stride",
            self.model.action_chunk % self.data.frame_stride,
            0,
            0,
        )?;
        require_range("data.validation_fraction", self.data.validation_fraction, 1e-6, 0.9)?;
        self.finetuning.validate(self.micro_batches)?;
        self.model.validate()?;
        self.loss.validate()?;
        self.optimiser.validate()
    }
}

/// Steps of a quick training: of the model, of the predictor alone, of the decoder.
const QUICK_STEPS: usize = 500;
const QUICK_FINETUNING: usize = 600;
const QUICK_DECODER: usize = 500;
/// Steps between its validations.
const QUICK_VALIDATION: usize = 100;

impl TrainingConfig {
    /// Optimiser steps in all: of the model, then of its predictor alone.
    pub fn all_steps(&self) -> usize {
        self.steps + self.finetuning.steps
    }

    /// What [`TrainingConfig::quicken`] gives up.
    pub const QUICK: &str = "  quick: a part of the recipe's steps, enough to see whether these episodes can be learnt \
                             from; predictions are worse, plans less reliable, imagined images blurred";

    /// Cuts the steps down to those of a first try.
    pub fn quicken(&mut self) {
        self.steps = self.steps.min(QUICK_STEPS);
        self.finetuning.steps = self.finetuning.steps.min(QUICK_FINETUNING);
        self.decoder_steps = self.decoder_steps.min(QUICK_DECODER);
        self.validate_every = self.validate_every.min(QUICK_VALIDATION);
    }

    /// Checks that a run from `start`, or from fresh weights, can follow the config.
    pub(super) fn validate_start(&self, start: Option<&Jepa>) -> Result<()> {
        let Some(start) = start else {
            return Ok(require_range("steps (without a model to start from)", self.steps, 1, usize::MAX)?);
        };
        if *start.config() == self.model {
            return Ok(());
        }
        let shape = |model: &ModelConfig| serde_json::to_string(model).unwrap_or_else(|error| error.to_string());
        Err(Error::Data { field: "model to start from", expected: shape(&self.model), got: shape(start.config()) })
    }
}
