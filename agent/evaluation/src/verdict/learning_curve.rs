//! Would more episodes help? Short trainings on a part of them, all of equal length, say.

use std::fmt;

use mindseye_interface::NoProgress;
use mindseye_world_model::training::{RunOptions, TrainingConfig, TrainingData, train};
use serde::{Deserialize, Serialize};

use crate::Result;

/// Parts of the training episodes.
const FRACTIONS: [f64; 3] = [0.25, 0.5, 1.0];
/// Optimiser steps of each training, of the model and of the predictor alone.
const STEPS: (usize, usize) = (300, 200);

/// Held-out errors of short trainings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LearningCurve {
    /// Optimiser steps of each training.
    pub steps: usize,
    /// One training each, from few episodes to all.
    pub points: Vec<LearningPoint>,
}

/// One short training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LearningPoint {
    /// Training episodes.
    pub episodes: usize,
    /// Action chunks ahead.
    pub chunks: usize,
    /// Held-out error over that of the prediction that nothing changes.
    pub held_out: f64,
}

impl LearningCurve {
    /// The error of all episodes over that of half of them.
    pub fn gain(&self) -> Option<f64> {
        match &self.points[..] {
            [.., half, all] => Some(all.held_out / half.held_out.max(1e-9)),
            _ => None,
        }
    }
}

impl fmt::Display for LearningCurve {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        let point = |point: &LearningPoint| format!("{} episodes {:.2}", point.episodes, point.held_out);
        let points: Vec<String> = self.points.iter().map(point).collect();
        let chunks = self.points.first().map_or(0, |point| point.chunks);
        write!(text, "held-out error of models from fewer episodes, {} steps each, ", self.steps)?;
        write!(text, "{chunks} chunks ahead: {}", points.join(", "))
    }
}

/// Trains a model on a quarter, on half and on all of the training episodes of `data`, each for the same few steps of
/// `recipe`, and measures it on the validation episodes. `None` when it was stopped. Nothing is written.
///
/// # Errors
/// As [`train`].
pub fn learning_curve(
    recipe: &TrainingConfig,
    data: &TrainingData,
    options: &RunOptions<'_>,
) -> Result<Option<LearningCurve>> {
    let mut recipe = recipe.clone();
    recipe.steps = STEPS.0.min(recipe.steps.max(1));
    recipe.finetuning.steps = STEPS.1.min(recipe.finetuning.steps);
    (recipe.validate_every, recipe.save_every) = (usize::MAX, usize::MAX);
    let (all, count) = (data.training_episodes(), FRACTIONS.len());
    let mut points: Vec<LearningPoint> = Vec::with_capacity(count);
    options.progress.begin("learning curve", count, "trainings");
    for (index, fraction) in FRACTIONS.into_iter().enumerate() {
        let episodes = ((all as f64 * fraction).round() as usize).clamp(1, all);
        if points.last().is_some_and(|point| point.episodes == episodes) {
            continue;
        }
        let part = data.with_fewer_training_episodes(episodes);
        let quiet = RunOptions { folder: None, resume: false, stop_after: None, progress: &NoProgress, ..*options };
        let trained = train(&recipe, &part, None, &quiet, &|_, _| ())?;
        if !trained.report.finished || !options.progress.advance(index + 1, "") {
            options.progress.end();
            return Ok(None);
        }
        let rollout = trained.report.validation.map(|validation| validation.rollout).unwrap_or_default();
        let error = rollout.iter().rev().find(|error| error.chunks <= super::ACTION_STEPS);
        points.extend(error.map(|error| LearningPoint {
            episodes,
            chunks: error.chunks,
            held_out: error.error / error.copy_last.max(1e-12),
        }));
    }
    options.progress.end();
    Ok(Some(LearningCurve { steps: recipe.all_steps(), points }))
}
