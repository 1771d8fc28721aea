//! `mindseye teach ensemble`: further predictors, so that what the model is not sure of shows.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use anyhow::{Result, bail};
use clap::Args;
use mindseye_agent::world_model::WorldModel;
use mindseye_agent::{Latent, Plans};
use mindseye_interface::Seed;
use mindseye_interface::config::require_range;
use mindseye_world_model::Precision;
use mindseye_world_model::calibration::{Calibration, calibrate};
use mindseye_world_model::ensemble::{Ensemble, EnsembleConfig, EnsembleLesson, train_ensemble};
use serde::Serialize;

use super::{HELD_OUT_EVERY, Lesson, Recorded, say_calibration};
use crate::commands::print_json;
use crate::imagining;
use crate::progress::{Meter, stop_on_ctrl_c};

/// Teach further predictors on a model's latents, each on a bootstrap sample of the episodes: where they disagree, the model does not know.
///
/// The checkpoint is written to --out with the ensemble beside it; a task file with a section `futures` of kind "ensemble" plans with them. A tenth of the
/// episodes is held out for the report: the rank correlation of their spread with the error of their mean.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: mindseye teach ensemble --scene bridge --checkpoint runs/bridge --data data/bridge --members 3 --out runs/with_ensemble"
)]
pub struct EnsembleArguments {
    #[command(flatten)]
    lesson: Lesson,
    /// Predictors beside the model's own.
    #[arg(long, default_value_t = 3)]
    members: usize,
    /// Optimiser steps of each, of 256 windows.
    #[arg(long, default_value_t = EnsembleLesson::default().steps)]
    steps: usize,
    /// Blocks per window, over which predictors are unrolled.
    #[arg(long, default_value_t = EnsembleLesson::default().blocks)]
    blocks: usize,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Taught {
    path: PathBuf,
    members: usize,
    steps: usize,
    /// Mean loss over the last tenth of the steps, averaged over members.
    loss: f64,
    /// Whether the model's own predictor and the further ones differ where their mean errs, on episodes that taught none of the further ones.
    calibration: Vec<Calibration>,
}

/// Runs the command.
///
/// # Errors
/// When an argument makes no sense, data and checkpoint do not fit together, or a file cannot be written.
pub fn run(arguments: &EnsembleArguments) -> Result<()> {
    require_range("--members", arguments.members, 1, 64)?;
    require_range("--steps", arguments.steps, 1, 100_000_000)?;
    require_range("--blocks", arguments.blocks, 1, 1000)?;
    let lesson = &arguments.lesson;
    let mut checkpoint = lesson.checkpoint()?;
    let stop = stop_on_ctrl_c()?;
    let pool = lesson.pool()?;
    let recorded = pool.install(|| Recorded::open(&checkpoint, &lesson.data))?;
    let (episodes, held_out) = recorded.into_episodes()?.split(HELD_OUT_EVERY);
    let seed = Seed::new(lesson.seed).child("ensemble");
    let config = EnsembleConfig::for_model(&checkpoint.config.model, arguments.members);
    let ensemble = Ensemble::initialise(config, seed.child("weights"))?;
    let plan = EnsembleLesson { steps: arguments.steps, blocks: arguments.blocks, ..EnsembleLesson::default() };
    let meter = Meter::new("ensemble", arguments.members * arguments.steps, "steps");
    let mut go_on = |step, loss: f64| {
        meter.set(step, || format!("loss {loss:.4}"));
        !stop.load(Ordering::Relaxed)
    };
    let Some(loss) = train_ensemble(&ensemble, &episodes, &plan, seed, lesson.threads, &mut go_on)? else {
        bail!("stopped; nothing was written");
    };
    drop(meter);
    checkpoint.ensemble = Some(ensemble);
    let world = imagining::ensemble(&checkpoint, Precision::F32, 1)?;
    let block_width = checkpoint.config.model.block_width();
    let imagine = |start: &[f32], plan: &[f32]| -> mindseye_agent::Result<Vec<f32>> {
        let plans = Plans::new(1, plan.len() / block_width, block_width, plan.to_vec())?;
        Ok(world.imagine(&Latent::global(start.to_vec()), &plans)?.values().to_vec())
    };
    let calibration = pool.install(|| calibrate(imagine, &held_out))?;
    checkpoint.save(&lesson.out)?;
    let (path, members, steps) = (lesson.out.clone(), arguments.members, arguments.steps);
    let taught = Taught { path, members, steps, loss, calibration };
    if lesson.json {
        return print_json(&taught);
    }
    println!("{}: {members} predictors beside the model's own", taught.path.display());
    say_calibration(&taught.calibration);
    Ok(())
}
