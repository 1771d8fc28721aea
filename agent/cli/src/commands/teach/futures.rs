//! `mindseye teach futures`: from recorded episodes to a code that tells apart what may follow.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use anyhow::{Result, bail};
use clap::Args;
use mindseye_interface::Seed;
use mindseye_interface::config::require_range;
use mindseye_world_model::calibration::{Calibration, calibrate};
use mindseye_world_model::futures::{
    Draws, FuturesConfig, FuturesEngine, FuturesLesson, FuturesReport, report, train_futures,
};
use mindseye_world_model::{Futures, Precision};
use serde::Serialize;

use super::{HELD_OUT_EVERY, Lesson, Recorded, say_calibration};
use crate::commands::print_json;
use crate::progress::{Meter, stop_on_ctrl_c};

/// Teach a predictor with a discrete latent: where the world may go one way or another, it has a future for each.
///
/// It begins at the model's own predictor and learns from recorded episodes which code leads where, and how probable each is; codes cost a rate, so that what can
/// be predicted is told by none. The checkpoint is written to --out with the futures beside it; a task file with a section `futures` plans with them. A tenth of
/// the episodes is held out for the report. mindseye forks says whether both branches of a fork are found.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: mindseye teach futures --scene bridge --checkpoint runs/bridge --data data/bridge --out runs/with_futures"
)]
pub struct FuturesArguments {
    #[command(flatten)]
    lesson: Lesson,
    /// Codes: the most branches that a block may have.
    #[arg(long, default_value_t = 4)]
    codes: usize,
    /// What a nat of rate costs, in mean squared errors in units of typical steps.
    #[arg(long, default_value_t = FuturesLesson::default().rate)]
    rate: f64,
    /// Optimiser steps, of 256 windows each.
    #[arg(long, default_value_t = FuturesLesson::default().steps)]
    steps: usize,
    /// Blocks per window, over which the predictor is unrolled.
    #[arg(long, default_value_t = FuturesLesson::default().blocks)]
    blocks: usize,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Taught {
    path: PathBuf,
    steps: usize,
    rate: f64,
    /// Mean loss over the last tenth of the steps.
    loss: f64,
    /// On episodes that taught nothing.
    held_out: FuturesReport,
    /// Whether eight futures differ where their mean errs.
    calibration: Vec<Calibration>,
}

/// Futures whose spread is measured.
const FUTURES: usize = 8;

/// Runs the command.
///
/// # Errors
/// When an argument makes no sense, data and checkpoint do not fit together, or a file cannot be written.
pub fn run(arguments: &FuturesArguments) -> Result<()> {
    require_range("--codes", arguments.codes, 2, 256)?;
    require_range("--rate", arguments.rate, 0.0, 1e6)?;
    require_range("--steps", arguments.steps, 1, 100_000_000)?;
    require_range("--blocks", arguments.blocks, 1, 1000)?;
    let lesson = &arguments.lesson;
    let mut checkpoint = lesson.checkpoint()?;
    let stop = stop_on_ctrl_c()?;
    let pool = lesson.pool()?;
    let recorded = pool.install(|| Recorded::open(&checkpoint, &lesson.data))?;
    let (episodes, held_out) = recorded.into_episodes()?.split(HELD_OUT_EVERY);
    let seed = Seed::new(lesson.seed).child("futures");
    let config = FuturesConfig::for_model(&checkpoint.config.model, arguments.codes);
    let futures = Futures::beginning_at(&checkpoint.model, config, seed.child("weights"))?;
    let plan = FuturesLesson {
        steps: arguments.steps,
        blocks: arguments.blocks,
        rate: arguments.rate,
        ..FuturesLesson::default()
    };
    let meter = Meter::new("futures", arguments.steps, "steps");
    let mut go_on = |step, loss: f64| {
        meter.set(step, || format!("loss {loss:.4}"));
        !stop.load(Ordering::Relaxed)
    };
    let Some(loss) = train_futures(&futures, &episodes, &plan, seed, lesson.threads, &mut go_on)? else {
        bail!("stopped; nothing was written");
    };
    drop(meter);
    let measured = report(&futures, &checkpoint.model, &held_out, seed.child("report"))?;
    let (engine, draws) = (FuturesEngine::new(&futures, Precision::F32)?, Draws::new(FUTURES, seed.child("draws")));
    let imagine = |start: &[f32], plan: &[f32]| -> mindseye_world_model::Result<Vec<f32>> {
        Ok(engine.imagine(start, plan, plan.len() / engine.block_width(), &draws, 1)?.latents)
    };
    let calibration = pool.install(|| calibrate(imagine, &held_out))?;
    checkpoint.futures = Some(futures);
    checkpoint.save(&lesson.out)?;
    let (path, steps, rate) = (lesson.out.clone(), arguments.steps, arguments.rate);
    let taught = Taught { path, steps, rate, loss, held_out: measured, calibration };
    if lesson.json { print_json(&taught) } else { say(&taught) }
}

fn say(taught: &Taught) -> Result<()> {
    let held_out = &taught.held_out;
    println!("{}: futures beside their model", taught.path.display());
    println!(
        "on {} held-out transitions: rate {:.4} nats, {:.2} codes in use",
        held_out.transitions, held_out.rate_nats, held_out.codes_in_use
    );
    println!(
        "error in typical steps: {:.4} of the model's one answer, {:.4} with the code that explains what came",
        held_out.error_of_model, held_out.error_explained
    );
    for best in &held_out.error_of_best {
        println!("  best of {} samples {:.4}", best.samples, best.error);
    }
    say_calibration(&taught.calibration);
    Ok(())
}
