//! What the trainings of all heads share: arguments, data, state, output.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use mindseye_assets as assets;
use mindseye_episodes::{CacheOptions, DatasetMixture, FrameCache, Mapping};
use mindseye_interface::config::require_range;
use mindseye_interface::{ImageSize, Seed, config};
use mindseye_world_model::training::{RunOptions, state_file};
use mindseye_world_model::{Checkpoint, EncodedDataset, Head};
use serde::Serialize;

use super::TrainingFlags;
use crate::commands::{lock_folder, pool, print_json, require_outside, with_options};
use crate::progress::{TerminalProgress, stop_on_ctrl_c};
use crate::streams::say;

/// Arguments of every head.
#[derive(Debug, Args)]
pub struct HeadArguments {
    /// Name of the scene (or of what the checkpoint's data show).
    #[arg(long)]
    pub scene: String,
    /// Folder of the checkpoint.
    #[arg(long)]
    pub checkpoint: PathBuf,
    /// Data sets to train on.
    #[arg(long, required = true)]
    pub data: Vec<PathBuf>,
    /// Mapping of columns (TOML), as the model was trained with: one file for all data sets, or one for each.
    #[arg(long)]
    pub mapping: Vec<PathBuf>,
    /// Folder for the checkpoint with the head; may be that of the checkpoint itself.
    #[arg(long)]
    pub out: PathBuf,
    /// Parts of a step that threads share; another number gives other bits.
    #[arg(long, default_value_t = 2)]
    pub micro_batches: usize,
    #[command(flatten)]
    training: TrainingFlags,
}

/// What a head is trained with.
pub(super) struct Inputs<'a> {
    pub checkpoint: &'a Checkpoint,
    pub options: RunOptions<'a>,
    data: &'a [PathBuf],
    mappings: &'a [Mapping],
}

impl Inputs<'_> {
    /// The recorded episodes as the model takes them, with every `stride`-th image.
    pub fn frames(&self, stride: usize) -> Result<FrameCache> {
        let (model, progress) = (&self.checkpoint.config.model, self.options.progress);
        let sources = DatasetMixture::open(self.data, self.mappings, &[]).map_err(with_options)?;
        let image_size = ImageSize::new(model.cameras * model.image_side, model.image_side)?;
        let options = CacheOptions {
            image_size: Some(image_size),
            stride,
            memory_limit_bytes: self.options.memory.bytes(),
            ..CacheOptions::default()
        };
        let mut cache = sources.load(&options, progress)?;
        sources.normalise_actions_into(&mut cache, &self.checkpoint.config.action_space)?;
        Ok(cache)
    }

    /// The same as [`Inputs::dataset`], with proprioception as the true state where none was recorded.
    pub fn dataset_with_states(&self) -> Result<EncodedDataset> {
        let names = DatasetMixture::open(self.data, self.mappings, &[]).map_err(with_options)?.proprioception_names();
        let cache = self.frames(self.checkpoint.config.model.action_chunk)?;
        let dataset = EncodedDataset::encode(&self.checkpoint.model, &cache, self.options.progress)?;
        Ok(dataset.or_proprioception_as_state(&cache, &names))
    }

    /// The recorded episodes, encoded by the model.
    pub fn dataset(&self) -> Result<EncodedDataset> {
        let cache = self.frames(self.checkpoint.config.model.action_chunk)?;
        Ok(EncodedDataset::encode(&self.checkpoint.model, &cache, self.options.progress)?)
    }
}

/// The names of a head.
pub(super) struct Names {
    /// Of its training state, see [`state_file`].
    pub state: &'static str,
    /// Of its branch of the seed.
    pub seed: &'static str,
}

#[derive(Serialize)]
struct Document<R> {
    #[serde(serialize_with = "mindseye_interface::text::serialize_path")]
    path: PathBuf,
    steps: usize,
    finished: bool,
    #[serde(flatten)]
    report: Option<R>,
}

impl HeadArguments {
    /// Trains a head with `train` (on threads of its own) for `steps` steps in all, saves it with the checkpoint, and
    /// prints the report.
    pub(super) fn run<H: Head + Send, R: Serialize + Display + Send>(
        &self,
        names: &Names,
        steps: usize,
        train: impl FnOnce(&Inputs<'_>) -> Result<Option<(H, R)>> + Send,
    ) -> Result<()> {
        let (training, out) = (&self.training, &self.out);
        require_range("--threads", training.threads, 1, 1024)?;
        require_range("--micro-batches", self.micro_batches, 1, 256)?;
        require_range("--steps", steps, 1, 100_000_000)?;
        require_outside(out, &self.data)?;
        let state = out.join(state_file(names.state));
        if state.exists() && !training.resume {
            bail!("{}: expected no interrupted training, or --resume, got its state", state.display());
        }
        let mappings = self.mapping.iter().map(|path| config::load(path));
        let mappings: Vec<Mapping> = mappings.collect::<mindseye_interface::Result<_>>()?;
        let folder = assets::resolve(&self.checkpoint);
        let (checkpoint, unfit) = Checkpoint::load_without_unfit_heads(&folder, &self.scene)?;
        // A training that was killed after its head was written has both, and ends as it would have.
        let is_written = training.resume && checkpoint.has_head_in::<H>(out);
        if out.join("config.json").exists() && *out != self.checkpoint && !is_written {
            bail!("{}: expected a folder without a checkpoint, got one with", out.display());
        }
        let lock = lock_folder(out, "train")?;
        if is_written && !state.exists() {
            return done_before(out, steps, training.json);
        }
        let stop = stop_on_ctrl_c()?;
        let progress = TerminalProgress::stopped_by(stop);
        unfit.iter().for_each(|error| progress.note(&format!("not used: {error}")));
        let seed = Seed::new(training.seed).child(names.seed);
        let options = training.options(seed, &lock, stop, &progress)?;
        let options = RunOptions { resume: state.exists(), model: Some(checkpoint.fingerprint()), ..options };
        let trained = pool(training.threads)?
            .install(|| train(&Inputs { checkpoint: &checkpoint, options, data: &self.data, mappings: &mappings }))?;
        let finished = trained.is_some();
        let report = trained.map(|(head, report)| -> Result<R> {
            lock.still_here()?;
            checkpoint.save_with_head(out, &head)?;
            std::fs::remove_file(&state).with_context(|| format!("{}", state.display()))?;
            Ok(report)
        });
        let document = Document { path: out.clone(), steps, finished, report: report.transpose()? };
        if training.json {
            return print_json(&document);
        }
        match &document.report {
            Some(report) => say!("{}: {report}", out.display()),
            None => say!("{}: stopped; --resume continues", out.display()),
        }
        Ok(())
    }
}

/// Says that there is nothing to resume: the head is there, and no interrupted training of it.
fn done_before(out: &Path, steps: usize, json: bool) -> Result<()> {
    if json {
        return print_json(&Document::<()> { path: out.to_path_buf(), steps, finished: true, report: None });
    }
    say!("{}: the head is there, and no interrupted training; without --resume it is trained anew", out.display());
    Ok(())
}
