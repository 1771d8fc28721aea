//! From sensor data to latents: images `[B, H, W, 3]` of every camera, and proprioception `[B, P]` → `[B, D]`.

mod keypoint;
mod patch;

use candle_core::{Tensor, Var};

use self::keypoint::KeypointEncoder;
use self::patch::PatchEncoder;
use super::config::{EncoderConfig, ModelConfig};
use crate::Result;
use crate::layers::{Linear, Norm};
use crate::ops::{self, Tape, WeightGradients, with_values};
use crate::optimiser::{Gradients, add, collect};
use crate::parameters::{WeightSource, Weights, trained};

/// Image layers of one camera: `[B, H, W, 3]` → `[B, F]`.
#[derive(Debug, Clone)]
enum ImageBackbone {
    Patch(PatchEncoder),
    Keypoint(KeypointEncoder),
}

impl ImageBackbone {
    fn new(source: &mut WeightSource, config: &EncoderConfig) -> Result<Self> {
        match config {
            EncoderConfig::Patch(config) => Ok(Self::Patch(PatchEncoder::new(source, config)?)),
            EncoderConfig::Keypoint(config) => Ok(Self::Keypoint(KeypointEncoder::new(source, config)?)),
        }
    }

    fn features(&self, images: &Tensor, tape: &mut Tape) -> Result<Tensor> {
        match self {
            Self::Patch(encoder) => encoder.forward(images, tape),
            Self::Keypoint(encoder) => encoder.forward(images, tape),
        }
    }
}

/// A network from sensor data to latents: every camera has a backbone of its own; their features and proprioception go
/// through one projector (linear, layer norm, SiLU, linear).
#[derive(Debug, Clone)]
pub(crate) struct Encoder {
    backbones: Vec<ImageBackbone>,
    hidden: Linear,
    norm: Norm,
    latent: Linear,
}

impl Encoder {
    /// Builds the encoder of a model of the shape `config`.
    ///
    /// # Errors
    /// As [`WeightSource::weight`].
    pub fn new(source: &mut WeightSource, config: &ModelConfig) -> Result<Self> {
        let side = config.image_side;
        let (features, hidden, norm) = match &config.encoder {
            EncoderConfig::Patch(encoder) => (encoder.features(side), encoder.hidden, "norm"),
            EncoderConfig::Keypoint(encoder) => (encoder.features(), encoder.hidden, "hidden_norm"),
        };
        source.within("encoder", |source| {
            let mut backbones = vec![ImageBackbone::new(source, &config.encoder)?];
            for camera in 1..config.cameras {
                backbones.push(
                    source.within(&format!("camera_{camera}"), |source| ImageBackbone::new(source, &config.encoder))?,
                );
            }
            let width = config.cameras * features + config.proprioception_width;
            Ok(Self {
                backbones,
                hidden: Linear::new(source, "hidden", width, hidden, 1.0)?,
                norm: Norm::new(source, norm, hidden, 1)?,
                latent: Linear::new(source, "latent", hidden, config.latent_width, 1.0)?,
            })
        })
    }

    /// Images `[B, H, W, 3]` in `[-0.5, 0.5]`, one tensor per camera, and proprioception `[B, P]` in standard
    /// deviations where the model takes it → `[B, D]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, images: &[Tensor], proprioception: Option<&Tensor>) -> Result<Tensor> {
        let features = |(backbone, images): (&ImageBackbone, &Tensor)| backbone.features(images, &mut Tape::off());
        let features = self.backbones.iter().zip(images).map(features).collect::<Result<Vec<_>>>()?;
        self.project(features, proprioception)
    }

    /// As [`Encoder::forward`], with a record of what the gradients on the weights need.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub(crate) fn forward_taped(&self, images: &[Tensor], proprioception: Option<&Tensor>) -> Result<Encoded> {
        let taped = |(backbone, images): (&ImageBackbone, &Tensor)| -> Result<(Var, Tape)> {
            let mut tape = Tape::recording();
            let features = backbone.features(images, &mut tape)?;
            Ok((Var::from_tensor(&features)?, tape))
        };
        let backbones = self.backbones.iter().zip(images).map(taped).collect::<Result<Vec<_>>>()?;
        let features = backbones.iter().map(|(features, _)| features.as_tensor().clone()).collect();
        Ok(Encoded { latents: self.project(features, proprioception)?, backbones })
    }

    fn project(&self, features: Vec<Tensor>, proprioception: Option<&Tensor>) -> Result<Tensor> {
        let mut inputs = features;
        inputs.extend(proprioception.cloned());
        let features = match inputs.len() {
            1 => inputs.remove(0),
            _ => Tensor::cat(&inputs, 1)?,
        };
        let hidden = self.norm.forward(&self.hidden.forward(&features)?)?;
        self.latent.forward(&ops::silu(&hidden)?)
    }
}

/// Latents `[B, D]`, and what the gradients on the encoder's weights need.
pub(crate) struct Encoded {
    /// With the projector's graph.
    pub latents: Tensor,
    /// Features of every backbone, where the projector's graph begins, and its tape.
    backbones: Vec<(Var, Tape)>,
}

impl Encoded {
    /// Gradients of `weights` by name, given those of the latents, `[B, D]`.
    pub(crate) fn back(self, gradient: &Tensor, weights: &Weights) -> Result<Gradients> {
        let store = (&self.latents * gradient)?.sum_all()?.backward()?;
        let mut gradients = Gradients::new();
        collect(&mut gradients, trained(weights), &store)?;
        let mut of_backbones = WeightGradients::default();
        for (features, tape) in self.backbones {
            if let Some(gradient) = store.get(&features) {
                tape.back(gradient.clone(), &mut of_backbones)?;
            }
        }
        for (name, var) in trained(weights) {
            if let Some(gradient) = of_backbones.of(var) {
                add(&mut gradients, name.clone(), with_values(gradient, <[f32]>::to_vec)?);
            }
        }
        Ok(gradients)
    }
}

/// Sensor data of `B` timesteps, as they are recorded.
#[derive(Debug, Clone, Copy)]
pub struct SensorBatch<'a> {
    /// Bytes `[B, C, H, W, 3]`: the images of `C` cameras, one below the other.
    pub images: &'a [u8],
    /// `[B, P]`, in the units of the recordings.
    pub proprioception: &'a [f32],
}

impl<'a> SensorBatch<'a> {
    /// Images alone.
    pub fn images(images: &'a [u8]) -> Self {
        Self { images, proprioception: &[] }
    }

    /// Divided into pieces of at most `timesteps`.
    pub fn chunks(self, config: &ModelConfig, timesteps: usize) -> impl Iterator<Item = Self> {
        let (bytes, width) = (config.image_bytes(), config.proprioception_width);
        self.images.chunks(timesteps * bytes).enumerate().map(move |(index, images)| {
            let (first, count) = (index * timesteps * width, images.len() / bytes * width);
            Self { images, proprioception: &self.proprioception[first..first + count] }
        })
    }
}

/// Images as the encoder takes them: bytes `[B, H, W, 3]` → `f32` in `[-0.5, 0.5]`.
///
/// # Errors
/// When the number of bytes is not `B * H * W * 3`.
pub(crate) fn image_tensor(bytes: &[u8], batch: usize, height: usize, width: usize) -> Result<Tensor> {
    let mut values = vec![0.0; bytes.len()];
    ops::vectorised(
        #[inline(always)]
        || {
            for (value, byte) in values.iter_mut().zip(bytes) {
                *value = f32::from(*byte) / 255.0 - 0.5;
            }
        },
    );
    Ok(ops::tensor(values, (batch, height, width, 3))?)
}
