//! The fast rollout engine: the predictor's forward pass on plain slices, many plans at a time.
//!
//! Same arithmetic as [`crate::predictor::Predictor`] (a test compares them), without graph, allocation per layer or locks. Plans
//! are split into groups of a fixed size, so the number of threads changes nothing but the time.

use rayon::prelude::*;

use crate::jepa::Jepa;
use crate::layers::{Linear, Norm};
use crate::ops::matmul::{Matrix, matmul};
use crate::ops::{gate_rows, normalise_rows, silu_in_place, with_values};
use crate::{Error, Result};

/// Plans rolled out together. The matrix product rearranges the weights at every call: with fewer rows that costs as much as the
/// product itself.
const GROUP: usize = 64;

#[derive(Debug, Clone)]
struct Affine {
    weight: Vec<f32>,
    bias: Vec<f32>,
    inputs: usize,
}

impl Affine {
    fn of(linear: &Linear) -> Result<Self> {
        let inputs = linear.weight.dim(1)?;
        let weight = with_values(&linear.weight, <[f32]>::to_vec)?;
        Ok(Self { weight, bias: with_values(&linear.bias, <[f32]>::to_vec)?, inputs })
    }

    fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// `output = input Wᵀ + b`, or `output += …`.
    fn apply(&self, input: &[f32], output: &mut [f32], accumulate: bool) {
        let rows = input.len() / self.inputs;
        for row in output.chunks_exact_mut(self.outputs()) {
            if accumulate {
                row.iter_mut().zip(&self.bias).for_each(|(value, bias)| *value += bias);
            } else {
                row.copy_from_slice(&self.bias);
            }
        }
        let weight = Matrix::new(&self.weight, self.outputs(), self.inputs);
        matmul(output, Matrix::new(input, rows, self.inputs), weight.transposed(), true);
    }
}

#[derive(Debug, Clone)]
struct Normalisation {
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl Normalisation {
    fn of(norm: &Norm) -> Result<Self> {
        Ok(Self {
            scale: with_values(&norm.scale, <[f32]>::to_vec)?,
            shift: with_values(&norm.shift, <[f32]>::to_vec)?,
        })
    }

    /// `silu(norm(inner))`, or the gated rows of `norm(inner)`; `inner` is used up.
    fn activate(&self, inner: &mut [f32], output: &mut [f32], gated: bool) {
        normalise_rows(inner, &self.scale, &self.shift);
        if gated {
            gate_rows(inner, output, self.scale.len() / 2);
        } else {
            silu_in_place(inner);
            output.copy_from_slice(inner);
        }
    }
}

/// A predictor ready for rolling out plans `[N, H, A]` from one start `[D]`.
#[derive(Debug, Clone)]
pub struct RolloutEngine {
    latent_width: usize,
    block_width: usize,
    gated: bool,
    input: (Affine, Normalisation),
    layers: Vec<(Affine, Normalisation)>,
    output: Affine,
}

/// Buffers of one group.
struct Scratch {
    joined: Vec<f32>,
    hidden: Vec<f32>,
    inner: Vec<f32>,
    active: Vec<f32>,
    latents: Vec<f32>,
}

impl RolloutEngine {
    /// Copies the predictor's weights.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub fn new(model: &Jepa) -> Result<Self> {
        let predictor = model.predictor();
        let layer = |(linear, norm): &(Linear, Norm)| Ok((Affine::of(linear)?, Normalisation::of(norm)?));
        Ok(Self {
            latent_width: model.config().latent_width,
            block_width: model.config().block_width(),
            gated: predictor.gated,
            input: (Affine::of(&predictor.input)?, Normalisation::of(&predictor.input_norm)?),
            layers: predictor.layers.iter().map(layer).collect::<Result<_>>()?,
            output: Affine::of(&predictor.output)?,
        })
    }

    /// Width `D` of a latent.
    pub fn latent_width(&self) -> usize {
        self.latent_width
    }

    /// Width `A` of an action block.
    pub fn block_width(&self) -> usize {
        self.block_width
    }

    /// Rolls `plans [N, H, A]` out from `start [D]`; the latents after every block, `[N, H, D]`. On `threads` > 1 groups of plans
    /// are shared out on the current rayon pool; the result is the same.
    ///
    /// # Errors
    /// [`Error::Shape`] when the sizes do not fit.
    pub fn rollout(&self, start: &[f32], plans: &[f32], horizon: usize, threads: usize) -> Result<Vec<f32>> {
        let plan_len = horizon * self.block_width;
        if start.len() != self.latent_width || plan_len == 0 || !plans.len().is_multiple_of(plan_len) {
            return Err(Error::Shape {
                operation: "rollout",
                expected: format!("a start of {} values, plans of {plan_len}", self.latent_width),
                got: format!("a start of {} values, {} values of plans", start.len(), plans.len()),
            });
        }
        let mut rollouts = vec![0.0; plans.len() / self.block_width * self.latent_width];
        let rollout_len = horizon * self.latent_width;
        let (plan_group, rollout_group) = (GROUP * plan_len, GROUP * rollout_len);
        if threads > 1 {
            let groups = plans.par_chunks(plan_group).zip(rollouts.par_chunks_mut(rollout_group));
            groups.for_each(|(plans, rollouts)| self.roll_group(start, plans, horizon, rollouts));
        } else {
            let groups = plans.chunks(plan_group).zip(rollouts.chunks_mut(rollout_group));
            groups.for_each(|(plans, rollouts)| self.roll_group(start, plans, horizon, rollouts));
        }
        Ok(rollouts)
    }

    fn roll_group(&self, start: &[f32], plans: &[f32], horizon: usize, rollouts: &mut [f32]) {
        let rows = plans.len() / (horizon * self.block_width);
        let hidden = self.output.inputs;
        let mut scratch = Scratch {
            joined: vec![0.0; rows * self.input.0.inputs],
            hidden: vec![0.0; rows * hidden],
            inner: vec![0.0; rows * self.input.0.outputs()],
            active: vec![0.0; rows * hidden],
            latents: start.repeat(rows),
        };
        for step in 0..horizon {
            for (row, plan) in plans.chunks_exact(horizon * self.block_width).enumerate() {
                let block = &plan[step * self.block_width..(step + 1) * self.block_width];
                let latent = &scratch.latents[row * self.latent_width..(row + 1) * self.latent_width];
                let joined = &mut scratch.joined[row * self.input.0.inputs..(row + 1) * self.input.0.inputs];
                joined[..self.latent_width].copy_from_slice(latent);
                joined[self.latent_width..].copy_from_slice(block);
            }
            self.predict(&mut scratch);
            for (row, rollout) in rollouts.chunks_exact_mut(horizon * self.latent_width).enumerate() {
                let latent = &scratch.latents[row * self.latent_width..(row + 1) * self.latent_width];
                rollout[step * self.latent_width..(step + 1) * self.latent_width].copy_from_slice(latent);
            }
        }
    }

    /// Moves `scratch.latents` on by one block.
    fn predict(&self, scratch: &mut Scratch) {
        let (input, input_norm) = &self.input;
        input.apply(&scratch.joined, &mut scratch.inner, false);
        input_norm.activate(&mut scratch.inner, &mut scratch.hidden, self.gated);
        for (linear, norm) in &self.layers {
            linear.apply(&scratch.hidden, &mut scratch.inner, false);
            norm.activate(&mut scratch.inner, &mut scratch.active, self.gated);
            scratch.hidden.iter_mut().zip(&scratch.active).for_each(|(hidden, active)| *hidden += active);
        }
        self.output.apply(&scratch.hidden, &mut scratch.latents, true);
    }
}
