//! Online adaptation: what the body makes of an action ([`Actuation`]), the predictor's last layer and the critic's learn from what has just been lived.
//!
//! Where the world is not as it was when the model was trained (more friction, a heavier pusher), predictions miss by something that follows from
//! what the predictor knows of the situation; where the agent does not act as its critic took it to, so do the critic's. What is found of it corrects a [`LastLayer`].

mod actuation;
mod last_layer;

pub use actuation::Actuation;
pub use last_layer::LastLayer;

use mindseye_interface::config::{Validate, require_range};
use serde::{Deserialize, Serialize};

use crate::predictor::Predictor;
use crate::rollout::RolloutEngine;
use crate::{Error, Precision, Result};

/// Settings of online adaptation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdaptationConfig {
    /// Learns what the body makes of actions.
    pub actuation: bool,
    /// Learns the predictor's last layer, too (docs/experiments.md has what it was worth).
    pub last_layer: bool,
    /// Learns the critic's last layer, too, whenever a pursuit has come to its end: what did it cost until then?
    pub critic: bool,
    /// Moments learnt from, the newest ones.
    pub moments: usize,
    /// Fewer are not learnt from.
    pub least_moments: usize,
    /// Strength of the pull towards the weights as they were trained, relative to the mean square of the activations.
    pub ridge: f32,
    /// The correction is no longer than this share of the trained weights (Frobenius norms).
    pub largest_step: f32,
    /// It must foresee moments that it has not seen better than the trained weights do, by this share of their mean square error.
    pub gain: f32,
    /// Adapts only after a tick that was more surprising than this (mean squared difference per dimension of the latent).
    pub surprise_above: f32,
}

impl Default for AdaptationConfig {
    fn default() -> Self {
        Self {
            actuation: true,
            last_layer: false,
            critic: false,
            moments: 60,
            least_moments: 4,
            ridge: 0.3,
            largest_step: 0.5,
            gain: 0.02,
            surprise_above: 0.0,
        }
    }
}

impl Validate for AdaptationConfig {
    fn validate(&self) -> mindseye_interface::Result<()> {
        require_range("adaptation.moments", self.moments, 1, 4096)?;
        require_range("adaptation.least_moments", self.least_moments, 2, 4096)?;
        require_range("adaptation.ridge", self.ridge, 1e-6, 1e6)?;
        require_range("adaptation.largest_step", self.largest_step, 0.0, 1e3)?;
        require_range("adaptation.gain", self.gain, 0.0, 1.0)?;
        require_range("adaptation.surprise_above", self.surprise_above, 0.0, 1e9)
    }
}

/// Moments to learn from, `N` of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Experience {
    /// `[N, D]`.
    pub states: Vec<f32>,
    /// What was done, `[N, A]`.
    pub blocks: Vec<f32>,
    /// What came of it, `[N, D]`.
    pub next: Vec<f32>,
}

impl Experience {
    /// Adds a moment: a state `[D]`, what was done there `[A]`, and what came of it `[D]`.
    pub fn push(&mut self, state: &[f32], block: &[f32], next: &[f32]) {
        self.states.extend_from_slice(state);
        self.blocks.extend_from_slice(block);
        self.next.extend_from_slice(next);
    }
}

/// What came of an adaptation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Adaptation {
    /// Mean square error, per dimension (of the critic's: per term, in units of its scale), of the weights as they were trained.
    pub before: f32,
    /// That of what was learnt, on moments that it was not learnt from: each half from the other (what actions do), or one left out at a time (the last
    /// layer).
    pub after: f32,
    /// Whether the correction is in use; otherwise the weights are those that were trained.
    pub adopted: bool,
}

/// A predictor whose last layer can be corrected.
#[derive(Debug, Clone)]
pub struct Adapter {
    /// The predictor as it was trained.
    engine: RolloutEngine,
    /// Its last layer, `[D, W]`.
    trained: LastLayer,
}

impl Adapter {
    /// For `predictor` of latents `[D]` and blocks `[A]`.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub fn new(predictor: &Predictor, latent_width: usize, block_width: usize) -> Result<Self> {
        Ok(Self {
            engine: RolloutEngine::of_predictor(predictor, latent_width, block_width, Precision::F32)?,
            trained: LastLayer::of(&predictor.output)?,
        })
    }

    /// The last layer as it was trained.
    pub fn trained(&self) -> LastLayer {
        self.trained.clone()
    }

    /// How many moments `experience` has.
    fn moments(&self, experience: &Experience) -> Result<usize> {
        let width = self.engine.latent_width();
        let count = experience.states.len() / width;
        let sizes = (experience.states.len(), experience.blocks.len(), experience.next.len());
        if count > 0 && sizes == (count * width, count * self.engine.block_width(), count * width) {
            return Ok(count);
        }
        Err(Error::Shape {
            operation: "adapting",
            expected: format!("moments of {width} and {} and {width} values", self.engine.block_width()),
            got: format!("{}, {} and {} values", sizes.0, sizes.1, sizes.2),
        })
    }

    /// What the last layer should be after `experience`, and how much better it foresees.
    ///
    /// # Errors
    /// [`Error::Shape`] when the experience does not fit the predictor.
    pub fn adapt(&self, experience: &Experience, config: &AdaptationConfig) -> Result<(LastLayer, Adaptation)> {
        self.moments(experience)?;
        let (hidden, predicted) = self.engine.activations(&experience.states, &experience.blocks)?;
        let misses =
            experience.next.iter().zip(&predicted).map(|(next, predicted)| next - predicted).collect::<Vec<f32>>();
        Ok(self.trained.corrected(&hidden[..], &misses[..], config))
    }
}
