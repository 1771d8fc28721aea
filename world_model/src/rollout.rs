//! The fast rollout engine: the predictor's forward pass on plain slices, many plans at a time.
//!
//! Same arithmetic as [`crate::predictor::Predictor`] (a test compares them), without graph, allocation per layer or locks. A plan's
//! row has the same bits whatever rows stand beside it, so neither the number of threads nor the size of groups changes anything but
//! the time.

use rayon::prelude::*;

use crate::adaptation::LastLayer;
use crate::jepa::Jepa;
use crate::network::{Buffers, Network};
use crate::ops::Precision;
use crate::predictor::Predictor;
use crate::scratch::{Spare, Starts, group_of};
use crate::{Error, Result};

/// Most plans rolled out together: what they need stays in the second-level cache.
const GROUP: usize = 128;

/// A predictor ready for rolling out plans `[N, H, A]`.
#[derive(Debug, Clone)]
pub struct RolloutEngine {
    latent_width: usize,
    block_width: usize,
    network: Network,
    /// Scratch memory that no group is using.
    spare: Spare<Scratch>,
}

/// Buffers of one group.
#[derive(Debug, Default)]
struct Scratch {
    joined: Vec<f32>,
    latents: Vec<f32>,
    buffers: Buffers,
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
        Self::of_predictor(model.predictor(), config.latent_width, config.block_width(), precision)
    }

    /// Copies the weights of a predictor of latents `[D]` and blocks `[A]` that need not be a model's own.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub fn of_predictor(
        predictor: &Predictor,
        latent_width: usize,
        block_width: usize,
        precision: Precision,
    ) -> Result<Self> {
        Ok(Self { latent_width, block_width, network: predictor.packed(precision)?, spare: Spare::default() })
    }

    /// Width `D` of a latent.
    pub fn latent_width(&self) -> usize {
        self.latent_width
    }

    /// Width `A` of an action block.
    pub fn block_width(&self) -> usize {
        self.block_width
    }

    /// Rolls `plans [N, H, A]` out from `starts`, one `[D]` for all of them or one each, `[N, D]`; the latents after every block, `[N, H, D]`.
    /// On `threads` > 1 groups of plans are shared out on the current rayon pool; the result is the same.
    ///
    /// # Errors
    /// [`Error::Shape`] when the sizes do not fit.
    pub fn rollout(&self, starts: &[f32], plans: &[f32], horizon: usize, threads: usize) -> Result<Vec<f32>> {
        let plan_len = horizon * self.block_width;
        let starts = Starts::new("rollout", starts, self.latent_width, plans.len(), plan_len)?;
        let mut rollouts = vec![0.0; plans.len() / self.block_width * self.latent_width];
        let rollout_len = horizon * self.latent_width;
        let group = group_of(plans.len() / plan_len, threads, GROUP);
        let (plan_group, rollout_group) = (group * plan_len, group * rollout_len);
        let roll = |(index, (plans, rollouts)): (usize, (&[f32], &mut [f32]))| {
            let starts = starts.from(index * group);
            self.spare.lend(|scratch| self.roll_group(starts, plans, horizon, rollouts, scratch));
        };
        if threads > 1 {
            plans.par_chunks(plan_group).zip(rollouts.par_chunks_mut(rollout_group)).enumerate().for_each(roll);
        } else {
            plans.chunks(plan_group).zip(rollouts.chunks_mut(rollout_group)).enumerate().for_each(roll);
        }
        Ok(rollouts)
    }

    /// The activations before the last layer `[N, W]`, and the latents one block later `[N, D]`, of `states [N, D]` in which `blocks [N, A]` are done.
    ///
    /// # Errors
    /// [`Error::Shape`] when the sizes do not fit.
    pub(crate) fn activations(&self, states: &[f32], blocks: &[f32]) -> Result<(Vec<f32>, Vec<f32>)> {
        let rows = states.len() / self.latent_width;
        if (states.len(), blocks.len()) != (rows * self.latent_width, rows * self.block_width) {
            return Err(Error::Shape {
                operation: "activations",
                expected: format!("states of {} values, blocks of {}", self.latent_width, self.block_width),
                got: format!("{} and {} values", states.len(), blocks.len()),
            });
        }
        Ok(self.spare.lend(|scratch| {
            scratch.joined.clear();
            for (state, block) in states.chunks_exact(self.latent_width).zip(blocks.chunks_exact(self.block_width)) {
                scratch.joined.extend_from_slice(state);
                scratch.joined.extend_from_slice(block);
            }
            scratch.latents.clear();
            scratch.latents.extend_from_slice(states);
            self.network.add_to(&scratch.joined, &mut scratch.latents, &mut scratch.buffers);
            (scratch.buffers.hidden().to_vec(), scratch.latents.clone())
        }))
    }

    /// The same engine with another last layer.
    ///
    /// # Errors
    /// [`Error::Shape`] when the layer has another size.
    pub fn with_last_layer(&self, layer: &LastLayer) -> Result<Self> {
        Ok(Self { network: self.network.with_last_layer(layer)?, ..self.clone() })
    }

    fn roll_group(
        &self,
        starts: Starts<'_>,
        plans: &[f32],
        horizon: usize,
        rollouts: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let rows = plans.len() / (horizon * self.block_width);
        let joined = self.network.inputs();
        scratch.joined.resize(rows * joined, 0.0);
        starts.fill(&mut scratch.latents, rows);
        for step in 0..horizon {
            for (row, plan) in plans.chunks_exact(horizon * self.block_width).enumerate() {
                let block = &plan[step * self.block_width..(step + 1) * self.block_width];
                let latent = &scratch.latents[row * self.latent_width..(row + 1) * self.latent_width];
                let joined = &mut scratch.joined[row * joined..(row + 1) * joined];
                joined[..self.latent_width].copy_from_slice(latent);
                joined[self.latent_width..].copy_from_slice(block);
            }
            self.network.add_to(&scratch.joined, &mut scratch.latents, &mut scratch.buffers); // on by one block
            for (row, rollout) in rollouts.chunks_exact_mut(horizon * self.latent_width).enumerate() {
                let latent = &scratch.latents[row * self.latent_width..(row + 1) * self.latent_width];
                rollout[step * self.latent_width..(step + 1) * self.latent_width].copy_from_slice(latent);
            }
        }
    }
}
