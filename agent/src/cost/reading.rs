//! What costs about named things read a state with.

use std::sync::Arc;

use mindseye_world_model::parameters::values_of;
use mindseye_world_model::{Part, Readout, ReadoutEngine};

use super::Fingerprint;
use crate::{Error, Result};

/// Reads states (`[P, D]` each) as people name them: `K` numbers, angles from -π to π.
pub trait StateReader: Send + Sync {
    /// Names of the `K` dimensions, with their units.
    fn names(&self) -> &[String];

    /// What counts as one step of each dimension, in its unit, `[K]`.
    fn typical_steps(&self) -> &[f32];

    /// States `[M, P, D]` → `[M, K]`.
    ///
    /// # Errors
    /// When the sizes do not fit.
    fn read(&self, states: &[f32]) -> Result<Vec<f32>>;

    /// Adds the slopes on states `[M, P, D]` to `slopes [M, P, D]`, given those on what is read from them, `pull [M, K]`.
    ///
    /// # Errors
    /// When the sizes do not fit.
    fn add_slopes(&self, states: &[f32], pull: &[f32], slopes: &mut [f32]) -> Result<()>;

    /// Adds what the reading depends on.
    fn describe(&self, fingerprint: &mut Fingerprint);
}

/// A network that learnt to read latents: what an agent with a learned model has.
#[derive(Debug)]
pub struct LearnedReader {
    engine: ReadoutEngine,
    weights: Vec<f32>,
}

impl LearnedReader {
    /// Reads as `readout` does.
    ///
    /// # Errors
    /// When its weights cannot be read.
    pub fn new(readout: &Readout) -> Result<Self> {
        Ok(Self { engine: ReadoutEngine::new(readout)?, weights: values_of(readout.weights())? })
    }
}

impl StateReader for LearnedReader {
    fn names(&self) -> &[String] {
        self.engine.names()
    }

    fn typical_steps(&self) -> &[f32] {
        self.engine.typical_steps()
    }

    fn read(&self, states: &[f32]) -> Result<Vec<f32>> {
        Ok(self.engine.read(states)?)
    }

    fn add_slopes(&self, states: &[f32], pull: &[f32], slopes: &mut [f32]) -> Result<()> {
        Ok(self.engine.add_slopes(states, pull, slopes)?)
    }

    fn describe(&self, fingerprint: &mut Fingerprint) {
        self.names().iter().for_each(|name| fingerprint.name(name));
        fingerprint.numbers(&self.weights);
    }
}

/// States that are true states already: what the oracle and the judge have.
#[derive(Debug, Clone, PartialEq)]
pub struct TrueState {
    names: Vec<String>,
    typical_steps: Vec<f32>,
}

/// What counts as a step where nothing was measured: metres (and whatever else), and radians.
const STEP: (f32, f32) = (0.05, 0.2);

impl TrueState {
    /// States whose dimensions are called `names`.
    pub fn new(names: Vec<String>) -> Self {
        let typical_steps = names.iter().map(|name| if name.ends_with("_rad") { STEP.1 } else { STEP.0 }).collect();
        Self { names, typical_steps }
    }

    fn require(&self, states: &[f32]) -> Result<()> {
        if states.len().is_multiple_of(self.names.len().max(1)) {
            return Ok(());
        }
        let expected = format!("states of {} values", self.names.len());
        Err(Error::Shape { operation: "reading true states", expected, got: format!("{} values", states.len()) })
    }
}

impl StateReader for TrueState {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn typical_steps(&self) -> &[f32] {
        &self.typical_steps
    }

    fn read(&self, states: &[f32]) -> Result<Vec<f32>> {
        self.require(states)?;
        Ok(states.to_vec())
    }

    fn add_slopes(&self, states: &[f32], pull: &[f32], slopes: &mut [f32]) -> Result<()> {
        self.require(states)?;
        slopes.iter_mut().zip(pull).for_each(|(slope, pull)| *slope += pull);
        Ok(())
    }

    fn describe(&self, fingerprint: &mut Fingerprint) {
        self.names.iter().for_each(|name| fingerprint.name(name));
    }
}

/// A reader that several terms share.
pub type SharedReader = Arc<dyn StateReader>;
