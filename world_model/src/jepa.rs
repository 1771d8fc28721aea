//! The model: an encoder and a predictor that share a latent space, learnt together from pixels and actions.

use std::collections::BTreeMap;

use candle_core::Tensor;
use mindseye_interface::config::{Validate, require_range};
use mindseye_interface::{Image, Seed};
use serde::{Deserialize, Serialize};

use crate::encoder::{Encoded, Encoder, EncoderConfig, Sensed, picture_tensor};
use crate::ops::{self, with_values};
use crate::parameters::{Initial, Source, Weights};
use crate::predictor::{Predictor, PredictorConfig};
use crate::{Error, Result};

/// Proprioception that varies less is taken for constant.
const SMALLEST_SPREAD: f64 = 1e-9;

/// Shape of a model. Everything needed to rebuild it from its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Side of the square pictures the encoder sees, pixels.
    pub image_side: usize,
    /// Cameras whose pictures the encoder sees, on top of each other; each has layers of its own.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub cameras: usize,
    /// Numbers of proprioception that the encoder takes beside the pictures; 0 for pictures alone. What a picture hides (how fast, how firmly)
    /// the body may feel.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub proprioception_width: usize,
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

fn one() -> usize {
    1
}

fn is_one(cameras: &usize) -> bool {
    *cameras == 1
}

fn is_zero(width: &usize) -> bool {
    *width == 0
}

impl ModelConfig {
    /// Bytes of the pictures of one moment.
    pub fn picture_bytes(&self) -> usize {
        self.cameras * self.image_side * self.image_side * 3
    }

    /// Numbers per action block.
    pub fn block_width(&self) -> usize {
        self.action_width * self.action_block
    }
}

impl Validate for ModelConfig {
    fn validate(&self) -> mindseye_interface::Result<()> {
        require_range("model.image_side", self.image_side, 8, 512)?;
        require_range("model.cameras", self.cameras, 1, 16)?;
        require_range("model.proprioception_width", self.proprioception_width, 0, 4096)?;
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

/// Constants that bring proprioception to a mean of 0 and a spread of 1.
#[derive(Debug, Clone)]
struct Feeling {
    mean: Tensor,
    scale: Tensor,
}

/// A joint-embedding predictive architecture (LeCun 2022, section 4.4), end to end from pixels.
#[derive(Debug)]
pub struct Jepa {
    config: ModelConfig,
    encoder: Encoder,
    predictor: Predictor,
    whitening: Whitening,
    feeling: Option<Feeling>,
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
        let encoder = Encoder::new(&mut source, &config)?;
        let predictor = Predictor::new(&mut source, &config.predictor, width, config.block_width())?;
        let whitening = source.within("whitening", |source| {
            let mean = source.weight("mean", &[width], Initial::Constant(0.0))?;
            let matrix = source.weight("matrix", &[width, width], Initial::Constant(0.0))?;
            Ok(Whitening { mean, matrix })
        })?;
        let felt = config.proprioception_width;
        let feeling = source.within("proprioception", |source| {
            let mut constants = |name, value| source.weight(name, &[felt], Initial::Constant(value));
            let constants =
                (felt > 0).then(|| Ok(Feeling { mean: constants("mean", 0.0)?, scale: constants("scale", 1.0)? }));
            constants.transpose()
        })?;
        let weights = source.finish()?;
        Ok(Self { config, encoder, predictor, whitening, feeling, weights })
    }

    /// The shape of the model.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// All weights by name; those under `whitening.` and `proprioception.` are statistics, not trained.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// The predictor.
    pub fn predictor(&self) -> &Predictor {
        &self.predictor
    }

    /// Raw encoder outputs `[B, D]` of what was sensed at `B` moments, before whitening.
    ///
    /// # Errors
    /// [`Error::Shape`] when numbers of bytes or values do not fit.
    pub fn encode_raw(&self, sensed: Sensed<'_>) -> Result<Tensor> {
        let (pictures, felt) = self.tensors(sensed)?;
        self.encoder.forward(&pictures, felt.as_ref())
    }

    /// The same for training, with the way back to the weights.
    ///
    /// # Errors
    /// As [`Jepa::encode_raw`].
    pub(crate) fn encode_taped(&self, sensed: Sensed<'_>) -> Result<Encoded> {
        let (pictures, felt) = self.tensors(sensed)?;
        self.encoder.forward_taped(&pictures, felt.as_ref())
    }

    /// Pictures `[B, H, W, 3]` of every camera, and proprioception `[B, P]` where the model has any.
    fn tensors(&self, sensed: Sensed<'_>) -> Result<(Vec<Tensor>, Option<Tensor>)> {
        let (side, moment, felt) =
            (self.config.image_side, self.config.picture_bytes(), self.config.proprioception_width);
        let moments = sensed.pictures.len() / moment;
        if (sensed.pictures.len(), sensed.proprioception.len()) != (moments * moment, moments * felt) {
            return Err(Error::Shape {
                operation: "encoding",
                expected: format!("{moment} bytes of pictures and {felt} numbers of proprioception per moment"),
                got: format!("{} bytes and {} numbers", sensed.pictures.len(), sensed.proprioception.len()),
            });
        }
        let picture = side * side * 3;
        let of_camera = |camera: usize| -> Result<Tensor> {
            let bytes: Vec<u8>;
            let bytes = if self.config.cameras == 1 {
                sensed.pictures
            } else {
                let moments = sensed.pictures.chunks_exact(moment);
                bytes = moments.flat_map(|moment| &moment[camera * picture..(camera + 1) * picture]).copied().collect();
                &bytes
            };
            picture_tensor(bytes, moments, side, side)
        };
        let pictures = (0..self.config.cameras).map(of_camera).collect::<Result<Vec<_>>>()?;
        let feel = |feeling: &Feeling| -> Result<Tensor> {
            let values = ops::tensor(sensed.proprioception.to_vec(), (moments, felt))?;
            Ok(values.broadcast_sub(&feeling.mean)?.broadcast_mul(&feeling.scale)?.detach())
        };
        Ok((pictures, self.feeling.as_ref().map(feel).transpose()?))
    }

    /// Latents for training: raw outputs, whitened by their own batch where the model whitens.
    ///
    /// # Errors
    /// When the outputs are not finite.
    pub fn training_latents(&self, raw: &Tensor) -> Result<Tensor> {
        Ok(if self.config.whitening { ops::whiten(raw)? } else { raw.clone() })
    }

    /// Latents `[B, D]` (row-major) of what was sensed at `B` moments, with constant whitening.
    ///
    /// # Errors
    /// As [`Jepa::encode_raw`].
    pub fn encode(&self, sensed: Sensed<'_>) -> Result<Vec<f32>> {
        let raw = self.encode_raw(sensed)?.detach();
        let latents = if self.config.whitening {
            ops::product(&raw.broadcast_sub(&self.whitening.mean)?, &self.whitening.matrix)?
        } else {
            raw
        };
        Ok(with_values(&latents, <[f32]>::to_vec)?)
    }

    /// Latent `[D]` of one moment: the pictures of all cameras on top of each other, and proprioception `[P]`, of which a model that takes
    /// none sees nothing.
    ///
    /// # Errors
    /// [`Error::Shape`] when the picture has another size than the model's or proprioception is missing.
    pub fn encode_moment(&self, image: &Image, proprioception: &[f32]) -> Result<Vec<f32>> {
        let ModelConfig { image_side: side, cameras, proprioception_width, .. } = self.config;
        let size = image.size();
        if (size.height(), size.width()) != (cameras * side, side) {
            return Err(Error::Shape {
                operation: "encoding an image",
                expected: format!("{}x{side} pixels", cameras * side),
                got: format!("{}x{}", size.height(), size.width()),
            });
        }
        let proprioception = if proprioception_width == 0 { &[] } else { proprioception };
        self.encode(Sensed { pictures: image.pixels(), proprioception })
    }

    /// As [`Jepa::encode_moment`], of a picture alone.
    ///
    /// # Errors
    /// As [`Jepa::encode_moment`].
    pub fn encode_image(&self, image: &Image) -> Result<Vec<f32>> {
        self.encode_moment(image, &[])
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

    /// Fixes what brings proprioception to a mean of 0 and a spread of 1, from its statistics `[P]`. What never changes becomes 0.
    ///
    /// # Errors
    /// When the statistics have another width.
    pub fn fix_proprioception(&mut self, mean: &[f64], std: &[f64]) -> Result<()> {
        let mean: Vec<f32> = mean.iter().map(|&value| value as f32).collect();
        let scale = |&spread: &f64| if spread > SMALLEST_SPREAD { (1.0 / spread) as f32 } else { 0.0 };
        let scale: Vec<f32> = std.iter().map(scale).collect();
        for (name, values) in [("proprioception.mean", mean), ("proprioception.scale", scale)] {
            if let Some(var) = self.weights.get(name) {
                var.set(&ops::tensor(values, self.config.proprioception_width)?)?;
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
    weights.iter().filter(|(name, _)| !name.starts_with("whitening.") && !name.starts_with("proprioception."))
}
