//! The encoder of a model of any family.

use mindseye_interface::{Frame, Observation};

use super::{BackgroundAdaptation, Perception};
use crate::directive::Directive;
use crate::latent::Latent;
use crate::model_source::ModelSource;
use crate::{Error, Result};

/// The encoder of a checkpoint's model.
#[derive(Debug, Clone)]
pub struct ModelPerception {
    source: ModelSource,
    background: Option<BackgroundAdaptation>,
}

impl ModelPerception {
    /// The encoder of the model of `source`.
    pub fn new(source: impl Into<ModelSource>) -> Self {
        Self { source: source.into(), background: None }
    }

    /// The same with backgrounds of another colour mapped to that of the training images, where the checkpoint knows
    /// it.
    #[must_use]
    pub fn adapting(self) -> Self {
        let trained = self.source.background_rgb();
        Self { background: trained.map(BackgroundAdaptation::new), ..self }
    }

    /// The latent of an observation, for example of a goal: the frames of the model's cameras, and proprioception where
    /// the model takes it; `None` without any frame.
    ///
    /// # Errors
    /// When a frame has another size than the model's, a frame of one of several cameras or proprioception is missing,
    /// or the model encodes clips of several observations.
    pub fn encode(&self, observation: &Observation) -> Result<Option<Latent>> {
        if observation.frames.is_empty() {
            return Ok(None);
        }
        let adapted = self.background.map(|background| {
            let adapt = |frame: &Frame| Frame { image: background.adapt(&frame.image).into(), ..frame.clone() };
            let frames = observation.frames.iter().map(adapt).collect();
            Observation { frames, ..observation.clone() }
        });
        let model = self.source.model();
        let clip = model.spec().clip;
        if clip.frames != 1 {
            let (expected, got) = ("a model of single observations".into(), format!("clips of {}", clip.frames));
            return Err(Error::Shape { operation: "perception", expected, got });
        }
        let observation = adapted.as_ref().unwrap_or(observation);
        Ok(model.encode(std::slice::from_ref(observation))?.pop())
    }
}

impl Perception for ModelPerception {
    fn perceive(&self, observation: &Observation, _directive: &Directive) -> Result<Option<Latent>> {
        self.encode(observation)
    }

    fn encode_goal(&self, goal: &Observation) -> Result<Option<Latent>> {
        self.encode(goal)
    }
}
