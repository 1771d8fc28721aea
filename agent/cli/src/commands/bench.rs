//! `mindseye bench`: how fast this machine simulates, trains and plans.

mod data;
mod lewm;
mod peak;
mod planning;
mod scaling;
mod training;

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use clap::{Args, ValueEnum};
use mindseye_interface::Seed;
use mindseye_interface::config::require_range;
use mindseye_sim::{SceneOptions, demonstrator, make};
use mindseye_world_model::encoder::Sensed;
use mindseye_world_model::{Checkpoint, Precision};
use serde::Serialize;

use super::print_json;
use super::record::episode_seed;
use crate::assets;
use crate::evaluation::interval::Percentiles;

/// Measure speed. For sim and train the best of several rounds counts, so that what else the machine does counts little; plan gives
/// percentiles over all ticks of as many episodes.
#[derive(Debug, Args)]
#[command(after_help = "Example: mindseye bench sim")]
pub struct BenchArguments {
    /// What to measure: sim (physics and camera, one core), train (optimiser steps), plan (ticks of the agent), scaling (how imagining
    /// grows with its size), encode (pictures), data (decoding, and windows out of decoded frames).
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
    /// Pictures at a time for encode (1 by default), windows for train --lewm (8 by default).
    #[arg(long)]
    batch: Option<usize>,
    /// A LeWorldModel of published size with random weights instead of the scene's model; planned with as its authors do (CEM, 300 samples,
    /// 30 iterations, 5 blocks).
    #[arg(long)]
    lewm: bool,
    /// For plan: how the world model's weights are kept.
    #[arg(long, value_enum, default_value_t = Weights::F32)]
    precision: Weights,
    /// For plan: task file (TOML); by default the shipped one of the scene.
    #[arg(long)]
    task: Option<PathBuf>,
    /// For plan: stop thinking after so many milliseconds, as on a robot, and count what came too late. By default nothing is cut short.
    #[arg(long)]
    deadline_ms: Option<f64>,
    /// For data: a data set; by default a fresh recording of the scene.
    #[arg(long)]
    data: Option<PathBuf>,
    /// For scaling: folder for scaling.png.
    #[arg(long)]
    out: Option<PathBuf>,
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
    /// Milliseconds for imagining and judging, by number of plans, their length, and threads.
    Scaling,
    /// Milliseconds from picture to latent with the shipped checkpoint, on one thread.
    Encode,
    /// Frames decoded per second, and samples per second out of decoded frames.
    Data,
}

#[derive(Debug, Serialize)]
#[serde(tag = "bench", rename_all = "snake_case")]
enum BenchReport {
    Sim { scene: String, physics_steps_per_sec: f64, with_camera: Vec<CameraRate> },
    Train(training::TrainSpeed),
    Plan(Box<planning::Plan>),
    Scaling(scaling::Scaling),
    Encode { scene: String, batch: usize, ms: Percentiles },
    LewmPlan(lewm::LewmPlan),
    LewmSpeed(lewm::LewmSpeed),
    Data(data::DataSpeed),
}

#[derive(Debug, Serialize)]
struct CameraRate {
    image_side: usize,
    control_steps_per_sec: f64,
}

/// How weights are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Weights {
    /// As they were trained.
    F32,
    /// In sixteen bits.
    Bf16,
    /// In eight bits.
    Int8,
}

impl From<Weights> for Precision {
    fn from(weights: Weights) -> Self {
        match weights {
            Weights::F32 => Self::F32,
            Weights::Bf16 => Self::Bf16,
            Weights::Int8 => Self::Int8,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// When an argument makes no sense or a shipped file is missing.
pub fn run(arguments: &BenchArguments) -> Result<()> {
    require_range("--rounds", arguments.rounds, 1, 1000)?;
    require_range("--threads", arguments.threads, 1, 1024)?;
    require_range("--batch", arguments.batch.unwrap_or(1), 1, 10_000)?;
    make(&arguments.scene, &SceneOptions::with_side(16)?)?;
    let report = match arguments.what {
        What::Sim => sim(arguments)?,
        What::Train if arguments.lewm => BenchReport::LewmSpeed(lewm::training(arguments)?),
        What::Train => BenchReport::Train(training::train_speed(arguments)?),
        What::Plan if arguments.lewm => BenchReport::LewmPlan(lewm::plan(arguments)?),
        What::Plan => BenchReport::Plan(Box::new(planning::plan(arguments)?)),
        What::Scaling => BenchReport::Scaling(scaling::scaling(arguments, arguments.out.as_deref())?),
        What::Encode if arguments.lewm => BenchReport::LewmSpeed(lewm::encoding(arguments)?),
        What::Encode => encoding(arguments)?,
        What::Data => BenchReport::Data(data::data_speed(arguments)?),
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
        BenchReport::Train(speed) => speed.say(),
        BenchReport::Plan(plan) => plan.say(),
        BenchReport::Scaling(scaling) => scaling.say(),
        BenchReport::Encode { scene, batch, ms } => {
            let Percentiles { p50, p95, .. } = ms;
            println!("{scene}, one thread: {batch} pictures are encoded in {p50:.2} ms median, {p95:.2} p95");
        }
        BenchReport::LewmPlan(plan) => plan.say(),
        BenchReport::LewmSpeed(speed) => speed.say(),
        BenchReport::Data(speed) => speed.say(),
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

fn encoding(arguments: &BenchArguments) -> Result<BenchReport> {
    let batch = arguments.batch.unwrap_or(1);
    let checkpoint = Checkpoint::load_for_scene(&assets::checkpoint(&arguments.scene)?, &arguments.scene)?;
    let picture = checkpoint.config.model.picture_bytes();
    let felt = vec![0.0; batch * checkpoint.config.model.proprioception_width];
    let bytes: Vec<u8> = (0..batch * picture).map(|index| (index * 7919 % 251) as u8).collect();
    let mut times = Vec::new();
    for _ in 0..100 * arguments.rounds {
        let started = Instant::now();
        black_box(checkpoint.model.encode(Sensed { pictures: &bytes, proprioception: &felt })?);
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(BenchReport::Encode { scene: arguments.scene.clone(), batch, ms: Percentiles::of(times) })
}
