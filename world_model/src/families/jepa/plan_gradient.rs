//! Gradients of an energy on plans, through the predictor: for planning by gradients.
//!
//! The forward pass is that of [`crate::RolloutEngine`] with a recording of what the backward pass needs; the backward
//! pass is written out by hand (a test compares it with automatic differentiation and with finite differences). No
//! gradient is computed for a weight, so the backward pass costs about as much as the forward pass.

use rayon::prelude::*;

use super::network::Jepa;
use super::predictor::Predictor;
use crate::cancel::Cancel;
use crate::mlp_backward::{BackwardScratch, MlpBackward, SavedActivations};
use crate::ops::{InferenceLinear, Precision};
use crate::scratch::{BufferPool, Starts, group_of};
use crate::{Error, Result};

/// Most plans that go forward and backward together: their recordings stay in the second-level cache.
const GROUP: usize = 32;

/// A predictor with fixed weights.
#[derive(Debug, Clone)]
pub struct PlanGradient {
    latent_width: usize,
    chunk_width: usize,
    mlp: MlpBackward,
    output: (InferenceLinear, InferenceLinear),
    pool: BufferPool<Tape>,
}

/// What a group of `n` plans keeps in the forward pass, and the scratch memory of its backward pass.
#[derive(Debug, Default)]
struct Tape {
    /// What the layers keep, chunk after chunk.
    saved: Vec<SavedActivations>,
    joined: Vec<f32>,
    hidden: Vec<f32>,
    latents: Vec<f32>,
    on_latents: Vec<f32>,
    scratch: BackwardScratch,
}

/// A recorded forward pass, for [`PlanGradient::vjp`].
#[derive(Debug)]
pub struct PlanRecording {
    tapes: Vec<Tape>,
    /// Plans per tape.
    group: usize,
    plans: usize,
    horizon: usize,
    threads: usize,
}

/// Inputs, outputs and recording of a group of plans.
type Group<'a> = ((&'a [f32], &'a mut [f32]), &'a mut Tape);

impl PlanGradient {
    /// The predictor of `model`.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub fn new(model: &Jepa) -> Result<Self> {
        let config = model.config();
        Self::of_predictor(model.predictor(), config.latent_width, config.chunk_width())
    }

    /// A predictor of latents `[D]` and chunks `[A]` that need not be a model's own.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub fn of_predictor(predictor: &Predictor, latent_width: usize, chunk_width: usize) -> Result<Self> {
        let input = (&predictor.input, &predictor.input_norm);
        Ok(Self {
            latent_width,
            chunk_width,
            mlp: MlpBackward::new(input, &predictor.layers, predictor.gated)?,
            output: (predictor.output.packed(Precision::F32)?, predictor.output.transposed()?),
            pool: BufferPool::default(),
        })
    }

    /// The gradients `[N, H, A]` of an energy on `plans [N, H, A]` that start from `starts`, one `[D]` for all of them
    /// or one each, `[N, D]`. `upstream` is called with the latents after every chunk, `[N, H, D]`, and gives the
    /// energy's gradients on them.
    ///
    /// # Errors
    /// [`Error::Shape`] when the sizes do not fit, and errors of `upstream`.
    pub fn of<E: From<Error>>(
        &self,
        starts: &[f32],
        plans: &[f32],
        horizon: usize,
        threads: usize,
        upstream: impl FnOnce(Vec<f32>) -> std::result::Result<Vec<f32>, E>,
    ) -> std::result::Result<Vec<f32>, E> {
        let (latents, recording) = self.rollout_recorded(starts, plans, horizon, threads, Cancel::never())?;
        Ok(self.vjp(recording, &upstream(latents)?, Cancel::never())?)
    }

    /// Rolls `plans [N, H, A]` out from `starts`, one `[D]` for all of them or one each, `[N, D]`; the latents after
    /// every chunk, `[N, H, D]`, and a recording for [`PlanGradient::vjp`]. On `threads` > 1 groups of plans are
    /// divided over the current rayon pool; the result is the same.
    ///
    /// # Errors
    /// [`Error::Shape`] when the sizes do not fit; [`Error::Cancelled`] when the rollout is no longer wanted.
    pub fn rollout_recorded(
        &self,
        starts: &[f32],
        plans: &[f32],
        horizon: usize,
        threads: usize,
        cancel: Cancel<'_>,
    ) -> Result<(Vec<f32>, PlanRecording)> {
        let plan_len = horizon * self.chunk_width;
        let starts = Starts::new("gradients of plans", starts, self.latent_width, plans.len(), plan_len)?;
        let count = plans.len() / plan_len;
        let group = group_of(count, threads, GROUP);
        let rollout_len = horizon * self.latent_width;
        let mut latents = vec![0.0; count * rollout_len];
        let mut tapes: Vec<Tape> = (0..count.div_ceil(group)).map(|_| self.pool.take()).collect();
        let groups = plans.chunks(group * plan_len).zip(latents.chunks_mut(group * rollout_len)).zip(&mut tapes);
        let forward = |(index, ((plans, latents), tape)): (usize, Group<'_>)| {
            self.forward(starts.from(index * group), plans, horizon, latents, tape, cancel)
        };
        let done = if threads > 1 {
            groups.enumerate().collect::<Vec<_>>().into_par_iter().try_for_each(forward)
        } else {
            groups.enumerate().try_for_each(forward)
        };
        if let Err(error) = done {
            tapes.into_iter().for_each(|tape| self.pool.give(tape));
            return Err(error);
        }
        Ok((latents, PlanRecording { tapes, group, plans: count, horizon, threads }))
    }

    /// From gradients of an energy on the latents after every chunk, `upstream [N, H, D]`, to those on the recorded
    /// plans, `[N, H, A]`.
    ///
    /// # Errors
    /// [`Error::Shape`] when `upstream` has another size; [`Error::Cancelled`] when the gradients are no longer wanted.
    pub fn vjp(&self, recording: PlanRecording, upstream: &[f32], cancel: Cancel<'_>) -> Result<Vec<f32>> {
        let PlanRecording { mut tapes, group, plans, horizon, threads } = recording;
        let (plan_len, rollout_len) = (horizon * self.chunk_width, horizon * self.latent_width);
        if upstream.len() != plans * rollout_len {
            return Err(Error::Shape {
                operation: "gradients of plans",
                expected: format!("{} gradients, one for every value of a latent", plans * rollout_len),
                got: format!("{} gradients", upstream.len()),
            });
        }
        let mut gradients = vec![0.0; plans * plan_len];
        let mut groups =
            upstream.chunks(group * rollout_len).zip(gradients.chunks_mut(group * plan_len)).zip(&mut tapes);
        let back = |((upstream, gradients), tape): Group<'_>| self.back(upstream, horizon, gradients, tape, cancel);
        let done = if threads > 1 {
            groups.collect::<Vec<_>>().into_par_iter().try_for_each(back)
        } else {
            groups.try_for_each(back)
        };
        tapes.into_iter().for_each(|tape| self.pool.give(tape));
        done.map(|()| gradients)
    }

    /// Rolls `plans [n, H, A]` out to `latents [n, H, D]`.
    fn forward(
        &self,
        starts: Starts<'_>,
        plans: &[f32],
        horizon: usize,
        latents: &mut [f32],
        tape: &mut Tape,
        cancel: Cancel<'_>,
    ) -> Result<()> {
        let (width, chunk_width) = (self.latent_width, self.chunk_width);
        let rows = plans.len() / (horizon * chunk_width);
        let layers = self.mlp.len();
        tape.saved.resize((horizon * layers).max(tape.saved.len()), SavedActivations::default());
        starts.fill(&mut tape.latents, rows);
        for step in 0..horizon {
            cancel.check()?;
            tape.joined.clear();
            for (latent, plan) in tape.latents.chunks_exact(width).zip(plans.chunks_exact(horizon * chunk_width)) {
                tape.joined.extend_from_slice(latent);
                tape.joined.extend_from_slice(&plan[step * chunk_width..(step + 1) * chunk_width]);
            }
            let saved = &mut tape.saved[step * layers..(step + 1) * layers];
            self.mlp.forward(&tape.joined, &mut tape.hidden, saved, &mut tape.scratch);
            self.output.0.apply(&tape.hidden, &mut tape.latents, true, &mut tape.scratch.rounded);
            for (row, latents) in latents.chunks_exact_mut(horizon * width).enumerate() {
                latents[step * width..(step + 1) * width]
                    .copy_from_slice(&tape.latents[row * width..(row + 1) * width]);
            }
        }
        Ok(())
    }

    /// Gradients on plans `[n, H, A]` from those on latents, `upstream [n, H, D]`.
    fn back(
        &self,
        upstream: &[f32],
        horizon: usize,
        gradients: &mut [f32],
        tape: &mut Tape,
        cancel: Cancel<'_>,
    ) -> Result<()> {
        let (width, chunk_width) = (self.latent_width, self.chunk_width);
        let (rows, layers) = (upstream.len() / (horizon * width), self.mlp.len());
        tape.on_latents.clear();
        tape.on_latents.resize(rows * width, 0.0);
        for step in (0..horizon).rev() {
            cancel.check()?;
            for (row, on_latent) in tape.on_latents.chunks_exact_mut(width).enumerate() {
                let upstream = &upstream[(row * horizon + step) * width..][..width];
                on_latent.iter_mut().zip(upstream).for_each(|(sum, upstream)| *sum += upstream);
            }
            // From here on `hidden` holds the gradients on the hidden state.
            self.output.1.replace(&tape.on_latents, &mut tape.hidden, &mut tape.scratch.rounded);
            let saved = &tape.saved[step * layers..(step + 1) * layers];
            self.mlp.back(&mut tape.hidden, &mut tape.joined, saved, &mut tape.scratch);
            for (row, joined) in tape.joined.chunks_exact(width + chunk_width).enumerate() {
                let (on_latent, on_chunk) = joined.split_at(width);
                let sums = tape.on_latents[row * width..(row + 1) * width].iter_mut();
                sums.zip(on_latent).for_each(|(sum, gradient)| *sum += gradient);
                gradients[(row * horizon + step) * chunk_width..][..chunk_width].copy_from_slice(on_chunk);
            }
        }
        Ok(())
    }
}
