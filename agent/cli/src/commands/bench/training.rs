//! Steps of training with the shipped recipe.

use std::cell::RefCell;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context, Result};
use mindseye_episodes::FrameCache;
use mindseye_interface::{ImageSize, Seed, config};
use mindseye_sim::{SceneOptions, demonstrator, make};
use mindseye_world_model::training::{Progress, RunOptions, TrainingConfig, TrainingData, train};
use serde::Serialize;

use super::{BenchArguments, STEPS_PER_EPISODE};
use crate::assets;
use crate::commands::record::{episode_seed, simulate_episode};

/// How fast a recipe's steps are.
#[derive(Debug, Serialize)]
pub struct TrainSpeed {
    scene: String,
    threads: usize,
    /// Joint steps of encoder and predictor.
    steps_per_sec: f64,
    frames_per_sec: f64,
    /// Steps of the predictor alone, where the recipe has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    refinement_steps_per_sec: Option<f64>,
}

impl TrainSpeed {
    /// For people.
    pub fn say(&self) {
        let Self { scene, threads, steps_per_sec, frames_per_sec, .. } = self;
        println!("{scene}, {threads} threads: {steps_per_sec:.1} joint steps/s ({frames_per_sec:.0} frames/s)");
        if let Some(rate) = self.refinement_steps_per_sec {
            println!("  {rate:.1} steps/s of the predictor alone");
        }
    }
}

/// Steps of each kind per round; the first of a kind and the very last, which ends in a validation, do not count.
const STEPS: usize = 50;

/// The best of `arguments.rounds` short runs on scripted episodes.
///
/// # Errors
/// When the recipe is missing or training fails.
pub fn train_speed(arguments: &BenchArguments) -> Result<TrainSpeed> {
    let mut recipe: TrainingConfig = config::load(&assets::recipe(&arguments.scene)?)?;
    let refines = recipe.refinement.steps > 0;
    (recipe.steps, recipe.validate_every) = (STEPS, usize::MAX);
    recipe.refinement.steps = if refines { STEPS } else { 0 };
    let options = SceneOptions::with_side(recipe.model.image_side)?;
    let mut simulator = make(&arguments.scene, &options)?;
    let mut demonstrator = demonstrator(&arguments.scene, "mixture", &options)?;
    let size = ImageSize::square(recipe.model.image_side)?;
    let state = (simulator.state_names().len(), simulator.proprioception_names().len());
    let mut cache = FrameCache::new(size, simulator.action_space().width(), state.0, state.1);
    for episode in 0..40 {
        let seed = episode_seed(Seed::new(arguments.seed), episode);
        cache.push(&simulate_episode(simulator.as_mut(), demonstrator.as_mut(), seed, STEPS_PER_EPISODE)?)?;
    }
    let data = TrainingData::new(cache, &recipe)?;
    let (mut joint, mut alone): (f64, f64) = (0.0, 0.0);
    for _ in 0..arguments.rounds {
        let folder = tempfile::tempdir().context("temporary folder")?;
        let moments = RefCell::new(Vec::new());
        let options = RunOptions {
            seed: Seed::new(arguments.seed),
            threads: arguments.threads,
            folder: folder.path(),
            start: None,
            resume: false,
            stop_after: Some(recipe.all_steps() - 1),
            stop: &AtomicBool::new(false),
            progress: &|_: &Progress<'_>| moments.borrow_mut().push(Instant::now()),
        };
        train(&recipe, &data, &options)?;
        let moments = moments.into_inner();
        let rate = |moments: &[Instant]| match moments {
            [first, .., last] => (moments.len() - 1) as f64 / last.duration_since(*first).as_secs_f64(),
            _ => 0.0,
        };
        joint = joint.max(rate(&moments[..STEPS - 1]));
        alone = alone.max(rate(&moments[STEPS.min(moments.len())..]));
    }
    Ok(TrainSpeed {
        scene: arguments.scene.clone(),
        threads: arguments.threads,
        steps_per_sec: joint,
        frames_per_sec: joint * (recipe.data.batch * recipe.data.frames) as f64,
        refinement_steps_per_sec: refines.then_some(alone),
    })
}
