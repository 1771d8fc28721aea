//! The fast rollout engine of the stochastic predictor: predictor and prior on plain slices, many plans at a time.
//!
//! Samples of a plan that have drawn the same codes so far share one row: where nothing is uncertain, many samples cost
//! as much as one. A row has the same bits beside any other rows, so neither this nor the number of threads
//! changes anything but the time.

use rayon::prelude::*;

use super::draws::{Draws, drawn};
use super::{StochasticConfig, StochasticPredictor};
use crate::cancel::Cancel;
use crate::inference_mlp::{InferenceMlp, MlpScratch};
use crate::ops::Precision;
use crate::scratch::{BufferPool, group_of};
use crate::{Error, Result};

/// Most plans rolled out together.
const GROUP: usize = 32;

/// Predictor and prior ready for rolling plans `[N, H, A]` out from one start `[D]`.
#[derive(Debug, Clone)]
pub struct StochasticEngine {
    config: StochasticConfig,
    predictor: InferenceMlp,
    prior: InferenceMlp,
    pool: BufferPool<Scratch>,
}

/// Predicted states of several samples per plan.
#[derive(Debug, Clone, PartialEq)]
pub struct StochasticRollouts {
    /// The latents after every chunk, `[N, S, H, D]`.
    pub latents: Vec<f32>,
    /// The codes drawn, `[N, S, H]`.
    pub codes: Vec<usize>,
}

/// Buffers of one group.
#[derive(Debug, Default)]
struct Scratch {
    /// Latents of the rows, `[rows, D]`, and the plan of each.
    latents: Vec<f32>,
    plans: Vec<usize>,
    /// Row of every sample, `[n, S]`.
    row_of: Vec<usize>,
    /// The row that a row and a code lead to, `[rows, C]`, or [`NONE`].
    child_of: Vec<usize>,
    next: Vec<f32>,
    next_plans: Vec<usize>,
    joined: Vec<f32>,
    scores: Vec<f32>,
    mlp: MlpScratch,
}

/// No row yet.
const NONE: usize = usize::MAX;

impl StochasticEngine {
    /// Copies the weights, those between hidden layers in `precision` (the prior's are always exact).
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub fn new(predictor: &StochasticPredictor, precision: Precision) -> Result<Self> {
        Ok(Self {
            config: predictor.config.clone(),
            predictor: predictor.predictor.packed(precision)?,
            prior: InferenceMlp::of_gated(&predictor.prior.trunk, &predictor.prior.output, Precision::F32)?,
            pool: BufferPool::default(),
        })
    }

    /// Width `D` of a latent.
    pub fn latent_width(&self) -> usize {
        self.config.latent_width
    }

    /// Width `A` of an action chunk.
    pub fn chunk_width(&self) -> usize {
        self.config.chunk_width
    }

    /// Codes `C`.
    pub fn codes(&self) -> usize {
        self.config.codes
    }

    /// Rolls `plans [N, H, A]` out from `start [D]` with as many samples per plan as `draws` has. On `threads` > 1
    /// groups of plans are divided over the current rayon pool; the result is the same.
    ///
    /// # Errors
    /// [`Error::Shape`] when the sizes do not fit.
    pub fn rollout(
        &self,
        start: &[f32],
        plans: &[f32],
        horizon: usize,
        draws: &Draws,
        threads: usize,
    ) -> Result<StochasticRollouts> {
        self.rollout_until(start, plans, horizon, draws, threads, Cancel::never())
    }

    /// The same, as long as it is wanted.
    ///
    /// # Errors
    /// As [`StochasticEngine::rollout`], and [`Error::Cancelled`].
    pub fn rollout_until(
        &self,
        start: &[f32],
        plans: &[f32],
        horizon: usize,
        draws: &Draws,
        threads: usize,
        cancel: Cancel<'_>,
    ) -> Result<StochasticRollouts> {
        let StochasticConfig { latent_width, chunk_width, .. } = self.config;
        let plan_len = horizon * chunk_width;
        if start.len() != latent_width || plan_len == 0 || !plans.len().is_multiple_of(plan_len) {
            return Err(Error::Shape {
                operation: "rollout of samples",
                expected: format!("a start of {latent_width} values, plans of {plan_len}"),
                got: format!("a start of {} values, {} values of plans", start.len(), plans.len()),
            });
        }
        let numbers: Vec<Vec<f32>> = (0..horizon).map(|chunk| draws.of_chunk(chunk)).collect();
        let states = plans.len() / plan_len * draws.samples() * horizon;
        let mut rollouts = StochasticRollouts { latents: vec![0.0; states * latent_width], codes: vec![0; states] };
        let group = group_of(plans.len() / plan_len, threads, GROUP);
        let states = group * draws.samples() * horizon;
        let roll = |((plans, latents), codes): ((&[f32], &mut [f32]), &mut [usize])| {
            self.pool.lend(|scratch| self.roll_group(start, plans, &numbers, (latents, codes), scratch, cancel))
        };
        let StochasticRollouts { latents, codes } = &mut rollouts;
        let (plan_group, latent_group) = (group * plan_len, states * latent_width);
        if threads > 1 {
            let groups = plans.par_chunks(plan_group).zip(latents.par_chunks_mut(latent_group));
            groups.zip(codes.par_chunks_mut(states)).try_for_each(roll)?;
        } else {
            let groups = plans.chunks(plan_group).zip(latents.chunks_mut(latent_group));
            groups.zip(codes.chunks_mut(states)).try_for_each(roll)?;
        }
        Ok(rollouts)
    }

    fn roll_group(
        &self,
        start: &[f32],
        plans: &[f32],
        numbers: &[Vec<f32>],
        (latents, codes): (&mut [f32], &mut [usize]),
        scratch: &mut Scratch,
        cancel: Cancel<'_>,
    ) -> Result<()> {
        let (width, chunk_width, horizon) = (self.config.latent_width, self.config.chunk_width, numbers.len());
        let count = plans.len() / (horizon * chunk_width);
        let samples = numbers.first().map_or(0, Vec::len);
        scratch.latents.clear();
        (0..count).for_each(|_| scratch.latents.extend_from_slice(start));
        scratch.plans.clear();
        scratch.plans.extend(0..count);
        scratch.row_of.clear();
        scratch.row_of.extend((0..count).flat_map(|plan| std::iter::repeat_n(plan, samples)));
        for (step, numbers) in numbers.iter().enumerate() {
            cancel.check()?;
            let chunk = |plan: usize| &plans[(plan * horizon + step) * chunk_width..][..chunk_width];
            self.code_probabilities(chunk, scratch);
            self.branch(chunk, numbers, scratch, |sample, code| codes[sample * horizon + step] = code);
            self.predictor.add_to(&scratch.joined, &mut scratch.next, &mut scratch.mlp);
            std::mem::swap(&mut scratch.latents, &mut scratch.next);
            std::mem::swap(&mut scratch.plans, &mut scratch.next_plans);
            for (sample, row) in scratch.row_of.iter().enumerate() {
                latents[(sample * horizon + step) * width..][..width]
                    .copy_from_slice(&scratch.latents[row * width..(row + 1) * width]);
            }
        }
        Ok(())
    }

    /// Writes the probabilities of the codes of every row to `scratch.scores`.
    fn code_probabilities<'a>(&self, chunk: impl Fn(usize) -> &'a [f32], scratch: &mut Scratch) {
        let Scratch { latents, plans, joined, scores, mlp, .. } = scratch;
        joined.clear();
        for (latent, &plan) in latents.chunks_exact(self.config.latent_width).zip(&*plans) {
            joined.extend_from_slice(latent);
            joined.extend_from_slice(chunk(plan));
        }
        scores.clear();
        scores.resize(plans.len() * self.config.codes, 0.0);
        self.prior.add_to(joined, scores, mlp);
        for row in scores.chunks_exact_mut(self.config.codes) {
            let largest = row.iter().fold(f32::NEG_INFINITY, |largest, &score| largest.max(score));
            row.iter_mut().for_each(|score| *score = (*score - largest).exp());
            let sum: f32 = row.iter().sum();
            row.iter_mut().for_each(|share| *share /= sum);
        }
    }

    /// Draws the code of every sample and calls `note(sample, code)`. Afterwards `scratch.next` holds the latents of
    /// the rows that the predictor moves on, and `scratch.joined` its inputs.
    fn branch<'a>(
        &self,
        chunk: impl Fn(usize) -> &'a [f32],
        numbers: &[f32],
        scratch: &mut Scratch,
        mut note: impl FnMut(usize, usize),
    ) {
        let Scratch { latents, plans, row_of, child_of, next, next_plans, joined, scores, .. } = scratch;
        let (width, codes) = (self.config.latent_width, self.config.codes);
        child_of.clear();
        child_of.resize(plans.len() * codes, NONE);
        next.clear();
        next_plans.clear();
        joined.clear();
        for (sample, row) in row_of.iter_mut().enumerate() {
            let code = drawn(&scores[*row * codes..(*row + 1) * codes], numbers[sample % numbers.len()]);
            note(sample, code);
            let child = &mut child_of[*row * codes + code];
            if *child == NONE {
                *child = next_plans.len();
                let latent = &latents[*row * width..(*row + 1) * width];
                next.extend_from_slice(latent);
                joined.extend_from_slice(latent);
                joined.extend_from_slice(chunk(plans[*row]));
                joined.extend((0..codes).map(|one| f32::from(u8::from(one == code))));
                next_plans.push(plans[*row]);
            }
            *row = *child;
        }
    }
}
