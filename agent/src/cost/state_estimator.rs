//! From latents to named dimensions of the state: what costs about them are computed with.

use std::sync::Arc;

use mindseye_interface::StateDimension;
use mindseye_world_model::values_of;
use mindseye_world_model::{Head, StateProbe, StateProbeEngine};

use super::Fingerprint;
use crate::latent::LatentShape;
use crate::pooling::{add_gradients_of_means, mean_tokens};
use crate::{Error, Result};

/// Estimates named dimensions of states (`[P, D]` each): `K` numbers, angles from -π to π.
pub trait StateEstimator: Send + Sync {
    /// Names of the `K` dimensions, with their units.
    fn names(&self) -> &[String];

    /// What counts as one step of each dimension, in its unit, `[K]`.
    fn step_scales(&self) -> &[f32];

    /// States `[M, P, D]` → `[M, K]`.
    ///
    /// # Errors
    /// When the sizes do not fit.
    fn read(&self, states: &[f32]) -> Result<Vec<f32>>;

    /// Adds the gradients on states `[M, P, D]` to `gradients [M, P, D]`, given those on what is read from them,
    /// `upstream [M, K]`.
    ///
    /// # Errors
    /// When the sizes do not fit.
    fn add_gradients(&self, states: &[f32], upstream: &[f32], gradients: &mut [f32]) -> Result<()>;

    /// Adds what the reading depends on.
    fn describe(&self, fingerprint: &mut Fingerprint);
}

/// A state probe: what an agent with a learned model has. It takes the mean tokens of states.
#[derive(Debug)]
pub struct LearnedEstimator {
    engine: StateProbeEngine,
    weights: Vec<f32>,
    shape: LatentShape,
}

impl LearnedEstimator {
    /// Estimates with `state_probe` from states of one token.
    ///
    /// # Errors
    /// When its weights cannot be read.
    pub fn new(state_probe: &StateProbe) -> Result<Self> {
        Self::of_tokens(state_probe, LatentShape::global(state_probe.config().latent_width))
    }

    /// Estimates with `state_probe` from states of `shape`.
    ///
    /// # Errors
    /// When its weights cannot be read.
    pub fn of_tokens(state_probe: &StateProbe, shape: LatentShape) -> Result<Self> {
        let (engine, weights) = (StateProbeEngine::new(state_probe)?, values_of(state_probe.weights())?);
        Ok(Self { engine, weights, shape })
    }
}

impl StateEstimator for LearnedEstimator {
    fn names(&self) -> &[String] {
        self.engine.names()
    }

    fn step_scales(&self) -> &[f32] {
        self.engine.step_scales()
    }

    fn read(&self, states: &[f32]) -> Result<Vec<f32>> {
        Ok(self.engine.read(&mean_tokens(states, self.shape))?)
    }

    fn add_gradients(&self, states: &[f32], upstream: &[f32], gradients: &mut [f32]) -> Result<()> {
        if self.shape.tokens <= 1 {
            return Ok(self.engine.add_gradients(states, upstream, gradients)?);
        }
        let means = mean_tokens(states, self.shape);
        let mut on_means = vec![0.0; means.len()];
        self.engine.add_gradients(&means, upstream, &mut on_means)?;
        add_gradients_of_means(&on_means, self.shape, gradients);
        Ok(())
    }

    fn describe(&self, fingerprint: &mut Fingerprint) {
        self.names().iter().for_each(|name| fingerprint.name(name));
        fingerprint.numbers(&self.weights);
    }
}

/// States that are true states already: for the oracle and for evaluations.
#[derive(Debug, Clone, PartialEq)]
pub struct PrivilegedState {
    names: Vec<String>,
    step_scales: Vec<f32>,
}

/// What counts as a step where nothing was measured: metres (and whatever else), and radians.
const STEP: (f32, f32) = (0.05, 0.2);

impl PrivilegedState {
    /// States whose dimensions are called `names`.
    pub fn new(names: Vec<String>) -> Self {
        let step_scales =
            names.iter().map(|name| if StateDimension::named(name).is_angle() { STEP.1 } else { STEP.0 }).collect();
        Self { names, step_scales }
    }

    fn require(&self, states: &[f32]) -> Result<()> {
        if states.len().is_multiple_of(self.names.len().max(1)) {
            return Ok(());
        }
        let expected = format!("states of {} values", self.names.len());
        Err(Error::Shape { operation: "reading true states", expected, got: format!("{} values", states.len()) })
    }
}

impl StateEstimator for PrivilegedState {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn step_scales(&self) -> &[f32] {
        &self.step_scales
    }

    fn read(&self, states: &[f32]) -> Result<Vec<f32>> {
        self.require(states)?;
        Ok(states.to_vec())
    }

    fn add_gradients(&self, states: &[f32], upstream: &[f32], gradients: &mut [f32]) -> Result<()> {
        self.require(states)?;
        gradients.iter_mut().zip(upstream).for_each(|(gradient, upstream)| *gradient += upstream);
        Ok(())
    }

    fn describe(&self, fingerprint: &mut Fingerprint) {
        self.names.iter().for_each(|name| fingerprint.name(name));
    }
}

/// An estimator that several terms share.
pub type SharedEstimator = Arc<dyn StateEstimator>;
