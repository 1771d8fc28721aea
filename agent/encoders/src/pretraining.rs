//! The arguments of `mindseye pretrain`, and what it runs.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use mindseye_interface::config::{load_with, require_range};
use mindseye_interface::text::printable_path;
use mindseye_interface::{FolderLock, Seed, files};
use mindseye_world_model::families::vit::pretraining::{
    ClipData, MaskKind, PretrainingConfig, PretrainingObjective, PretrainingRecord, STATE_FILE, pretrain,
};
use mindseye_world_model::training::RunOptions;

use crate::recordings::DataArguments;
use crate::surroundings::{Surroundings, default_threads};
use crate::{Error, Result};

/// Arguments of `mindseye pretrain`.
#[derive(Debug, Args)]
pub struct PretrainArguments {
    /// A recipe (TOML); by default the one that comes with the objective, see assets/recipes/pretraining.
    recipe: Option<PathBuf>,
    #[command(flatten)]
    data: DataArguments,
    /// Folder for the encoder, the state of the run and its records.
    #[arg(long)]
    out: PathBuf,
    /// What is predicted, instead of the recipe's.
    #[arg(long, value_enum)]
    objective: Option<ObjectiveName>,
    /// How hidden places are drawn, instead of the recipe's.
    #[arg(long, value_enum)]
    masks: Option<MaskName>,
    /// Optimiser steps instead of the recipe's.
    #[arg(long)]
    steps: Option<usize>,
    /// Clips per step instead of the recipe's.
    #[arg(long)]
    batch: Option<usize>,
    /// Timesteps between the frames of a clip instead of the recipe's.
    #[arg(long)]
    stride: Option<usize>,
    /// Frames a second that are taken out of videos.
    #[arg(long, default_value_t = 10.0)]
    fps: f64,
    /// Root of every random choice.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads; the weights do not depend on it.
    #[arg(long, default_value_t = default_threads())]
    threads: usize,
    /// Continue the run in --out.
    #[arg(long)]
    resume: bool,
    /// Save and stop after this step; --resume continues.
    #[arg(long)]
    stop_after: Option<usize>,
    /// Print one JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// Objectives by their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ObjectiveName {
    /// V-JEPA: tokens of an averaged encoder, of clips.
    Vjepa,
    /// I-JEPA: the same of images.
    Ijepa,
    /// Without an averaged encoder, by SIGReg.
    Levjepa,
    /// Pixels: for comparison.
    Pixels,
}

/// Masks by their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MaskName {
    /// The recipe's blocks.
    Blocks,
    /// Blocks where something moves.
    Motion,
    /// Single places.
    Tubes,
}

impl ObjectiveName {
    fn objective(self) -> PretrainingObjective {
        match self {
            Self::Vjepa => PretrainingObjective::Vjepa,
            Self::Ijepa => PretrainingObjective::Ijepa,
            Self::Levjepa => PretrainingObjective::Levjepa,
            Self::Pixels => PretrainingObjective::Pixels,
        }
    }

    fn recipe(self) -> &'static str {
        match self {
            Self::Vjepa => "recipes/pretraining/vjepa.toml",
            Self::Ijepa => "recipes/pretraining/ijepa.toml",
            Self::Levjepa => "recipes/pretraining/levjepa.toml",
            Self::Pixels => "recipes/pretraining/pixels.toml",
        }
    }
}

impl PretrainArguments {
    pub(crate) fn run(&self, surroundings: &Surroundings<'_>, say: &mut (dyn FnMut(&str) + Send)) -> Result<()> {
        require_range("--threads", self.threads, 1, 1024)?;
        if let Some(data) = self.data.data.iter().find(|data| files::is_within(&self.out, data)) {
            let reason = format!("expected a folder outside the data {}, got one inside", printable_path(data));
            return Err(Error::file(&self.out, reason));
        }
        let config = self.config(surroundings)?;
        match (self.resume, self.out.join(STATE_FILE).exists(), PretrainingRecord::is_taken(&self.out)) {
            (false, _, true) => {
                let reason = "expected a folder without a run, or --resume, got a run or an encoder";
                return Err(Error::file(&self.out, reason));
            }
            (true, false, _) => return Err(Error::file(&self.out, "--resume: expected a run in it, got none")),
            _ => (),
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads).build()?;
        let decode = || self.data.squares(config.encoder.image_side, self.fps, surroundings.progress);
        let data = ClipData::new(pool.install(decode)?, &config)?;
        let lock = FolderLock::acquire(&self.out, "pretrain")?;
        lock.note().iter().for_each(|note| (surroundings.note)(note));
        let options = RunOptions {
            threads: self.threads,
            folder: Some(&lock),
            resume: self.resume,
            stop_after: self.stop_after,
            stop: surroundings.stop,
            progress: surroundings.progress,
            memory: self.data.memory()?,
            ..RunOptions::new(Seed::new(self.seed))
        };
        let (clips, episodes) = (data.training_clips(), data.training_episodes());
        let (grid, sizes) = (config.encoder.grid(), &config.encoder);
        (surroundings.note)(&format!(
            "{clips} places for clips in {episodes} episodes; clips of {} frames, {} apart, {}x{}x{} tokens of {}",
            sizes.frames, config.data.stride, grid.frames, grid.rows, grid.columns, sizes.width
        ));
        let report = pretrain(&config, &data, &options, &|step, validation| {
            (surroundings.note)(&format!("step {step}: {validation}"));
        })?;
        if self.json {
            say(&serde_json::to_string_pretty(&report)?);
            return Ok(());
        }
        let out = printable_path(&self.out);
        if !report.finished {
            say(&format!("{out}: stopped at step {} of {}; --resume continues", report.steps, config.steps));
            return Ok(());
        }
        let (steps, seen, minutes) = (report.steps, report.clips, report.minutes);
        say(&format!(
            "{out}: {steps} steps, {seen} clips in {minutes:.1} minutes; encoder of {} weights",
            report.parameters
        ));
        report.before.iter().for_each(|validation| say(&format!("untrained: {validation}")));
        report.validation.iter().for_each(|validation| say(&format!("trained:   {validation}")));
        say(&format!("next: mindseye probe {out} --data ... --untrained"));
        Ok(())
    }

    fn config(&self, surroundings: &Surroundings<'_>) -> Result<PretrainingConfig> {
        let find = |path: &Path| -> PathBuf {
            let relative = path.strip_prefix("assets").ok().map(|path| path.to_string_lossy().into_owned());
            let found = relative.filter(|_| !path.exists()).and_then(|relative| (surroundings.find)(&relative).ok());
            found.unwrap_or_else(|| path.to_path_buf())
        };
        let path = match &self.recipe {
            Some(path) => find(path),
            None => {
                let objective = self.objective.unwrap_or(ObjectiveName::Vjepa);
                (surroundings.find)(objective.recipe()).map_err(Error::Asset)?
            }
        };
        let mut config: PretrainingConfig = load_with(&path, &find)?;
        config.objective = self.objective.map_or(config.objective, ObjectiveName::objective);
        config.masks.kind = match self.masks {
            None => config.masks.kind,
            Some(MaskName::Blocks) => MaskKind::Blocks,
            Some(MaskName::Motion) => MaskKind::Motion,
            Some(MaskName::Tubes) => MaskKind::Tubes,
        };
        config.steps = self.steps.unwrap_or(config.steps);
        config.data.batch = self.batch.unwrap_or(config.data.batch);
        config.data.stride = self.stride.unwrap_or(config.data.stride);
        mindseye_interface::config::Validate::validate(&config)?;
        Ok(config)
    }
}
