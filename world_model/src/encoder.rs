//! From what is sensed to latents: pictures `[B, H, W, 3]` of every camera, and what the body feels → `[B, D]`.

mod keypoint;
mod patch;

use candle_core::{Tensor, Var};
use mindseye_interface::config::require_range;
use serde::{Deserialize, Serialize};

pub use keypoint::{KeypointConfig, KeypointEncoder};
pub use patch::{PatchConfig, PatchEncoder};

use crate::Result;
use crate::jepa::{ModelConfig, trained};
use crate::layers::{Linear, Norm};
use crate::ops::{self, Tape, WeightGradients, with_values};
use crate::optimiser::{Gradients, add, collect};
use crate::parameters::{Source, Weights};

/// Which encoder, with its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum EncoderConfig {
    /// One patch convolution, then residual 3x3 blocks: fast, finds places (two_room).
    Patch(PatchConfig),
    /// Convolutions to a spatial softmax: learns angles too (push_t).
    Keypoint(KeypointConfig),
}

impl EncoderConfig {
    pub(crate) fn validate(&self, image_side: usize) -> mindseye_interface::Result<()> {
        match self {
            Self::Patch(config) => {
                require_range("model.encoder.patch", config.patch, 1, image_side)?;
                require_range("model.encoder.channels", config.channels, 1, 1024)?;
                require_range("model.encoder.bottleneck", config.bottleneck, 1, 1024)?;
                require_range("model.encoder.blocks", config.blocks, 0, 32)?;
                require_range("model.encoder.hidden", config.hidden, 1, 8192)
            }
            Self::Keypoint(config) => {
                require_range("model.encoder.channels", config.channels, 4, 1024)?;
                require_range("model.encoder.hidden", config.hidden, 1, 8192)
            }
        }
    }
}

/// The part of an encoder that looks at the pictures of one camera: `[B, H, W, 3]` → `[B, F]`.
#[derive(Debug, Clone)]
enum Eye {
    Patch(PatchEncoder),
    Keypoint(KeypointEncoder),
}

impl Eye {
    fn new(source: &mut Source, config: &EncoderConfig) -> Result<Self> {
        match config {
            EncoderConfig::Patch(config) => Ok(Self::Patch(PatchEncoder::new(source, config)?)),
            EncoderConfig::Keypoint(config) => Ok(Self::Keypoint(KeypointEncoder::new(source, config)?)),
        }
    }

    fn features(&self, pictures: &Tensor, tape: &mut Tape) -> Result<Tensor> {
        match self {
            Self::Patch(encoder) => encoder.forward(pictures, tape),
            Self::Keypoint(encoder) => encoder.forward(pictures, tape),
        }
    }
}

/// A network from what is sensed to latents: every camera has an eye of its own; what they see and what the body feels go through one
/// projector (linear, layer norm, SiLU, linear).
#[derive(Debug, Clone)]
pub struct Encoder {
    eyes: Vec<Eye>,
    hidden: Linear,
    norm: Norm,
    latent: Linear,
}

impl Encoder {
    /// Builds the encoder of a model of the shape `config`.
    ///
    /// # Errors
    /// As [`Source::weight`].
    pub fn new(source: &mut Source, config: &ModelConfig) -> Result<Self> {
        let side = config.image_side;
        let (features, hidden, norm) = match &config.encoder {
            EncoderConfig::Patch(encoder) => (encoder.features(side), encoder.hidden, "norm"),
            EncoderConfig::Keypoint(encoder) => (encoder.features(), encoder.hidden, "hidden_norm"),
        };
        source.within("encoder", |source| {
            let mut eyes = vec![Eye::new(source, &config.encoder)?];
            for camera in 1..config.cameras {
                eyes.push(source.within(&format!("camera_{camera}"), |source| Eye::new(source, &config.encoder))?);
            }
            let width = config.cameras * features + config.proprioception_width;
            Ok(Self {
                eyes,
                hidden: Linear::new(source, "hidden", width, hidden, 1.0)?,
                norm: Norm::new(source, norm, hidden, 1)?,
                latent: Linear::new(source, "latent", hidden, config.latent_width, 1.0)?,
            })
        })
    }

    /// `C` pictures `[B, H, W, 3]` in `[-0.5, 0.5]`, one per camera, and proprioception `[B, P]` in standard deviations, where the model has
    /// any → `[B, D]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, pictures: &[Tensor], proprioception: Option<&Tensor>) -> Result<Tensor> {
        let look = |(eye, pictures): (&Eye, &Tensor)| eye.features(pictures, &mut Tape::off());
        let features = self.eyes.iter().zip(pictures).map(look).collect::<Result<Vec<_>>>()?;
        self.project(features, proprioception)
    }

    /// The same for training: what is needed to go back from the latents to all weights.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub(crate) fn forward_taped(&self, pictures: &[Tensor], proprioception: Option<&Tensor>) -> Result<Encoded> {
        let look = |(eye, pictures): (&Eye, &Tensor)| -> Result<(Var, Tape)> {
            let mut tape = Tape::recording();
            let features = eye.features(pictures, &mut tape)?;
            Ok((Var::from_tensor(&features)?, tape))
        };
        let looks = self.eyes.iter().zip(pictures).map(look).collect::<Result<Vec<_>>>()?;
        let features = looks.iter().map(|(features, _)| features.as_tensor().clone()).collect();
        Ok(Encoded { latents: self.project(features, proprioception)?, looks })
    }

    fn project(&self, features: Vec<Tensor>, proprioception: Option<&Tensor>) -> Result<Tensor> {
        let mut parts = features;
        parts.extend(proprioception.cloned());
        let features = match parts.len() {
            1 => parts.remove(0),
            _ => Tensor::cat(&parts, 1)?,
        };
        let hidden = self.norm.forward(&self.hidden.forward(&features)?)?;
        self.latent.forward(&ops::silu(&hidden)?)
    }
}

/// Latents `[B, D]`, and the way back to the weights that they come from.
pub(crate) struct Encoded {
    /// With the projector's graph.
    pub latents: Tensor,
    /// What every eye saw, where the projector's graph begins, and how.
    looks: Vec<(Var, Tape)>,
}

impl Encoded {
    /// Gradients of `weights` by name, given those of the latents, `[B, D]`.
    pub fn back(self, gradient: &Tensor, weights: &Weights) -> Result<Gradients> {
        let store = (&self.latents * gradient)?.sum_all()?.backward()?;
        let mut gradients = Gradients::new();
        collect(&mut gradients, trained(weights), &store)?;
        let mut of_eyes = WeightGradients::default();
        for (features, tape) in self.looks {
            if let Some(gradient) = store.get(&features) {
                tape.back(gradient.clone(), &mut of_eyes)?;
            }
        }
        for (name, var) in trained(weights) {
            if let Some(gradient) = of_eyes.of(var) {
                add(&mut gradients, name.clone(), with_values(gradient, <[f32]>::to_vec)?);
            }
        }
        Ok(gradients)
    }
}

/// What was sensed at `B` moments, as it is recorded.
#[derive(Debug, Clone, Copy)]
pub struct Sensed<'a> {
    /// Bytes `[B, C, H, W, 3]`: the pictures of `C` cameras on top of each other.
    pub pictures: &'a [u8],
    /// `[B, P]`, in the units of the data.
    pub proprioception: &'a [f32],
}

impl<'a> Sensed<'a> {
    /// Pictures alone.
    pub fn pictures(pictures: &'a [u8]) -> Self {
        Self { pictures, proprioception: &[] }
    }

    /// In pieces of at most `moments`.
    pub fn chunks(self, config: &ModelConfig, moments: usize) -> impl Iterator<Item = Self> {
        let (picture, width) = (config.picture_bytes(), config.proprioception_width);
        self.pictures.chunks(moments * picture).enumerate().map(move |(index, pictures)| {
            let (first, count) = (index * moments * width, pictures.len() / picture * width);
            Self { pictures, proprioception: &self.proprioception[first..first + count] }
        })
    }
}

/// Pictures as the encoder takes them: bytes `[B, H, W, 3]` → `f32` in `[-0.5, 0.5]`.
///
/// # Errors
/// When the number of bytes is not `B * H * W * 3`.
pub fn picture_tensor(bytes: &[u8], batch: usize, height: usize, width: usize) -> Result<Tensor> {
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
