//! The fast way to several futures: predictor and prior on plain slices, many plans at a time.
//!
//! Futures of a plan that have drawn the same codes so far are one row: where nothing is uncertain, many futures cost as much as one. A row has the same
//! bits whatever rows stand beside it, so that neither this nor the number of threads changes anything but the time.

use rayon::prelude::*;

use super::draws::{Draws, drawn};
use super::{Futures, FuturesConfig};
use crate::network::{Buffers, Network};
use crate::ops::Precision;
use crate::scratch::{Spare, group_of};
use crate::{Error, Result};

/// Most plans rolled out together.
const GROUP: usize = 32;

/// Predictor and prior ready for rolling plans `[N, H, A]` out from one start `[D]`.
#[derive(Debug, Clone)]
pub struct FuturesEngine {
    config: FuturesConfig,
    predictor: Network,
    prior: Network,
    spare: Spare<Scratch>,
}

/// What follows from plans.
#[derive(Debug, Clone, PartialEq)]
pub struct Imagined {
    /// The latents after every block, `[N, S, H, D]`.
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
    /// Row of every future, `[n, S]`.
    row_of: Vec<usize>,
    /// The row that a row and a code lead to, `[rows, C]`, or [`NONE`].
    child_of: Vec<usize>,
    next: Vec<f32>,
    next_plans: Vec<usize>,
    joined: Vec<f32>,
    scores: Vec<f32>,
    buffers: Buffers,
}

/// No row yet.
const NONE: usize = usize::MAX;

impl FuturesEngine {
    /// Copies the weights, those between hidden layers in `precision` (the prior's are always exact).
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub fn new(futures: &Futures, precision: Precision) -> Result<Self> {
        Ok(Self {
            config: futures.config.clone(),
            predictor: futures.predictor.packed(precision)?,
            prior: futures.prior.trunk.packed(&futures.prior.output, Precision::F32)?,
            spare: Spare::default(),
        })
    }

    /// Width `D` of a latent.
    pub fn latent_width(&self) -> usize {
        self.config.latent_width
    }

    /// Width `A` of an action block.
    pub fn block_width(&self) -> usize {
        self.config.block_width
    }

    /// Codes `C`.
    pub fn codes(&self) -> usize {
        self.config.codes
    }

    /// Rolls `plans [N, H, A]` out from `start [D]` into as many futures as `draws` has. On `threads` > 1 groups of plans are shared out on the current
    /// rayon pool; the result is the same.
    ///
    /// # Errors
    /// [`Error::Shape`] when the sizes do not fit.
    pub fn imagine(
        &self,
        start: &[f32],
        plans: &[f32],
        horizon: usize,
        draws: &Draws,
        threads: usize,
    ) -> Result<Imagined> {
        let FuturesConfig { latent_width, block_width, .. } = self.config;
        let plan_len = horizon * block_width;
        if start.len() != latent_width || plan_len == 0 || !plans.len().is_multiple_of(plan_len) {
            return Err(Error::Shape {
                operation: "imagining several futures",
                expected: format!("a start of {latent_width} values, plans of {plan_len}"),
                got: format!("a start of {} values, {} values of plans", start.len(), plans.len()),
            });
        }
        let numbers: Vec<Vec<f32>> = (0..horizon).map(|block| draws.of_block(block)).collect();
        let states = plans.len() / plan_len * draws.futures() * horizon;
        let mut imagined = Imagined { latents: vec![0.0; states * latent_width], codes: vec![0; states] };
        let group = group_of(plans.len() / plan_len, threads, GROUP);
        let states = group * draws.futures() * horizon;
        let roll = |((plans, latents), codes): ((&[f32], &mut [f32]), &mut [usize])| {
            self.spare.lend(|scratch| self.roll_group(start, plans, &numbers, latents, codes, scratch));
        };
        let Imagined { latents, codes } = &mut imagined;
        let (plan_group, latent_group) = (group * plan_len, states * latent_width);
        if threads > 1 {
            let groups = plans.par_chunks(plan_group).zip(latents.par_chunks_mut(latent_group));
            groups.zip(codes.par_chunks_mut(states)).for_each(roll);
        } else {
            let groups = plans.chunks(plan_group).zip(latents.chunks_mut(latent_group));
            groups.zip(codes.chunks_mut(states)).for_each(roll);
        }
        Ok(imagined)
    }

    fn roll_group(
        &self,
        start: &[f32],
        plans: &[f32],
        numbers: &[Vec<f32>],
        latents: &mut [f32],
        codes: &mut [usize],
        scratch: &mut Scratch,
    ) {
        let (width, block_width, horizon) = (self.config.latent_width, self.config.block_width, numbers.len());
        let count = plans.len() / (horizon * block_width);
        let futures = numbers.first().map_or(0, Vec::len);
        scratch.latents.clear();
        (0..count).for_each(|_| scratch.latents.extend_from_slice(start));
        scratch.plans.clear();
        scratch.plans.extend(0..count);
        scratch.row_of.clear();
        scratch.row_of.extend((0..count).flat_map(|plan| std::iter::repeat_n(plan, futures)));
        for (step, numbers) in numbers.iter().enumerate() {
            let block = |plan: usize| &plans[(plan * horizon + step) * block_width..][..block_width];
            self.guess(block, scratch);
            self.branch(block, numbers, scratch, |future, code| codes[future * horizon + step] = code);
            self.predictor.add_to(&scratch.joined, &mut scratch.next, &mut scratch.buffers);
            std::mem::swap(&mut scratch.latents, &mut scratch.next);
            std::mem::swap(&mut scratch.plans, &mut scratch.next_plans);
            for (future, row) in scratch.row_of.iter().enumerate() {
                latents[(future * horizon + step) * width..][..width]
                    .copy_from_slice(&scratch.latents[row * width..(row + 1) * width]);
            }
        }
    }

    /// Probabilities of the codes of every row, in `scratch.scores`.
    fn guess<'a>(&self, block: impl Fn(usize) -> &'a [f32], scratch: &mut Scratch) {
        let Scratch { latents, plans, joined, scores, buffers, .. } = scratch;
        joined.clear();
        for (latent, &plan) in latents.chunks_exact(self.config.latent_width).zip(&*plans) {
            joined.extend_from_slice(latent);
            joined.extend_from_slice(block(plan));
        }
        scores.clear();
        scores.resize(plans.len() * self.config.codes, 0.0);
        self.prior.add_to(joined, scores, buffers);
        for row in scores.chunks_exact_mut(self.config.codes) {
            let most = row.iter().fold(f32::NEG_INFINITY, |most, &score| most.max(score));
            row.iter_mut().for_each(|score| *score = (*score - most).exp());
            let sum: f32 = row.iter().sum();
            row.iter_mut().for_each(|share| *share /= sum);
        }
    }

    /// Lets every future draw its code; `note` hears of it. Afterwards `scratch.next` has the latents of the rows that come of it, and
    /// `scratch.joined` what the predictor moves them on by.
    fn branch<'a>(
        &self,
        block: impl Fn(usize) -> &'a [f32],
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
        for (future, row) in row_of.iter_mut().enumerate() {
            let code = drawn(&scores[*row * codes..(*row + 1) * codes], numbers[future % numbers.len()]);
            note(future, code);
            let child = &mut child_of[*row * codes + code];
            if *child == NONE {
                *child = next_plans.len();
                let latent = &latents[*row * width..(*row + 1) * width];
                next.extend_from_slice(latent);
                joined.extend_from_slice(latent);
                joined.extend_from_slice(block(plans[*row]));
                joined.extend((0..codes).map(|one| f32::from(u8::from(one == code))));
                next_plans.push(plans[*row]);
            }
            *row = *child;
        }
    }
}
