//! LeWorldModel in its published size, with random weights: for comparisons with other implementations.

use std::hint::black_box;

use mindseye_agent::actor::{Actor, Deadline, Icem, IcemConfig, Imagination};
use mindseye_agent::cost::{CostModule, GoalDistance};
use mindseye_agent::{Directive, Latent};
use mindseye_interface::config::require_range;
use mindseye_interface::{Seed, SystemClock};
use mindseye_world_model::families::lewm::{LewmDynamics, LewmEngine, LewmTrainer};
use mindseye_world_model::{InferenceOptions, Lewm, LewmConfig, OptimiserConfig, Precision};
use rand::Rng as _;
use serde::Serialize;

use crate::Result;
use crate::peak::gemm_peak;
use crate::timing::{pool, require_rounds, timed};

/// LeWorldModel in its published size, with random weights.
#[derive(Debug, Clone, PartialEq)]
pub struct LewmBench {
    /// Threads.
    pub threads: usize,
    /// The median of so many rounds counts; at least 1.
    pub rounds: usize,
    /// Root of every random choice.
    pub seed: Seed,
}

/// A plan's cost in time and arithmetic.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LewmPlanningSpeed {
    /// Threads.
    pub threads: usize,
    /// Plans per iteration.
    pub samples: usize,
    /// Iterations.
    pub iterations: usize,
    /// Length of a plan, action chunks.
    pub horizon: usize,
    /// Weights of the model.
    pub parameters: usize,
    /// Seconds by the clock.
    pub wall_secs: f64,
    /// Seconds that all cores together worked.
    pub cpu_secs: f64,
    /// Floating point operations of all rollouts, in 1e9.
    pub gflop: f64,
    /// The same per second.
    pub gflop_per_sec: f64,
    /// What matrix products reach on this machine.
    pub gemm_peak_gflop_per_sec: f64,
    /// The ratio of both.
    pub share_of_peak: f64,
    /// How the weights were kept.
    pub precision: Precision,
}

/// Speed of training or encoding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LewmSpeed {
    /// What was measured.
    pub work: &'static str,
    /// Threads.
    pub threads: usize,
    /// Windows of four images (training) or images (encoding) at a time.
    pub batch: usize,
    /// Seconds by the clock.
    pub wall_secs: f64,
    /// Seconds that all cores together worked.
    pub cpu_secs: f64,
    /// What matrix products reach on this machine.
    pub gemm_peak_gflop_per_sec: f64,
}

/// Width of an action chunk: two numbers in each of five steps.
const CHUNK_WIDTH: usize = 10;
/// Horizon in chunks.
const HORIZON: usize = 5;
/// Frames of a window: three, and the one that is predicted.
const FRAMES: usize = 4;

impl LewmBench {
    /// A plan as the model's authors make it: CEM, 300 samples, 30 iterations, 5 chunks, their objective (the distance
    /// to the goal at the horizon).
    ///
    /// # Errors
    /// When threads cannot be had or the numbers are not finite.
    pub fn planning(&self, precision: Precision) -> Result<LewmPlanningSpeed> {
        let pool = pool(self.threads)?;
        let model = Lewm::initialise_open(LewmConfig::published(CHUNK_WIDTH), self.seed)?;
        let width = model.config().width();
        let (gain, offset) = (vec![1.0; CHUNK_WIDTH], vec![0.0; CHUNK_WIDTH]);
        let options = InferenceOptions { precision, threads: self.threads, ..InferenceOptions::default() };
        let world = LewmDynamics::new(&model, gain, offset, &options)?;
        let latent = |phase: f32| Latent::global((0..width).map(|index| (index as f32 * 0.61 + phase).sin()).collect());
        let cost = CostModule::new(vec![Box::new(GoalDistance::euclidean(width))]);
        let directive = Directive { task: "bench".into(), ..Directive::towards(latent(1.0), HORIZON, (5, 2)) };
        let (config, start) = (IcemConfig::cem(), latent(0.0));
        let (wall_secs, cpu_secs) = self.median(&mut |round| {
            let mut rng = self.seed.child("bench").index(round).rng();
            pool.install(|| {
                let clock = SystemClock::start();
                let imagination = Imagination::new(&world, &cost, &start, &directive);
                let deadline = Deadline { clock: &clock, at_secs: f64::INFINITY };
                black_box(Icem::new(config.clone()).act(&imagination, &mut rng, &deadline)?);
                Ok(())
            })
        })?;
        let per_plan = LewmEngine::with_precision(&model, precision)?.operations(1, HORIZON);
        let gflop = per_plan * (config.samples * config.iterations) as f64 / 1e9;
        let peak = gemm_peak(self.threads)?;
        Ok(LewmPlanningSpeed {
            threads: self.threads,
            samples: config.samples,
            iterations: config.iterations,
            horizon: HORIZON,
            parameters: model.parameters(),
            wall_secs,
            cpu_secs,
            gflop,
            gflop_per_sec: gflop / wall_secs,
            gemm_peak_gflop_per_sec: peak,
            share_of_peak: gflop / wall_secs / peak,
            precision,
        })
    }

    /// An optimiser step on `batch` windows of random images.
    ///
    /// # Errors
    /// When `batch` is out of 1 to 10 000, threads cannot be had, or the numbers are not finite.
    pub fn training(&self, batch: usize) -> Result<LewmSpeed> {
        require_range("batch", batch, 1, 10_000)?;
        let model = Lewm::initialise(LewmConfig::published(CHUNK_WIDTH), self.seed)?;
        let side = model.config().vision.image_side;
        let mut rng = self.seed.child("batch").rng();
        let images: Vec<u8> = (0..batch * FRAMES * side * side * 3).map(|_| rng.random()).collect();
        let chunks: Vec<f32> = (0..batch * FRAMES * CHUNK_WIDTH).map(|_| rng.random_range(-1.0..=1.0)).collect();
        let mut trainer = LewmTrainer::new(model, OptimiserConfig::default(), 1000, self.threads)?;
        self.speed("a training step", batch, &mut |_| {
            trainer.step(&images, &chunks, FRAMES, self.seed)?;
            Ok(())
        })
    }

    /// Encoding of `batch` random images.
    ///
    /// # Errors
    /// As [`LewmBench::training`].
    pub fn encoding(&self, batch: usize) -> Result<LewmSpeed> {
        require_range("batch", batch, 1, 10_000)?;
        let model = Lewm::initialise(LewmConfig::published(CHUNK_WIDTH), self.seed)?;
        let side = model.config().vision.image_side;
        let mut rng = self.seed.child("pictures").rng(); // the stream keeps its old name: pictures
        let images: Vec<u8> = (0..batch * side * side * 3).map(|_| rng.random()).collect();
        let pool = pool(self.threads)?;
        self.speed("encoding", batch, &mut |_| {
            black_box(pool.install(|| model.encode(&images, batch))?);
            Ok(())
        })
    }

    fn speed(&self, work: &'static str, batch: usize, once: &mut dyn FnMut(u64) -> Result<()>) -> Result<LewmSpeed> {
        let (wall_secs, cpu_secs) = self.median(once)?;
        let threads = self.threads;
        Ok(LewmSpeed { work, threads, batch, wall_secs, cpu_secs, gemm_peak_gflop_per_sec: gemm_peak(threads)? })
    }

    /// Seconds by the clock and of all cores, of the median round; `once` gets the number of the round. One run before
    /// allocates the memory.
    fn median(&self, once: &mut dyn FnMut(u64) -> Result<()>) -> Result<(f64, f64)> {
        require_rounds(self.rounds)?;
        once(0)?;
        let rounds = 0..self.rounds as u64;
        let mut times = rounds.map(|round| timed(|| once(round))).collect::<Result<Vec<_>>>()?;
        times.sort_by(|a, b| a.0.total_cmp(&b.0));
        Ok(times[times.len() / 2])
    }
}
