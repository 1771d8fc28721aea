//! Settings of a world model on a frozen encoder.

use mindseye_interface::config::{Validate, require_range};
use serde::{Deserialize, Serialize};

use crate::optimiser::OptimiserConfig;

/// Everything that determines the predictor's weights, beside encoder, data and seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrozenRecipe {
    /// Optimiser steps.
    pub steps: usize,
    /// Micro batches that a batch is divided into, from 1 to 256: as many threads can work at once. Another number
    /// gives other bits.
    pub micro_batches: usize,
    /// Steps between records of the losses in the metrics.
    pub report_every: usize,
    /// Steps between validations.
    pub validate_every: usize,
    /// Steps between saved states (a crash loses at most these).
    pub save_every: usize,
    /// Control steps per action chunk: the model's time step.
    pub action_chunk: usize,
    /// Side of the squares of patches whose tokens are averaged to one; 1 keeps all tokens. Fewer tokens plan faster
    /// (with the square of the side) and place things less exactly. Divides rows and columns of the encoder's grid.
    #[serde(default = "one")]
    pub pool: usize,
    /// What a token's error is.
    #[serde(default)]
    pub error: TokenError,
    /// The predictor.
    pub predictor: TokenPredictorConfig,
    /// The data.
    pub data: FrozenDataConfig,
    /// The optimiser.
    #[serde(default)]
    pub optimiser: OptimiserConfig,
}

fn one() -> usize {
    1
}

/// What a token's error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenError {
    /// Absolute difference, V-JEPA 2-AC's.
    Absolute,
    /// Squared difference, DINO-WM's.
    #[default]
    Squared,
}

/// How the predictor is told the action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conditioning {
    /// The action is a token of its own before those of its frame, V-JEPA 2-AC's way.
    Token,
    /// The action is concatenated with every token of its frame before they enter the predictor, DINO-WM's way.
    #[default]
    Concatenated,
}

/// Sizes of the predictor: transformer blocks over the tokens of the newest frames, each of which sees its own frame
/// and those before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenPredictorConfig {
    /// How it is told the action.
    pub conditioning: Conditioning,
    /// Most frames that a prediction follows from, one action chunk apart. 1 plans fastest; 2 or 3 show how things
    /// move.
    pub context: usize,
    /// Width `W` of a token within the predictor.
    pub width: usize,
    /// Blocks.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
}

/// Windows of recorded episodes that a step is trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrozenDataConfig {
    /// Windows per step.
    pub batch: usize,
    /// Action chunks that the predictor is rolled out over, its own predictions fed back; 1 is teacher forcing alone.
    pub rollout: usize,
    /// Windows start at every `frame_stride`-th frame, a divisor of the action chunk. The action chunk itself takes
    /// the least memory; 1 shows most.
    pub frame_stride: usize,
    /// Fraction of the episodes kept for validation.
    pub validation_fraction: f64,
}

impl FrozenRecipe {
    /// Frames of a training window.
    pub(super) fn window(&self) -> usize {
        self.predictor.context + self.data.rollout
    }
}

impl Validate for FrozenRecipe {
    fn validate(&self) -> mindseye_interface::Result<()> {
        require_range("steps", self.steps, 1, 100_000_000)?;
        require_range("micro_batches", self.micro_batches, 1, 256)?;
        require_range("report_every", self.report_every, 1, usize::MAX)?;
        require_range("validate_every", self.validate_every, 1, usize::MAX)?;
        require_range("save_every", self.save_every, 1, usize::MAX)?;
        require_range("action_chunk", self.action_chunk, 1, 1000)?;
        require_range("pool", self.pool, 1, 256)?;
        let TokenPredictorConfig { context, width, layers, heads, .. } = self.predictor;
        require_range("predictor.context", context, 1, 16)?;
        require_range("predictor.width", width, 4, 4096)?;
        require_range("predictor.layers", layers, 1, 64)?;
        require_range("predictor.heads", heads, 1, 64)?;
        require_range("predictor.width % predictor.heads", width % heads, 0, 0)?;
        require_range("data.batch", self.data.batch, self.micro_batches, 1_000_000)?;
        require_range("data.rollout", self.data.rollout, 1, 100)?;
        require_range("data.frame_stride", self.data.frame_stride, 1, self.action_chunk)?;
        require_range("action_chunk % data.frame_stride", self.action_chunk % self.data.frame_stride, 0, 0)?;
        require_range("data.validation_fraction", self.data.validation_fraction, 1e-6, 0.9)?;
        self.optimiser.validate()
    }
}
