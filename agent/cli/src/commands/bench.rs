//! `mindseye bench`: how fast this machine simulates, trains and plans.

mod lewm;
mod peak;

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use mindseye_episodes::FrameCache;
use mindseye_interface::config::require_range;
use mindseye_interface::{ImageSize, Seed, config};
use mindseye_sim::{SceneOptions, demonstrator, make};
use mindseye_world_model::Checkpoint;
use mindseye_world_model::training::{RunOptions, TrainingConfig, TrainingData, train};
use serde::Serialize;

use super::record::{episode_seed, simulate_episode};
use super::{load_task, print_json};
use crate::assets;
use crate::evaluation::interval::Percentiles;
use crate::evaluation::{Episode, Method, PairKind, draw_pairs};

/// Measure speed. For sim and train the best of several rounds counts, so that what else the machine does counts little; plan gives
/// percentiles over all ticks of as many episodes.
#[derive(Debug, Args)]
#[command(after_help = "Example: mindseye bench sim")]
pub struct BenchArguments {
    /// What to measure: sim (physics and camera, one core), train (optimiser steps), plan (ticks of the agent).
    #[arg(value_enum)]
    what: What,
    /// Name of the scene.
    #[arg(long, default_value = "two_room")]
    scene: String,
    /// Rounds (for plan: episodes).
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Root of every random choice.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads for train and plan.
    #[arg(long, default_value_t = super::default_threads())]
    threads: usize,
    /// For plan: a LeWorldModel of published size with random weights, planned with as its authors do (CEM, 300 samples, 30
    /// iterations, 5 blocks), instead of the scene's agent.
    #[arg(long)]
    lewm: bool,
    /// Print one JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Control steps per second with pictures, on one core.
    Sim,
    /// Optimiser steps per second with the shipped recipe.
    Train,
    /// Milliseconds per tick with the shipped checkpoint and task.
    Plan,
}

#[derive(Debug, Serialize)]
#[serde(tag = "bench", rename_all = "snake_case")]
enum BenchReport {
    Sim { scene: String, physics_steps_per_sec: f64, with_camera: Vec<CameraRate> },
    Train { scene: String, threads: usize, steps_per_sec: f64, frames_per_sec: f64 },
    Plan { scene: String, threads: usize, planning_ms: Percentiles, imagined_states_per_sec: f64 },
    LewmPlan(lewm::LewmPlan),
}

#[derive(Debug, Serialize)]
struct CameraRate {
    image_side: usize,
    control_steps_per_sec: f64,
}

/// Runs the command.
///
/// # Errors
/// When an argument makes no sense or a shipped file is missing.
pub fn run(arguments: &BenchArguments) -> Result<()> {
    require_range("--rounds", arguments.rounds, 1, 1000)?;
    require_range("--threads", arguments.threads, 1, 1024)?;
    make(&arguments.scene, &SceneOptions::with_side(16)?)?;
    let report = match arguments.what {
        What::Sim => sim(arguments)?,
        What::Train => training(arguments)?,
        What::Plan if arguments.lewm => BenchReport::LewmPlan(lewm::plan(arguments)?),
        What::Plan => planning(arguments)?,
    };
    if arguments.json {
        return print_json(&report);
    }
    match report {
        BenchReport::Sim { scene, physics_steps_per_sec, with_camera } => {
            println!("{scene}, one core: {physics_steps_per_sec:.0} control steps/s without camera");
            for rate in with_camera {
                println!(
                    "  {0} control steps/s with a {1}x{1} camera",
                    rate.control_steps_per_sec.round(),
                    rate.image_side
                );
            }
        }
        BenchReport::Train { scene, threads, steps_per_sec, frames_per_sec } => {
            println!("{scene}, {threads} threads: {steps_per_sec:.1} optimiser steps/s ({frames_per_sec:.0} frames/s)");
        }
        BenchReport::Plan { scene, threads, planning_ms, imagined_states_per_sec } => {
            let Percentiles { p50, p95, max } = planning_ms;
            println!("{scene}, {threads} threads: a tick takes {p50:.2} ms median, {p95:.2} p95, {max:.2} max");
            println!("  {imagined_states_per_sec:.0} imagined states/s");
        }
        BenchReport::LewmPlan(plan) => plan.say(),
    }
    Ok(())
}

/// Seconds that all cores together have worked for this process.
fn cpu_secs() -> f64 {
    cpu_time::ProcessTime::now().as_duration().as_secs_f64()
}

const STEPS_PER_EPISODE: usize = 100;

fn sim(arguments: &BenchArguments) -> Result<BenchReport> {
    let rate = |side: usize, camera: bool, episodes: u64| -> Result<f64> {
        let options = SceneOptions::with_side(side)?;
        let mut simulator = make(&arguments.scene, &options)?;
        let mut demonstrator = demonstrator(&arguments.scene, "mixture", &options)?;
        let mut best: f64 = 0.0;
        for round in 0..arguments.rounds as u64 {
            let started = Instant::now();
            for episode in 0..episodes {
                let seed = episode_seed(Seed::new(arguments.seed), round * episodes + episode);
                let moments = mindseye_sim::demonstrate(
                    simulator.as_mut(),
                    demonstrator.as_mut(),
                    seed,
                    STEPS_PER_EPISODE,
                    !camera,
                )?;
                black_box(moments);
            }
            best = best.max((episodes as usize * STEPS_PER_EPISODE) as f64 / started.elapsed().as_secs_f64());
        }
        Ok(best)
    };
    let camera = |side, episodes| {
        rate(side, true, episodes).map(|control_steps_per_sec| CameraRate { image_side: side, control_steps_per_sec })
    };
    Ok(BenchReport::Sim {
        scene: arguments.scene.clone(),
        physics_steps_per_sec: rate(64, false, 100)?,
        with_camera: vec![camera(64, 50)?, camera(224, 20)?],
    })
}

fn training(arguments: &BenchArguments) -> Result<BenchReport> {
    let mut recipe: TrainingConfig = config::load(&assets::recipe(&arguments.scene)?)?;
    (recipe.steps, recipe.validate_every, recipe.refinement.steps) = (50, usize::MAX, 0);
    let options = SceneOptions::with_side(recipe.model.image_side)?;
    let mut simulator = make(&arguments.scene, &options)?;
    let mut demonstrator = demonstrator(&arguments.scene, "mixture", &options)?;
    let size = ImageSize::square(recipe.model.image_side)?;
    let state = (simulator.state_names().len(), simulator.proprioception_names().len());
    let mut cache = FrameCache::new(size, simulator.action_space().width(), state.0, state.1);
    for episode in 0..40 {
        let seed = episode_seed(Seed::new(arguments.seed), episode);
        cache.push(&simulate_episode(simulator.as_mut(), demonstrator.as_mut(), seed, STEPS_PER_EPISODE)?)?;
    }
    let data = TrainingData::new(cache, &recipe)?;
    let mut best: f64 = 0.0;
    for _ in 0..arguments.rounds {
        let folder = tempfile::tempdir().context("temporary folder")?;
        let (first, last) = (std::cell::Cell::new(None), std::cell::Cell::new(None));
        let watch = |_: &mindseye_world_model::training::Progress<'_>| {
            first.set(first.get().or(Some(Instant::now())));
            last.set(Some(Instant::now()));
        };
        let options = RunOptions {
            seed: Seed::new(arguments.seed),
            threads: arguments.threads,
            folder: folder.path(),
            start: None,
            resume: false,
            stop_after: Some(recipe.steps - 1), // the last step ends in a validation
            stop: &AtomicBool::new(false),
            progress: &watch,
        };
        train(&recipe, &data, &options)?;
        if let (Some(first), Some(last)) = (first.get(), last.get()) {
            best = best.max((recipe.steps - 2) as f64 / last.duration_since(first).as_secs_f64());
        }
    }
    let frames_per_sec = best * (recipe.data.batch * recipe.data.frames) as f64;
    Ok(BenchReport::Train {
        scene: arguments.scene.clone(),
        threads: arguments.threads,
        steps_per_sec: best,
        frames_per_sec,
    })
}

fn planning(arguments: &BenchArguments) -> Result<BenchReport> {
    let scene = arguments.scene.as_str();
    let checkpoint = Arc::new(Checkpoint::load_for_scene(&assets::checkpoint(scene)?, scene)?);
    let task = load_task(None, scene)?;
    let options = SceneOptions::with_side(checkpoint.config.model.image_side)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(arguments.threads).build().context("starting threads")?;
    let kind = PairKind::Offset { goal_offset: 25 };
    let (mut planning_ms, mut rows) = (Vec::new(), 0);
    for pair in draw_pairs(scene, &options, kind, arguments.rounds, arguments.seed)? {
        let episode = Episode {
            scene,
            options: &options,
            method: &Method::Model(checkpoint.clone()),
            task: &task,
            pair: &pair,
            budget_steps: kind.default_budget(),
            seed: Seed::new(arguments.seed).index(pair.index as u64),
            threads: arguments.threads,
            real_time: false,
            stop_when_held: false,
        };
        let result = pool.install(|| episode.play(&mut |_| Ok(())))?;
        planning_ms.extend_from_slice(&result.planning_ms);
        rows += result.predictor_rows;
    }
    let seconds = planning_ms.iter().sum::<f64>() / 1e3;
    Ok(BenchReport::Plan {
        scene: scene.into(),
        threads: arguments.threads,
        imagined_states_per_sec: rows as f64 / seconds.max(1e-9),
        planning_ms: Percentiles::of(planning_ms),
    })
}
