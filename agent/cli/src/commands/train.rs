//! `mindseye train`: from recorded episodes to a checkpoint.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use clap::Args;
use mindseye_episodes::{CacheOptions, FrameCache, Sidecar};
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
use crate::sources::Sources;

/// Decoded frames of more bytes than this are kept in a file.
const LARGE_BYTES: u64 = 256 << 20;

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
    /// file of robomimic. Given several times, the model learns from all of them.
    #[arg(long, required = true)]
    data: Vec<PathBuf>,
    /// Shares of the training windows that the data sets are to have, in their order, as numbers beside each other (2,1); by default
    /// every window counts the same.
    #[arg(long, value_delimiter = ',')]
    weights: Vec<f64>,
    /// Which columns are what (TOML, see docs/recordings.md): one file for all data sets, or one for each. What it leaves out is guessed;
    /// `mindseye inspect DATA` shows the guess.
    #[arg(long)]
    mapping: Vec<PathBuf>,
    /// Give the encoder what the body feels (proprioception) beside the pictures.
    #[arg(long)]
    proprioception: bool,
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
    /// Folder for decoded frames, which are then there at once for the next training from the same data. By default the user's cache
    /// folder, if they are more than 256 MiB.
    #[arg(long)]
    cache: Option<PathBuf>,
    /// Keep decoded frames in memory alone.
    #[arg(long, conflicts_with = "cache")]
    no_cache: bool,
    /// Memory that decoded frames may take if they are kept there, GiB.
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
    /// Seconds in which this process waited for windows.
    data_wait_secs: f64,
}

/// Runs the command.
///
/// # Errors
/// When recipe, data or folder make no sense, a file cannot be written, or training diverges. Nothing is written in the first case.
pub fn run(arguments: &TrainArguments) -> Result<()> {
    require_range("--threads", arguments.threads, 1, 1024)?;
    require_range("--memory-gib", arguments.memory_gib, 0.001, 1e6)?;
    let sources = Sources::open(&arguments.data, &arguments.mapping, &arguments.weights)?;
    let sidecar = sources.sidecar()?;
    let scene = sidecar.as_ref().map_or(&arguments.scene, |sidecar| &sidecar.scene).clone();
    let control_step_secs = sources.control_step_secs(arguments.fps)?;
    let recipe = read_recipe(arguments, &sources, sidecar.as_ref())?;
    let taken = ["state.safetensors", "config.json"].iter().any(|file| arguments.out.join(file).exists());
    if !arguments.resume && taken {
        bail!("{}: expected a folder without a run, or --resume, got a run or a checkpoint", arguments.out.display());
    }
    let start = arguments.from.as_ref().map(|path| Checkpoint::load_for_scene(path, &scene)).transpose()?;
    let stop = stop_on_ctrl_c()?;
    let mut cache = load(arguments, &sources, &recipe)?;
    let action_space = match sidecar {
        Some(sidecar) => sidecar.action_space,
        None => measured_actions(&mut cache, sources.action_names()),
    };
    let data = TrainingData::new(cache, &recipe)?;
    let seed = Seed::new(arguments.seed);
    let meter = Meter::new("train", recipe.all_steps(), "steps");
    let waited = Mutex::new((0.0, 0.0));
    let options = RunOptions {
        seed,
        threads: arguments.threads,
        folder: &arguments.out,
        start: start.as_ref(),
        resume: arguments.resume,
        stop_after: arguments.stop_after,
        stop,
        progress: &|progress| {
            *waited.lock().unwrap_or_else(PoisonError::into_inner) = (progress.waited_secs, progress.elapsed_secs);
            tell(&meter, progress);
        },
    };
    let (model, training) = train(&recipe, &data, &options)?;
    drop(meter);
    let (data_wait_secs, elapsed_secs) = waited.into_inner().unwrap_or_else(PoisonError::into_inner);
    let parameters = model.parameters();
    let mut report = TrainReport {
        path: arguments.out.clone(),
        training: training.clone(),
        parameters,
        decoder: false,
        data_wait_secs,
    };
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
    say(&report, &recipe, arguments, elapsed_secs)
}

/// The recipe; where the data are another tool's, for actions as wide as theirs.
fn read_recipe(arguments: &TrainArguments, sources: &Sources, sidecar: Option<&Sidecar>) -> Result<TrainingConfig> {
    let path = match (&arguments.recipe, sidecar) {
        (Some(path), _) => path.clone(),
        (None, Some(sidecar)) => assets::recipe(&sidecar.scene)?,
        (None, None) => assets::recipe(RECORDED)?,
    };
    let mut recipe: TrainingConfig = config::load(&path)?;
    let shape = sources.shape();
    if sidecar.is_none() {
        if shape.action == 0 {
            bail!(
                "{}: expected a column of actions, got none: such episodes are good for training an encoder alone, which is not offered yet",
                sources.path().display()
            );
        }
        recipe.model.action_width = shape.action;
    }
    if !arguments.mapping.is_empty() {
        recipe.model.cameras = sources.cameras();
    }
    if arguments.proprioception {
        if shape.proprioception == 0 {
            bail!("{}: --proprioception: expected a column of it, got none", sources.path().display());
        }
        recipe.model.proprioception_width = shape.proprioception;
    }
    if let Some(steps) = arguments.steps {
        require_range("--steps", steps, 0, 100_000_000)?;
        recipe.steps = steps;
    }
    Ok(recipe)
}

fn load(arguments: &TrainArguments, sources: &Sources, recipe: &TrainingConfig) -> Result<FrameCache> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(arguments.threads).build().context("starting threads")?;
    let (side, cameras) = (recipe.model.image_side, recipe.model.cameras);
    let mut options = CacheOptions {
        image_size: Some(ImageSize::new(cameras * side, side)?),
        stride: recipe.data.picture_every,
        memory_limit_bytes: (arguments.memory_gib * f64::from(1 << 30)) as u64,
        ..CacheOptions::default()
    };
    let meter = Meter::new("decode", sources.frames(), "frames");
    options.folder = arguments.cache.clone();
    if options.folder.is_none() && !arguments.no_cache && sources.needed_bytes(&options)? > LARGE_BYTES {
        options.folder = dirs::cache_dir().map(|folder| folder.join("mindseye").join("frames"));
        if let Some(folder) = &options.folder {
            meter.note(&format!("decoded frames are kept in {} (--no-cache: in memory alone)", folder.display()));
        }
    }
    pool.install(|| sources.load(&options, &|done| meter.set(done, String::new)))
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

fn say(report: &TrainReport, recipe: &TrainingConfig, arguments: &TrainArguments, elapsed_secs: f64) -> Result<()> {
    if arguments.json {
        return print_json(report);
    }
    let (folder, training) = (arguments.out.display(), &report.training);
    if training.finished {
        println!(
            "{folder}: {} steps in {:.1} minutes, {} weights",
            training.steps, training.minutes, report.parameters
        );
        let waited = report.data_wait_secs;
        println!("waited {waited:.1} s for data ({:.1} % of the time)", 100.0 * waited / elapsed_secs.max(1e-9));
        training.validation.iter().for_each(|validation| println!("{}", describe(validation)));
        if recipe.decoder_steps > 0 && !report.decoder {
            println!("without a decoder: stopped; --resume trains it");
        }
    } else {
        println!("{folder}: stopped at step {} of {}; go on with --resume", training.steps, recipe.all_steps());
    }
    Ok(())
}
