//! The fast rollout engine: the predictor's forward pass on plain slices, many plans at a time.
//!
//! Same arithmetic as [`Predictor`] (a test compares them), without graph, allocation per layer or
//! locks. A plan has the same bits beside any other plans, so the number of threads and the size of groups
//! change nothing but the time.

use rayon::prelude::*;

use super::network::Jepa;
use super::predictor::Predictor;
use crate::Result;
use crate::cancel::Cancel;
use crate::inference_mlp::{InferenceMlp, MlpScratch};
use crate::ops::Precision;
use crate::scratch::{BufferPool, Starts, group_of};

/// Most plans rolled out together: their buffers stay in the second-level cache.
const GROUP: usize = 128;

/// A predictor ready for rolling out plans `[N, H, A]`.
#[derive(Debug, Clone)]
pub struct RolloutEngine {
    latent_width: usize,
    chunk_width: usize,
    mlp: InferenceMlp,
    pool: BufferPool<Scratch>,
}

/// Buffers of one group.
#[derive(Debug, Default)]
struct Scratch {
    joined: Vec<f32>,
    latents: Vec<f32>,
    mlp: MlpScratch,
}

impl RolloutEngine {
    /// Copies the predictor's weights.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub fn new(model: &Jepa) -> Result<Self> {
        Self::with_precision(model, Precision::F32)
    }

    /// Copies the predictor's weights, those between hidden layers (nearly all) in `precision`.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub fn with_precision(model: &Jepa, precision: Precision) -> Result<Self> {
        let config = model.config();
        Self::of_predictor(model.predictor(), config.latent_width, config.chunk_width(), precision)
    }

    /// Copies the weights of a predictor of latents `[D]` and chunks `[A]` that need not be a model's own.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub fn of_predictor(
        predictor: &Predictor,
        latent_width: usize,
        chunk_width: usize,
        precision: Precision,
    ) -> Result<Self> {
        Ok(Self { latent_width, chunk_width, mlp: predictor.packed(precision)?, pool: BufferPool::default() })
    }

    /// Width `D` of a latent.
    pub fn latent_width(&self) -> usize {
        self.latent_width
    }

    /// Width `A` of an action chunk.
    pub fn chunk_width(&self) -> usize {
        self.chunk_width
    }

    /// Rolls `plans [N, H, A]` out from `starts`, one `[D]` for all of them or one each, `[N, D]`; the latents after
    /// every chunk, `[N, H, D]`. On `threads` > 1 groups of plans are divided over the current rayon pool; the result
    /// is the same.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) when the sizes do not fit.
    pub fn rollout(&self, starts: &[f32], plans: &[f32], horizon: usize, threads: usize) -> Result<Vec<f32>> {
        self.rollout_until(starts, plans, horizon, threads, Cancel::never())
    }

    /// The same, as long as it is wanted.
    ///
    /// # Errors
    /// As [`RolloutEngine::rollout`], and [`Error::Cancelled`](crate::Error::Cancelled).
    pub fn rollout_until(
        &self,
        starts: &[f32],
        plans: &[f32],
        horizon: usize,
        threads: usize,
        cancel: Cancel<'_>,
    ) -> Result<Vec<f32>> {
        let plan_len = horizon * self.chunk_width;
        let starts = Starts::new("rollout", starts, self.latent_width, plans.len(), plan_len)?;
        let mut rollouts = vec![0.0; plans.len() / self.chunk_width * self.latent_width];
        let rollout_len = horizon * self.latent_width;
        let group = group_of(plans.len() / plan_len, threads, GROUP);
        let (plan_group, rollout_group) = (group * plan_len, group * rollout_len);
        let roll = |(index, (plans, rollouts)): (usize, (&[f32], &mut [f32]))| {
            let starts = starts.from(index * group);
            self.pool.lend(|scratch| self.roll_group(starts, plans, horizon, rollouts, scratch, cancel))
        };
        if threads > 1 {
            plans.par_chunks(plan_group).zip(rollouts.par_chunks_mut(rollout_group)).enumerate().try_for_each(roll)?;
        } else {
            plans.chunks(plan_group).zip(rollouts.chunks_mut(rollout_group)).enumerate().try_for_each(roll)?;
        }
        Ok(rollouts)
    }

    fn roll_group(
        &self,
        starts: Starts<'_>,
        plans: &[f32],
        horizon: usize,
        rollouts: &mut [f32],
        scratch: &mut Scratch,
        cancel: Cancel<'_>,
    ) -> Result<()> {
        let rows = plans.len() / (horizon * self.chunk_width);
        let joined = self.mlp.inputs();
        scratch.joined.resize(rows * joined, 0.0);
        starts.fill(&mut scratch.latents, rows);
        for step in 0..horizon {
            cancel.check()?;
            for (row, plan) in plans.chunks_exact(horizon * self.chunk_width).enumerate() {
                let chunk = &plan[step * self.chunk_width..(step + 1) * self.chunk_width];
                let latent = &scratch.latents[row * self.latent_width..(row + 1) * self.latent_width];
                let joined = &mut scratch.joined[row * joined..(row + 1) * joined];
                joined[..self.latent_width].copy_from_slice(latent);
                joined[self.latent_width..].copy_from_slice(chunk);
            }
            // The latents become those after this chunk.
            self.mlp.add_to(&scratch.joined, &mut scratch.latents, &mut scratch.mlp);
            for (row, rollout) in rollouts.chunks_exact_mut(horizon * self.latent_width).enumerate() {
                let latent = &scratch.latents[row * self.latent_width..(row + 1) * self.latent_width];
                rollout[step * self.latent_width..(step + 1) * self.latent_width].copy_from_slice(latent);
            }
        }
        Ok(())
    }
}
