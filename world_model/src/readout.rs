//! A readout: from a latent to the state as people name it (places in metres, angles in radians).
//!
//! Costs about named things (be in this pose, keep out of that place) read imagined latents with it. It is taught afterwards, on recorded states;
//! the model stays as it is and never learns from a label.

mod engine;

use std::collections::BTreeMap;

use candle_core::Tensor;
use mindseye_interface::Seed;
use mindseye_interface::config::require_range;
use rand::Rng as _;
use serde::{Deserialize, Serialize};

pub use engine::ReadoutEngine;

use crate::fitting::{Fitting, PARTS, Share};
use crate::jepa::ModelConfig;
use crate::layers::{GatedTrunk, Linear};
use crate::ops::{tensor, with_values};
use crate::optimiser::{Gradients, OptimiserConfig, collect};
use crate::parameters::{Source, Weights};
use crate::part::{Part, require_sizes};
use crate::{Error, Result};

/// Shape of a readout, and what it reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadoutConfig {
    /// Width `D` of the latents.
    pub latent_width: usize,
    /// Names of the state's `K` dimensions, with their units; those that end in `_rad` are angles, read as sine and cosine.
    pub state_names: Vec<String>,
    /// How far each of them moves in one action block of the data, root mean square, in its unit: what counts as one step of it.
    pub typical_steps: Vec<f32>,
    /// Width of the hidden layers.
    pub hidden: usize,
    /// Residual hidden layers after the first.
    pub layers: usize,
}

impl ReadoutConfig {
    /// The readout of states called `state_names` for a model; `typical_steps` has one value per name.
    pub fn for_model(model: &ModelConfig, state_names: Vec<String>, typical_steps: Vec<f32>) -> Self {
        Self { latent_width: model.latent_width, state_names, typical_steps, hidden: 128, layers: 1 }
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
        require_range("readout.latent_width", self.latent_width, 1, 4096)?;
        require_range("readout.state_names", self.state_names.len(), 1, 4096)?;
        require_range(
            "readout.typical_steps",
            self.typical_steps.len(),
            self.state_names.len(),
            self.state_names.len(),
        )?;
        self.typical_steps.iter().try_for_each(|&step| require_range("readout.typical_steps", step, 1e-9, 1e9))?;
        require_range("readout.hidden", self.hidden, 1, 8192)?;
        Ok(require_range("readout.layers", self.layers, 0, 64)?)
    }
}

/// `state = A z + W trunk(z)`, angles as sine and cosine.
#[derive(Debug)]
pub struct Readout {
    config: ReadoutConfig,
    linear: Linear,
    trunk: GatedTrunk,
    output: Linear,
    weights: Weights,
}

/// Fresh output weights are small, so that training starts from the linear map.
const INITIAL_OUTPUT_GAIN: f32 = 0.1;

impl Part for Readout {
    type Config = ReadoutConfig;

    const FILE: &'static str = "readout.safetensors";

    fn build(config: ReadoutConfig, mut source: Source) -> Result<Self> {
        config.validate()?;
        let (width, columns) = (config.latent_width, config.columns());
        let (linear, trunk, output) = source.within("readout", |source| {
            Ok((
                Linear::new(source, "linear", width, columns, 1.0)?,
                GatedTrunk::new(source, width, config.hidden, config.layers)?,
                Linear::new(source, "output", config.hidden, columns, INITIAL_OUTPUT_GAIN)?,
            ))
        })?;
        let weights = source.finish()?;
        Ok(Self { config, linear, trunk, output, weights })
    }

    fn config(&self) -> &ReadoutConfig {
        &self.config
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn require_fit(&self, model: &ModelConfig) -> Result<()> {
        require_sizes("readout", &[("latent_width", self.config.latent_width, model.latent_width)])
    }
}

impl Readout {
    /// Latents `[B, D]` → columns `[B, C]`.
    fn forward(&self, latents: &Tensor) -> Result<Tensor> {
        Ok((self.linear.forward(latents)? + self.output.forward(&self.trunk.forward(latents)?)?)?)
    }

    /// The same readout with columns that are multiplied by `scale [C]` and then moved by `shift [C]`.
    fn rescaled(&self, scale: &[f32], shift: &[f32]) -> Result<Self> {
        let mut stored = BTreeMap::new();
        for (name, var) in &self.weights {
            let last = ["readout.linear.", "readout.output."].iter().any(|map| name.starts_with(map));
            let mut values = with_values(var, <[f32]>::to_vec)?;
            if last {
                let row = values.len() / scale.len();
                for (row, scale) in values.chunks_exact_mut(row).zip(scale) {
                    row.iter_mut().for_each(|value| *value *= scale);
                }
            }
            if name == "readout.linear.bias" {
                values.iter_mut().zip(shift).for_each(|(value, shift)| *value += shift);
            }
            stored.insert(name.clone(), tensor(values, var.shape().clone())?);
        }
        Self::build(self.config.clone(), Source::stored(stored))
    }
}

/// Latents and the states behind them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lessons {
    /// `[N, D]`.
    pub latents: Vec<f32>,
    /// `[N, K]`.
    pub states: Vec<f32>,
}

/// Latents per step.
const BATCH: usize = 1024;

/// Trains a readout on `lessons`. `go_on` hears of every step and its mean squared error (1 is that of always reading the mean); when it says no,
/// training stops and gives nothing. The result does not depend on the number of threads.
///
/// # Errors
/// [`Error::Shape`] without lessons, or when they do not fit the config; [`Error::Diverged`] when an error is not finite.
pub fn train_readout(
    config: ReadoutConfig,
    lessons: &Lessons,
    steps: usize,
    seed: Seed,
    threads: usize,
    mut go_on: impl FnMut(usize, f64) -> bool,
) -> Result<Option<Readout>> {
    let (width, names) = (config.latent_width, config.state_names.len());
    let count = lessons.latents.len() / width.max(1);
    if count == 0 || (lessons.latents.len(), lessons.states.len()) != (count * width, count * names) {
        return Err(Error::Shape {
            operation: "teaching a readout",
            expected: format!("latents of {width} and as many states of {names}"),
            got: format!("{} and {} values", lessons.latents.len(), lessons.states.len()),
        });
    }
    let targets = columns_of(&lessons.states, &config.angles());
    let columns = config.columns();
    let (mean, spread) = spreads(&targets, columns);
    let readout = Readout::build(config, Source::fresh(seed.child("weights")))?;
    let optimiser = OptimiserConfig { learning_rate: 3e-3, ..OptimiserConfig::default() };
    let share = |step: usize, part: usize| -> Result<Share> {
        let mut rng = seed.child("batch").index(step as u64).rng();
        let drawn: Vec<usize> = (0..BATCH).map(|_| rng.random_range(0..count)).collect();
        let drawn = &drawn[part * BATCH / PARTS..(part + 1) * BATCH / PARTS];
        let of = |values: &[f32], width: usize| -> Vec<f32> {
            drawn.iter().flat_map(|&index| values[index * width..(index + 1) * width].to_vec()).collect()
        };
        let mut wanted = of(&targets, columns);
        for row in wanted.chunks_exact_mut(columns) {
            row.iter_mut().zip(mean.iter().zip(&spread)).for_each(|(value, (mean, spread))| {
                *value = (*value - mean) / spread;
            });
        }
        let latents = tensor(of(&lessons.latents, width), (drawn.len(), width))?;
        let off = (readout.forward(&latents)? - tensor(wanted, (drawn.len(), columns))?)?;
        let loss = (off.sqr()?.sum_all()? / (BATCH * columns) as f64)?;
        let mut gradients = Gradients::new();
        collect(&mut gradients, readout.weights.iter(), &loss.backward()?)?;
        Ok((with_values(&loss, |loss| f64::from(loss[0]))?, gradients))
    };
    let fitting = Fitting { weights: &readout.weights, optimiser: &optimiser, steps, threads };
    if fitting.run(share, &mut go_on)?.is_none() {
        return Ok(None);
    }
    Ok(Some(readout.rescaled(&spread, &mean)?))
}

/// `states [N, K]` as columns `[N, C]`: angles as sine and cosine.
fn columns_of(states: &[f32], angles: &[bool]) -> Vec<f32> {
    let mut columns = Vec::with_capacity(states.len());
    for state in states.chunks_exact(angles.len()) {
        for (&value, &angle) in state.iter().zip(angles) {
            if angle { columns.extend([value.sin(), value.cos()]) } else { columns.push(value) }
        }
    }
    columns
}

/// Mean and standard deviation of every column of `values [N, C]`; a column that never changes counts as having 1.
fn spreads(values: &[f32], columns: usize) -> (Vec<f32>, Vec<f32>) {
    let rows = (values.len() / columns) as f64;
    let of_column = |column: usize| values.iter().skip(column).step_by(columns).map(|&value| f64::from(value));
    let moments = |column: usize| {
        let mean = of_column(column).sum::<f64>() / rows;
        let spread = (of_column(column).map(|value| (value - mean).powi(2)).sum::<f64>() / rows).sqrt();
        (mean as f32, if spread > 1e-6 { spread as f32 } else { 1.0 })
    };
    (0..columns).map(moments).unzip()
}
