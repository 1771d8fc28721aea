//! A published LeWM behind the seam of [`crate::Model`]: with the statistics of actions that its folder does not
//! contain.

use std::any::Any;
use std::path::Path;
use std::sync::Arc;

use mindseye_interface::Observation;
use serde::{Deserialize, Serialize};

use super::dynamics::LewmDynamics;
use super::network::Lewm;
use crate::latent::{Latent, LatentShape};
use crate::model::{CameraSpec, ClipSpec, Dynamics, InferenceOptions, Model, ModelSpec, SampleSource};
use crate::{Error, Result};

/// Statistics of normalised actions in a LeWM's training data, one number per dimension or one for all of them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ActionStatistics {
    /// Mean; empty: 0.
    pub mean: Vec<f32>,
    /// Standard deviation, above 0; empty: 1.
    pub std: Vec<f32>,
}

/// A LeWM, and how actions were standardised when it was trained.
#[derive(Debug, Clone)]
pub struct PublishedLewm {
    /// The networks.
    pub model: Arc<Lewm>,
    /// Control steps per action chunk.
    pub action_chunk: usize,
    /// Numbers per action.
    pub action_width: usize,
    /// Factors of a normalised chunk's values, `[A]`.
    pub gain: Vec<f32>,
    /// Numbers that are added afterwards, `[A]`.
    pub offset: Vec<f32>,
    spec: ModelSpec,
}

impl PublishedLewm {
    /// The model in `folder`, for actions of `action_width` numbers. `mean` and `std` are those of normalised actions
    /// in its training data, one for every number or one for all; none: actions are taken as they are.
    ///
    /// # Errors
    /// [`Error::File`] when the folder is broken; else as [`PublishedLewm::new`].
    pub fn load(folder: &Path, action_width: usize, mean: &[f32], std: &[f32]) -> Result<Self> {
        let statistics = ActionStatistics { mean: mean.to_vec(), std: std.to_vec() };
        Self::new(Lewm::load(folder)?, action_width, &statistics)
    }

    /// `model` for actions of `action_width` numbers with `statistics`.
    ///
    /// # Errors
    /// [`Error::Shape`] when the model's chunks are not made of such actions, or the statistics make no sense.
    pub fn new(model: Lewm, action_width: usize, statistics: &ActionStatistics) -> Result<Self> {
        let chunk_width = model.config().action.chunk_width;
        if action_width == 0 || !chunk_width.is_multiple_of(action_width) {
            return Err(Error::Shape {
                operation: "action chunks of a LeWM",
                expected: format!("a number of values per action that divides {chunk_width}"),
                got: action_width.to_string(),
            });
        }
        let repeated = |operation: &'static str, values: &[f32], default: f32| -> Result<Vec<f32>> {
            let values = match values {
                [] => vec![default; action_width],
                [one] => vec![*one; action_width],
                all => all.to_vec(),
            };
            if values.len() == action_width && values.iter().all(|value| value.is_finite()) {
                return Ok(values.repeat(chunk_width / action_width));
            }
            let expected = format!("1 or {action_width} finite numbers");
            Err(Error::Shape { operation, expected, got: format!("{values:?}") })
        };
        let mean = repeated("action-mean", &statistics.mean, 0.0)?;
        let std = repeated("action-std", &statistics.std, 1.0)?;
        if let Some(value) = std.iter().find(|value| **value <= 0.0) {
            let (expected, got) = ("numbers above 0".into(), value.to_string());
            return Err(Error::Shape { operation: "action-std", expected, got });
        }
        let config = model.config();
        let side = config.vision.image_side;
        let spec = ModelSpec {
            cameras: vec![CameraSpec { name: String::new(), height: side, width: side }],
            clip: ClipSpec::SINGLE,
            proprioception: 0,
            action_width,
            action_chunk: chunk_width / action_width,
            latent: LatentShape::global(config.width()),
            context: config.predictor.history,
        };
        Ok(Self {
            model: Arc::new(model),
            action_chunk: chunk_width / action_width,
            action_width,
            gain: std.iter().map(|std| 1.0 / std).collect(),
            offset: mean.iter().zip(&std).map(|(mean, std)| -mean / std).collect(),
            spec,
        })
    }
}

impl Model for PublishedLewm {
    fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    fn encode(&self, observations: &[Observation]) -> Result<Vec<Latent>> {
        let encode = |observation: &Observation| {
            let mut pixels = Vec::new();
            for frame in self.spec.frames("encoding an observation", observation)? {
                pixels.extend_from_slice(frame.image.pixels());
            }
            Ok(Latent::global(self.model.encode(&pixels, 1)?))
        };
        observations.iter().map(encode).collect()
    }

    fn dynamics(&self, options: &InferenceOptions) -> Result<Box<dyn Dynamics>> {
        if options.samples != SampleSource::One {
            let (expected, got) = ("one sample per plan".into(), format!("{:?}", options.samples));
            return Err(Error::Shape { operation: "dynamics of a LeWM", expected, got });
        }
        Ok(Box::new(LewmDynamics::new(&self.model, self.gain.clone(), self.offset.clone(), options)?))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
