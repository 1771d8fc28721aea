//! The model: an encoder and a predictor that share a latent space, learnt together from pixels and actions.

use std::collections::BTreeMap;

use candle_core::Tensor;
use mindseye_interface::config::{Validate, require_range};
use mindseye_interface::{Image, Seed};
use serde::{Deserialize, Serialize};

use crate::encoder::{Encoder, EncoderConfig, picture_tensor};
use crate::ops::{self, with_values};
use crate::parameters::{Initial, Source, Weights};
use crate::predictor::{Predictor, PredictorConfig};
use crate::{Error, Result};

/// Shape of a model. Everything needed to rebuild it from its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Side of the square pictures the encoder sees, pixels.
    pub image_side: usize,
    /// Numbers per action (one control step).
    pub action_width: usize,
    /// Control steps per action block: the model's time step.
    pub action_block: usize,
    /// Width `D` of a latent. Wider keeps more of the scene and needs more data to keep tidy.
    pub latent_width: usize,
    /// Whether latents are whitened: by the batch while training, by constants from the data afterwards.
    pub whitening: bool,
    /// The encoder.
    pub encoder: EncoderConfig,
    /// The predictor.
    pub predictor: PredictorConfig,
}

impl ModelConfig {
    /// Numbers per action block.
    pub fn block_width(&self) -> usize {
        self.action_width * self.action_block
    }
}

impl Validate for ModelConfig {
    fn validate(&self) -> mindseye_interface::Result<()> {
        require_range("model.image_side", self.image_side, 8, 512)?;
        require_range("model.action_width", self.action_width, 1, 256)?;
        require_range("model.action_block", self.action_block, 1, 100)?;
        require_range("model.latent_width", self.latent_width, 1, 4096)?;
        require_range("model.predictor.hidden", self.predictor.hidden, 1, 8192)?;
        require_range("model.predictor.layers", self.predictor.layers, 0, 64)?;
        self.encoder.validate(self.image_side)
    }
}

/// Constants that whiten raw encoder outputs: `z = matrix (raw - mean)`.
#[derive(Debug, Clone)]
struct Whitening {
    mean: Tensor,
    matrix: Tensor,
}

/// A joint-embedding predictive architecture (LeCun 2022, section 4.4), end to end from pixels.
#[derive(Debug)]
pub struct Jepa {
    config: ModelConfig,
    encoder: Encoder,
    predictor: Predictor,
    whitening: Whitening,
    weights: Weights,
}

impl Jepa {
    /// A fresh model whose every weight follows from `seed`.
    ///
    /// # Errors
    /// When the config makes no sense.
    pub fn initialise(config: ModelConfig, seed: Seed) -> Result<Self> {
        config.validate()?;
        Self::build(config, Source::fresh(seed))
    }

    /// A model from stored weights.
    ///
    /// # Errors
    /// When the config makes no sense, or weights are missing, of another shape, or left over.
    pub fn from_weights(config: ModelConfig, stored: BTreeMap<String, Tensor>) -> Result<Self> {
        config.validate()?;
        Self::build(config, Source::stored(stored))
    }

    /// A model with weights of its own that are equal to these.
    pub(crate) fn copy(&self) -> Result<Self> {
        let mut weights = BTreeMap::new();
        for (name, var) in &self.weights {
            weights.insert(name.clone(), var.as_tensor().copy()?);
        }
        Self::from_weights(self.config.clone(), weights)
    }

    fn build(config: ModelConfig, mut source: Source) -> Result<Self> {
        let width = config.latent_width;
        let encoder = Encoder::new(&mut source, &config.encoder, config.image_side, width)?;
        let predictor = Predictor::new(&mut source, &config.predictor, width, config.block_width())?;
        let whitening = source.within("whitening", |source| {
            let mean = source.weight("mean", &[width], Initial::Constant(0.0))?;
            let matrix = source.weight("matrix", &[width, width], Initial::Constant(0.0))?;
            Ok(Whitening { mean, matrix })
        })?;
        let weights = source.finish()?;
        Ok(Self { config, encoder, predictor, whitening, weights })
    }

    /// The shape of the model.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// All weights by name; those under `whitening.` are statistics, not trained.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// The predictor.
    pub fn predictor(&self) -> &Predictor {
        &self.predictor
    }

    /// Raw encoder outputs `[B, D]` of pictures `[B, H, W, 3]` in `[-0.5, 0.5]`, before whitening.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn encode_raw(&self, pictures: &Tensor) -> Result<Tensor> {
        self.encoder.forward(pictures)
    }

    /// Latents for training: raw outputs, whitened by their own batch where the model whitens.
    ///
    /// # Errors
    /// When the outputs are not finite.
    pub fn training_latents(&self, raw: &Tensor) -> Result<Tensor> {
        Ok(if self.config.whitening { ops::whiten(raw)? } else { raw.clone() })
    }

    /// Latents `[B, D]` (row-major) of `batch` pictures, bytes `[B, H, W, 3]` at the model's size, with constant whitening.
    ///
    /// # Errors
    /// When the number of bytes does not fit.
    pub fn encode(&self, bytes: &[u8], batch: usize) -> Result<Vec<f32>> {
        let side = self.config.image_side;
        let raw = self.encode_raw(&picture_tensor(bytes, batch, side, side)?)?.detach();
        let latents = if self.config.whitening {
            ops::product(&raw.broadcast_sub(&self.whitening.mean)?, &self.whitening.matrix)?
        } else {
            raw
        };
        Ok(with_values(&latents, <[f32]>::to_vec)?)
    }

    /// Latent `[D]` of one picture of any size; a size other than the model's is an error.
    ///
    /// # Errors
    /// [`Error::Shape`] when the picture has another size.
    pub fn encode_image(&self, image: &Image) -> Result<Vec<f32>> {
        let side = self.config.image_side;
        let size = image.size();
        if (size.height(), size.width()) != (side, side) {
            return Err(Error::Shape {
                operation: "encoding an image",
                expected: format!("{side}x{side} pixels"),
                got: format!("{}x{}", size.height(), size.width()),
            });
        }
        self.encode(image.pixels(), 1)
    }

    /// Fixes the whitening constants from raw outputs `[N, D]` of many frames.
    ///
    /// # Errors
    /// When the outputs are not finite.
    pub fn fix_whitening(&mut self, raw: &[f32]) -> Result<()> {
        let width = self.config.latent_width;
        let (mean, matrix) = ops::whitening_of(raw, width)?;
        for (name, values, shape) in
            [("whitening.mean", mean, vec![width]), ("whitening.matrix", matrix, vec![width; 2])]
        {
            if let Some(var) = self.weights.get(name) {
                var.set(&ops::tensor(values, shape)?)?;
            }
        }
        Ok(())
    }

    /// Number of trained weights.
    pub fn parameters(&self) -> usize {
        trained(&self.weights).map(|(_, var)| var.elem_count()).sum()
    }
}

/// The weights that training moves, in order of their names.
pub(crate) fn trained(weights: &Weights) -> impl Iterator<Item = (&String, &candle_core::Var)> {
    weights.iter().filter(|(name, _)| !name.starts_with("whitening."))
}
