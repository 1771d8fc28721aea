//! After the model its predictor alone, on latents that no longer change.
//!
//! A joint step costs a picture per latent, and its prediction error counts every direction of the latent the same: what moves little
//! in one block (the angle of a block that is pushed) is a hundredth of the error, and its dynamics are the last to be learnt. Here
//! latents are encoded once, so that a step sees many more transitions, and errors count in units of typical steps, so that slow
//! directions weigh as much as fast ones.

use candle_core::Tensor;
use mindseye_episodes::WindowBatch;
use mindseye_interface::Seed;
use mindseye_interface::config::require_range;
use nalgebra::DMatrix;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::data::{Batches, TrainingData};
use crate::Result;
use crate::encoder::Sensed;
use crate::jepa::Jepa;
use crate::ops::tensor;
use crate::statistics::inverse_roots;

/// Settings of the refinement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefinementConfig {
    /// Optimiser steps after those of the joint training; 0 for none.
    pub steps: usize,
    /// Windows per step.
    pub batch: usize,
    /// Frames per window: the predictor is unrolled over `frames - 1` blocks, from every start.
    pub frames: usize,
    /// Largest learning rate; the rest is as in `optimiser`.
    pub learning_rate: f64,
}

impl Default for RefinementConfig {
    fn default() -> Self {
        Self { steps: 0, batch: 256, frames: 6, learning_rate: 1e-3 }
    }
}

impl RefinementConfig {
    pub(super) fn validate(&self, shards: usize) -> mindseye_interface::Result<()> {
        require_range("refinement.steps", self.steps, 0, 100_000_000)?;
        require_range("refinement.batch", self.batch, shards, 1_000_000)?;
        require_range("refinement.frames", self.frames, 2, 1000)?;
        require_range("refinement.learning_rate", self.learning_rate, 1e-8, 1.0)
    }
}

/// Pictures encoded at a time.
const CHUNK: usize = 256;

/// What a refinement needs beside the model.
pub(super) struct Refinement<'a> {
    batches: Batches<'a>,
    width: usize,
    /// Latents of all moments `[F, D]`; zeros where there is no picture.
    latents: Vec<f32>,
    /// `[D, D]`: an error times this is in units of typical steps.
    steps_from_error: Tensor,
}

impl<'a> Refinement<'a> {
    /// Encodes the training data with `model`, on the threads of `pool`.
    pub fn prepare(
        model: &Jepa,
        data: &'a TrainingData,
        config: &RefinementConfig,
        seed: Seed,
        pool: &rayon::ThreadPool,
    ) -> Result<Self> {
        let width = model.config().latent_width;
        let moments: Vec<usize> = data.moments_with_pictures().collect();
        let encode = |chunk: &[usize]| -> Result<Vec<f32>> {
            let pictures: Vec<u8> = chunk.iter().flat_map(|&moment| data.picture(moment)).copied().collect();
            let felt = |&moment: &usize| data.proprioception(moment, model.config());
            let proprioception: Vec<f32> = chunk.iter().flat_map(felt).copied().collect();
            model.encode(Sensed { pictures: &pictures, proprioception: &proprioception })
        };
        let encoded: Vec<Vec<f32>> = pool.install(|| moments.par_chunks(CHUNK).map(encode).collect::<Result<_>>())?;
        let mut latents = vec![0.0; data.moments() * width];
        for (moment, latent) in moments.iter().zip(encoded.iter().flat_map(|chunk| chunk.chunks_exact(width))) {
            latents[moment * width..(moment + 1) * width].copy_from_slice(latent);
        }
        let batches = data.windows_of(config.frames, config.batch, seed);
        let steps_from_error = steps_from_error(&batches, &latents, width)?;
        Ok(Self { batches, width, latents, steps_from_error })
    }

    /// The windows of `step` (without pictures) and their latents `[B * T, D]`.
    pub fn get(&mut self, step: usize) -> (WindowBatch, Vec<f32>) {
        let (batch, moments) = self.batches.blocks(step);
        let latents = moments.iter().flat_map(|moment| &self.latents[moment * self.width..(moment + 1) * self.width]);
        (batch, latents.copied().collect())
    }

    /// `[D, D]`: a prediction error `[N, D]` times this is in units of typical steps.
    pub fn steps_from_error(&self) -> &Tensor {
        &self.steps_from_error
    }
}

/// The inverse root of the mean outer product of latent steps over one action block.
fn steps_from_error(batches: &Batches<'_>, latents: &[f32], width: usize) -> Result<Tensor> {
    let mut covariance: DMatrix<f64> = DMatrix::zeros(width, width);
    let pairs = batches.neighbours();
    for (before, after) in &pairs {
        let (before, after) = (&latents[before * width..][..width], &latents[after * width..][..width]);
        for row in 0..width {
            let moved = f64::from(after[row] - before[row]);
            for column in 0..=row {
                covariance[(row, column)] += moved * f64::from(after[column] - before[column]);
            }
        }
    }
    covariance.fill_upper_triangle_with_lower_triangle();
    covariance /= pairs.len().max(1) as f64;
    let (scales, directions) = inverse_roots(covariance, 1.0);
    let factor = &directions * DMatrix::from_diagonal(&scales) * directions.transpose();
    Ok(tensor(factor.iter().map(|&value| value as f32).collect(), (width, width))?) // symmetric: either order
}
