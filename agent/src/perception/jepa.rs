//! Seeing: the encoder of a JEPA.

use std::sync::Arc;

use mindseye_interface::{Image, Observation};
use mindseye_world_model::Checkpoint;

use super::{BackgroundAdaptation, Perception};

use crate::Result;
use crate::configurator::Directive;
use crate::latent::Latent;

/// The encoder of a checkpoint's model.
#[derive(Debug, Clone)]
pub struct JepaPerception {
    checkpoint: Arc<Checkpoint>,
    background: Option<BackgroundAdaptation>,
}

impl JepaPerception {
    /// The encoder of `checkpoint`.
    pub fn new(checkpoint: Arc<Checkpoint>) -> Self {
        Self { checkpoint, background: None }
    }

    /// The same, which sees a background of another colour as that of the training pictures, where the checkpoint says what that was.
    #[must_use]
    pub fn adapting(self) -> Self {
        let trained = self.checkpoint.config.data.background_rgb;
        Self { background: trained.map(BackgroundAdaptation::new), ..self }
    }

    /// The latent of a moment, for example of a goal: its picture, and what the body feels where the model takes that; `None` without a picture.
    ///
    /// # Errors
    /// When the picture has another size than the model's or proprioception is missing.
    pub fn encode(&self, moment: &Observation) -> Result<Option<Latent>> {
        let encode = |image: &Image| {
            let adapted = self.background.map(|background| background.adapt(image));
            let image = adapted.as_ref().unwrap_or(image);
            Ok(Latent::global(self.checkpoint.model.encode_moment(image, &moment.proprioception)?))
        };
        moment.image.as_ref().map(encode).transpose()
    }
}

impl Perception for JepaPerception {
    fn perceive(&self, observation: &Observation, _directive: &Directive) -> Result<Option<Latent>> {
        self.encode(observation)
    }
}
