//! Training of the state probe, and its accuracy on held-out episodes.

use std::fmt;
use std::ops::Range;

use mindseye_interface::Seed;
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{StateProbe, StateProbeConfig, StateProbeEngine};
use crate::encoded_dataset::{EncodedDataset, checksum};
use crate::families::jepa::ModelConfig;
use crate::heads::Head;
use crate::linear_probe::Probe;
use crate::ops::tensor;
use crate::optimiser::OptimiserConfig;
use crate::parameters::{WeightSource, Weights};
use crate::trainer::{Collective, Objective, PartialGradients, Run, RunOptions, each_part, fit, range_of_part};
use crate::{Error, Result};

/// Latents and the true states they were recorded with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StateSamples {
    /// `[N, D]`.
    pub latents: Vec<f32>,
    /// `[N, K]`.
    pub states: Vec<f32>,
}

/// How a state probe is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StateProbeTrainingConfig {
    /// Optimiser steps.
    pub steps: usize,
    /// Latents per step.
    pub batch: usize,
    /// Micro batches of a step: as many threads can work at once; another number gives other bits.
    pub micro_batches: usize,
    /// Largest learning rate.
    pub learning_rate: f64,
}

impl Default for StateProbeTrainingConfig {
    fn default() -> Self {
        Self { steps: 6000, batch: 1024, micro_batches: 2, learning_rate: 3e-3 }
    }
}

/// How well one dimension of the state is read on held-out episodes, in its unit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StateAccuracy {
    /// Name of the dimension.
    pub name: String,
    /// Coefficient of determination, at most 1.
    pub r2: f64,
    /// Root mean square error.
    pub rmse: f64,
    /// Median absolute error.
    pub median_error: f64,
    /// Median absolute error of a linear probe, for comparison.
    pub linear_median_error: f64,
    /// Root mean square change over one action chunk.
    pub step_scale: f32,
}

/// How well a state probe reads.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StateProbeReport {
    /// Episodes that it was trained on.
    pub episodes: usize,
    /// Episodes that it was measured on.
    pub held_out_episodes: usize,
    /// By dimension.
    pub states: Vec<StateAccuracy>,
}

impl fmt::Display for StateProbeReport {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(text, "a state probe; on {} held-out episodes:", self.held_out_episodes)?;
        for StateAccuracy { name, r2, rmse, median_error, linear_median_error, step_scale } in &self.states {
            write!(text, "\n  {name:<16} R2 {r2:.4}, rmse {rmse:.4}, median error {median_error:.4}")?;
            write!(text, " (linear probe {linear_median_error:.4}); step scale {step_scale:.4}")?;
        }
        Ok(())
    }
}

/// Every fifth episode is held out.
const HELD_OUT_EVERY: usize = 5;

/// Trains a state probe for `model` on the true states of `dataset` and measures it on every fifth episode, which it is
/// not trained on; `None` when it was stopped.
///
/// # Errors
/// [`Error::Data`] without true states, or with a single episode; those of [`train_state_probe`].
pub fn fit_state_probe(
    model: &ModelConfig,
    dataset: &EncodedDataset,
    training: &StateProbeTrainingConfig,
    options: &RunOptions<'_>,
) -> Result<Option<(StateProbe, StateProbeReport)>> {
    let names = dataset.state_names();
    if names.is_empty() {
        let expected = "true states beside the images (a column mapped to `state`)".into();
        return Err(Error::Data { field: "states", expected, got: "none".into() });
    }
    let (train, held_out) = dataset.hold_out(HELD_OUT_EVERY, 1)?;
    let (samples, unseen) = (StateSamples::of(&train), StateSamples::of(&held_out));
    let config = StateProbeConfig::for_model(model, names.to_vec(), step_scales(dataset));
    let Some(probe) = train_state_probe(config, &samples, training, options)? else {
        return Ok(None);
    };
    let engine = StateProbeEngine::new(&probe)?;
    let errors = engine.errors_on(&unseen.latents, &unseen.states)?;
    let linear = Probe::fit(&samples.latents, &samples.states, names, dataset.latent_width());
    let linear = linear.map(|linear| linear.errors_on(&unseen.latents, &unseen.states).median).unwrap_or_default();
    let accuracy = |(index, name): (usize, &String)| StateAccuracy {
        name: name.clone(),
        r2: errors.r2[index],
        rmse: errors.rmse[index],
        median_error: errors.median[index],
        linear_median_error: linear.get(index).copied().unwrap_or(f64::NAN),
        step_scale: engine.step_scales()[index],
    };
    let report = StateProbeReport {
        episodes: train.episodes().len(),
        held_out_episodes: held_out.episodes().len(),
        states: names.iter().enumerate().map(accuracy).collect(),
    };
    Ok(Some((probe, report)))
}

impl StateSamples {
    /// All frames of `dataset`.
    pub fn of(dataset: &EncodedDataset) -> Self {
        let mut samples = Self::default();
        for frame in dataset.episodes().iter().cloned().flatten() {
            samples.latents.extend_from_slice(dataset.latent(frame));
            samples.states.extend_from_slice(dataset.state(frame));
        }
        samples
    }
}

/// Root mean square change of each dimension of the state over one action chunk; angles the short way round.
fn step_scales(dataset: &EncodedDataset) -> Vec<f32> {
    let mut squares = vec![0.0f64; dataset.state_names().len()];
    let mut count = 0.0f64;
    for frame in dataset.episodes().iter().flat_map(|episode| episode.start..episode.end - 1) {
        let both = dataset.state(frame).iter().zip(dataset.state(frame + 1));
        for ((sum, (before, after)), name) in squares.iter_mut().zip(both).zip(dataset.state_names()) {
            let step = f64::from(after - before);
            let step = if name.ends_with("_rad") { step.sin().atan2(step.cos()) } else { step };
            *sum += step * step;
        }
        count += 1.0;
    }
    // A constant dimension has no typical step; a millionth of its unit is finer than any error of the probe.
    squares.into_iter().map(|sum| (sum / count.max(1.0)).sqrt().max(1e-6) as f32).collect()
}

/// Trains a state probe on `samples`; `None` when it was stopped. The loss is the mean squared error in standard
/// deviations: 1 is that of predicting the mean.
///
/// # Errors
/// [`Error::Shape`] without samples, or when they do not fit the config; [`Error::Diverged`] when a loss is not finite;
/// [`Error::File`] when the state cannot be written or resumed.
pub fn train_state_probe(
    config: StateProbeConfig,
    samples: &StateSamples,
    training: &StateProbeTrainingConfig,
    options: &RunOptions<'_>,
) -> Result<Option<StateProbe>> {
    let (width, names) = (config.latent_width, config.state_names.len());
    let count = samples.latents.len() / width.max(1);
    if count == 0 || (samples.latents.len(), samples.states.len()) != (count * width, count * names) {
        return Err(Error::Shape {
            operation: "training a state probe",
            expected: format!("latents of {width} and as many states of {names}"),
            got: format!("{} and {} values", samples.latents.len(), samples.states.len()),
        });
    }
    let targets = columns_of(&samples.states, &config.angles());
    let (mean, std) = mean_and_std(&targets, config.columns());
    let identity = json!({ "config": config, "training": training, "data": checksum(&[&samples.latents, &targets]) });
    let probe = StateProbe::build(config, WeightSource::fresh(options.seed.child("weights")))?;
    let mut objective =
        StateProbeObjective { probe, training, latents: &samples.latents, targets, mean, std, seed: options.seed };
    let optimiser = OptimiserConfig { learning_rate: training.learning_rate, ..OptimiserConfig::default() };
    let run = Run::new("state_probe", training.steps, identity);
    if fit(&mut objective, run, optimiser, options)?.is_none() {
        return Ok(None);
    }
    Ok(Some(objective.probe.rescaled(&objective.std, &objective.mean)?))
}

struct StateProbeObjective<'a> {
    probe: StateProbe,
    training: &'a StateProbeTrainingConfig,
    /// `[N, D]`.
    latents: &'a [f32],
    /// `[N, C]`.
    targets: Vec<f32>,
    /// Of the columns, `[C]`.
    mean: Vec<f32>,
    std: Vec<f32>,
    seed: Seed,
}

impl Objective for StateProbeObjective<'_> {
    /// Indices of the latents.
    type Batch = Vec<usize>;
    type Error = crate::Error;

    fn weights(&self) -> Weights {
        self.probe.weights.clone()
    }

    fn batch(&mut self, step: usize) -> Result<Vec<usize>> {
        let mut rng = self.seed.child("batch").index(step as u64).rng();
        let count = self.latents.len() / self.probe.config.latent_width;
        Ok((0..self.training.batch).map(|_| rng.random_range(0..count)).collect())
    }

    fn micro_batches(&self, _batch: &Vec<usize>) -> usize {
        self.training.micro_batches
    }

    fn partial_gradients(
        &self,
        batch: &Vec<usize>,
        parts: Range<usize>,
        _collective: &dyn Collective,
    ) -> Result<Vec<PartialGradients>> {
        let (width, columns) = (self.probe.config.latent_width, self.probe.config.columns());
        each_part(parts, |part| {
            let drawn = &batch[range_of_part(batch.len(), self.training.micro_batches, part)];
            let rows = |values: &[f32], width: usize| -> Vec<f32> {
                drawn.iter().flat_map(|&index| values[index * width..(index + 1) * width].to_vec()).collect()
            };
            let mut targets = rows(&self.targets, columns);
            for row in targets.chunks_exact_mut(columns) {
                row.iter_mut().zip(self.mean.iter().zip(&self.std)).for_each(|(value, (mean, std))| {
                    *value = (*value - mean) / std;
                });
            }
            let latents = tensor(rows(self.latents, width), (drawn.len(), width))?;
            let error = (self.probe.forward(&latents)? - tensor(targets, (drawn.len(), columns))?)?;
            let loss = (error.sqr()?.sum_all()? / (batch.len() * columns) as f64)?;
            PartialGradients::of(&loss, self.probe.weights.iter())
        })
    }
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
fn mean_and_std(values: &[f32], columns: usize) -> (Vec<f32>, Vec<f32>) {
    let rows = (values.len() / columns) as f64;
    let of_column = |column: usize| values.iter().skip(column).step_by(columns).map(|&value| f64::from(value));
    let of_one = |column: usize| {
        let mean = of_column(column).sum::<f64>() / rows;
        let std = (of_column(column).map(|value| (value - mean).powi(2)).sum::<f64>() / rows).sqrt();
        (mean as f32, if std > 1e-6 { std as f32 } else { 1.0 })
    };
    (0..columns).map(of_one).unzip()
}
