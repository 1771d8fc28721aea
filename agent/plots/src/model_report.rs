//! What a model predicts of episodes it was not trained on, as numbers and as images.

mod display;
mod images;
mod summary;

use std::path::Path;
use std::sync::Arc;

use mindseye_agent::Task;
use mindseye_episodes::{ActionNormalisation, CacheOptions, EpisodeSource, FrameCache, Mapping, open_with};
use mindseye_evaluation::verdict::{LearningCurve, Options, Origin, Verdict, judge};
use mindseye_interface::{ImageSize, Progress, Seed};
use mindseye_world_model::training::{Batch, Familiar, Probe, TrainingData, Validation, encode_batch, validate};
use mindseye_world_model::{Checkpoint, RolloutEngine};
use serde::Serialize;

pub use summary::CheckpointSummary;

use crate::png::write_png_into;
use crate::report::{Training, write_training};
use crate::{Error, Result};

/// What was found on one data set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelReport {
    /// Episodes measured: linear probes were fitted to three quarters of them and checked on the rest.
    pub episodes: usize,
    /// Whether the model was trained on all of these episodes. Of checkpoints that do not say so, whether the data set
    /// has as many episodes and frames as the training data.
    pub trained_on: bool,
    /// Names of the true state's dimensions, in the order of the probes.
    pub state_names: Vec<String>,
    /// Probes, rollout errors, standard deviations of the latent.
    pub validation: Validation,
    /// What the probes read from imagined latents, one entry per action chunk; those of chunk 0 are of encoded images.
    pub imagined: Vec<ImaginedErrors>,
    /// What the model is worth.
    pub verdict: Verdict,
    /// Images that were written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// Images that were left out, each with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// Errors of imagined states as a linear probe reads them, one number per dimension of the state, in its units.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImaginedErrors {
    /// Action chunks ahead.
    pub chunks: usize,
    /// Root mean square error of what is imagined.
    pub rmse: Vec<f64>,
    /// Median absolute error of what is imagined.
    pub median: Vec<f64>,
    /// Root mean square error of predicting that nothing changes.
    pub copy_last_rmse: Vec<f64>,
}

/// Most episodes measured.
const EPISODES: usize = 800;
/// Share of them that the probes are checked on.
const HELD_OUT: f64 = 0.25;
/// Windows of two frames for the probes: fitted and checked.
const PROBE_WINDOWS: (usize, usize) = (2000, 300);
/// Action chunks imagined, and windows in which they are.
const CHUNKS: usize = 5;
const WINDOWS: usize = 400;

/// File of the image of what is imagined.
const IMAGINATION: &str = "imagination.png";

/// A model, the data it is measured on, and the seed of the windows.
struct Subject<'a> {
    checkpoint: &'a Checkpoint,
    data: &'a TrainingData,
    seed: Seed,
}

/// What a report is made with.
pub struct Settings<'a> {
    /// The task whose planner and costs are used.
    pub task: &'a Task,
    /// Starts of the planning check.
    pub plans: usize,
    /// Folder for the images; none for no images.
    pub out: Option<&'a Path>,
    /// What somebody types to get the same, for the page of a run; empty where that is not known.
    pub command: &'a str,
    /// Told how far the work is.
    pub progress: &'a dyn Progress,
}

/// Measures the model of `checkpoint` on the data set in `folder`. With `out`, writes `probes.png` (what linear probes
/// read from latents, against the truth) and `imagination.png` (decoded rollouts under the recorded images) into it; an
/// image that cannot be drawn of these data is left out, and the report says why.
///
/// # Errors
/// When the data set is broken or of another shape, or an image cannot be written.
pub fn report(
    checkpoint: Checkpoint,
    folder: &Path,
    mapping: &Mapping,
    settings: &Settings<'_>,
) -> Result<ModelReport> {
    let checkpoint = &Arc::new(checkpoint);
    let dataset = open_with(folder, mapping)?;
    let data = load(checkpoint, dataset.as_ref(), folder)?;
    let trained = &checkpoint.config.data;
    let same_size = (trained.episodes, trained.frames) == (dataset.len(), dataset.frames());
    let verdict = verdict(checkpoint, &data, dataset.sidecar().map(|sidecar| &*sidecar.scene), settings)?;
    // What is measured is measured on episodes that the model was not trained on, where some are known.
    let data = match checkpoint.config.training.familiar(data.cache(), checkpoint.config.model.action_chunk)? {
        Some(familiar) if familiar.contains(&Familiar::Trained) => {
            let others = (0..familiar.len()).filter(|&episode| familiar[episode] != Familiar::Trained).collect();
            let others = data.with_validation_episodes(others);
            if others.validation_windows(2) > 0 { others } else { data }
        }
        _ => data,
    };
    let subject = Subject { checkpoint, data: &data, seed: Seed::new(0).child("model report") };
    let mut report = ModelReport {
        episodes: dataset.len().min(EPISODES),
        trained_on: match verdict.judged.familiar {
            Origin::Unknown => same_size,
            familiar => familiar == Origin::Trained,
        },
        state_names: data.state_names().to_vec(),
        validation: validate(&checkpoint.model, &data, subject.seed)?,
        imagined: subject.imagined_errors()?,
        verdict,
        images: Vec::new(),
        left_out: Vec::new(),
    };
    if let Some(out) = settings.out {
        std::fs::create_dir_all(out).map_err(|error| Error::write(out, error))?;
        let imagination = match subject.imagination()? {
            Ok(sheet) => Ok(sheet.draw()?),
            Err(reason) => Err(reason),
        };
        for (name, drawn) in [("probes.png", subject.probes()?), (IMAGINATION, imagination)] {
            match drawn {
                Ok(canvas) => {
                    write_png_into(out, name, canvas.image())?;
                    report.images.push(name.to_owned());
                }
                Err(reason) => report.left_out.push(format!("{name}: {reason}")),
            }
        }
    }
    Ok(report)
}

/// The verdict on the model that a run left in `run`, on the episodes `data` of that run: written there as
/// `verdict.json`, with `imagination.png` and `report.html` beside it.
///
/// # Errors
/// When the checkpoint is broken, the data do not fit it, or a file cannot be written.
pub fn report_of_run(
    run: &Path,
    data: &TrainingData,
    curve: Option<LearningCurve>,
    settings: &Settings<'_>,
) -> Result<Verdict> {
    let checkpoint = &Arc::new(Checkpoint::load(run)?);
    let verdict = verdict(checkpoint, data, None, settings)?;
    let verdict = curve.map_or(verdict.clone(), |curve| verdict.with_learning_curve(curve));
    verdict.save(&run.join(mindseye_evaluation::verdict::FILE))?;
    let subject = Subject { checkpoint, data, seed: Seed::new(0).child("model report") };
    let imagination = subject.imagination()?.ok();
    if let Some(sheet) = &imagination {
        write_png_into(run, IMAGINATION, sheet.draw()?.image())?;
    }
    write_training(&Training {
        run,
        config: &checkpoint.config,
        parameters: checkpoint.model.parameters(),
        verdict: &verdict,
        imagination: imagination.as_ref(),
        command: settings.command,
    })?;
    Ok(verdict)
}

fn verdict(
    checkpoint: &Arc<Checkpoint>,
    data: &TrainingData,
    scene: Option<&str>,
    settings: &Settings<'_>,
) -> Result<Verdict> {
    let Settings { task, plans, progress, .. } = *settings;
    let seed = Seed::new(0).child("verdict");
    Ok(judge(checkpoint, data.cache(), &Options { task, plans, scene, seed, progress })?)
}

/// The frames of `dataset` as the model takes them, a quarter of the episodes held out.
fn load(checkpoint: &Checkpoint, dataset: &dyn EpisodeSource, folder: &Path) -> Result<TrainingData> {
    let model = &checkpoint.config.model;
    let (expected, got) = (model.action_width, dataset.shape().action);
    if expected != got {
        return Err(Error::dataset(folder, "actions", format!("{expected} numbers"), got));
    }
    let options = CacheOptions {
        image_size: Some(ImageSize::new(model.cameras * model.image_side, model.image_side)?),
        max_episodes: Some(EPISODES),
        ..CacheOptions::default()
    };
    let mut cache = FrameCache::load(dataset, &options, &|_, _| ())?;
    if dataset.sidecar().is_none() {
        ActionNormalisation::from_space(checkpoint.config.action_space.clone())?.normalise(&mut cache)?;
    }
    let mut recipe = checkpoint.config.recipe.clone();
    recipe.data.validation_fraction = HELD_OUT;
    Ok(TrainingData::new(cache, &recipe)?)
}

impl Subject<'_> {
    /// Frames of the windows that are imagined: as many as held-out episodes are long enough for.
    fn frames(&self) -> Option<usize> {
        (2..=CHUNKS + 1).rev().find(|&frames| self.data.validation_windows(frames) > 0)
    }

    /// Reads imagined latents with a probe that was fitted to encoded images; nothing without a true state.
    fn imagined_errors(&self) -> Result<Vec<ImaginedErrors>> {
        let model = &self.checkpoint.config.model;
        let Some(frames) = self.frames() else { return Ok(Vec::new()) };
        let latent_width = model.latent_width;
        let fit = self.data.training_sample(PROBE_WINDOWS.0, 2, self.seed)?;
        let fit_latents = encode_batch(&self.checkpoint.model, &fit)?;
        let Some(probe) = Probe::fit(&fit_latents, &fit.states, self.data.state_names(), latent_width) else {
            return Ok(Vec::new());
        };
        let batch = self.data.validation_sample(WINDOWS, frames, self.seed)?;
        let latents = encode_batch(&self.checkpoint.model, &batch)?;
        let imagined = self.imagine(&batch, &latents)?;
        let at = |values: &[f32], width: usize, frame: usize| -> Vec<f32> {
            values.chunks_exact(frames * width).flat_map(|window| window[frame * width..][..width].to_vec()).collect()
        };
        let first = at(&latents, latent_width, 0);
        let errors = |chunks: usize| {
            let states = at(&batch.states, self.data.state_names().len(), chunks);
            let errors = probe.errors_on(&at(&imagined, latent_width, chunks), &states);
            let copy_last_rmse = probe.errors_on(&first, &states).rmse;
            ImaginedErrors { chunks, rmse: errors.rmse, median: errors.median, copy_last_rmse }
        };
        Ok((0..frames).map(errors).collect())
    }

    /// The first latent of every window, and those that the model predicts from it and the recorded actions
    /// `[windows, frames, D]`.
    fn imagine(&self, batch: &Batch, latents: &[f32]) -> Result<Vec<f32>> {
        let model = &self.checkpoint.config.model;
        let engine = RolloutEngine::new(&self.checkpoint.model)?;
        let mut imagined = Vec::with_capacity(latents.len());
        let chunks = batch.frames - 1;
        let windows = latents.chunks_exact(batch.frames * model.latent_width);
        for (window, actions) in windows.zip(batch.chunks.chunks_exact(chunks * model.chunk_width())) {
            let start = &window[..model.latent_width];
            imagined.extend_from_slice(start);
            imagined.extend(engine.rollout(start, actions, chunks, 1)?);
        }
        Ok(imagined)
    }
}
