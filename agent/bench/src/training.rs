//! Steps of training with a recipe.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use mindseye_episodes::FrameCache;
use mindseye_evaluation::collection::scripted_episode;
use mindseye_interface::{FolderLock, ImageSize, Progress, Seed, recorded_episode};
use mindseye_sim::{SceneOptions, demonstrator, make};
use mindseye_world_model::training::{RunOptions, TrainingConfig, TrainingData, train};
use serde::{Deserialize, Serialize};

use crate::timing::require_rounds;
use crate::{Error, Result, STEPS_PER_EPISODE};

/// Optimiser steps of a recipe, on scripted episodes of a scene.
pub struct TrainingBench {
    /// Name of the scene.
    pub scene: String,
    /// The recipe; the number of its steps does not matter.
    pub recipe: TrainingConfig,
    /// Threads.
    pub threads: usize,
    /// The best of so many short runs counts; at least 1.
    pub rounds: usize,
    /// Root of every random choice.
    pub seed: Seed,
}

/// How fast a recipe's steps are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingSpeed {
    /// Name of the scene.
    pub scene: String,
    /// Threads.
    pub threads: usize,
    /// Joint steps of encoder and predictor per second.
    pub steps_per_sec: f64,
    /// Frames that these steps are trained on, per second.
    pub frames_per_sec: f64,
    /// Steps per second of the predictor alone, where the recipe has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finetuning_steps_per_sec: Option<f64>,
}

/// Steps of each kind per round; the first of a kind and the very last, which ends in a validation, do not count.
const STEPS: usize = 50;
/// Scripted episodes to train on.
const EPISODES: u64 = 40;

impl TrainingBench {
    /// Runs the measurement.
    ///
    /// # Errors
    /// When the scene does not exist, the recipe makes no sense, or training fails.
    pub fn measure(&self) -> Result<TrainingSpeed> {
        require_rounds(self.rounds)?;
        let mut recipe = self.recipe.clone();
        let finetunes = recipe.finetuning.steps > 0;
        (recipe.steps, recipe.validate_every) = (STEPS, usize::MAX);
        recipe.finetuning.steps = if finetunes { STEPS } else { 0 };
        let data = TrainingData::new(self.episodes(&recipe)?, &recipe)?;
        let (mut joint, mut alone): (f64, f64) = (0.0, 0.0);
        for _ in 0..self.rounds {
            let folder = tempfile::tempdir().map_err(Error::TemporaryFolder)?;
            let lock = FolderLock::acquire(folder.path(), "bench")?;
            let steps = StepTimes::default();
            let options = RunOptions {
                threads: self.threads,
                folder: Some(&lock),
                stop_after: Some(recipe.all_steps() - 1),
                progress: &steps,
                ..RunOptions::new(self.seed)
            };
            train(&recipe, &data, None, &options, &|_, _| ())?;
            let times = steps.0.into_inner().unwrap_or_else(PoisonError::into_inner);
            let rate = |times: &[Instant]| match times {
                [first, .., last] => (times.len() - 1) as f64 / last.duration_since(*first).as_secs_f64(),
                _ => 0.0,
            };
            joint = joint.max(rate(&times[..STEPS - 1]));
            alone = alone.max(rate(&times[STEPS.min(times.len())..]));
        }
        Ok(TrainingSpeed {
            scene: self.scene.clone(),
            threads: self.threads,
            steps_per_sec: joint,
            frames_per_sec: joint * (recipe.data.batch * recipe.data.frames) as f64,
            finetuning_steps_per_sec: finetunes.then_some(alone),
        })
    }

    /// Scripted episodes, as the model of `recipe` takes them.
    fn episodes(&self, recipe: &TrainingConfig) -> Result<FrameCache> {
        let options = SceneOptions::with_side(recipe.model.image_side)?;
        let mut simulator = make(&self.scene, &options)?;
        let mut script = demonstrator(&self.scene, "mixture", &options)?;
        let size = ImageSize::square(recipe.model.image_side)?;
        let (state, proprioception) = (simulator.state_names().len(), simulator.proprioception_names().len());
        let mut cache = FrameCache::new(size, simulator.action_space().width(), state, proprioception);
        for episode in 0..EPISODES {
            let seed = recorded_episode(self.seed, episode);
            cache.push(&scripted_episode(simulator.as_mut(), script.as_mut(), seed, STEPS_PER_EPISODE)?)?;
        }
        Ok(cache)
    }
}

/// The times at which steps ended.
#[derive(Default)]
struct StepTimes(Mutex<Vec<Instant>>);

impl Progress for StepTimes {
    fn begin(&self, _stage: &str, _total: usize, _unit: &str) {}

    fn advance(&self, done: usize, _note: &str) -> bool {
        if done > 0 {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
        }
        true
    }

    fn end(&self) {}
}
