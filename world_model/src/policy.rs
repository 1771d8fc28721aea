//! A reactive policy: from a state and a goal straight to a plan, without imagining anything (LeCun 2022, section 3.1, Mode-1). It is
//! trained to do what a planner would (section 3.1.3): minimise the difference between its plan and the one that was found by thinking.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::Tensor;
use mindseye_interface::Seed;
use mindseye_interface::config::require_range;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::jepa::ModelConfig;
use crate::layers::{Linear, Norm};
use crate::ops::{self, tensor, with_values};
use crate::optimiser::{Gradients, Moments, OptimiserConfig, adamw, add, clip, collect};
use crate::parameters::{Source, Weights};
use crate::training::{require_finite, thread_pool};
use crate::{Error, Result, weights_file};

/// Shape of the policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// Width `D` of the latents.
    pub latent_width: usize,
    /// Blocks `H` of a plan.
    pub horizon_blocks: usize,
    /// Width `A` of an action block.
    pub block_width: usize,
    /// Width of the hidden layers.
    pub hidden: usize,
    /// Residual hidden layers after the first.
    pub layers: usize,
}

impl PolicyConfig {
    /// The policy for a model, with plans of `horizon_blocks`.
    pub fn for_model(model: &ModelConfig, horizon_blocks: usize) -> Self {
        let (latent_width, block_width) = (model.latent_width, model.block_width());
        Self { latent_width, horizon_blocks, block_width, hidden: 256, layers: 2 }
    }

    /// Whether this is a policy for `model`.
    pub(crate) fn fits(&self, model: &ModelConfig) -> bool {
        (self.latent_width, self.block_width) == (model.latent_width, model.block_width())
    }

    fn plan_width(&self) -> usize {
        self.horizon_blocks * self.block_width
    }
}

/// `h = gate(norm(W [z; g; g - z]))`, `h += gate(norm(W h))` per layer, `plan = tanh(W h)`.
#[derive(Debug)]
pub struct Policy {
    config: PolicyConfig,
    input: Linear,
    input_norm: Norm,
    layers: Vec<(Linear, Norm)>,
    output: Linear,
    weights: Weights,
}

impl Policy {
    fn build(config: PolicyConfig, mut source: Source) -> Result<Self> {
        require_range("policy.latent_width", config.latent_width, 1, 4096)?;
        require_range("policy.horizon_blocks", config.horizon_blocks, 1, 1000)?;
        require_range("policy.block_width", config.block_width, 1, 25_600)?;
        require_range("policy.hidden", config.hidden, 1, 8192)?;
        require_range("policy.layers", config.layers, 0, 64)?;
        let hidden = config.hidden;
        let (input, input_norm, layers, output) = source.within("policy", |source| {
            let layer = |source: &mut Source, index: usize| {
                let linear = Linear::new(source, &format!("layer_{index}"), hidden, 2 * hidden, 1.0)?;
                Ok((linear, Norm::new(source, &format!("norm_{index}"), 2 * hidden, 1)?))
            };
            Ok((
                Linear::new(source, "input", 3 * config.latent_width, 2 * hidden, 1.0)?,
                Norm::new(source, "input_norm", 2 * hidden, 1)?,
                (0..config.layers).map(|index| layer(source, index)).collect::<Result<_>>()?,
                Linear::new(source, "output", hidden, config.plan_width(), 1.0)?,
            ))
        })?;
        let weights = source.finish()?;
        Ok(Self { config, input, input_norm, layers, output, weights })
    }

    /// Its shape.
    pub fn config(&self) -> &PolicyConfig {
        &self.config
    }

    /// `states [B, D]`, `goals [B, D]` → plans `[B, H * A]` within -1 and 1.
    fn forward(&self, states: &Tensor, goals: &Tensor) -> Result<Tensor> {
        let input = Tensor::cat(&[states, goals, &(goals - states)?], 1)?;
        let mut hidden = ops::gate(&self.input_norm.forward(&self.input.forward(&input)?)?)?;
        for (linear, norm) in &self.layers {
            hidden = (&hidden + ops::gate(&norm.forward(&linear.forward(&hidden)?)?)?)?;
        }
        Ok(self.output.forward(&hidden)?.tanh()?)
    }

    /// The plan `[H, A]` for getting from `state [D]` to `goal [D]`.
    ///
    /// # Errors
    /// [`Error::Shape`] when a latent has another width.
    pub fn plan(&self, state: &[f32], goal: &[f32]) -> Result<Vec<f32>> {
        let width = self.config.latent_width;
        if (state.len(), goal.len()) != (width, width) {
            return Err(Error::Shape {
                operation: "asking the policy",
                expected: format!("latents of {width}"),
                got: format!("{} and {}", state.len(), goal.len()),
            });
        }
        let row = |values: &[f32]| tensor(values.to_vec(), (1, width));
        Ok(with_values(&self.forward(&row(state)?, &row(goal)?)?, <[f32]>::to_vec)?)
    }

    /// Reads a policy that [`Policy::save`] wrote.
    ///
    /// # Errors
    /// [`Error::File`] when the file is missing or broken.
    pub fn load(path: &Path) -> Result<Self> {
        let (tensors, header) = weights_file::read(path)?;
        let header = header.ok_or_else(|| Error::file(path, "header: expected a policy's config, got none"))?;
        let config = serde_json::from_str(&header).map_err(|error| Error::file(path, error))?;
        Self::build(config, Source::stored(tensors)).map_err(|error| Error::file(path, error))
    }

    /// Writes weights and config to one file.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let header = serde_json::to_string(&self.config).map_err(|error| Error::file(path, error))?;
        let tensors: BTreeMap<String, Tensor> =
            self.weights.iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
        weights_file::write(path, &tensors, Some(header))
    }
}

/// What a planner did: `N` states `[N, D]`, goals `[N, D]` and the plans `[N, H * A]` that were found for them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lessons {
    /// Where the planner was.
    pub states: Vec<f32>,
    /// Where it wanted to be.
    pub goals: Vec<f32>,
    /// What it would do.
    pub plans: Vec<f32>,
}

/// What a policy has learnt, on lessons that were kept back.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PolicyReport {
    /// Lessons that it learnt from.
    pub lessons: usize,
    /// Optimiser steps.
    pub steps: usize,
    /// Mean squared difference between its first blocks and the planner's.
    pub first_block_error: f64,
    /// The same of a policy that always does the planner's mean first block.
    pub first_block_error_of_mean: f64,
}

/// Lessons per step.
const BATCH: usize = 512;
/// Parts a step is done in, each on a thread if there are as many; sums are made part by part.
const PARTS: usize = 2;
/// One of so many lessons is kept back.
const KEPT_BACK: usize = 20;
/// Weight of the first block among all blocks of a plan: it is what is done.
const FIRST_BLOCK_WEIGHT: f32 = 3.0;

/// Trains a policy on `lessons`. `go_on` hears of every step done; when it says no, training stops early. The result does not depend on the
/// number of threads.
///
/// # Errors
/// [`Error::Data`] when lessons are too few or their widths do not fit; [`Error::Diverged`] when the loss is not finite.
pub fn train_policy(
    config: PolicyConfig,
    lessons: &Lessons,
    steps: usize,
    seed: Seed,
    threads: usize,
    mut go_on: impl FnMut(usize) -> bool,
) -> Result<(Policy, PolicyReport)> {
    let (width, plan_width) = (config.latent_width, config.plan_width());
    let count = lessons.states.len() / width;
    let lengths = (lessons.states.len(), lessons.goals.len(), lessons.plans.len());
    if count < 2 * KEPT_BACK || lengths != (count * width, count * width, count * plan_width) {
        let expected = format!("at least {} of {width}, {width} and {plan_width} numbers", 2 * KEPT_BACK);
        return Err(Error::Data { field: "lessons", expected, got: format!("{lengths:?} numbers") });
    }
    let policy = Policy::build(config, Source::fresh(seed.child("policy")))?;
    let (held, learnt): (Vec<usize>, Vec<usize>) = (0..count).partition(|index| index % KEPT_BACK == 0);
    let weights = block_weights(policy.config())?;
    let pool = thread_pool(threads)?;
    let optimiser = OptimiserConfig::default();
    let mut moments = Moments::default();
    let mut order: Vec<usize> = Vec::new();
    for step in 0..steps {
        if order.len() < BATCH {
            order = learnt.iter().copied().cycle().take(learnt.len().max(BATCH)).collect();
            order.shuffle(&mut seed.child("order").index(step as u64).rng());
        }
        let batch = order.split_off(order.len() - BATCH);
        let part = |indices: &[usize]| -> Result<(f32, Gradients)> {
            let loss = loss(&policy, lessons, indices, &weights)?;
            let store = (&loss / PARTS as f64)?.backward()?;
            let mut gradients = Gradients::new();
            collect(&mut gradients, policy.weights.iter(), &store)?;
            Ok((loss.to_scalar::<f32>()?, gradients))
        };
        let parts = pool.install(|| batch.par_chunks(BATCH / PARTS).map(part).collect::<Result<Vec<_>>>())?;
        let mut gradients = Gradients::new();
        for (loss, part) in parts {
            require_finite(step, "the loss of the policy", f64::from(loss))?;
            part.into_iter().for_each(|(name, values)| add(&mut gradients, name, values));
        }
        clip(&mut gradients, optimiser.clip_norm);
        let rate = optimiser.learning_rate_at(step, steps);
        pool.install(|| adamw(policy.weights.iter(), &gradients, &mut moments, &optimiser, rate, step))?;
        if !go_on(step + 1) {
            break;
        }
    }
    let report = PolicyReport {
        lessons: learnt.len(),
        steps,
        first_block_error: first_block_error(&policy, lessons, &held)?,
        first_block_error_of_mean: first_block_error_of_mean(policy.config(), lessons, &learnt, &held),
    };
    Ok((policy, report))
}

/// `[1, H * A]`, 1 on average.
fn block_weights(config: &PolicyConfig) -> Result<Tensor> {
    let mut weights = vec![1.0; config.plan_width()];
    weights[..config.block_width].fill(FIRST_BLOCK_WEIGHT);
    let mean = weights.iter().sum::<f32>() / weights.len() as f32;
    weights.iter_mut().for_each(|weight| *weight /= mean);
    Ok(tensor(weights, (1, config.plan_width()))?)
}

/// Rows `indices` of `values [N, width]`.
fn rows(values: &[f32], width: usize, indices: &[usize]) -> Result<Tensor> {
    let picked = indices.iter().flat_map(|&index| &values[index * width..(index + 1) * width]).copied().collect();
    Ok(tensor(picked, (indices.len(), width))?)
}

fn loss(policy: &Policy, lessons: &Lessons, indices: &[usize], weights: &Tensor) -> Result<Tensor> {
    let width = policy.config.latent_width;
    let (states, goals) = (rows(&lessons.states, width, indices)?, rows(&lessons.goals, width, indices)?);
    let plans = rows(&lessons.plans, policy.config.plan_width(), indices)?;
    Ok((policy.forward(&states, &goals)? - plans)?.sqr()?.broadcast_mul(weights)?.mean_all()?)
}

fn first_block_error(policy: &Policy, lessons: &Lessons, indices: &[usize]) -> Result<f64> {
    let PolicyConfig { latent_width: width, block_width, .. } = policy.config;
    let plan_width = policy.config.plan_width();
    let (states, goals) = (rows(&lessons.states, width, indices)?, rows(&lessons.goals, width, indices)?);
    let plans = with_values(&policy.forward(&states, &goals)?, <[f32]>::to_vec)?;
    let pairs = plans.chunks_exact(plan_width).zip(indices);
    let squares = pairs.flat_map(|(plan, &index)| {
        let wanted = &lessons.plans[index * plan_width..][..block_width];
        plan[..block_width].iter().zip(wanted).map(|(got, wanted)| f64::from(got - wanted).powi(2)).collect::<Vec<_>>()
    });
    Ok(squares.sum::<f64>() / (indices.len() * block_width).max(1) as f64)
}

fn first_block_error_of_mean(config: &PolicyConfig, lessons: &Lessons, learnt: &[usize], held: &[usize]) -> f64 {
    let first = |index: usize, value: usize| f64::from(lessons.plans[index * config.plan_width() + value]);
    let of_value = |value: usize| {
        let mean = learnt.iter().map(|&index| first(index, value)).sum::<f64>() / learnt.len().max(1) as f64;
        held.iter().map(|&index| (first(index, value) - mean).powi(2)).sum::<f64>()
    };
    (0..config.block_width).map(of_value).sum::<f64>() / (held.len() * config.block_width).max(1) as f64
}
