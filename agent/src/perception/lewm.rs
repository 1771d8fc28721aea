//! Seeing: the encoder of a LeWorldModel.

use std::sync::Arc;

use mindseye_interface::{Image, Observation};
use mindseye_world_model::Lewm;

use super::Perception;
use crate::configurator::Directive;
use crate::latent::Latent;
use crate::{Error, Result};

/// The encoder of a LeWM.
#[derive(Debug, Clone)]
pub struct LewmPerception {
    model: Arc<Lewm>,
}

impl LewmPerception {
    /// The encoder of `model`.
    pub fn new(model: Arc<Lewm>) -> Self {
        Self { model }
    }

    /// The embedding of a picture, for example of a goal.
    ///
    /// # Errors
    /// [`Error::Shape`] when the picture has another size than the model's.
    pub fn encode(&self, image: &Image) -> Result<Latent> {
        let (side, size) = (self.model.config().vision.image_side, image.size());
        if (size.height(), size.width()) != (side, side) {
            return Err(Error::Shape {
                operation: "encoding an image",
                expected: format!("{side}x{side} pixels"),
                got: format!("{}x{}", size.height(), size.width()),
            });
        }
        Ok(Latent::global(self.model.encode(image.pixels(), 1)?))
    }
}

impl Perception for LewmPerception {
    fn perceive(&self, observation: &Observation, _directive: &Directive) -> Result<Option<Latent>> {
        observation.image.as_ref().map(|image| self.encode(image)).transpose()
    }
}
