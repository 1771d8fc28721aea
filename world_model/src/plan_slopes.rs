//! Slopes of an energy on plans, through the predictor: for planning by gradients.
//!
//! The way forward is that of [`crate::RolloutEngine`], keeping what the way back needs; the way back is written out by hand (a test
//! compares it with automatic differentiation and with small differences). No slope is asked of a weight, so that it costs about as much
//! as the way forward.

use rayon::prelude::*;

use crate::adaptation::LastLayer;
use crate::jepa::Jepa;
use crate::ops::{Map, Precision};
use crate::predictor::Predictor;
use crate::scratch::{Spare, Starts, group_of};
use crate::trunk_slopes::{Bench, Kept, TrunkSlopes};
use crate::{Error, Result};

/// Most plans that go forward and back together: what they keep stays in the second-level cache.
const GROUP: usize = 32;

/// A predictor whose weights stay as they are.
#[derive(Debug, Clone)]
pub struct PlanSlopes {
    latent_width: usize,
    block_width: usize,
    trunk: TrunkSlopes,
    output: (Map, Map),
    /// What no group is using.
    spare: Spare<Tape>,
}

/// What a group of `n` plans keeps on its way forward, and what it works with on its way back.
#[derive(Debug, Default)]
struct Tape {
    /// Of every block, what its layers keep.
    kept: Vec<Kept>,
    joined: Vec<f32>,
    hidden: Vec<f32>,
    latents: Vec<f32>,
    on_latents: Vec<f32>,
    bench: Bench,
}

impl PlanSlopes {
    /// The predictor of `model`.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub fn new(model: &Jepa) -> Result<Self> {
        let config = model.config();
        Self::of_predictor(model.predictor(), config.latent_width, config.block_width())
    }

    /// A predictor of latents `[D]` and blocks `[A]` that need not be a model's own.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub fn of_predictor(predictor: &Predictor, latent_width: usize, block_width: usize) -> Result<Self> {
        let input = (&predictor.input, &predictor.input_norm);
        Ok(Self {
            latent_width,
            block_width,
            trunk: TrunkSlopes::new(input, &predictor.layers, predictor.gated)?,
            output: (predictor.output.packed(Precision::F32)?, predictor.output.transposed()?),
            spare: Spare::default(),
        })
    }

    /// The same slopes for a predictor with another last layer.
    ///
    /// # Errors
    /// [`Error::Shape`] when the layer has another size.
    pub fn with_last_layer(&self, layer: &LastLayer) -> Result<Self> {
        layer.require(self.output.0.outputs(), self.output.0.inputs())?;
        Ok(Self { output: layer.maps(), ..self.clone() })
    }

    /// The slopes of an energy on `plans [N, H, A]` that start from `starts`, one `[D]` for all of them or one each, `[N, D]`. `judge`
    /// gets the latents after every block, `[N, H, D]`, and says the energy's slopes on them. On `threads` > 1 groups of plans are shared out on the current rayon pool; the
    /// result is the same.
    ///
    /// # Errors
    /// [`Error::Shape`] when the sizes do not fit, and `judge`'s errors.
    pub fn of<E: From<Error>>(
        &self,
        starts: &[f32],
        plans: &[f32],
        horizon: usize,
        threads: usize,
        judge: impl FnOnce(Vec<f32>) -> std::result::Result<Vec<f32>, E>,
    ) -> std::result::Result<Vec<f32>, E> {
        let plan_len = horizon * self.block_width;
        let starts = Starts::new("slopes of plans", starts, self.latent_width, plans.len(), plan_len)?;
        let group = group_of(plans.len() / plan_len, threads, GROUP);
        let rollout_len = horizon * self.latent_width;
        let mut latents = vec![0.0; plans.len() / plan_len * rollout_len];
        let groups = plans.len().div_ceil(group * plan_len);
        let mut tapes: Vec<Tape> = (0..groups).map(|_| self.spare.take()).collect();
        let parts = plans.chunks(group * plan_len).zip(latents.chunks_mut(group * rollout_len)).zip(&mut tapes);
        let parts = parts.enumerate();
        if threads > 1 {
            let parts = parts.collect::<Vec<_>>().into_par_iter();
            parts.for_each(|(index, ((plans, latents), tape))| {
                self.forward(starts.from(index * group), plans, horizon, latents, tape);
            });
        } else {
            parts.for_each(|(index, ((plans, latents), tape))| {
                self.forward(starts.from(index * group), plans, horizon, latents, tape);
            });
        }
        let count = latents.len();
        let pull = judge(latents)?;
        if pull.len() != count {
            return Err(Error::Shape {
                operation: "slopes of plans",
                expected: format!("{count} slopes, one for every value of a latent"),
                got: format!("{} slopes", pull.len()),
            }
            .into());
        }
        let mut slopes = vec![0.0; plans.len()];
        let parts = pull.chunks(group * rollout_len).zip(slopes.chunks_mut(group * plan_len)).zip(&mut tapes);
        if threads > 1 {
            let parts = parts.collect::<Vec<_>>().into_par_iter();
            parts.for_each(|((pull, slopes), tape)| self.back(pull, horizon, slopes, tape));
        } else {
            parts.for_each(|((pull, slopes), tape)| self.back(pull, horizon, slopes, tape));
        }
        tapes.into_iter().for_each(|tape| self.spare.give(tape));
        Ok(slopes)
    }

    /// Rolls `plans [n, H, A]` out to `latents [n, H, D]`.
    fn forward(&self, starts: Starts<'_>, plans: &[f32], horizon: usize, latents: &mut [f32], tape: &mut Tape) {
        let (width, block_width) = (self.latent_width, self.block_width);
        let rows = plans.len() / (horizon * block_width);
        let layers = self.trunk.len();
        tape.kept.resize((horizon * layers).max(tape.kept.len()), Kept::default());
        starts.fill(&mut tape.latents, rows);
        for step in 0..horizon {
            tape.joined.clear();
            for (latent, plan) in tape.latents.chunks_exact(width).zip(plans.chunks_exact(horizon * block_width)) {
                tape.joined.extend_from_slice(latent);
                tape.joined.extend_from_slice(&plan[step * block_width..(step + 1) * block_width]);
            }
            let kept = &mut tape.kept[step * layers..(step + 1) * layers];
            self.trunk.forward(&tape.joined, &mut tape.hidden, kept, &mut tape.bench);
            self.output.0.apply(&tape.hidden, &mut tape.latents, true, &mut tape.bench.rounded);
            for (row, latents) in latents.chunks_exact_mut(horizon * width).enumerate() {
                latents[step * width..(step + 1) * width]
                    .copy_from_slice(&tape.latents[row * width..(row + 1) * width]);
            }
        }
    }

    /// Slopes on plans `[n, H, A]` from those on latents, `pull [n, H, D]`.
    fn back(&self, pull: &[f32], horizon: usize, slopes: &mut [f32], tape: &mut Tape) {
        let (width, block_width) = (self.latent_width, self.block_width);
        let (rows, layers) = (pull.len() / (horizon * width), self.trunk.len());
        tape.on_latents.clear();
        tape.on_latents.resize(rows * width, 0.0);
        for step in (0..horizon).rev() {
            for (row, on_latent) in tape.on_latents.chunks_exact_mut(width).enumerate() {
                let pull = &pull[(row * horizon + step) * width..][..width];
                on_latent.iter_mut().zip(pull).for_each(|(sum, pull)| *sum += pull);
            }
            // From here on `hidden` holds the slopes on the hidden state.
            self.output.1.replace(&tape.on_latents, &mut tape.hidden, &mut tape.bench.rounded);
            let kept = &tape.kept[step * layers..(step + 1) * layers];
            self.trunk.back(&mut tape.hidden, &mut tape.joined, kept, &mut tape.bench);
            for (row, joined) in tape.joined.chunks_exact(width + block_width).enumerate() {
                let (on_latent, on_block) = joined.split_at(width);
                let sums = tape.on_latents[row * width..(row + 1) * width].iter_mut();
                sums.zip(on_latent).for_each(|(sum, slope)| *sum += slope);
                slopes[(row * horizon + step) * block_width..][..block_width].copy_from_slice(on_block);
            }
        }
    }
}
