//! LeWorldModel as published (arXiv 2603.19312): a vision transformer, projectors with batch norm, and a causal predictor over three
//! frames conditioned on actions by AdaLN-zero. Loads the folders that its authors' library writes (`config.json` with `weights.pt` or
//! `model.safetensors`, tensors under their names).
//!
//! Letters: `B` batch, `T` frames, `D` width of an embedding, `A` width of an action block.

mod config;
mod engine;
mod folder;
mod layers;
mod trainer;
mod training;

use std::collections::BTreeMap;

use candle_core::Tensor;
pub use config::{ActionConfig, LewmConfig, TransformerConfig, VisionConfig};
pub use engine::LewmEngine;
use layers::{ActionEncoder, Predictor, Projector, Vision};
use mindseye_interface::Seed;
use mindseye_interface::config::Validate;
use rand_distr::{Distribution, StandardNormal};
pub use trainer::{LewmLosses, LewmTrainer};
pub use training::LewmPass;

use crate::ops::{self, with_values};
use crate::parameters::{Source, Weights};
use crate::{Error, Result};

/// Mean of ImageNet's colours, by which pictures are normalised, and
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// their standard deviation.
const STD: [f32; 3] = [0.229, 0.224, 0.225];

/// A LeWM.
#[derive(Debug)]
pub struct Lewm {
    config: LewmConfig,
    vision: Vision,
    projector: Projector,
    actions: ActionEncoder,
    predictor: Predictor,
    outward: Projector,
    weights: Weights,
}

impl Lewm {
    /// A model from stored weights.
    ///
    /// # Errors
    /// When the config makes no sense, or weights are missing, of another shape, or left over.
    pub fn from_weights(config: LewmConfig, stored: BTreeMap<String, Tensor>) -> Result<Self> {
        Self::build(config, Source::stored(stored))
    }

    /// A fresh model whose every weight follows from `seed`.
    ///
    /// # Errors
    /// When the config makes no sense.
    pub fn initialise(config: LewmConfig, seed: Seed) -> Result<Self> {
        Self::build(config, Source::fresh(seed))
    }

    /// As [`Lewm::initialise`], with layers that do something: their scales, shifts and gates begin at zero (AdaLN-zero; Peebles and Xie
    /// 2023), here they are drawn like all other weights. What a trained model does to rounding, this one does about as well; its
    /// predictions mean nothing.
    ///
    /// # Errors
    /// As [`Lewm::initialise`].
    pub fn initialise_open(config: LewmConfig, seed: Seed) -> Result<Self> {
        let fresh = Self::initialise(config, seed)?;
        let mut rng = seed.child("modulations").rng();
        let width = fresh.config.width();
        let mut stored = BTreeMap::new();
        for (name, var) in fresh.weights.iter() {
            let mut tensor = var.as_tensor().clone();
            if name.ends_with("adaLN_modulation.1.weight") {
                let count = tensor.elem_count();
                let drawn = |_| -> f32 { StandardNormal.sample(&mut rng) };
                let values: Vec<f32> = (0..count).map(drawn).map(|value| value / (width as f32).sqrt()).collect();
                tensor = crate::ops::tensor(values, tensor.shape().clone())?;
            }
            stored.insert(name.clone(), tensor);
        }
        Self::from_weights(fresh.config, stored)
    }

    fn build(config: LewmConfig, mut source: Source) -> Result<Self> {
        config.validate()?;
        let width = config.width();
        let vision = source.within("encoder", |source| Vision::new(source, &config.vision))?;
        let projector = Projector::new(&mut source, "projector", width, config.projector_hidden[0])?;
        let actions = ActionEncoder::new(&mut source, &config.action, width)?;
        let predictor = Predictor::new(&mut source, &config.predictor, width)?;
        let outward = Projector::new(&mut source, "pred_proj", width, config.projector_hidden[1])?;
        let weights = source.finish()?;
        Ok(Self { config, vision, projector, actions, predictor, outward, weights })
    }

    /// Its sizes.
    pub fn config(&self) -> &LewmConfig {
        &self.config
    }

    /// All weights by name; those called `running_` are statistics, not trained.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Number of trained values.
    pub fn parameters(&self) -> usize {
        let trained = self.weights.iter().filter(|(name, _)| !name.contains("running_"));
        trained.map(|(_, var)| var.elem_count()).sum()
    }

    /// Tokens `[B, 1 + P, D]` that enter the encoder's first layer, of normalised pictures `[B, 3, H, W]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn patch_tokens(&self, pictures: &Tensor) -> Result<Tensor> {
        self.vision.embeddings(pictures)
    }

    /// The encoder's class tokens `[B, D]`, before the projector, of normalised pictures `[B, 3, H, W]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn class_tokens(&self, pictures: &Tensor) -> Result<Tensor> {
        self.vision.forward(pictures)
    }

    /// Embeddings `[B, D]` of normalised pictures `[B, 3, H, W]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn embed(&self, pictures: &Tensor) -> Result<Tensor> {
        self.projector.forward(&self.class_tokens(pictures)?)
    }

    /// Embeddings `[B, D]` (row-major) of `batch` pictures, bytes `[B, H, W, 3]` at the model's size.
    ///
    /// # Errors
    /// When the number of bytes does not fit.
    pub fn encode(&self, bytes: &[u8], batch: usize) -> Result<Vec<f32>> {
        let side = self.config.vision.image_side;
        Ok(with_values(&self.embed(&normalised(bytes, batch, side)?)?, <[f32]>::to_vec)?)
    }

    /// Embeddings `[N, D]` of standardised action blocks `[N, A]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn embed_actions(&self, blocks: &Tensor) -> Result<Tensor> {
        self.actions.forward(blocks)
    }

    /// The predictor alone: frames `[B, T, D]` and the embedded action blocks that leave them `[B, T, D]` → `[B, T, D]`.
    ///
    /// # Errors
    /// When the shapes do not fit, or there are more frames than the model's history.
    pub fn predict_raw(&self, frames: &Tensor, actions: &Tensor) -> Result<Tensor> {
        let (_, tokens, _) = frames.dims3()?;
        if tokens == 0 || tokens > self.config.predictor.history {
            return Err(Error::Shape {
                operation: "predicting",
                expected: format!("1 to {} frames", self.config.predictor.history),
                got: tokens.to_string(),
            });
        }
        self.predictor.forward(frames, actions)
    }

    /// The embedding that follows each frame, `[B, T, D]`: [`Lewm::predict_raw`] and its projector.
    ///
    /// # Errors
    /// As [`Lewm::predict_raw`].
    pub fn predict(&self, frames: &Tensor, actions: &Tensor) -> Result<Tensor> {
        let (batch, tokens, width) = frames.dims3()?;
        let raw = self.predict_raw(frames, actions)?.reshape((batch * tokens, width))?;
        Ok(self.outward.forward(&raw)?.reshape((batch, tokens, width))?)
    }
}

/// `[B, 3, H, W]` normalised by ImageNet's colours, of bytes `[B, H, W, 3]`.
fn normalised(bytes: &[u8], batch: usize, side: usize) -> Result<Tensor> {
    if bytes.len() != batch * side * side * 3 {
        return Err(Error::Shape {
            operation: "encoding pictures",
            expected: format!("{batch} pictures of {side}x{side}x3 bytes"),
            got: format!("{} bytes", bytes.len()),
        });
    }
    let area = side * side;
    let mut values = vec![0.0; bytes.len()];
    for (picture, values) in bytes.chunks_exact(area * 3).zip(values.chunks_exact_mut(area * 3)) {
        for (pixel, colours) in picture.chunks_exact(3).enumerate() {
            for (channel, &colour) in colours.iter().enumerate() {
                values[channel * area + pixel] = (f32::from(colour) / 255.0 - MEAN[channel]) / STD[channel];
            }
        }
    }
    Ok(ops::tensor(values, (batch, 3, side, side))?)
}
