//! A state probe: a small network from a latent to the named true state (positions in metres, angles in radians).
//!
//! Costs about named dimensions (this pose, not in that box) read predicted latents with it. It is trained after the
//! model, on recorded states; the model does not change and never learns from a label.

mod engine;
mod training;

use std::collections::BTreeMap;

use candle_core::Tensor;
use mindseye_interface::config::require_range;
use serde::{Deserialize, Serialize};

pub use engine::StateProbeEngine;
pub use training::{
    StateAccuracy, StateProbeReport, StateProbeTrainingConfig, StateSamples, fit_state_probe, train_state_probe,
};

use crate::Result;
use crate::families::jepa::ModelConfig;
use crate::heads::{Head, require_sizes};
use crate::layers::{GatedMlp, Linear};
use crate::ops::{tensor, with_values};
use crate::parameters::{WeightSource, Weights};

/// Shape of a state probe, and the names of its outputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateProbeConfig {
    /// Width `D` of the latents.
    pub latent_width: usize,
    /// Names of the state's `K` dimensions, with their units; those that end in `_rad` are angles, read as sine and
    /// cosine.
    pub state_names: Vec<String>,
    /// Root mean square change of each dimension over one action chunk of the data, in its unit.
    #[serde(alias = "typical_steps")]
    pub step_scales: Vec<f32>,
    /// Width of the hidden layers.
    pub hidden: usize,
    /// Residual hidden layers after the first.
    pub layers: usize,
}

impl StateProbeConfig {
    /// The probe of the states `state_names` for a model; `step_scales` has one value per name.
    pub fn for_model(model: &ModelConfig, state_names: Vec<String>, step_scales: Vec<f32>) -> Self {
        Self { latent_width: model.latent_width, state_names, step_scales, hidden: 128, layers: 1 }
    }

    /// Which dimensions are angles.
    fn angles(&self) -> Vec<bool> {
        self.state_names.iter().map(|name| name.ends_with("_rad")).collect()
    }

    /// Numbers that stand for a state: one per dimension, two per angle.
    fn columns(&self) -> usize {
        self.angles().into_iter().map(|angle| 1 + usize::from(angle)).sum()
    }

    fn validate(&self) -> Result<()> {
        require_range("state_probe.latent_width", self.latent_width, 1, 4096)?;
        require_range("state_probe.state_names", self.state_names.len(), 1, 4096)?;
        require_range(
            "state_probe.step_scales",
            self.step_scales.len(),
            self.state_names.len(),
            self.state_names.len(),
        )?;
        self.step_scales.iter().try_for_each(|&step| require_range("state_probe.step_scales", step, 1e-9, 1e9))?;
        require_range("state_probe.hidden", self.hidden, 1, 8192)?;
        Ok(require_range("state_probe.layers", self.layers, 0, 64)?)
    }
}

/// `state = A z + W trunk(z)`, angles as sine and cosine.
#[derive(Debug)]
pub struct StateProbe {
    config: StateProbeConfig,
    linear: Linear,
    trunk: GatedMlp,
    output: Linear,
    weights: Weights,
}

/// Fresh output weights are small, so that training starts from the linear map.
const INITIAL_OUTPUT_GAIN: f32 = 0.1;

impl Head for StateProbe {
    type Config = StateProbeConfig;

    const FILE: &'static str = "state_probe.safetensors";

    fn build(config: StateProbeConfig, mut source: WeightSource) -> Result<Self> {
        config.validate()?;
        let (width, columns) = (config.latent_width, config.columns());
        let (linear, trunk, output) = source.within("readout", |source| {
            // old name
            Ok((
                Linear::new(source, "linear", width, columns, 1.0)?,
                GatedMlp::new(source, width, config.hidden, config.layers)?,
                Linear::new(source, "output", config.hidden, columns, INITIAL_OUTPUT_GAIN)?,
            ))
        })?;
        let weights = source.finish()?;
        Ok(Self { config, linear, trunk, output, weights })
    }

    fn config(&self) -> &StateProbeConfig {
        &self.config
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn require_fit(&self, model: &ModelConfig) -> Result<()> {
        require_sizes("state_probe", &[("latent_width", self.config.latent_width, model.latent_width)])
    }
}

impl StateProbe {
    /// Latents `[B, D]` → columns `[B, C]`.
    fn forward(&self, latents: &Tensor) -> Result<Tensor> {
        Ok((self.linear.forward(latents)? + self.output.forward(&self.trunk.forward(latents)?)?)?)
    }

    /// The same probe with columns that are multiplied by `scale [C]` and then moved by `shift [C]`.
    fn rescaled(&self, scale: &[f32], shift: &[f32]) -> Result<Self> {
        let mut stored = BTreeMap::new();
        for (name, var) in &self.weights {
            let last = ["readout.linear.", "readout.output."].iter().any(|map| name.starts_with(map)); // old name
            let mut values = with_values(var, <[f32]>::to_vec)?;
            if last {
                let row = values.len() / scale.len();
                for (row, scale) in values.chunks_exact_mut(row).zip(scale) {
                    row.iter_mut().for_each(|value| *value *= scale);
                }
            }
            if name == "readout.linear.bias" {
                // old name
                values.iter_mut().zip(shift).for_each(|(value, shift)| *value += shift);
            }
            stored.insert(name.clone(), tensor(values, var.shape().clone())?);
        }
        Self::build(self.config.clone(), WeightSource::stored(stored))
    }
}
