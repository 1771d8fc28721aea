//! `mindseye train`: from recorded episodes to a checkpoint.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, bail};
use clap::Args;
use mindseye_episodes::{CacheOptions, EpisodeSource, FrameCache, open};
use mindseye_interface::config::require_range;
use mindseye_interface::{ActionSpace, ImageSize, Seed, config};
use mindseye_world_model::checkpoint::{Checkpoint, Origin};
use mindseye_world_model::decoder::train_decoder;
use mindseye_world_model::training::{
    Progress, RunOptions, TrainingConfig, TrainingData, TrainingReport, Validation, train,
};
use serde::Serialize;

use super::data::names_or_numbers;
use super::print_json;
use crate::assets;
use crate::progress::{Meter, stop_on_ctrl_c};

/// What other tools' data are of, unless the user says; its recipe fits any.
const RECORDED: &str = "recorded";

/// Train a world model from recorded episodes.
///
/// Writes to --out: the checkpoint (config.json, model.safetensors, decoder.safetensors), the run's state (state.safetensors),
/// metrics.jsonl, and TensorBoard event files. Ctrl-C saves the state; --resume goes on and gives the same bits as a run that
/// was never stopped. Equal data, recipe and seed give equal weights, with any number of threads.
#[derive(Debug, Args)]
#[command(after_help = "Example: mindseye train --data data/two_room --out runs/two_room --seed 0")]
pub struct TrainArguments {
    /// The data set: a LeRobot folder (v3.0 or v2.1; pictures, AV1 or H.264 videos), an HDF5 file or folder of stable-worldmodel, or an HDF5
    /// file of robomimic.
    #[arg(long)]
    data: PathBuf,
    /// Name for what the data are of, where they do not say; a checkpoint of it is loaded under that name.
    #[arg(long, default_value = RECORDED)]
    scene: String,
    /// Moments per second, where the data do not say.
    #[arg(long)]
    fps: Option<f64>,
    /// Folder for the run and its checkpoint.
    #[arg(long)]
    out: PathBuf,
    /// Recipe (TOML); by default the one that is shipped for the data set's scene.
    #[arg(long)]
    recipe: Option<PathBuf>,
    /// Checkpoint to start from instead of fresh weights (its model shaped as the recipe's), for example to go on with more episodes.
    #[arg(long, conflicts_with = "resume")]
    from: Option<PathBuf>,
    /// Optimiser steps of the model, instead of the recipe's; those of the refinement are as in the recipe. With --from, 0 leaves the
    /// encoder as it is and trains the predictor alone (a recipe without refinement then trains a new decoder only).
    #[arg(long)]
    steps: Option<usize>,
    /// Root of every random choice: weights, order of the data, directions of SIGReg.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Go on with the run in --out.
    #[arg(long)]
    resume: bool,
    /// Save and stop after this step; --resume goes on.
    #[arg(long)]
    stop_after: Option<usize>,
    /// Threads; the weights do not depend on it.
    #[arg(long, default_value_t = super::default_threads())]
    threads: usize,
    /// Memory that decoded frames may take, GiB.
    #[arg(long, default_value_t = 8.0)]
    memory_gib: f64,
    /// Print the training report as one JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// What came of a run.
#[derive(Debug, Serialize)]
struct TrainReport {
    path: PathBuf,
    #[serde(flatten)]
    training: TrainingReport,
    parameters: usize,
    decoder: bool,
}

/// Runs the command.
///
/// # Errors
/// When recipe, data or folder make no sense, a file cannot be written, or training diverges. Nothing is written in the first case.
pub fn run(arguments: &TrainArguments) -> Result<()> {
    require_range("--threads", arguments.threads, 1, 1024)?;
    require_range("--memory-gib", arguments.memory_gib, 0.001, 1e6)?;
    let source = open(&arguments.data)?;
    let sidecar = source.sidecar().cloned();
    let scene = sidecar.as_ref().map_or(&arguments.scene, |sidecar| &sidecar.scene).clone();
    let control_step_secs = control_step_secs(arguments, source.as_ref())?;
    let recipe = read_recipe(arguments, source.as_ref())?;
    let taken = ["state.safetensors", "config.json"].iter().any(|file| arguments.out.join(file).exists());
    if !arguments.resume && taken {
        bail!("{}: expected a folder without a run, or --resume, got a run or a checkpoint", arguments.out.display());
    }
    let start = arguments.from.as_ref().map(|path| Checkpoint::load_for_scene(path, &scene)).transpose()?;
    let stop = stop_on_ctrl_c()?;
    let mut cache = load(arguments, source.as_ref(), &recipe)?;
    let action_space = match sidecar {
        Some(sidecar) => sidecar.action_space,
        None => measured_actions(&mut cache, source.action_names()),
    };
    let data = TrainingData::new(cache, &recipe)?;
    let seed = Seed::new(arguments.seed);
    let meter = Meter::new("train", recipe.all_steps(), "steps");
    let options = RunOptions {
        seed,
        threads: arguments.threads,
        folder: &arguments.out,
        start: start.as_ref(),
        resume: arguments.resume,
        stop_after: arguments.stop_after,
        stop,
        progress: &|progress| tell(&meter, progress),
    };
    let (model, training) = train(&recipe, &data, &options)?;
    drop(meter);
    let parameters = model.parameters();
    let mut report =
        TrainReport { path: arguments.out.clone(), training: training.clone(), parameters, decoder: false };
    if training.finished {
        let origin = Origin { scene, control_step_secs, action_space, state_names: data.state_names().to_vec() };
        let mut checkpoint = Checkpoint::of_run(model, training, recipe.clone(), &data, origin)?;
        checkpoint.save(&arguments.out)?;
        if recipe.decoder_steps > 0 {
            let meter = Meter::new("decoder", recipe.decoder_steps, "steps");
            let progress = |step| {
                meter.set(step, String::new);
                !stop.load(Ordering::Relaxed)
            };
            let (steps, seed) = (recipe.decoder_steps, seed.child("decoder"));
            checkpoint.decoder = train_decoder(&checkpoint.model, &data, steps, seed, arguments.threads, progress)?;
            report.decoder = checkpoint.decoder.is_some();
            checkpoint.save(&arguments.out)?;
        }
    }
    say(&report, &recipe, arguments)
}

/// Duration of a control step, seconds.
fn control_step_secs(arguments: &TrainArguments, source: &dyn EpisodeSource) -> Result<f64> {
    if let Some(sidecar) = source.sidecar() {
        return Ok(sidecar.control_step_secs);
    }
    match arguments.fps.or(source.frames_per_second()) {
        Some(rate) if rate.is_finite() && rate > 0.0 => Ok(1.0 / rate),
        Some(rate) => bail!("--fps: expected a number above 0, got {rate}"),
        None => bail!("{}: expected --fps, since the data do not say, got none", arguments.data.display()),
    }
}

/// The recipe; where the data are another tool's, for actions as wide as theirs.
fn read_recipe(arguments: &TrainArguments, source: &dyn EpisodeSource) -> Result<TrainingConfig> {
    let path = match (&arguments.recipe, source.sidecar()) {
        (Some(path), _) => path.clone(),
        (None, Some(sidecar)) => assets::recipe(&sidecar.scene)?,
        (None, None) => assets::recipe(RECORDED)?,
    };
    let mut recipe: TrainingConfig = config::load(&path)?;
    if source.sidecar().is_none() {
        recipe.model.action_width = source.shape().action;
    }
    if let Some(steps) = arguments.steps {
        require_range("--steps", steps, 0, 100_000_000)?;
        recipe.steps = steps;
    }
    Ok(recipe)
}

fn load(arguments: &TrainArguments, source: &dyn EpisodeSource, recipe: &TrainingConfig) -> Result<FrameCache> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(arguments.threads).build().context("starting threads")?;
    let options = CacheOptions {
        image_size: Some(ImageSize::square(recipe.model.image_side)?),
        stride: recipe.data.picture_every,
        memory_limit_bytes: (arguments.memory_gib * f64::from(1 << 30)) as u64,
        ..CacheOptions::default()
    };
    let meter = Meter::new("decode", source.frames(), "frames");
    Ok(pool.install(|| FrameCache::load(source, &options, &|done, _| meter.set(done, String::new)))?)
}

/// Normalises the actions of another tool's data by their smallest and largest values; what they mean then.
fn measured_actions(cache: &mut FrameCache, names: Vec<String>) -> ActionSpace {
    let (low, high) = cache.normalise_actions();
    let wide = |values: Vec<f32>| values.into_iter().map(f64::from).collect();
    let names = names_or_numbers(names, low.len(), "action");
    ActionSpace { units: vec![String::new(); names.len()], names, low: wide(low), high: wide(high) }
}

fn tell(meter: &Meter, progress: &Progress<'_>) {
    meter.set(progress.step, || {
        let terms: Vec<String> = progress.terms.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
        terms.join(", ")
    });
    let Some(validation) = progress.validation else { return };
    meter.note(&format!("step {}: {}", progress.step, describe(validation)));
    if validation.collapsed {
        meter.note(&format!(
            "WARNING: the latent has collapsed at step {} (mean spread {:.3}, effective rank {:.1}): a plan in it means nothing. \
             More SIGReg, VICReg or whitening keeps it open.",
            progress.step, validation.mean_spread, validation.effective_rank
        ));
    }
}

/// A validation on one line.
pub fn describe(validation: &Validation) -> String {
    let rollout = |error: &mindseye_world_model::training::RolloutError| {
        format!("{} blocks {:.3}", error.blocks, error.error / error.copy_last.max(1e-12))
    };
    let rollouts: Vec<String> = validation.rollout.iter().map(rollout).collect();
    let list = |values: &[f64]| values.iter().map(|value| format!("{value:.4}")).collect::<Vec<_>>().join(" ");
    format!(
        "rollout error / copy-last: {}; probe R2 {}, median error {}; effective rank {:.1}; spread {:.2} (least {:.2})",
        rollouts.join(", "),
        list(&validation.probe_r2),
        list(&validation.probe_median),
        validation.effective_rank,
        validation.mean_spread,
        validation.smallest_spread
    )
}

fn say(report: &TrainReport, recipe: &TrainingConfig, arguments: &TrainArguments) -> Result<()> {
    if arguments.json {
        return print_json(report);
    }
    let (folder, training) = (arguments.out.display(), &report.training);
    if training.finished {
        println!(
            "{folder}: {} steps in {:.1} minutes, {} weights",
            training.steps, training.minutes, report.parameters
        );
        training.validation.iter().for_each(|validation| println!("{}", describe(validation)));
        if recipe.decoder_steps > 0 && !report.decoder {
            println!("without a decoder: stopped; --resume trains it");
        }
    } else {
        println!("{folder}: stopped at step {} of {}; go on with --resume", training.steps, recipe.all_steps());
    }
    Ok(())
}
