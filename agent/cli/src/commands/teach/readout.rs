//! `mindseye teach readout`: names for what a latent means, from recorded states.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use anyhow::{Result, bail};
use clap::Args;
use mindseye_interface::Seed;
use mindseye_interface::config::require_range;
use mindseye_world_model::ReadoutEngine;
use mindseye_world_model::readout::{Lessons, ReadoutConfig, train_readout};
use mindseye_world_model::training::Probe;
use serde::Serialize;

use super::{Lesson, Recorded};
use crate::commands::print_json;
use crate::progress::{Meter, stop_on_ctrl_c};

/// Teach a readout: a small network that reads places and angles off a latent, so that a task can speak of them.
///
/// It learns from the true states that were recorded beside the pictures (those of a simulator, or what a tracker measured); every fifth episode is kept
/// back and says how well it reads. The world model stays as it is. The checkpoint is written to --out with the readout beside it: tasks can then
/// want a pose or a region instead of a picture, and mark places to keep out of.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: mindseye teach readout --scene push_t --checkpoint assets/checkpoints/push_t --data data/push_t --out runs/with_readout"
)]
pub struct ReadoutArguments {
    #[command(flatten)]
    lesson: Lesson,
    /// Optimiser steps, of 1024 latents each.
    #[arg(long, default_value_t = 6000)]
    steps: usize,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct ReadoutReport {
    path: PathBuf,
    steps: usize,
    /// Episodes that it learnt from, and that it was judged on.
    episodes: usize,
    held_out_episodes: usize,
    states: Vec<StateReport>,
}

/// How well one dimension of the state is read on episodes that were kept back.
#[derive(Debug, Serialize)]
struct StateReport {
    name: String,
    r2: f64,
    rmse: f64,
    median_error: f64,
    /// Median error of a linear map, for comparison.
    linear_median_error: f64,
    /// What counts as one step of it.
    typical_step: f32,
}

/// One of so many episodes is kept back.
const KEPT_BACK: usize = 5;

/// Runs the command.
///
/// # Errors
/// When an argument makes no sense, the data have no true states or do not fit the checkpoint, or a file cannot be written.
pub fn run(arguments: &ReadoutArguments) -> Result<()> {
    require_range("--steps", arguments.steps, 1, 100_000_000)?;
    let lesson = &arguments.lesson;
    let mut checkpoint = lesson.checkpoint()?;
    let stop = stop_on_ctrl_c()?;
    let recorded = lesson.pool()?.install(|| Recorded::open(&checkpoint, &lesson.data))?;
    if recorded.state_names.is_empty() {
        bail!("--data: expected true states beside the pictures (a column that a mapping calls state), got none");
    }
    let (learn, held_out) = (part(&recorded, false), part(&recorded, true));
    if learn.latents.is_empty() || held_out.latents.is_empty() {
        bail!("--data: expected {KEPT_BACK} episodes or more, got {}", recorded.episodes.len());
    }
    let steps_of_states = typical_steps(&recorded);
    let config = ReadoutConfig::for_model(&checkpoint.config.model, recorded.state_names.clone(), steps_of_states);
    let meter = Meter::new("readout", arguments.steps, "steps");
    let go_on = |step, error: f64| {
        meter.set(step, || format!("error {error:.5}"));
        !stop.load(Ordering::Relaxed)
    };
    let seed = Seed::new(lesson.seed).child("readout");
    let Some(readout) = train_readout(config, &learn, arguments.steps, seed, lesson.threads, go_on)? else {
        bail!("stopped; nothing was written");
    };
    drop(meter);
    let engine = ReadoutEngine::new(&readout)?;
    let errors = engine.judge(&held_out.latents, &held_out.states)?;
    let linear = Probe::fit(&learn.latents, &learn.states, &recorded.state_names, recorded.width);
    let linear = linear.map(|probe| probe.judge(&held_out.latents, &held_out.states).median).unwrap_or_default();
    let state = |(index, name): (usize, &String)| StateReport {
        name: name.clone(),
        r2: errors.r2[index],
        rmse: errors.rmse[index],
        median_error: errors.median[index],
        linear_median_error: linear.get(index).copied().unwrap_or(f64::NAN),
        typical_step: engine.typical_steps()[index],
    };
    let held_out_episodes = recorded.episodes.len() / KEPT_BACK;
    let report = ReadoutReport {
        path: lesson.out.clone(),
        steps: arguments.steps,
        episodes: recorded.episodes.len() - held_out_episodes,
        held_out_episodes,
        states: recorded.state_names.iter().enumerate().map(state).collect(),
    };
    checkpoint.readout = Some(readout);
    checkpoint.save(&lesson.out)?;
    if lesson.json {
        return print_json(&report);
    }
    println!("{}: a readout beside its model; on {held_out_episodes} held-out episodes:", report.path.display());
    for StateReport { name, r2, rmse, median_error, linear_median_error, typical_step } in &report.states {
        println!(
            "  {name:<16} R2 {r2:.4}, rmse {rmse:.4}, median error {median_error:.4} (a linear map {linear_median_error:.4}); a typical step is {typical_step:.4}"
        );
    }
    Ok(())
}

/// The episodes that are kept back, or the others.
fn part(recorded: &Recorded, kept_back: bool) -> Lessons {
    let mut lessons = Lessons::default();
    let episodes = recorded.episodes.iter().enumerate();
    for (_, episode) in episodes.filter(|(index, _)| (index % KEPT_BACK == KEPT_BACK - 1) == kept_back) {
        for moment in episode.clone() {
            lessons.latents.extend_from_slice(recorded.latent(moment));
            lessons.states.extend_from_slice(recorded.state(moment));
        }
    }
    lessons
}

/// How far each dimension of the state moves in one action block, root mean square; angles the short way round.
fn typical_steps(recorded: &Recorded) -> Vec<f32> {
    let mut squares = vec![0.0f64; recorded.state_names.len()];
    let mut count = 0.0f64;
    for moment in recorded.episodes.iter().flat_map(|episode| episode.start..episode.end - 1) {
        let both = recorded.state(moment).iter().zip(recorded.state(moment + 1));
        for ((sum, (now, then)), name) in squares.iter_mut().zip(both).zip(&recorded.state_names) {
            let step = f64::from(then - now);
            let step = if name.ends_with("_rad") { step.sin().atan2(step.cos()) } else { step };
            *sum += step * step;
        }
        count += 1.0;
    }
    // What never moves has no typical step; a millionth of its unit is finer than anything that is read.
    squares.into_iter().map(|sum| (sum / count.max(1.0)).sqrt().max(1e-6) as f32).collect()
}
