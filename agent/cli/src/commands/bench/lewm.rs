//! Planning as LeWorldModel's authors do, in its published sizes, with random weights: for comparisons with other implementations.

use std::time::Instant;

use anyhow::{Context, Result};
use mindseye_agent::actor::{Actor, Cem, CemConfig, Deadline, Imagination};
use mindseye_agent::cost::{CostModule, GoalDistance, Reduction};
use mindseye_agent::world_model::LewmWorldModel;
use mindseye_agent::{Directive, Latent};
use mindseye_interface::{Seed, SystemClock};
use mindseye_world_model::{Lewm, LewmConfig};
use serde::Serialize;

use super::peak::gemm_peak;
use super::{BenchArguments, cpu_secs};

/// Width of an action block: two numbers in each of five steps.
const BLOCK_WIDTH: usize = 10;
/// Horizon in blocks.
const HORIZON: usize = 5;

/// A plan's cost in time and arithmetic.
#[derive(Debug, Serialize)]
pub struct LewmPlan {
    threads: usize,
    samples: usize,
    iterations: usize,
    horizon: usize,
    parameters: usize,
    wall_secs: f64,
    cpu_secs: f64,
    gflop: f64,
    gflop_per_sec: f64,
    gemm_peak_gflop_per_sec: f64,
    share_of_peak: f64,
}

impl LewmPlan {
    /// For people.
    pub fn say(&self) {
        let Self { samples, iterations, horizon, parameters, threads, .. } = self;
        println!(
            "LeWM ({parameters} parameters), {samples} samples x {iterations} iterations x {horizon} blocks, {threads} threads: \
             {:.2} s ({:.2} CPU seconds)",
            self.wall_secs, self.cpu_secs
        );
        println!(
            "  {:.0} GFLOP at {:.0} GFLOP/s, {:.0} % of what matrix products reach here ({:.0} GFLOP/s)",
            self.gflop,
            self.gflop_per_sec,
            100.0 * self.share_of_peak,
            self.gemm_peak_gflop_per_sec
        );
    }
}

/// Plans `arguments.rounds` times; the median counts.
///
/// # Errors
/// When threads cannot be had or the numbers are not finite.
pub fn plan(arguments: &BenchArguments) -> Result<LewmPlan> {
    let threads = arguments.threads;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().context("starting threads")?;
    let model = Lewm::initialise(LewmConfig::published(BLOCK_WIDTH), Seed::new(arguments.seed))?;
    let width = model.config().width();
    let world = LewmWorldModel::new(&model, vec![1.0; BLOCK_WIDTH], vec![0.0; BLOCK_WIDTH], threads)?;
    let place = |phase: f32| Latent::global((0..width).map(|index| (index as f32 * 0.61 + phase).sin()).collect());
    let cost = CostModule::new(vec![Box::new(GoalDistance::euclidean(width))]);
    let directive = Directive {
        goal: std::sync::Arc::new(place(1.0)),
        sub_goal: 0,
        horizon_blocks: HORIZON,
        action_block: 5,
        action_width: 2,
        weights: vec![(GoalDistance::NAME.into(), 1.0)],
        reduction: Reduction::Last,
        budget_secs: f64::INFINITY,
    };
    let config = CemConfig::default();
    let start = place(0.0);
    let mut times = Vec::new();
    for round in 0..arguments.rounds {
        let mut rng = Seed::new(arguments.seed).child("bench").index(round as u64).rng();
        let (wall, cpu) = (Instant::now(), cpu_secs());
        pool.install(|| {
            let clock = SystemClock::start();
            let imagination = Imagination::new(&world, &cost, &start, &directive);
            let deadline = Deadline { clock: &clock, at_secs: f64::INFINITY };
            Cem::new(config.clone()).act(&imagination, &mut rng, &deadline)
        })?;
        times.push((wall.elapsed().as_secs_f64(), cpu_secs() - cpu));
    }
    times.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (wall_secs, cpu_secs) = times[times.len() / 2];
    let gflop = world.engine().operations(1, HORIZON) * (config.samples * config.iterations) as f64 / 1e9;
    let peak = gemm_peak(threads)?;
    Ok(LewmPlan {
        threads,
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
    })
}
