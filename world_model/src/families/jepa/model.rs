//! A JEPA behind the seam of [`crate::Model`].

use std::any::Any;

use mindseye_interface::Observation;

use super::dynamics::JepaDynamics;
use super::encoder::SensorBatch;
use super::network::Jepa;
use crate::latent::Latent;
use crate::model::{Dynamics, InferenceOptions, Model, ModelSpec, SampleSource};
use crate::{Error, Result};

impl Model for Jepa {
    fn spec(&self) -> &ModelSpec {
        self.spec()
    }

    fn encode(&self, observations: &[Observation]) -> Result<Vec<Latent>> {
        observations.iter().map(|observation| self.encode_observation(observation)).collect()
    }

    fn dynamics(&self, options: &InferenceOptions) -> Result<Box<dyn Dynamics>> {
        match options.samples {
            SampleSource::One => Ok(Box::new(JepaDynamics::new(self, options)?)),
            other => Err(Error::Shape {
                operation: "dynamics of a model",
                expected: "one sample per plan, or dynamics of a checkpoint with its heads".into(),
                got: format!("{other:?}"),
            }),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Jepa {
    /// The encoder takes the images of all cameras as one, one below the other.
    fn encode_observation(&self, observation: &Observation) -> Result<Latent> {
        let spec = self.spec();
        let mut pixels = Vec::with_capacity(self.config().image_bytes());
        for frame in spec.frames("encoding an observation", observation)? {
            pixels.extend_from_slice(frame.image.pixels());
        }
        let proprioception: &[f32] = if spec.proprioception == 0 { &[] } else { &observation.proprioception };
        Ok(Latent::global(self.encode(SensorBatch { images: &pixels, proprioception })?))
    }
}
