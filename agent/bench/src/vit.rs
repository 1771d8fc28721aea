//! Published encoders in their sizes, with random weights: for comparisons with other implementations.

use std::hint::black_box;

use clap::ValueEnum;
use mindseye_interface::Seed;
use mindseye_world_model::Precision;
use mindseye_world_model::families::vit::{Clip, Vit, VitConfig};
use serde::Serialize;

use crate::peak::gemm_peak;
use crate::timing::{pool, require_rounds, timed};
use crate::{Error, Result};

/// Published encoders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Encoder {
    /// V-JEPA 2, ViT-L, 16 frames of 256 pixels: 2048 tokens.
    Vjepa2Large,
    /// DINOv2, ViT-S, 224 pixels: 257 tokens.
    Dinov2Small,
}

impl Encoder {
    /// Its name and shape.
    pub(crate) fn named(self) -> (&'static str, VitConfig) {
        match self {
            Self::Vjepa2Large => ("vjepa2_large", VitConfig::vjepa2_large()),
            Self::Dinov2Small => ("dinov2_small", VitConfig::dinov2_small()),
        }
    }
}

/// Encoding one clip or image with a published encoder's sizes and random weights.
#[derive(Debug, Clone, PartialEq)]
pub struct VitBench {
    /// Name of the model, for the report.
    pub model: &'static str,
    /// Its sizes.
    pub config: VitConfig,
    /// How the weights are kept.
    pub precision: Precision,
    /// Threads.
    pub threads: usize,
    /// The best of so many rounds counts, after one that does not; at least 1.
    pub rounds: usize,
    /// Root of the weights.
    pub seed: Seed,
}

/// How fast it encodes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VitSpeed {
    /// Name of the model.
    pub model: &'static str,
    /// Threads.
    pub threads: usize,
    /// Tokens of the clip or image.
    pub tokens: usize,
    /// Seconds by the clock.
    pub wall_secs: f64,
    /// Seconds that all cores together worked.
    pub cpu_secs: f64,
    /// Floating point operations of the matrix products, in 1e9.
    pub gflop: f64,
    /// The same per second.
    pub gflop_per_sec: f64,
    /// What matrix products in `f32` reach on this machine.
    pub gemm_peak_gflop_per_sec: f64,
    /// The ratio of both.
    pub share_of_peak: f64,
    /// How the weights were kept.
    pub precision: Precision,
}

impl VitBench {
    /// Runs the measurement.
    ///
    /// # Errors
    /// When threads or memory cannot be had.
    pub fn measure(&self) -> Result<VitSpeed> {
        require_rounds(self.rounds)?;
        let pool = pool(self.threads)?;
        let vit = Vit::initialise(self.config.clone(), self.seed, self.precision)?;
        let missing =
            || Error::Data { operation: self.model.into(), expected: "an encoder".into(), got: "none".into() };
        let encoder = vit.encoder().ok_or_else(missing)?;
        let config = encoder.config();
        let (frames, [height, width]) = (config.frames, config.image);
        let count = frames * config.channels * height * width;
        let values: Vec<f32> = (0..count).map(|index| (index as f32 * 0.37).sin()).collect();
        let clip = Clip { values: &values, frames, height, width };
        let mut best = (f64::INFINITY, 0.0);
        for round in 0..=self.rounds {
            let took = timed(|| {
                black_box(pool.install(|| encoder.encode(&clip))?);
                Ok(())
            })?;
            if round > 0 && took.0 < best.0 {
                best = took;
            }
        }
        let tokens = config.patches() + encoder.prefix();
        let patches = 2.0 * (config.patches() * config.patch_values() * config.blocks.width) as f64;
        let gflop = (config.blocks.operations(tokens) + patches) / 1e9;
        let (gflop_per_sec, peak) = (gflop / best.0, gemm_peak(self.threads)?);
        Ok(VitSpeed {
            model: self.model,
            threads: self.threads,
            tokens,
            wall_secs: best.0,
            cpu_secs: best.1,
            gflop,
            gflop_per_sec,
            gemm_peak_gflop_per_sec: peak,
            share_of_peak: gflop_per_sec / peak,
            precision: self.precision,
        })
    }
}
