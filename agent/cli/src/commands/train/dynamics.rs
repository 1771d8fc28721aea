//! Training of a world model's dynamics on a frozen encoder.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use mindseye_assets as assets;
use mindseye_episodes::{CacheOptions, DatasetMixture, FrameCache, action_ranges};
use mindseye_interface::config::require_range;
use mindseye_interface::text::printable_path;
use mindseye_interface::{ImageSize, Seed, config};
use mindseye_world_model::checkpoint::Origin;
use mindseye_world_model::families::frozen::{
    FrozenRecipe, FrozenTokens, FrozenTrainingReport, FrozenWorldModel, STATE_FILE, train_on_frozen,
};
use mindseye_world_model::families::require_encoder;
use mindseye_world_model::families::vit::{Vit, VitOptions};
use mindseye_world_model::training::normalise;
use serde::Serialize;

use super::scaling::Scaling;
use super::{TrainingFlags, open_sources};
use crate::commands::{lock_folder, pool, print_json, require_outside, with_options};
use crate::progress::{TerminalProgress, stop_on_ctrl_c};
use crate::streams::say;

/// The recipe that comes with the program.
const RECIPE: &str = "recipes/dynamics/frozen.toml";

/// Train a world model on a frozen encoder: what its patch tokens become under actions.
///
/// The encoder is one of `mindseye pretrain`, or a published one (V-JEPA 2, DINOv2, ...); no gradient reaches it. The
/// state is all of its tokens, the predictor DINO-WM's or V-JEPA 2-AC's (see the recipe). Writes to --out a checkpoint
/// that plan and evaluate take, with a copy of the encoder in it.
#[derive(Debug, Args)]
#[command(after_help = "Example: mindseye train dynamics --encoder runs/encoder --data data/push_t --out runs/frozen")]
pub struct DynamicsArguments {
    /// The encoder: a folder of `mindseye pretrain`, or of a published one, or a file of weights.
    #[arg(long)]
    encoder: PathBuf,
    /// The data set, with actions and one camera. May be given several times.
    #[arg(long, required = true)]
    data: Vec<PathBuf>,
    /// Mapping of columns (TOML, see docs/recordings.md): one file for all data sets, or one for each.
    #[arg(long)]
    mapping: Vec<PathBuf>,
    /// Frames per second, where the data do not contain it.
    #[arg(long)]
    fps: Option<f64>,
    /// Scene or robot of the data, where they do not name it.
    #[arg(long, default_value = "recorded")]
    scene: String,
    /// Folder for the run and its checkpoint.
    #[arg(long)]
    out: PathBuf,
    /// Recipe (TOML); by default assets/recipes/dynamics/frozen.toml.
    #[arg(long)]
    recipe: Option<PathBuf>,
    /// Optimiser steps instead of the recipe's.
    #[arg(long)]
    steps: Option<usize>,
    /// Control steps per action chunk, the model's time step, instead of the recipe's.
    #[arg(long)]
    action_chunk: Option<usize>,
    /// Which values of recorded actions become -1 and 1. Not of mindseye's own data, which say it.
    #[arg(long, value_enum, default_value = "robust")]
    normalise: Scaling,
    #[command(flatten)]
    training: TrainingFlags,
    /// Folder for decoded frames, which the next training from the same data reuses; by default they are in memory.
    #[arg(long)]
    cache: Option<PathBuf>,
}

#[derive(Serialize)]
struct Document {
    #[serde(serialize_with = "mindseye_interface::text::serialize_path")]
    path: PathBuf,
    tokens: [usize; 2],
    #[serde(flatten)]
    report: FrozenTrainingReport,
}

impl DynamicsArguments {
    pub(super) fn run(&self) -> Result<()> {
        let (flags, out) = (&self.training, &self.out);
        require_range("--threads", flags.threads, 1, 1024)?;
        require_outside(out, &self.data)?;
        require_outside(out, std::slice::from_ref(&self.encoder))?;
        let recipe = self.recipe()?;
        let sources = open_sources(&self.data, &[], &self.mapping, self.fps)?;
        let control_step_secs = sources.control_step_secs(self.fps).map_err(with_options)?;
        let scene = sources.sidecar()?.map_or(&self.scene, |sidecar| &sidecar.scene).clone();
        let taken = [STATE_FILE, "config.json"].iter().any(|file| out.join(file).exists());
        if !flags.resume && taken {
            bail!("{}: expected a folder without a run, or --resume, got a run or a checkpoint", printable_path(out));
        }
        let encoder = assets::resolve(&self.encoder);
        require_encoder(&encoder)?;
        let options = VitOptions { memory: Some(flags.memory()?), ..VitOptions::default() };
        let tokens = FrozenTokens::new(Arc::new(Vit::load(&encoder, &options)?), recipe.pool)
            .with_context(|| printable_path(&encoder).to_string())?;
        let lock = lock_folder(out, "train dynamics")?;
        let stop = stop_on_ctrl_c()?;
        let progress = TerminalProgress::stopped_by(stop);
        let pool = pool(flags.threads)?;
        let mut cache = pool.install(|| self.load(&sources, &tokens, &progress))?;
        let ranges = if sources.sidecar()?.is_none() { action_ranges(&cache).0 } else { Vec::new() };
        let tell = |line: &str| progress.note(line);
        let action_space = normalise(&sources, &mut cache, &ranges, self.normalise.method(), None, tell)?;
        let options = flags.options(Seed::new(flags.seed), &lock, stop, &progress)?;
        let shape = tokens.shape();
        progress.note(&format!("states of {} tokens of {} values", shape.tokens, shape.width));
        let trained = train_on_frozen(&recipe, tokens, &cache, &options, &|step, validation| {
            progress.note(&format!("step {step}: {validation}"));
        });
        let (model, statistics, report) = trained?;
        if report.finished {
            let state_names = cache.state_names().to_vec();
            let origin = Origin { scene, control_step_secs, action_space, state_names };
            lock.still_here()?;
            model.save(out, &encoder, &statistics, (&recipe, &report, &origin))?;
        }
        self.print(&model, report)
    }

    fn recipe(&self) -> Result<FrozenRecipe> {
        let path = match &self.recipe {
            Some(path) => assets::resolve(path),
            None => assets::find(RECIPE)?,
        };
        let mut recipe: FrozenRecipe = config::load_with(&path, &assets::resolve)?;
        recipe.steps = self.steps.unwrap_or(recipe.steps);
        if let Some(chunk) = self.action_chunk {
            recipe.data.frame_stride = if recipe.data.frame_stride == recipe.action_chunk { chunk } else { 1 };
            recipe.action_chunk = chunk;
        }
        config::Validate::validate(&recipe)?;
        Ok(recipe)
    }

    fn load(&self, sources: &DatasetMixture, tokens: &FrozenTokens, progress: &TerminalProgress) -> Result<FrameCache> {
        if let cameras @ (0 | 2..) = sources.cameras().len() {
            bail!("expected one camera (a --mapping file with `cameras` chooses it), got {cameras}");
        }
        let [height, width] = tokens.image_size();
        let options = CacheOptions {
            folder: self.cache.clone(),
            image_size: Some(ImageSize::new(height, width)?),
            memory_limit_bytes: self.training.memory()?.bytes(),
            ..CacheOptions::default()
        };
        let cache = sources.load(&options, progress)?;
        cache.notes().iter().for_each(|text| progress.note(text));
        Ok(cache)
    }

    fn print(&self, model: &FrozenWorldModel, report: FrozenTrainingReport) -> Result<()> {
        let shape = model.tokens().shape();
        if self.training.json {
            let tokens = [shape.tokens, shape.width];
            return print_json(&Document { path: self.out.clone(), tokens, report });
        }
        let out: &Path = &self.out;
        say!("{}: {}", printable_path(out), Trained(&report));
        if report.finished {
            let out = printable_path(out);
            say!("next: mindseye plan --checkpoint {out} --see now.png --goal goal.png, or mindseye evaluate");
        } else {
            say!("--resume continues");
        }
        Ok(())
    }
}

/// How a training went, in words.
struct Trained<'a>(&'a FrozenTrainingReport);

impl fmt::Display for Trained<'_> {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FrozenTrainingReport { steps, finished, minutes, training_episodes, parameters, validation, .. } = self.0;
        let ended = if *finished { "" } else { ", stopped" };
        write!(text, "{steps} steps{ended} in {minutes:.1} minutes on {training_episodes} episodes; ")?;
        write!(text, "predictor of {parameters} weights")?;
        validation.iter().try_for_each(|validation| write!(text, "\n  held-out {validation}"))
    }
}
