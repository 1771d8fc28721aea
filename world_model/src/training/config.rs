//! A training run in one file.

use mindseye_interface::config::{Validate, require_range};
use serde::{Deserialize, Serialize};

use super::data::TrainingData;
use super::refinement::RefinementConfig;
use crate::jepa::{Jepa, ModelConfig};
use crate::losses::LossConfig;
use crate::optimiser::OptimiserConfig;
use crate::{Error, Result};

/// Which part of the recorded episodes a step sees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Windows per step. Independent windows matter more than long ones.
    pub batch: usize,
    /// Frames per window, one action block apart; the predictor is unrolled over `frames - 1` blocks.
    pub frames: usize,
    /// Of each episode, only every so many-th picture is decoded and kept: windows start there. With the action block, an episode
    /// costs a fifth of the memory at blocks of 5, and more episodes fit.
    #[serde(default = "every")]
    pub picture_every: usize,
    /// Share of the episodes kept for validation.
    pub validation_fraction: f64,
}

fn every() -> usize {
    1
}

/// Everything that decides the weights, beside data and seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Optimiser steps of encoder and predictor together; 0 leaves the latents of the model that the run starts from as they are.
    pub steps: usize,
    /// Parts a batch is encoded in, each on a thread if there are as many. Part of the recipe: sums are made part by part.
    pub shards: usize,
    /// Steps between rows of losses in the metrics.
    pub report_every: usize,
    /// Steps between validations.
    pub validate_every: usize,
    /// Steps between saved states (a crash loses at most these).
    pub save_every: usize,
    /// Steps of training the decoder that draws what is imagined; 0 for none.
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
    /// Training the predictor alone, after all `steps` of the model.
    #[serde(default)]
    pub refinement: RefinementConfig,
}

impl Validate for TrainingConfig {
    fn validate(&self) -> mindseye_interface::Result<()> {
        require_range("steps", self.steps, 0, 100_000_000)?;
        require_range("shards", self.shards, 1, 256)?;
        require_range("report_every", self.report_every, 1, usize::MAX)?;
        require_range("validate_every", self.validate_every, 1, usize::MAX)?;
        require_range("save_every", self.save_every, 1, usize::MAX)?;
        require_range("decoder_steps", self.decoder_steps, 0, 10_000_000)?;
        require_range("data.batch", self.data.batch, self.shards, 1_000_000)?;
        require_range("data.frames", self.data.frames, 2, 1000)?;
        require_range("data.picture_every", self.data.picture_every, 1, self.model.action_block)?;
        require_range(
            "model.action_block % data.picture_every",
            self.model.action_block % self.data.picture_every,
            0,
            0,
        )?;
        require_range("data.validation_fraction", self.data.validation_fraction, 1e-6, 0.9)?;
        self.refinement.validate(self.shards)?;
        self.model.validate()?;
        self.loss.validate()?;
        self.optimiser.validate()
    }
}

impl TrainingConfig {
    /// Optimiser steps in all: of the model, then of its predictor alone.
    pub fn all_steps(&self) -> usize {
        self.steps + self.refinement.steps
    }

    /// Checks that a run without a model to start from, or from `start`, can do what the config says.
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

    /// Checks the config by itself and against the data.
    pub(super) fn validate_for(&self, data: &TrainingData) -> Result<()> {
        self.validate()?;
        let same = |field: &'static str, expected: usize, got: usize| {
            if expected == got {
                Ok(())
            } else {
                Err(Error::Data { field, expected: expected.to_string(), got: got.to_string() })
            }
        };
        same("image side", self.model.image_side, data.image_side())?;
        if self.model.proprioception_width > 0 {
            same("proprioception width", self.model.proprioception_width, data.proprioception_width())?;
        }
        same("action width", self.model.block_width(), data.block_width())?;
        if data.training_windows() == 0 {
            let expected =
                format!("episodes of at least {} frames", (self.data.frames - 1) * self.model.action_block + 1);
            return Err(Error::Data { field: "training windows", expected, got: "none".into() });
        }
        if self.refinement.steps > 0 && data.training_windows_of(self.refinement.frames) == 0 {
            let expected =
                format!("episodes of at least {} frames", (self.refinement.frames - 1) * self.model.action_block + 1);
            return Err(Error::Data { field: "refinement windows", expected, got: "none".into() });
        }
        if data.validation_windows(2) == 0 {
            let expected = format!("validation episodes of at least {} frames", self.model.action_block + 1);
            return Err(Error::Data { field: "validation windows", expected, got: "none".into() });
        }
        Ok(())
    }
}
