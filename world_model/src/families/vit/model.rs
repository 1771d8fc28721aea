//! A published encoder behind the seam of [`crate::Model`]: observations become patch tokens. It predicts nothing; a
//! world model on a frozen encoder brings the dynamics.

use std::any::Any;
use std::path::Path;
use std::sync::Arc;

use mindseye_interface::Observation;

use super::encoder::{Clip, VitEncoder};
use super::folder::{Vit, VitOptions};
use crate::latent::{Latent, LatentShape};
use crate::model::{CameraSpec, ClipSpec, Dynamics, InferenceOptions, Model, ModelSpec};
use crate::{Error, Result};

/// A frozen encoder as a model: one camera, clips of images of the encoder's own size, states of all its tokens.
#[derive(Debug, Clone)]
pub struct FrozenEncoder {
    vit: Arc<Vit>,
    encoder: VitEncoder,
    spec: ModelSpec,
}

impl FrozenEncoder {
    /// The encoder of `vit`. `clip` says how many observations a state is encoded from, and how many control steps lie
    /// between them: one for encoders of images. One for an encoder of clips repeats the image to a tubelet, as V-JEPA
    /// 2-AC does.
    ///
    /// # Errors
    /// [`Error::Shape`] for a model without an encoder, or a clip that it does not take.
    pub fn new(vit: Arc<Vit>, clip: ClipSpec) -> Result<Self> {
        let refused = |expected: &str, got: String| Error::Shape {
            operation: "a frozen encoder",
            expected: expected.to_owned(),
            got,
        };
        let Some(encoder) = vit.encoder().cloned() else {
            return Err(refused("a model with an encoder", vit.to_string()));
        };
        let ([height, width], channels) = (encoder.config().image, encoder.config().channels);
        if channels != 3 || clip.stride == 0 {
            return Err(refused("an encoder of three colours, a stride of 1 or more", format!("{channels} channels")));
        }
        // The grid of an empty clip cannot be asked for: its values are counted.
        let values = vec![0.0; clip.frames * channels * height * width];
        let grid = encoder.grid(&Clip { values: &values, frames: clip.frames, height, width })?;
        let latent = LatentShape { tokens: encoder.prefix() + grid.tokens(), width: encoder.width() };
        let cameras = vec![CameraSpec { name: String::new(), height, width }];
        let spec = ModelSpec { cameras, clip, proprioception: 0, action_width: 0, action_chunk: 1, latent, context: 1 };
        Ok(Self { vit, encoder, spec })
    }

    /// The model that it is of.
    pub fn vit(&self) -> &Vit {
        &self.vit
    }

    /// The folder's encoder, one image per state.
    ///
    /// # Errors
    /// As [`Vit::load`] and [`FrozenEncoder::new`].
    pub fn load(folder: &Path) -> Result<Self> {
        Self::new(Arc::new(Vit::load(folder, &VitOptions::default())?), ClipSpec::SINGLE)
    }
}

impl Model for FrozenEncoder {
    fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    fn encode(&self, observations: &[Observation]) -> Result<Vec<Latent>> {
        let frames = self.spec.clip.frames;
        if !observations.len().is_multiple_of(frames) {
            return Err(Error::Shape {
                operation: "encoding observations",
                expected: format!("clips of {frames} observations"),
                got: observations.len().to_string(),
            });
        }
        let encode = |clip: &[Observation]| {
            let mut values = Vec::new();
            for observation in clip {
                for frame in self.spec.frames("encoding an observation", observation)? {
                    values.extend(self.vit.preprocessing().normalised(&frame.image));
                }
            }
            let [height, width] = self.encoder.config().image;
            let tokens = self.encoder.encode(&Clip { values: &values, frames, height, width })?;
            Latent::new(self.spec.latent.tokens, self.spec.latent.width, tokens)
        };
        observations.chunks_exact(frames.max(1)).map(encode).collect()
    }

    fn dynamics(&self, _options: &InferenceOptions) -> Result<Box<dyn Dynamics>> {
        Err(Error::Shape {
            operation: "dynamics of a frozen encoder",
            expected: "a world model trained on its tokens".into(),
            got: "the encoder alone".into(),
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
