//! A verdict on a model from recorded episodes alone: no simulator, no true state. What does it predict, are its
//! actions needed for that, does its latent tell timesteps apart, and do its plans agree with what was done?

mod display;
mod estimate;
mod learning_curve;
mod planning;
mod prediction;
mod recorded;
mod retrieval;
mod words;

use std::path::Path;
use std::sync::Arc;

use mindseye_agent::Task;
use mindseye_episodes::FrameCache;
use mindseye_interface::{Progress, Seed, files, inputs};
use mindseye_world_model::Checkpoint;
use mindseye_world_model::training::{Familiar, LatentSpread};
use serde::{Deserialize, Serialize};

pub use estimate::Estimate;
pub use learning_curve::{LearningCurve, LearningPoint, learning_curve};
pub use planning::PlanningCheck;
pub use prediction::{ActionEffect, PredictionError};
pub use retrieval::Retrieval;
pub use words::Class;

use recorded::Recorded;

use crate::{Error, Result};

/// File of the verdict at the end of a training, in the folder of the run.
pub const FILE: &str = "verdict.json";
/// Horizons at which prediction errors are measured, action chunks.
const SHOWN_STEPS: [usize; 3] = [1, 3, 5];
/// Longest horizon at which it is measured whether actions matter.
const ACTION_STEPS: usize = 3;
/// Longest distance of the goals of the planning check.
const PLANNED_CHUNKS: usize = 3;
/// Most episodes that are judged, and most of those trained on that they are compared with.
const MOST_EPISODES: usize = 150;
/// Pairs of images that are compared, to see whether anything changes.
const PAIRS: usize = 500;

/// How a verdict is reached.
pub struct Options<'a> {
    /// The task whose planner and costs plan.
    pub task: &'a Task,
    /// Starts of the planning check; 0 leaves it out.
    pub plans: usize,
    /// Of which scene the recordings say they are, if they do.
    pub scene: Option<&'a str>,
    /// Root of the random choices.
    pub seed: Seed,
    /// Told how far the work is.
    pub progress: &'a dyn Progress,
}

/// Which episodes were judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// Number of episodes judged.
    pub episodes: usize,
    /// What the model knows of them.
    pub familiar: Origin,
    /// Episodes that were read.
    pub read: usize,
    /// Of these, those that the model was trained on.
    pub trained_on: usize,
    /// Of these, those that were held out of its training.
    pub held_out: usize,
}

/// What a model knows of the episodes that it is judged on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Nothing: they were held out of its training, or no part of it.
    NotTrained,
    /// It was trained on all that there are.
    Trained,
    /// The checkpoint does not say: it is of before.
    Unknown,
}

/// The latents and images of the judged episodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Latents {
    /// How much of its dimensions the latent uses on them.
    #[serde(flatten)]
    pub spread: LatentSpread,
    /// Mean squared distance of the latents from the mean of the training data, in its standard deviations: about 1
    /// for what the model knows.
    pub novelty: f64,
    /// Mean squared change of the latent over a chunk, over that of the training data.
    pub change: f64,
    /// Share of images that equal the one a chunk before, to the bit.
    pub still_images: f64,
}

/// Held-out error beside that on the training episodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Overfitting {
    /// Training episodes measured.
    pub episodes: usize,
    /// Error one chunk ahead over that of the prediction that nothing changes, on training episodes.
    pub trained: Estimate,
    /// The same number of the judged episodes over that one: 1 without overfitting.
    pub gap: Estimate,
}

/// What a model is worth, as far as recordings tell. Field names are stable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The verdict in a word.
    pub class: Class,
    /// The verdict in a paragraph: what to expect, what not, and what to do next.
    pub words: String,
    /// Which episodes were judged.
    pub judged: Judged,
    /// Duration of an action chunk, seconds.
    pub chunk_secs: f64,
    /// Scene that the recordings name, where it is not the model's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_scene: Option<String>,
    /// Errors of predicted states.
    pub prediction: Vec<PredictionError>,
    /// Whether actions matter.
    pub actions: Option<ActionEffect>,
    /// Whether the latent tells timesteps apart.
    pub retrieval: Option<Retrieval>,
    /// Latents and images.
    pub latents: Latents,
    /// Whether plans agree with what was done.
    pub planning: Option<PlanningCheck>,
    /// Held-out error beside that on training episodes; none where no training episode is among the data.
    pub overfitting: Option<Overfitting>,
    /// Errors of models from fewer episodes, where they were trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_curve: Option<LearningCurve>,
}

/// Judges the model of `checkpoint` on the episodes of `cache`, whose actions are normalised as the model takes them,
/// on the current rayon pool: on those that it was not trained on, where there are any. The same arguments give the
/// same verdict.
///
/// # Errors
/// [`Error::Value`] when no episode is long enough for an action chunk; the errors of model, planner and cache.
pub fn judge(checkpoint: &Arc<Checkpoint>, cache: &FrameCache, options: &Options<'_>) -> Result<Verdict> {
    let (config, seed) = (&checkpoint.config, options.seed);
    let chunk = config.model.action_chunk;
    let long: Vec<usize> = (0..cache.episodes().len()).filter(|&index| cache.episodes()[index].len() > chunk).collect();
    if long.is_empty() {
        return Err(Error::value("verdict", format!("an episode of at least {} timesteps", chunk + 1), "none"));
    }
    let familiar = config.training.familiar(cache, chunk)?;
    let of = |wanted: &[Familiar]| -> Vec<usize> {
        let known = familiar.as_deref().unwrap_or_default();
        long.iter().copied().filter(|&episode| known.get(episode).is_some_and(|is| wanted.contains(is))).collect()
    };
    let (trained, held_out) = (of(&[Familiar::Trained]), of(&[Familiar::HeldOut]));
    let (chosen, origin) = match (familiar.is_some(), of(&[Familiar::HeldOut, Familiar::New])) {
        (false, _) => (long.clone(), Origin::Unknown),
        (true, others) if others.is_empty() => (long.clone(), Origin::Trained),
        (true, others) => (others, Origin::NotTrained),
    };
    let chosen = spread(&chosen);
    let recorded = Recorded::encode(checkpoint, cache, &chosen, options.progress)?;
    let prediction = recorded.prediction(seed.child("prediction"))?;
    let overfitting = match origin {
        Origin::NotTrained if !trained.is_empty() => {
            let trained = Recorded::encode(checkpoint, cache, &spread(&trained), options.progress)?;
            let (own, others) = (recorded.one_ahead()?, trained.one_ahead()?);
            Some(Overfitting {
                episodes: trained.episodes().len(),
                trained: Estimate::ratio(&others, seed.child("trained")),
                gap: Estimate::of(&[&own, &others], seed.child("gap"), |ratios| ratios[0] / ratios[1].max(1e-9)),
            })
        }
        _ => None,
    };
    let acts = config.action_space.moves();
    let planning = match options.plans {
        0 => None,
        _ if !acts => None,
        plans => recorded.planning(checkpoint, options.task, plans, (seed.child("planning"), options.progress))?,
    };
    let mut verdict = Verdict {
        class: Class::Weak,
        words: String::new(),
        judged: Judged {
            episodes: recorded.episodes().len(),
            familiar: origin,
            read: cache.episodes().len(),
            trained_on: trained.len(),
            held_out: held_out.len(),
        },
        chunk_secs: chunk as f64 * config.control_step_secs,
        other_scene: options.scene.filter(|scene| **scene != *config.scene).map(str::to_owned),
        actions: if acts { recorded.action_effect(seed.child("actions"))? } else { None },
        retrieval: recorded.retrieval(seed.child("retrieval"))?,
        latents: recorded.latent_statistics(&prediction)?,
        prediction,
        planning,
        overfitting,
        learning_curve: None,
    };
    verdict.conclude();
    Ok(verdict)
}

impl Verdict {
    /// The same with errors of models from fewer episodes.
    #[must_use]
    pub fn with_learning_curve(mut self, curve: LearningCurve) -> Self {
        self.learning_curve = Some(curve);
        self.conclude();
        self
    }

    /// Writes it as JSON to `path`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let failed = |reason: String| mindseye_interface::Error::File { path: path.to_path_buf(), reason };
        let mut text = serde_json::to_vec_pretty(self).map_err(|error| failed(error.to_string()))?;
        text.push(b'\n');
        Ok(files::write_whole(path, &text).map_err(|error| failed(error.to_string()))?)
    }

    /// What to keep in mind before a model is used, by the `verdict.json` in its `folder`: one line, none where there
    /// is no verdict, or it predicts.
    pub fn caution(folder: &Path) -> Option<String> {
        let unread = |error: &dyn std::fmt::Display| Some(format!("CAUTION {FILE}: cannot be read: {error}"));
        let verdict: Self = match inputs::read_if_present(&folder.join(FILE), inputs::MAX_CONFIG_BYTES) {
            Ok(None) => return None,
            Ok(Some(text)) => match serde_json::from_slice(&text) {
                Ok(verdict) => verdict,
                Err(error) => return unread(&error),
            },
            Err(error) => return unread(&error),
        };
        let usable = matches!(verdict.class, Class::Plans | Class::Predicts);
        (!usable).then(|| format!("CAUTION ({FILE}: {}) {}", verdict.class.name(), words::words(&verdict)))
    }

    fn conclude(&mut self) {
        self.class = words::class(self);
        self.words = words::words(self);
    }
}

/// Some of `episodes`, evenly spread.
fn spread(episodes: &[usize]) -> Vec<usize> {
    let count = episodes.len().min(MOST_EPISODES);
    (0..count).map(|index| episodes[index * episodes.len() / count]).collect()
}

impl Recorded<'_> {
    fn latent_statistics(&self, prediction: &[PredictionError]) -> Result<Latents> {
        let statistics = &self.checkpoint.statistics;
        let latents = self.latents();
        let step = prediction.first().map_or(0.0, |error| error.copy_last);
        let windows = self.windows(1, PAIRS);
        let mut still = 0;
        for window in &windows {
            let image = |frame: usize| self.cache.image(self.data.cached_frame(frame).unwrap_or(0));
            still += usize::from(image(window.start)? == image(window.start + 1)?);
        }
        Ok(Latents {
            spread: LatentSpread::of(&latents, self.data.latent_width()),
            novelty: statistics.novelty(&latents),
            change: step / statistics.step_covariance.trace().max(1e-12),
            still_images: still as f64 / windows.len().max(1) as f64,
        })
    }
}
