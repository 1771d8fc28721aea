//! A pretraining run in one file.

use mindseye_interface::config::{Validate, require_range};
use mindseye_interface::memory::{product, sum};
use serde::{Deserialize, Serialize};

use super::masks::MaskConfig;
use super::target::PretrainingObjective;
use crate::families::vit::config::{
    BlocksConfig, EncoderConfig, Norms, Positions, PredictorConfig, VitConfig, VitKind,
};
use crate::families::vit::encoder::Grid;
use crate::families::vit::sincos::SinCos;
use crate::optimiser::OptimiserConfig;

/// Sizes of the encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderSizes {
    /// Side of the square images, pixels; recordings of another size are scaled.
    pub image_side: usize,
    /// Frames of a clip; 1: images. More show longer motions, and cost time with their square.
    pub frames: usize,
    /// Frames of a tubelet, the unit of a token in time.
    pub tubelet: usize,
    /// Side of a patch, pixels. Half of it: four times the tokens.
    pub patch: usize,
    /// Width `D` of a token.
    pub width: usize,
    /// Blocks.
    pub layers: usize,
    /// Attention heads; they divide the width.
    pub heads: usize,
}

/// Sizes of the predictor, which is thrown away with pixels and kept beside the encoder with tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictorSizes {
    /// Width of its tokens: narrower than the encoder's.
    pub width: usize,
    /// Blocks.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
}

/// Which clips a step is trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClipConfig {
    /// Clips per step.
    pub batch: usize,
    /// Timesteps between the frames of a clip.
    pub stride: usize,
    /// Fraction of the episodes kept for validation.
    pub validation_fraction: f64,
    /// Smallest share of an image's area that is cut out at random (V-JEPA: 0.3) and scaled up; 1 (default): none.
    #[serde(default = "whole")]
    pub smallest_crop: f64,
    /// Whether half of the clips are mirrored; false (default) where left and right differ in meaning.
    #[serde(default)]
    pub flip: bool,
}

fn whole() -> f64 {
    1.0
}

/// Weights of the loss terms; 0 switches one off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PretrainingLoss {
    /// The error of the prediction; 0: the other terms alone, a control.
    pub prediction: f64,
    /// Keeps the standard deviation of every dimension of seen tokens, without what their position says, at 0.5 or
    /// more, and dimensions uncorrelated (VICReg, arXiv 2105.04906). Small encoders collapse without it.
    pub variance: f64,
    /// SIGReg on tokens without what their position says, times the clips of a step: their distribution is drawn to a
    /// standard normal one. Too little beside the prediction, and all clips get the same tokens.
    pub sigreg: f64,
    /// Random directions per step of SIGReg.
    pub sigreg_directions: usize,
    /// Knots of SIGReg's quadrature.
    pub sigreg_knots: usize,
    /// V-JEPA 2.1's context loss: seen tokens are predicted too, those near hidden ones with more weight. 0.5 there.
    pub context: f64,
    /// Steps over which the context loss grows to its weight.
    pub context_warmup_steps: usize,
    /// Added to the variance by which pixels of a tubelet are normalised: of plain patches, noise does not become all.
    pub pixel_floor: f64,
}

impl Default for PretrainingLoss {
    fn default() -> Self {
        Self {
            prediction: 1.0,
            variance: 0.0,
            sigreg: 0.0,
            sigreg_directions: 128,
            sigreg_knots: 9,
            context: 0.0,
            context_warmup_steps: 0,
            pixel_floor: 0.04,
        }
    }
}

/// How the average of the encoder follows it: from `start` to `end` over the run, in equal steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MomentumConfig {
    /// Share of the average that a step keeps, at first (V-JEPA: 0.998). Too low: it follows at once, and collapses.
    pub start: f64,
    /// The same at the end (V-JEPA: 1).
    pub end: f64,
}

impl Default for MomentumConfig {
    fn default() -> Self {
        Self { start: 0.998, end: 1.0 }
    }
}

impl MomentumConfig {
    /// The momentum at `step` of `steps`.
    pub(super) fn at(&self, step: usize, steps: usize) -> f64 {
        let progress = step as f64 / steps.saturating_sub(1).max(1) as f64;
        self.start + (self.end - self.start) * progress.min(1.0)
    }
}

/// Everything that determines the weights, beside clips and seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PretrainingConfig {
    /// What is predicted.
    pub objective: PretrainingObjective,
    /// Optimiser steps.
    pub steps: usize,
    /// Micro batches that a batch is divided into: as many threads can work at once. Part of the result.
    pub micro_batches: usize,
    /// Steps between records of the losses.
    pub report_every: usize,
    /// Steps between validations, which look for collapse.
    pub validate_every: usize,
    /// Steps between saved states (a crash loses at most these).
    pub save_every: usize,
    /// The encoder.
    pub encoder: EncoderSizes,
    /// The predictor.
    pub predictor: PredictorSizes,
    /// The clips.
    pub data: ClipConfig,
    /// Which tokens are hidden.
    #[serde(default)]
    pub masks: MaskConfig,
    /// The loss terms.
    #[serde(default)]
    pub loss: PretrainingLoss,
    /// The average of the encoder.
    #[serde(default)]
    pub momentum: MomentumConfig,
    /// The optimiser.
    #[serde(default)]
    pub optimiser: OptimiserConfig,
}

impl EncoderSizes {
    /// Patches of a clip.
    pub fn grid(&self) -> Grid {
        let across = self.image_side / self.patch;
        Grid { frames: self.frames / self.tubelet, rows: across, columns: across }
    }

    /// Values `I` of a tubelet.
    pub fn tubelet_values(&self) -> usize {
        3 * self.tubelet * self.patch * self.patch
    }

    fn is_image(&self) -> bool {
        self.frames == 1
    }

    /// How channels of the added positions are divided: as the family that reads the folder computes them.
    pub(super) fn positions(&self) -> SinCos {
        if self.is_image() { SinCos::ColumnFirst } else { SinCos::Uniform }
    }
}

impl PretrainingConfig {
    /// The family that reads the folder.
    pub fn kind(&self) -> VitKind {
        if self.encoder.is_image() { VitKind::Ijepa } else { VitKind::Vjepa }
    }

    /// Numbers per prediction of a token.
    pub(super) fn output(&self) -> usize {
        if self.objective.is_latent() { self.encoder.width } else { self.encoder.tubelet_values() }
    }

    /// Mask sets of a step, each with a mask token of its own.
    pub(super) fn mask_tokens(&self) -> usize {
        self.masks.sets(self.objective)
    }

    /// The model that the folder holds: the encoder, and the predictor where it predicts tokens.
    pub fn vit(&self) -> VitConfig {
        let EncoderSizes { image_side, frames, tubelet, patch, width, layers, heads } = self.encoder;
        let positions = Positions::Computed(self.encoder.positions());
        let encoder = EncoderConfig {
            blocks: blocks(width, layers, heads),
            channels: 3,
            patch,
            tubelet,
            frames,
            image: [image_side; 2],
            positions,
            class_token: false,
            registers: 0,
            mask_token: false,
            image_patches: false,
            modality: false,
            norms: Norms::Last,
        };
        let predictor = PredictorConfig {
            blocks: blocks(self.predictor.width, self.predictor.layers, self.predictor.heads),
            input: width,
            entry: None,
            output: width,
            mask_tokens: self.mask_tokens(),
            positions,
            context_output: self.loss.context > 0.0,
            modality: false,
        };
        let predictor = self.objective.is_latent().then_some(predictor);
        VitConfig { kind: self.kind(), encoder: Some(encoder), predictor, actions: None, classifier: None }
    }

    /// Bytes that a step needs at least: the clips, and what every block keeps for its gradients.
    pub(super) fn needed_bytes(&self, weights: u128) -> u128 {
        let (tokens, sizes) = (self.encoder.grid().tokens(), &self.encoder);
        let clips = product(&[self.data.batch, tokens, sizes.tubelet_values(), 4]);
        let of = |width: usize, layers: usize| product(&[self.data.batch, tokens, layers.saturating_mul(width), 48]);
        let scores = product(&[self.micro_batches, tokens, tokens, 8]);
        let kept = of(sizes.width, sizes.layers).saturating_add(of(self.predictor.width, self.predictor.layers));
        sum(&[clips, kept.saturating_mul(2), scores, weights.saturating_mul(20)])
    }
}

fn blocks(width: usize, layers: usize, heads: usize) -> BlocksConfig {
    BlocksConfig { layers, ..BlocksConfig::plain(width, heads) }
}

impl Validate for PretrainingConfig {
    fn validate(&self) -> mindseye_interface::Result<()> {
        require_range("steps", self.steps, 1, 100_000_000)?;
        require_range("micro_batches", self.micro_batches, 1, 256)?;
        require_range("report_every", self.report_every, 1, usize::MAX)?;
        require_range("validate_every", self.validate_every, 1, usize::MAX)?;
        require_range("save_every", self.save_every, 1, usize::MAX)?;
        let sizes = &self.encoder;
        require_range("encoder.patch", sizes.patch, 1, 512)?;
        require_range("encoder.image_side", sizes.image_side, sizes.patch, 4096)?;
        require_range("encoder.image_side % encoder.patch", sizes.image_side % sizes.patch, 0, 0)?;
        require_range("encoder.tubelet", sizes.tubelet, 1, 64)?;
        require_range("encoder.frames", sizes.frames, sizes.tubelet, 4096)?;
        require_range("encoder.frames % encoder.tubelet", sizes.frames % sizes.tubelet, 0, 0)?;
        require_range("encoder tokens", sizes.grid().tokens(), 4, 1 << 14)?;
        require_range("encoder.heads", sizes.heads, 1, sizes.width)?;
        require_range("predictor.heads", self.predictor.heads, 1, self.predictor.width)?;
        if self.objective == PretrainingObjective::Ijepa {
            require_range("encoder.frames (of I-JEPA)", sizes.frames, 1, 1)?;
        }
        require_range("data.batch", self.data.batch, self.micro_batches, 100_000)?;
        require_range("data.stride", self.data.stride, 1, 100_000)?;
        require_range("data.validation_fraction", self.data.validation_fraction, 1e-6, 0.9)?;
        require_range("data.smallest_crop", self.data.smallest_crop, 0.01, 1.0)?;
        let weights = [
            ("loss.prediction", self.loss.prediction),
            ("loss.variance", self.loss.variance),
            ("loss.sigreg", self.loss.sigreg),
            ("loss.context", self.loss.context),
        ];
        weights.iter().try_for_each(|(field, weight)| require_range(field, *weight, 0.0, 1e6))?;
        require_range("loss.sigreg_directions", self.loss.sigreg_directions, 1, 65_536)?;
        require_range("loss.sigreg_knots", self.loss.sigreg_knots, 2, 257)?;
        require_range("loss.pixel_floor", self.loss.pixel_floor, 1e-9, 10.0)?;
        if !self.objective.is_latent() {
            require_range("loss.context (of pixels)", self.loss.context, 0.0, 0.0)?;
        }
        require_range("momentum.start", self.momentum.start, 0.0, 1.0)?;
        require_range("momentum.end", self.momentum.end, 0.0, 1.0)?;
        self.masks.validate(sizes.grid())?;
        self.optimiser.validate()?;
        self.vit().validate()
    }
}
