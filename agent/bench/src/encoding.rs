//! Images to latents.

use std::hint::black_box;
use std::time::Instant;

use mindseye_evaluation::interval::Percentiles;
use mindseye_interface::config::require_range;
use mindseye_world_model::Checkpoint;
use mindseye_world_model::SensorBatch;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::timing::require_rounds;

/// Encoding with the model of a checkpoint, on one thread.
pub struct EncodingBench<'a> {
    /// Name of the scene, for the report.
    pub scene: String,
    /// The checkpoint.
    pub checkpoint: &'a Checkpoint,
    /// Images at a time, 1 to 10 000.
    pub batch: usize,
    /// A hundred encodings each; at least 1.
    pub rounds: usize,
}

/// How fast images are encoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncodingSpeed {
    /// Name of the scene.
    pub scene: String,
    /// Images at a time.
    pub batch: usize,
    /// Milliseconds per batch.
    pub ms: Percentiles,
}

/// Encodings per round.
const ENCODINGS: usize = 100;

impl EncodingBench<'_> {
    /// Runs the measurement: percentiles over all encodings.
    ///
    /// # Errors
    /// When a setting is out of its range, or the model fails.
    pub fn measure(&self) -> Result<EncodingSpeed> {
        require_rounds(self.rounds)?;
        require_range("batch", self.batch, 1, 10_000)?;
        let model = &self.checkpoint.config.model;
        let proprioception = vec![0.0; self.batch * model.proprioception_width];
        let images: Vec<u8> = (0..self.batch * model.image_bytes()).map(|index| (index * 7919 % 251) as u8).collect();
        let mut times = Vec::new();
        for _ in 0..ENCODINGS * self.rounds {
            let started = Instant::now();
            let sensors = SensorBatch { images: &images, proprioception: &proprioception };
            black_box(self.checkpoint.model.encode(sensors)?);
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        Ok(EncodingSpeed { scene: self.scene.clone(), batch: self.batch, ms: Percentiles::of(times) })
    }
}
