//! `mindseye train surprise`: what surprise is usual, by held-out episodes.

use std::path::PathBuf;

use clap::Args;
use mindseye_episodes::{CacheOptions, DatasetMixture, FrameCache, Mapping};
use mindseye_interface::{FolderLock, ImageSize, MemoryLimit, Progress, config};
use mindseye_world_model::Checkpoint;
use mindseye_world_model::surprise::{DEFAULT_RULE, SurpriseCalibration, calibrate_surprise};
use mindseye_world_model::training::Familiar;

use crate::{Error, Result};

/// Measure what surprise is usual for a model, for `mindseye watch`.
///
/// The model predicts recorded episodes, tick by tick, and is compared with what came; episodes that it was not trained
/// on are taken, where there are any. The band for alarms is chosen so that normal episodes give at most one false
/// alarm in ten minutes. Writes surprise.json into the checkpoint; nothing else there changes.
#[derive(Debug, Args)]
#[command(after_help = "Example: mindseye train surprise --checkpoint runs/camera --data data/camera")]
pub struct SurpriseArguments {
    /// Folder of the checkpoint.
    #[arg(long)]
    checkpoint: PathBuf,
    /// Recorded episodes of normal operation.
    #[arg(long, required = true)]
    data: Vec<PathBuf>,
    /// Mapping of columns (TOML), as the model was trained with: one file for all data sets, or one for each.
    #[arg(long)]
    mapping: Vec<PathBuf>,
    /// Print the calibration as JSON.
    #[arg(long)]
    json: bool,
}

impl SurpriseArguments {
    /// Measures, writes, and gives what is to be printed.
    ///
    /// # Errors
    /// When the checkpoint is broken, the data do not fit it or are too few, or the file cannot be written.
    pub fn run(&self, progress: &dyn Progress) -> Result<String> {
        let checkpoint = Checkpoint::load(&self.checkpoint)?;
        let cache = self.frames(&checkpoint, progress)?;
        let familiar = checkpoint.config.training.familiar(&cache, checkpoint.config.model.action_chunk)?;
        let all: Vec<usize> = (0..cache.episodes().len()).collect();
        let others =
            |known: &Vec<Familiar>| all.iter().copied().filter(|&one| known[one] != Familiar::Trained).collect();
        let held_out: Vec<usize> = familiar.as_ref().map_or_else(Vec::new, others);
        let (chosen, which) = match (&familiar, held_out.is_empty()) {
            (Some(_), false) => (held_out, "not trained on"),
            (Some(_), true) => (all, "all TRAINED on, for lack of others: expect more alarms"),
            (None, _) => (all, "perhaps trained on: the checkpoint does not say"),
        };
        let calibration = calibrate_surprise(&checkpoint, &cache, &chosen, DEFAULT_RULE, progress)?;
        let lock = FolderLock::acquire(&self.checkpoint, "train surprise")?;
        calibration.save(&self.checkpoint)?;
        drop(lock);
        if self.json {
            return serde_json::to_string_pretty(&calibration)
                .map_err(|error| Error::place(SurpriseCalibration::FILE, error));
        }
        Ok(format!("{}: {calibration}; episodes {which}", self.checkpoint.display()))
    }

    fn frames(&self, checkpoint: &Checkpoint, progress: &dyn Progress) -> Result<FrameCache> {
        let mappings = self.mapping.iter().map(|path| config::load(path));
        let mappings: Vec<Mapping> = mappings.collect::<mindseye_interface::Result<_>>()?;
        let sources = DatasetMixture::open(&self.data, &mappings, &[])?;
        let model = &checkpoint.config.model;
        let options = CacheOptions {
            image_size: Some(ImageSize::new(model.cameras * model.image_side, model.image_side)?),
            memory_limit_bytes: MemoryLimit::of_this_machine().bytes(),
            ..CacheOptions::default()
        };
        let mut cache = sources.load(&options, progress)?;
        sources.normalise_actions_into(&mut cache, &checkpoint.config.action_space)?;
        Ok(cache)
    }
}
