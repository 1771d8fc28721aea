//! Seeing: the encoder of a JEPA.

use std::sync::Arc;

use mindseye_interface::{Image, Observation};
use mindseye_world_model::Checkpoint;

use super::Perception;
use crate::Result;
use crate::configurator::Directive;
use crate::latent::Latent;

/// The encoder of a checkpoint's model.
#[derive(Debug, Clone)]
pub struct JepaPerception {
    checkpoint: Arc<Checkpoint>,
}

impl JepaPerception {
    /// The encoder of `checkpoint`.
    pub fn new(checkpoint: Arc<Checkpoint>) -> Self {
        Self { checkpoint }
    }

    /// The latent of a picture, for example of a goal.
    ///
    /// # Errors
    /// When the picture has another size than the model's.
    pub fn encode(&self, image: &Image) -> Result<Latent> {
        Ok(Latent::global(self.checkpoint.model.encode_image(image)?))
    }
}

impl Perception for JepaPerception {
    fn perceive(&self, observation: &Observation, _directive: &Directive) -> Result<Option<Latent>> {
        observation.image.as_ref().map(|image| self.encode(image)).transpose()
    }
}
