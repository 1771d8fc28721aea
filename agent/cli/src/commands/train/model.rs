//! Training of a world model.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use mindseye_assets as assets;
use mindseye_episodes::{CacheOptions, DatasetMixture, FrameCache, Sidecar, action_ranges};
use mindseye_evaluation::verdict::{Verdict, learning_curve};
use mindseye_interface::config::require_range;
use mindseye_interface::text::printable_path;
use mindseye_interface::{ImageSize, Seed, config};
use mindseye_plots::model_report::{Settings, report_of_run};
use mindseye_plots::report::{FILE, command_line};
use mindseye_world_model::checkpoint::{Checkpoint, Origin};
use mindseye_world_model::heads::decoder::{Decoder, DecoderTrainingConfig, train_decoder};
use mindseye_world_model::surprise::{DEFAULT_RULE, calibrate_surprise};
use mindseye_world_model::training::{
    Guesses, Overrides, RunOptions, STATE_FILE, StartingPoint, TakenFor, TrainedModel, TrainingConfig, TrainingData,
    TrainingReport, Validation, normalise, secs_per_step, state_file, train,
};
use serde::Serialize;

use super::scaling::{Announced, Scaling};
use super::{TrainingFlags, open_sources};
use crate::commands::{load_task, lock_folder, pool, print_json, require_outside, with_options};
use crate::progress::{TerminalProgress, stop_on_ctrl_c};
use crate::streams::say;

/// Decoded frames of more bytes than this are kept in a file.
const LARGE_BYTES: u64 = 256 << 20;

/// The scene of other tools' data by default; its recipe fits any.
const RECORDED: &str = "recorded";

/// Arguments of the training of a model.
#[derive(Debug, Args)]
pub struct ModelArguments {
    /// The data set: a LeRobot folder (v3.0 or v2.1; images, AV1 or H.264 videos), an HDF5 file or folder of
    /// stable-worldmodel, or an HDF5 file of robomimic. May be given several times.
    #[arg(long, required = true)]
    data: Vec<PathBuf>,
    /// Relative weights of the data sets, in their order (2,1); by default every window counts the same.
    #[arg(long, value_delimiter = ',')]
    weights: Vec<f64>,
    /// Mapping of columns (TOML, see docs/recordings.md): one file for all data sets, or one for each. The rest is
    /// inferred; `mindseye inspect DATA` shows how.
    #[arg(long)]
    mapping: Vec<PathBuf>,
    /// Give the encoder proprioception beside the images.
    #[arg(long)]
    proprioception: bool,
    /// Take data without actions: their model predicts, and cannot plan. Recordings of cameras alone need no such word.
    #[arg(long)]
    without_actions: bool,
    /// Scene or robot of the data, where they do not name it; the checkpoint is loaded under that name.
    #[arg(long, default_value = RECORDED)]
    scene: String,
    /// Frames per second, where the data do not contain it.
    #[arg(long)]
    fps: Option<f64>,
    /// Folder for the run and its checkpoint.
    #[arg(long, required = true)]
    out: Option<PathBuf>,
    /// Recipe (TOML); by default the shipped one of the data set's scene.
    #[arg(long)]
    recipe: Option<PathBuf>,
    /// Checkpoint to start from instead of fresh weights (its model shaped as the recipe's), for example with more
    /// episodes. Of data of other tools its model and the bounds of its actions are kept.
    #[arg(long, visible_alias = "from", conflicts_with = "resume")]
    init_from: Option<PathBuf>,
    /// Optimiser steps of the model instead of the recipe's; fewer shorten finetuning and decoder in proportion.
    /// With --init-from, 0 keeps the encoder and trains the predictor alone, as long as in the recipe (without
    /// finetuning in the recipe, a new decoder only).
    #[arg(long)]
    steps: Option<usize>,
    /// A first try in minutes: a part of the steps of the recipe, and what that gives up is said.
    #[arg(long)]
    quick: bool,
    /// Optimiser steps of the decoder instead of the recipe's; 0 for none.
    #[arg(long)]
    decoder_steps: Option<usize>,
    /// Would more episodes help? Three more short trainings, on a quarter, on half and on all of them.
    #[arg(long)]
    learning_curve: bool,
    /// Control steps per action chunk, the model's time step, instead of the recipe's; of data of other tools half a
    /// second by default.
    #[arg(long)]
    action_chunk: Option<usize>,
    /// Which values of recorded actions become -1 and 1. Not of mindseye's own data, which say it, nor with
    /// --init-from, whose bounds are kept.
    #[arg(long, value_enum, default_value = "robust")]
    normalise: Scaling,
    #[command(flatten)]
    training: TrainingFlags,
    /// Folder for decoded frames, which the next training from the same data reuses. By default the user's cache
    /// folder, if they are more than 256 MiB.
    #[arg(long)]
    cache: Option<PathBuf>,
    /// Keep decoded frames in memory only.
    #[arg(long, conflicts_with = "cache")]
    no_cache: bool,
}

/// The outcome of a run.
#[derive(Debug, Serialize)]
struct TrainReport {
    #[serde(serialize_with = "mindseye_interface::text::serialize_path")]
    path: PathBuf,
    #[serde(flatten)]
    training: TrainingReport,
    parameters: usize,
    decoder: bool,
    /// Seconds in which this process waited for windows.
    data_wait_secs: f64,
    /// What the model is worth; none of a run that was stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Verdict>,
}

/// Trains a model, then its decoder.
///
/// # Errors
/// When recipe, data or folder make no sense (nothing is written then), a file cannot be written, or training
/// diverges.
pub fn run(arguments: &ModelArguments) -> Result<()> {
    let flags = &arguments.training;
    require_range("--threads", flags.threads, 1, 1024)?;
    let out = arguments.out.as_deref().context("--out: expected a folder, got none")?;
    require_outside(out, &arguments.data)?;
    let sources = open_sources(&arguments.data, &arguments.weights, &arguments.mapping, arguments.fps)?;
    let sidecar = sources.sidecar()?;
    let scene = sidecar.map_or(&arguments.scene, |sidecar| &sidecar.scene).clone();
    let control_step_secs = sources.control_step_secs(arguments.fps).map_err(with_options)?;
    let start = arguments
        .init_from
        .as_ref()
        .map(|path| Checkpoint::load_for_scene(&assets::resolve(path), &scene))
        .transpose()?;
    let known = if sidecar.is_none() { known(arguments, start.as_ref(), out)? } else { None };
    let (recipe, chunk) = read_recipe(arguments, &sources, sidecar, known.as_ref(), control_step_secs)?;
    let taken = [STATE_FILE, "config.json"].iter().any(|file| out.join(file).exists());
    if !flags.resume && taken {
        bail!("{}: expected a folder without a run, or --resume, got a run or a checkpoint", out.display());
    }
    let from = start.as_ref();
    let start = start.as_ref().map(|start| StartingPoint {
        model: &start.model,
        recipe: &start.config.recipe,
        training: &start.config.training,
    });
    let lock = lock_folder(out, "train")?;
    let stop = stop_on_ctrl_c()?;
    let progress = TerminalProgress::stopped_by(stop);
    let pool = pool(flags.threads)?;
    let mut cache = pool.install(|| load(arguments, &sources, &recipe, &progress))?;
    let (ranges, outliers) = if sidecar.is_none() { action_ranges(&cache) } else { Default::default() };
    let known_from = known.as_ref().map(|known| (known, arguments.init_from.as_deref().unwrap_or(out)));
    let mut kept = Vec::new();
    let tell = |line: &str| {
        if !flags.resume {
            kept.push(format!("  {line}"))
        }
    };
    let action_space = normalise(&sources, &mut cache, &ranges, arguments.normalise.method(), known_from, tell)?;
    let data = TrainingData::new(cache, &recipe)?;
    data.require_useful_actions(&action_space)?;
    let options = flags.options(Seed::new(flags.seed), &lock, stop, &progress)?;
    let guesses = Guesses {
        sources: &sources,
        recipe: &recipe,
        data: &data,
        fps: arguments.fps,
        control_step_secs,
        chunk: &chunk,
        space: &action_space,
        ranges: &ranges,
        outliers: &outliers,
        proprioception: recipe.model.proprioception_width > 0,
    };
    let pace = if start.is_none() { secs_per_step(&recipe, &data, &options)? } else { None };
    let mut lines = guesses.lines()?;
    lines.extend(kept);
    lines.extend(arguments.quick.then(|| TrainingConfig::QUICK.to_owned()));
    lines.push(guesses.steps(pace));
    if sidecar.is_none() && !flags.resume {
        let (action_space, model) = (action_space.clone(), recipe.model.clone());
        TakenFor { action_space, model, control_step_secs }.keep(out)?;
    }
    let announced = Announced::new(&progress, lines);
    let options = RunOptions { progress: &announced, ..options };
    let started = Instant::now();
    let TrainedModel { model, report: training, waited_secs } =
        train(&recipe, &data, start, &options, &|step, validation| note(&progress, step, validation))?;
    let elapsed_secs = started.elapsed().as_secs_f64();
    let parameters = model.parameters();
    let path = out.to_path_buf();
    let mut report =
        TrainReport { path, training, parameters, decoder: false, data_wait_secs: waited_secs, verdict: None };
    if report.training.finished {
        let origin = Origin { scene, control_step_secs, action_space, state_names: data.state_names().to_vec() };
        let of_run = || Checkpoint::of_run(model, report.training.clone(), recipe.clone(), &data, origin);
        let checkpoint = pool.install(of_run)?;
        lock.still_here()?;
        checkpoint.save(out)?;
        TakenFor::forget(out)?;
        if let Some(from) = from {
            let left = from.give_heads_to(&checkpoint, out)?;
            if !left.is_empty() {
                let (name, left) = (printable_path(from.heads().folder().unwrap_or(out)), left.join(", "));
                progress.note(&format!("heads of {name} belong to its weights and are not taken along: {left}"));
            }
        }
        let state = out.join(state_file("decoder"));
        // Of a run that had ended before, the decoder beside it is that of the same weights.
        report.decoder = flags.resume && !state.exists() && checkpoint.has_head_in::<Decoder>(out);
        if recipe.decoder_steps > 0 && !report.decoder {
            let (seed, resume) = (options.seed.child("decoder"), state.exists());
            let options = RunOptions { seed, resume, stop_after: None, ..options };
            let training = DecoderTrainingConfig { steps: recipe.decoder_steps, micro_batches: recipe.micro_batches };
            let decoder = pool.install(|| train_decoder(&checkpoint.model, &data, &training, &options))?;
            if let Some(decoder) = decoder {
                report.decoder = true;
                lock.still_here()?;
                checkpoint.save_head(out, &decoder)?;
                std::fs::remove_file(&state).with_context(|| format!("{}", state.display()))?;
            }
        }
        for error in checkpoint.unfit_heads(out) {
            progress.note(&format!("not of this model any more, train it again or remove it: {error}"));
        }
        if report.decoder || recipe.decoder_steps == 0 {
            let (cache, held_out) = (data.cache(), data.validation_episodes());
            match pool.install(|| calibrate_surprise(&checkpoint, cache, held_out, DEFAULT_RULE, &progress)) {
                Ok(calibration) => calibration.save(out)?,
                Err(error) => progress.note(&format!("without a calibration of surprise (train surprise): {error}")),
            }
            let task = load_task(None, &checkpoint.config.scene)?;
            let command = &command_line();
            let settings = Settings { task: &task, plans: 200, out: None, command, progress: &progress };
            let curve = || learning_curve(&recipe, &data, &options);
            let curve = if arguments.learning_curve { pool.install(curve)? } else { None };
            match pool.install(|| report_of_run(out, &data, curve, &settings)) {
                Ok(verdict) => report.verdict = Some(verdict),
                Err(error) => progress.note(&format!("without a verdict: {error}")),
            }
        }
    }
    print(&report, &recipe, flags.json, elapsed_secs)
}

/// What other tools' recordings were taken for before: by the run that continues, or by the model to start from.
fn known(arguments: &ModelArguments, start: Option<&Checkpoint>, out: &Path) -> Result<Option<TakenFor>> {
    match start {
        Some(start) => Ok(Some(TakenFor::of(&start.config))),
        None if arguments.training.resume => Ok(TakenFor::of_run(out)?),
        None => Ok(None),
    }
}

/// The recipe, and where the length of its chunk comes from; the action width of another tool's data is theirs, and the
/// rest of the shipped recipe is fitted to them, or to the model that is `known`.
fn read_recipe(
    arguments: &ModelArguments,
    sources: &DatasetMixture,
    sidecar: Option<&Sidecar>,
    known: Option<&TakenFor>,
    control_step_secs: f64,
) -> Result<(TrainingConfig, String)> {
    let path = match (&arguments.recipe, sidecar) {
        (Some(path), _) => assets::resolve(path),
        (None, Some(sidecar)) => assets::recipe(&sidecar.scene)?,
        (None, None) => assets::recipe(RECORDED)?,
    };
    let mut recipe: TrainingConfig = config::load_with(&path, &assets::resolve)?;
    // Worlds of other programs have no recipe of their own either.
    let fits_any = sidecar.is_none() || path == assets::recipe(RECORDED)?;
    let overrides = Overrides {
        is_chosen: arguments.recipe.is_some(),
        has_mapping: !arguments.mapping.is_empty(),
        proprioception: arguments.proprioception,
        without_actions: arguments.without_actions,
        quick: arguments.quick,
        action_chunk: arguments.action_chunk,
        steps: arguments.steps,
        decoder_steps: arguments.decoder_steps,
    };
    let chunk = overrides.apply(&mut recipe, sources, fits_any, known, control_step_secs)?;
    recipe.require_memory(arguments.training.memory()?).with_context(|| format!("{}", path.display()))?;
    Ok((recipe, chunk))
}

fn load(
    arguments: &ModelArguments,
    sources: &DatasetMixture,
    recipe: &TrainingConfig,
    progress: &TerminalProgress,
) -> Result<FrameCache> {
    let (side, cameras) = (recipe.model.image_side, recipe.model.cameras);
    let mut options = CacheOptions {
        image_size: Some(ImageSize::new(cameras * side, side)?),
        stride: recipe.data.frame_stride,
        memory_limit_bytes: arguments.training.memory()?.bytes(),
        ..CacheOptions::default()
    };
    options.folder = arguments.cache.clone();
    if options.folder.is_none() && !arguments.no_cache && sources.needed_bytes(&options)? > LARGE_BYTES {
        options.folder = dirs::cache_dir().map(|folder| folder.join("mindseye").join("frames"));
        if let Some(folder) = &options.folder {
            progress.note(&format!("decoded frames are kept in {} (--no-cache: in memory only)", folder.display()));
        }
    }
    let cache = sources.load(&options, progress)?;
    cache.notes().iter().for_each(|text| progress.note(text));
    Ok(cache)
}

fn note(progress: &TerminalProgress, step: usize, validation: &Validation) {
    progress.note(&format!("step {step}: {validation}"));
    if validation.collapsed {
        progress.note(&format!(
            "WARNING: the latent has collapsed at step {step} (mean standard deviation {:.3}, effective rank {:.1}): \
             plans of this model are meaningless. More SIGReg, or whitening, prevents it.",
            validation.mean_std, validation.effective_rank
        ));
    }
}

fn print(report: &TrainReport, recipe: &TrainingConfig, json: bool, elapsed_secs: f64) -> Result<()> {
    if json {
        return print_json(report);
    }
    let (folder, training) = (report.path.display(), &report.training);
    if !training.finished {
        say!("{folder}: stopped at step {} of {}; --resume continues", training.steps, recipe.all_steps());
        return Ok(());
    }
    let (minutes, waited) = (training.minutes, report.data_wait_secs);
    say!("{folder}: {} steps in {minutes:.1} minutes, {} weights", training.steps, report.parameters);
    say!("waited {waited:.1} s for data ({:.1} % of the time)", 100.0 * waited / elapsed_secs.max(1e-9));
    training
        .predictor_step
        .iter()
        .for_each(|step| say!("kept the predictor of step {step}, the best on held-out data"));
    training.validation.iter().for_each(|validation| say!("{validation}"));
    if recipe.decoder_steps > 0 && !report.decoder {
        say!("without a decoder: stopped; --resume continues");
    }
    report.verdict.iter().for_each(|verdict| say!("{verdict}\nreport: {}", report.path.join(FILE).display()));
    Ok(())
}
