//! V-JEPA's attentive probe (its `AttentivePooler` of one block): a learned query attends to the normed tokens, a
//! perceptron and a linear map follow.
//!
//! Attention of one query is folded: scores are products of the tokens with the query taken through the keys' map, and
//! tokens are averaged before the values' map. It is the same function, without keys and values of every token.

use std::ops::Range;

use candle_core::{Device, Tensor, Var};
use mindseye_interface::Seed;
use rand::seq::SliceRandom as _;

use super::Parts;
use super::ridge::error;
use crate::layers::Linear;
use crate::ops::{affine_norm, gelu, product, tensor, with_values};
use crate::optimiser::OptimiserConfig;
use crate::parameters::{Initial, WeightSource, Weights};
use crate::trainer::{Collective, Objective, PartialGradients, Run, RunOptions, each_part, fit, range_of_part};
use crate::{Error, Result};

/// PyTorch's epsilon, as in the authors' probes.
const EPSILON: f32 = 1e-5;
/// Clips per step.
const BATCH: usize = 48;
/// Micro batches of a step.
const PARTS: usize = 2;
/// Passes through the labelled clips, and the steps that they take at least and at most.
const EPOCHS: usize = 60;
const STEPS: [usize; 2] = [300, 2000];
/// Largest learning rates that are tried, as the authors do: where most of a clip stands still, what differs between
/// clips is small.
const RATES: [f64; 2] = [1e-3, 5e-3];
/// Heads, as far as they divide the width.
const HEADS: [usize; 5] = [16, 8, 4, 2, 1];

/// What the probe reads of the held-out clips, `[n, K]`, with the learning rate that is better on episodes apart.
pub(super) fn read(parts: &Parts<'_>, seed: Seed) -> Result<Vec<f32>> {
    let mut chosen = (f64::INFINITY, RATES[0]);
    for rate in RATES {
        let found = error(parts, &parts.choosing, &trained(parts, &parts.fitting, rate, seed)?.read(&parts.choosing)?);
        if found < chosen.0 {
            chosen = (found, rate);
        }
    }
    trained(parts, &parts.all, chosen.1, seed)?.read(parts.held_out)
}

/// A probe that is trained on the clips `rows`.
fn trained<'a>(parts: &'a Parts<'a>, rows: &'a [usize], learning_rate: f64, seed: Seed) -> Result<Probe<'a>> {
    let mut probe = Probe::new(parts, rows, seed)?;
    let steps = (EPOCHS * rows.len() / BATCH).clamp(STEPS[0], STEPS[1]);
    let optimiser = OptimiserConfig {
        learning_rate,
        warmup_steps: steps / 10,
        final_fraction: 0.0,
        weight_decay: 0.01,
        ..OptimiserConfig::default()
    };
    let threads = rayon::current_num_threads();
    let run = Run::new("attentive probe", steps, serde_json::json!({}));
    fit(&mut probe, run, optimiser, &RunOptions { threads, ..RunOptions::new(seed) })?;
    Ok(probe)
}

struct Probe<'a> {
    parts: &'a Parts<'a>,
    /// The clips it is trained on.
    rows: &'a [usize],
    /// Mean and standard deviation of the targets; of classes 0 and 1.
    centre: Vec<(f32, f32)>,
    heads: usize,
    norm: [Tensor; 2],
    query: Tensor,
    query_map: Linear,
    key: Tensor,
    value: Linear,
    perceptron_norm: [Tensor; 2],
    widen: Linear,
    narrow: Linear,
    output: Linear,
    weights: Weights,
    order: (usize, Vec<usize>),
    seed: Seed,
}

impl<'a> Probe<'a> {
    fn new(parts: &'a Parts<'a>, rows: &'a [usize], seed: Seed) -> Result<Self> {
        let (width, outputs) = (parts.samples.width, parts.labels.width);
        let heads = HEADS.into_iter().find(|heads| width.is_multiple_of(*heads) && width / heads >= 8).unwrap_or(1);
        let mut source = WeightSource::fresh(seed.child("weights"));
        let norm = |source: &mut WeightSource, name: &str| -> Result<[Tensor; 2]> {
            let scale = source.weight(&format!("{name}.weight"), &[width], Initial::Constant(1.0))?;
            Ok([scale, source.weight(&format!("{name}.bias"), &[width], Initial::Constant(0.0))?])
        };
        Ok(Self {
            norm: norm(&mut source, "norm1")?,
            perceptron_norm: norm(&mut source, "norm2")?,
            query: source.weight("query", &[width], Initial::Uniform { bound: 0.035 })?,
            query_map: Linear::new(&mut source, "q", width, width, 1.0)?,
            key: source.weight("k.weight", &[width, width], Initial::for_inputs(width))?,
            value: Linear::new(&mut source, "v", width, width, 1.0)?,
            widen: Linear::new(&mut source, "fc1", width, 4 * width, 1.0)?,
            narrow: Linear::new(&mut source, "fc2", 4 * width, width, 1.0)?,
            output: Linear::new(&mut source, "linear", width, outputs, 1.0)?,
            weights: source.finish()?,
            centre: centre(parts, rows),
            rows,
            heads,
            parts,
            order: (usize::MAX, Vec::new()),
            seed,
        })
    }

    /// What it reads of the clips `rows`, `[n, K]`.
    fn read(&self, rows: &[usize]) -> Result<Vec<f32>> {
        let mut read = Vec::new();
        for rows in rows.chunks(BATCH) {
            read.extend(with_values(&self.forward(rows)?, <[f32]>::to_vec)?);
        }
        for row in read.chunks_exact_mut(self.parts.labels.width) {
            row.iter_mut().zip(&self.centre).for_each(|(value, (mean, std))| *value = *value * std + mean);
        }
        Ok(read)
    }

    /// Numbers or scores of classes `[n, K]` of the clips `rows`.
    fn forward(&self, rows: &[usize]) -> Result<Tensor> {
        let samples = self.parts.samples;
        let (clips, tokens, width) = (rows.len(), samples.tokens, samples.width);
        let head = width / self.heads;
        let values: Vec<f32> = rows.iter().flat_map(|&row| samples.clip_tokens(row)).copied().collect();
        let normal = affine_norm(&tensor(values, (clips * tokens, width))?, &self.norm[0], &self.norm[1], EPSILON)?;
        let query = self.query_map.forward(&self.query.reshape((1, width))?)?;
        let keys = self.key.reshape((self.heads, head, width))?;
        let folded = query.reshape((self.heads, 1, head))?.matmul(&keys)?.reshape((self.heads, width))?;
        let scores = (product(&normal, &folded)? / (head as f64).sqrt())?;
        let scores = scores.reshape((clips, tokens, self.heads))?.transpose(1, 2)?.contiguous()?;
        let exponentials = scores.broadcast_sub(&scores.max_keepdim(2)?.detach())?.exp()?;
        let shares = exponentials.broadcast_div(&exponentials.sum_keepdim(2)?)?;
        let pooled = shares.matmul(&normal.reshape((clips, tokens, width))?)?.transpose(0, 1)?.contiguous()?;
        let maps = self.value.weight.reshape((self.heads, head, width))?.transpose(1, 2)?.contiguous()?;
        let mixed = pooled.matmul(&maps)?.transpose(0, 1)?.contiguous()?.reshape((clips, width))?;
        let mixed = mixed.broadcast_add(&self.value.bias)?.broadcast_add(&self.query)?;
        let normal = affine_norm(&mixed, &self.perceptron_norm[0], &self.perceptron_norm[1], EPSILON)?;
        let changed = (mixed + self.narrow.forward(&gelu(&self.widen.forward(&normal)?)?)?)?;
        self.output.forward(&changed)
    }

    fn loss(&self, rows: &[usize]) -> Result<Tensor> {
        let (read, width) = (self.forward(rows)?, self.parts.labels.width);
        let target = rows.iter().flat_map(|&row| {
            self.parts.labels.target(row).iter().zip(&self.centre).map(|(value, (mean, std))| (value - mean) / std)
        });
        let target = Tensor::from_vec(target.collect::<Vec<f32>>(), (rows.len(), width), &Device::Cpu)?;
        if !self.parts.labels.classes {
            return Ok((read - target)?.sqr()?.mean_all()?);
        }
        let shifted = read.broadcast_sub(&read.max_keepdim(1)?.detach())?;
        let total = shifted.exp()?.sum_keepdim(1)?.log()?;
        let right = (shifted.broadcast_sub(&total)? * target)?.sum(1)?;
        Ok((right.mean_all()? * -1.0)?)
    }
}

fn centre(parts: &Parts<'_>, rows: &[usize]) -> Vec<(f32, f32)> {
    let (labels, count) = (parts.labels, rows.len().max(1) as f32);
    let of = |column: usize| {
        let values = || rows.iter().map(|&row| labels.target(row)[column]);
        let mean = values().sum::<f32>() / count;
        let std = (values().map(|value| (value - mean).powi(2)).sum::<f32>() / count).sqrt();
        (mean, std.max(1e-6))
    };
    (0..labels.width).map(|column| if labels.classes { (0.0, 1.0) } else { of(column) }).collect()
}

impl Objective for Probe<'_> {
    type Batch = Vec<usize>;
    type Error = Error;

    fn weights(&self) -> Weights {
        self.weights.clone()
    }

    fn batch(&mut self, step: usize) -> Result<Vec<usize>> {
        let all = self.rows;
        let size = BATCH.min(all.len());
        let per_epoch = all.len() / size;
        let epoch = step / per_epoch;
        if self.order.0 != epoch {
            let mut order = all.to_vec();
            order.shuffle(&mut self.seed.child("epoch").index(epoch as u64).rng());
            self.order = (epoch, order);
        }
        Ok(self.order.1[step % per_epoch * size..][..size].to_vec())
    }

    fn micro_batches(&self, batch: &Vec<usize>) -> usize {
        PARTS.min(batch.len())
    }

    fn partial_gradients(
        &self,
        batch: &Vec<usize>,
        parts: Range<usize>,
        _collective: &dyn Collective,
    ) -> Result<Vec<PartialGradients>> {
        let count = self.micro_batches(batch);
        each_part(parts, |part| {
            let range = range_of_part(batch.len(), count, part);
            let fraction = range.len() as f64 / batch.len() as f64;
            let loss = (self.loss(&batch[range])? * fraction)?;
            PartialGradients::of(&loss, self.weights.iter().map(|(name, var): (&String, &Var)| (name, var)))
        })
    }
}
