//! The networks of a LeWorldModel as published (arXiv 2603.19312): a vision transformer, projectors with batch norm,
//! and a causal predictor over three frames conditioned on actions by AdaLN-zero.

use std::collections::BTreeMap;

use candle_core::Tensor;
use mindseye_interface::config::Validate;
use mindseye_interface::{MemoryLimit, Seed};
use rand_distr::{Distribution, StandardNormal};

use super::config::LewmConfig;
use super::layers::{ActionEncoder, Predictor, Projector, Vision};
use crate::ops::{self, with_values};
use crate::parameters::{Shapes, WeightSource, Weights, shapes_of, values_in};
use crate::{Error, Result};

/// Mean of ImageNet's colours, by which images are normalised.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Standard deviation of ImageNet's colours.
const STD: [f32; 3] = [0.229, 0.224, 0.225];

/// The networks of a LeWM.
#[derive(Debug)]
pub struct Lewm {
    pub(super) config: LewmConfig,
    pub(super) vision: Vision,
    pub(super) projector: Projector,
    pub(super) actions: ActionEncoder,
    pub(super) predictor: Predictor,
    pub(super) outward: Projector,
    pub(super) weights: Weights,
}

impl Lewm {
    /// A model from stored weights.
    ///
    /// # Errors
    /// When the config makes no sense, or weights are missing, of another shape, or left over.
    pub(crate) fn from_weights(config: LewmConfig, stored: BTreeMap<String, Tensor>) -> Result<Self> {
        Self::build(config, WeightSource::stored(stored))
    }

    /// A fresh model whose every weight follows from `seed`.
    ///
    /// # Errors
    /// When the config makes no sense, or its weights need more memory than this machine has.
    pub fn initialise(config: LewmConfig, seed: Seed) -> Result<Self> {
        let bytes = values_in(&Self::shapes(&config)?).saturating_mul(4);
        MemoryLimit::default().require("weights of a LeWM", bytes)?;
        Self::build(config, WeightSource::fresh(seed))
    }

    /// As [`Lewm::initialise`], with random scales, shifts and gates instead of zeros (AdaLN-zero; Peebles and Xie
    /// 2023), so that every layer changes its input. For measuring speed and rounding; its predictions mean nothing.
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
                tensor = ops::tensor(values, tensor.shape().clone())?;
            }
            stored.insert(name.clone(), tensor);
        }
        Self::from_weights(fresh.config, stored)
    }

    /// Names and shapes of the weights of a model with these sizes.
    ///
    /// # Errors
    /// When the config makes no sense.
    pub(crate) fn shapes(config: &LewmConfig) -> Result<Shapes> {
        shapes_of(|source| Self::build(config.clone(), source))
    }

    fn build(config: LewmConfig, mut source: WeightSource) -> Result<Self> {
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

    /// Tokens `[B, 1 + P, D]` that enter the encoder's first layer, of normalised images `[B, 3, H, W]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn patch_tokens(&self, images: &Tensor) -> Result<Tensor> {
        self.vision.embeddings(images)
    }

    /// The encoder's class tokens `[B, D]`, before the projector, of normalised images `[B, 3, H, W]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn class_tokens(&self, images: &Tensor) -> Result<Tensor> {
        self.vision.forward(images)
    }

    /// Embeddings `[B, D]` of normalised images `[B, 3, H, W]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn embed(&self, images: &Tensor) -> Result<Tensor> {
        self.projector.forward(&self.class_tokens(images)?)
    }

    /// Embeddings `[B, D]` (row-major) of `batch` images, bytes `[B, H, W, 3]` at the model's size.
    ///
    /// # Errors
    /// When the number of bytes does not fit.
    pub fn encode(&self, bytes: &[u8], batch: usize) -> Result<Vec<f32>> {
        let side = self.config.vision.image_side;
        Ok(with_values(&self.embed(&normalised(bytes, batch, side)?)?, <[f32]>::to_vec)?)
    }

    /// Embeddings `[N, D]` of standardised action chunks `[N, A]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn embed_actions(&self, chunks: &Tensor) -> Result<Tensor> {
        self.actions.forward(chunks)
    }

    /// The predictor alone: frames `[B, T, D]` and the embedded action chunks that follow them `[B, T, D]` → `[B, T,
    /// D]`.
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

/// Bytes `[B, H, W, 3]` → `[B, 3, H, W]`, normalised by ImageNet's colours.
pub(super) fn normalised(bytes: &[u8], batch: usize, side: usize) -> Result<Tensor> {
    if bytes.len() != batch * side * side * 3 {
        return Err(Error::Shape {
            operation: "encoding images",
            expected: format!("{batch} images of {side}x{side}x3 bytes"),
            got: format!("{} bytes", bytes.len()),
        });
    }
    let area = side * side;
    let mut values = vec![0.0; bytes.len()];
    for (image, values) in bytes.chunks_exact(area * 3).zip(values.chunks_exact_mut(area * 3)) {
        for (pixel, colours) in image.chunks_exact(3).enumerate() {
            for (channel, &colour) in colours.iter().enumerate() {
                values[channel * area + pixel] = (f32::from(colour) / 255.0 - MEAN[channel]) / STD[channel];
            }
        }
    }
    Ok(ops::tensor(values, (batch, 3, side, side))?)
}
