//! Planning as LeWorldModel's authors do, in its published sizes, with random weights: for comparisons with other implementations.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context, Result};
use mindseye_agent::actor::{Actor, Cem, CemConfig, Deadline, Imagination};
use mindseye_agent::configurator::{Mode, ModeOrder, ModeReason};
use mindseye_agent::cost::{CostModule, GoalDistance, Reduction};
use mindseye_agent::perception::Completion;
use mindseye_agent::world_model::LewmWorldModel;
use mindseye_agent::{Directive, Latent, Plans};
use mindseye_interface::{Seed, SystemClock};
use mindseye_world_model::lewm::LewmTrainer;
use mindseye_world_model::optimiser::OptimiserConfig;
use mindseye_world_model::{Lewm, LewmConfig, Precision};
use rand::Rng as _;
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
    precision: Precision,
    /// Share of the best plans of a first round that are among the best in f32 too.
    elites_kept: f64,
    /// The largest error of an energy of that round, in standard deviations of the energies.
    largest_error_in_spreads: f64,
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
        if self.precision != Precision::F32 {
            println!(
                "  {:.0} % of a round's elites are elites in f32 too; energies are off by at most {:.3} of their standard deviation",
                100.0 * self.elites_kept,
                self.largest_error_in_spreads
            );
        }
    }
}

/// Plans `arguments.rounds` times; the median counts.
///
/// # Errors
/// When threads cannot be had or the numbers are not finite.
pub fn plan(arguments: &BenchArguments) -> Result<LewmPlan> {
    let threads = arguments.threads;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().context("starting threads")?;
    let model = Lewm::initialise_open(LewmConfig::published(BLOCK_WIDTH), Seed::new(arguments.seed))?;
    let width = model.config().width();
    let world =
        |precision| LewmWorldModel::new(&model, vec![1.0; BLOCK_WIDTH], vec![0.0; BLOCK_WIDTH], precision, threads);
    let exact = world(Precision::F32)?;
    let world = world(arguments.precision.into())?;
    let place = |phase: f32| Latent::global((0..width).map(|index| (index as f32 * 0.61 + phase).sin()).collect());
    let cost = CostModule::new(vec![Box::new(GoalDistance::euclidean(width))]);
    let directive = Directive {
        task: "bench".into(),
        goal: std::sync::Arc::new(place(1.0)),
        goal_term: GoalDistance::NAME,
        aims: std::sync::Arc::default(),
        sub_goal: 0,
        horizon_blocks: HORIZON,
        action_block: 5,
        action_width: 2,
        weights: vec![(GoalDistance::NAME.into(), 1.0)],
        reduction: Reduction::Last,
        risk: 0.0,
        budget_secs: f64::INFINITY,
        completion: Completion::default(),
        adaptation: None,
        mode: ModeOrder::Use(Mode::Mode2, ModeReason::Task),
    };
    let config = CemConfig::default();
    let start = place(0.0);
    let plans = first_round(&config, arguments.seed)?;
    let energies =
        |world: &LewmWorldModel| pool.install(|| Imagination::new(world, &cost, &start, &directive).energies(&plans));
    let (reference, rounded) = (energies(&exact)?, energies(&world)?); // now memory is taken, too
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
        precision: arguments.precision.into(),
        elites_kept: overlap(&reference, &rounded, config.elites),
        largest_error_in_spreads: largest_error_in_spreads(&reference, &rounded),
    })
}

/// The plans of a first round of `config`.
fn first_round(config: &CemConfig, seed: u64) -> Result<Plans> {
    let mut rng = Seed::new(seed).child("first round").rng();
    let values = (0..config.samples * HORIZON * BLOCK_WIDTH).map(|_| rng.random_range(-1.0..=1.0)).collect();
    Ok(Plans::new(config.samples, HORIZON, BLOCK_WIDTH, values)?)
}

/// Share of the `count` best plans by `reference` that are among the `count` best by `others`.
fn overlap(reference: &[f32], others: &[f32], count: usize) -> f64 {
    let best = |energies: &[f32]| {
        let mut order: Vec<usize> = (0..energies.len()).collect();
        order.sort_by(|&a, &b| energies[a].total_cmp(&energies[b]));
        order.truncate(count);
        order
    };
    let (reference, others) = (best(reference), best(others));
    reference.iter().filter(|index| others.contains(index)).count() as f64 / count.max(1) as f64
}

fn largest_error_in_spreads(reference: &[f32], others: &[f32]) -> f64 {
    let count = reference.len() as f64;
    let mean = reference.iter().map(|&energy| f64::from(energy)).sum::<f64>() / count;
    let variance = reference.iter().map(|&energy| (f64::from(energy) - mean).powi(2)).sum::<f64>() / count;
    let errors = reference.iter().zip(others).map(|(reference, other)| f64::from((reference - other).abs()));
    errors.fold(0.0, f64::max) / variance.sqrt()
}

/// Speed of training or encoding with a LeWM of published size.
#[derive(Debug, Serialize)]
pub struct LewmSpeed {
    work: &'static str,
    threads: usize,
    /// Windows of four pictures (training) or pictures (encoding) at a time.
    batch: usize,
    wall_secs: f64,
    cpu_secs: f64,
    gemm_peak_gflop_per_sec: f64,
}

impl LewmSpeed {
    /// For people.
    pub fn say(&self) {
        let Self { work, threads, batch, wall_secs, cpu_secs, .. } = self;
        println!("LeWM, {work}, batch {batch}, {threads} threads: {wall_secs:.3} s ({cpu_secs:.3} CPU seconds)");
    }
}

/// Frames of a window: three, and the one that is predicted.
const FRAMES: usize = 4;

/// The median of `arguments.rounds` optimiser steps on random pictures, after one that does not count.
///
/// # Errors
/// When threads cannot be had or the numbers are not finite.
pub fn training(arguments: &BenchArguments) -> Result<LewmSpeed> {
    let batch = arguments.batch.unwrap_or(8);
    let model = Lewm::initialise(LewmConfig::published(BLOCK_WIDTH), Seed::new(arguments.seed))?;
    let side = model.config().vision.image_side;
    let mut rng = Seed::new(arguments.seed).child("batch").rng();
    let bytes: Vec<u8> = (0..batch * FRAMES * side * side * 3).map(|_| rng.random()).collect();
    let blocks: Vec<f32> = (0..batch * FRAMES * BLOCK_WIDTH).map(|_| rng.random_range(-1.0..=1.0)).collect();
    let mut trainer = LewmTrainer::new(model, OptimiserConfig::default(), 1000, arguments.threads)?;
    speed("a training step", arguments, batch, &mut || {
        trainer.step(&bytes, &blocks, FRAMES, Seed::new(arguments.seed))?;
        Ok(())
    })
}

/// The median of `arguments.rounds` encodings of random pictures, after one that does not count.
///
/// # Errors
/// When the numbers are not finite.
pub fn encoding(arguments: &BenchArguments) -> Result<LewmSpeed> {
    let batch = arguments.batch.unwrap_or(1);
    let model = Lewm::initialise(LewmConfig::published(BLOCK_WIDTH), Seed::new(arguments.seed))?;
    let side = model.config().vision.image_side;
    let mut rng = Seed::new(arguments.seed).child("pictures").rng();
    let bytes: Vec<u8> = (0..batch * side * side * 3).map(|_| rng.random()).collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(arguments.threads).build().context("starting threads")?;
    speed("encoding", arguments, batch, &mut || {
        black_box(pool.install(|| model.encode(&bytes, batch))?);
        Ok(())
    })
}

fn speed(
    work: &'static str,
    arguments: &BenchArguments,
    batch: usize,
    once: &mut dyn FnMut() -> Result<()>,
) -> Result<LewmSpeed> {
    once()?;
    let mut times = Vec::new();
    for _ in 0..arguments.rounds {
        let (wall, cpu) = (Instant::now(), cpu_secs());
        once()?;
        times.push((wall.elapsed().as_secs_f64(), cpu_secs() - cpu));
    }
    times.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (wall_secs, cpu_secs) = times[times.len() / 2];
    let threads = arguments.threads;
    Ok(LewmSpeed { work, threads, batch, wall_secs, cpu_secs, gemm_peak_gflop_per_sec: gemm_peak(threads)? })
}
