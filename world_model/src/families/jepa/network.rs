//! The networks of a JEPA: an encoder and a predictor that share a latent space, trained together from pixels and
//! actions.

use std::collections::BTreeMap;

use candle_core::Tensor;
use mindseye_interface::config::Validate;
use mindseye_interface::{Image, Seed};

use super::config::ModelConfig;
use super::encoder::{Encoded, Encoder, SensorBatch, image_tensor};
use super::predictor::Predictor;
use crate::model::ModelSpec;
use crate::ops::{self, with_values};
use crate::parameters::{Initial, Shapes, WeightSource, Weights, shapes_of, trained};
use crate::{Error, Result};

/// Standard deviation below which proprioception counts as constant.
const SMALLEST_DEVIATION: f64 = 1e-9;

/// Constants that whiten raw encoder outputs: `z = matrix (raw - mean)`.
#[derive(Debug, Clone)]
struct Whitening {
    mean: Tensor,
    matrix: Tensor,
}

/// Constants that bring proprioception to a mean of 0 and a standard deviation of 1.
#[derive(Debug, Clone)]
struct ProprioceptionStats {
    mean: Tensor,
    scale: Tensor,
}

/// A joint-embedding predictive architecture (LeCun 2022, section 4.4), trained end to end from pixels.
#[derive(Debug)]
pub struct Jepa {
    config: ModelConfig,
    spec: ModelSpec,
    encoder: Encoder,
    predictor: Predictor,
    whitening: Whitening,
    proprioception_stats: Option<ProprioceptionStats>,
    weights: Weights,
}

impl Jepa {
    /// A fresh model whose every weight follows from `seed`.
    ///
    /// # Errors
    /// When the config makes no sense.
    pub fn initialise(config: ModelConfig, seed: Seed) -> Result<Self> {
        config.validate()?;
        Self::build(config, WeightSource::fresh(seed))
    }

    /// A model from stored weights.
    ///
    /// # Errors
    /// When the config makes no sense, or weights are missing, of another shape, or left over.
    pub(crate) fn from_weights(config: ModelConfig, stored: BTreeMap<String, Tensor>) -> Result<Self> {
        config.validate()?;
        Self::build(config, WeightSource::stored(stored))
    }

    /// Names and shapes of the weights of a model of this shape.
    ///
    /// # Errors
    /// When the config makes no sense.
    pub(crate) fn shapes(config: &ModelConfig) -> Result<Shapes> {
        config.validate()?;
        shapes_of(|source| Self::build(config.clone(), source))
    }

    /// A model with weights of its own that are equal to these.
    pub(crate) fn copy(&self) -> Result<Self> {
        let mut weights = BTreeMap::new();
        for (name, var) in &self.weights {
            weights.insert(name.clone(), var.as_tensor().copy()?);
        }
        let copy = Self::from_weights(self.config.clone(), weights)?;
        Ok(Self { spec: self.spec.clone(), ..copy })
    }

    fn build(config: ModelConfig, mut source: WeightSource) -> Result<Self> {
        let width = config.latent_width;
        let encoder = Encoder::new(&mut source, &config)?;
        let predictor = Predictor::new(&mut source, &config.predictor, width, config.chunk_width())?;
        let whitening = source.within("whitening", |source| {
            let mean = source.weight("mean", &[width], Initial::Constant(0.0))?;
            let matrix = source.weight("matrix", &[width, width], Initial::Constant(0.0))?;
            Ok(Whitening { mean, matrix })
        })?;
        let proprioception_width = config.proprioception_width;
        let proprioception_stats = source.within("proprioception", |source| {
            let mut constants = |name, value| source.weight(name, &[proprioception_width], Initial::Constant(value));
            let constants = (proprioception_width > 0)
                .then(|| Ok(ProprioceptionStats { mean: constants("mean", 0.0)?, scale: constants("scale", 1.0)? }));
            constants.transpose()
        })?;
        let weights = source.finish()?;
        let spec = config.spec(&[]);
        Ok(Self { config, spec, encoder, predictor, whitening, proprioception_stats, weights })
    }

    /// Takes frames of these cameras, in the order of the model's images, instead of frames by their position.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there is one name per camera.
    pub fn with_camera_names(mut self, names: &[String]) -> Result<Self> {
        if names.len() != self.config.cameras {
            let (expected, got) = (format!("{} names", self.config.cameras), names.len().to_string());
            return Err(Error::Shape { operation: "names of cameras", expected, got });
        }
        self.spec = self.config.spec(names);
        Ok(self)
    }

    /// What the model takes and gives.
    pub fn spec(&self) -> &ModelSpec {
        &self.spec
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

    /// Raw encoder outputs `[B, D]` of `B` timesteps, before whitening.
    ///
    /// # Errors
    /// [`Error::Shape`] when numbers of bytes or values do not fit.
    pub(crate) fn encode_raw(&self, sensors: SensorBatch<'_>) -> Result<Tensor> {
        let (images, proprioception) = self.tensors(sensors)?;
        self.encoder.forward(&images, proprioception.as_ref())
    }

    /// As [`Jepa::encode_raw`], with a record of what the gradients on the weights need.
    ///
    /// # Errors
    /// As [`Jepa::encode_raw`].
    pub(crate) fn encode_taped(&self, sensors: SensorBatch<'_>) -> Result<Encoded> {
        let (images, proprioception) = self.tensors(sensors)?;
        self.encoder.forward_taped(&images, proprioception.as_ref())
    }

    /// Images `[B, H, W, 3]` of every camera, and proprioception `[B, P]` where the model takes it.
    fn tensors(&self, sensors: SensorBatch<'_>) -> Result<(Vec<Tensor>, Option<Tensor>)> {
        let (side, bytes, width) =
            (self.config.image_side, self.config.image_bytes(), self.config.proprioception_width);
        let count = sensors.images.len() / bytes;
        if (sensors.images.len(), sensors.proprioception.len()) != (count * bytes, count * width) {
            return Err(Error::Shape {
                operation: "encoding",
                expected: format!("{bytes} bytes of images and {width} numbers of proprioception per timestep"),
                got: format!("{} bytes and {} numbers", sensors.images.len(), sensors.proprioception.len()),
            });
        }
        let image = side * side * 3;
        let of_camera = |camera: usize| -> Result<Tensor> {
            let cut: Vec<u8>;
            let pixels = if self.config.cameras == 1 {
                sensors.images
            } else {
                let timesteps = sensors.images.chunks_exact(bytes);
                cut = timesteps.flat_map(|images| &images[camera * image..(camera + 1) * image]).copied().collect();
                &cut
            };
            image_tensor(pixels, count, side, side)
        };
        let images = (0..self.config.cameras).map(of_camera).collect::<Result<Vec<_>>>()?;
        let scaled = |stats: &ProprioceptionStats| -> Result<Tensor> {
            let values = ops::tensor(sensors.proprioception.to_vec(), (count, width))?;
            Ok(values.broadcast_sub(&stats.mean)?.broadcast_mul(&stats.scale)?.detach())
        };
        Ok((images, self.proprioception_stats.as_ref().map(scaled).transpose()?))
    }

    /// Latents for training: raw outputs, whitened by their own batch where the model whitens.
    ///
    /// # Errors
    /// When the outputs are not finite.
    pub(crate) fn training_latents(&self, raw: &Tensor) -> Result<Tensor> {
        Ok(if self.config.whitening { ops::whiten(raw)? } else { raw.clone() })
    }

    /// Latents `[B, D]` (row-major) of `B` timesteps, with constant whitening.
    ///
    /// # Errors
    /// As `Jepa::encode_raw`.
    pub fn encode(&self, sensors: SensorBatch<'_>) -> Result<Vec<f32>> {
        let raw = self.encode_raw(sensors)?.detach();
        let latents = if self.config.whitening {
            ops::product(&raw.broadcast_sub(&self.whitening.mean)?, &self.whitening.matrix)?
        } else {
            raw
        };
        Ok(with_values(&latents, <[f32]>::to_vec)?)
    }

    /// Latent `[D]` of one timestep: the images of all cameras, one below the other, and proprioception `[P]`, which a
    /// model without it ignores.
    ///
    /// # Errors
    /// [`Error::Shape`] when the image has another size than the model's or proprioception is missing.
    pub fn encode_timestep(&self, image: &Image, proprioception: &[f32]) -> Result<Vec<f32>> {
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
        self.encode(SensorBatch { images: image.pixels(), proprioception })
    }

    /// As [`Jepa::encode_timestep`], of an image alone.
    ///
    /// # Errors
    /// As [`Jepa::encode_timestep`].
    pub fn encode_image(&self, image: &Image) -> Result<Vec<f32>> {
        self.encode_timestep(image, &[])
    }

    /// Fixes the whitening constants from raw outputs `[N, D]` of many frames.
    ///
    /// # Errors
    /// When the outputs are not finite.
    pub(crate) fn fix_whitening(&mut self, raw: &[f32]) -> Result<()> {
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

    /// Fixes the constants that bring proprioception to a mean of 0 and a standard deviation of 1, from its statistics
    /// `[P]`. Dimensions that never change become 0.
    ///
    /// # Errors
    /// When the statistics have another width.
    pub(crate) fn fix_proprioception(&mut self, mean: &[f64], std: &[f64]) -> Result<()> {
        let mean: Vec<f32> = mean.iter().map(|&value| value as f32).collect();
        let scale = |&std: &f64| if std > SMALLEST_DEVIATION { (1.0 / std) as f32 } else { 0.0 };
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
