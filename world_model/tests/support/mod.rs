//! A minimal world: a bright square on dark ground that the action moves by up to a pixel per control step.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else
#![allow(dead_code, reason = "each test file uses a part")]

use std::path::Path;
use std::sync::atomic::AtomicBool;

use mindseye_episodes::{EpisodeData, FrameCache};
use mindseye_interface::config::parse;
use mindseye_interface::{ActionSpace, Image, ImageSize, Seed};
use mindseye_world_model::checkpoint::Origin;
use mindseye_world_model::training::{RunOptions, TrainingConfig, TrainingData, TrainingReport, train};
use mindseye_world_model::{Checkpoint, Jepa, Result};
use rand::Rng;

pub const SIDE: usize = 16;

/// A small recipe; `more` is added to the table of losses.
pub fn recipe(steps: usize, encoder: &str, whitening: bool, losses: &str) -> TrainingConfig {
    parse(&format!(
        "steps = {steps}\nshards = 2\nreport_every = 10\nvalidate_every = {steps}\nsave_every = 1000\ndecoder_steps = 0\n\
         [model]\nimage_side = {SIDE}\naction_width = 2\naction_block = 2\nlatent_width = 8\nwhitening = {whitening}\n\
         [model.encoder]\n{encoder}\n[model.predictor]\nhidden = 32\nlayers = 1\n\
         [data]\nbatch = 16\nframes = 4\nvalidation_fraction = 0.2\n[loss]\n{losses}\n[optimiser]\nlearning_rate = 3e-3\n"
    ))
    .unwrap()
}

/// Where the square's episodes come from.
pub fn origin() -> Origin {
    let action_space = ActionSpace {
        names: vec!["x".into(), "y".into()],
        units: vec!["m/s".into(); 2],
        low: vec![-1.0; 2],
        high: vec![1.0; 2],
    };
    let state_names = vec!["x_px".into(), "y_px".into()];
    Origin { scene: "square".into(), control_step_secs: 0.1, action_space, state_names }
}

pub const PATCH: &str = "kind = \"patch\"\npatch = 4\nchannels = 8\nblocks = 1\nbottleneck = 4\nhidden = 32";
pub const KEYPOINT: &str = "kind = \"keypoint\"\nchannels = 4\nhidden = 32";

/// Episodes of the square's world.
pub fn data(config: &TrainingConfig, episodes: u64) -> TrainingData {
    let mut cache = FrameCache::new(ImageSize::square(SIDE).unwrap(), 2, 2, 0);
    for episode in 0..episodes {
        cache.push(&moving_square(Seed::new(episode), 30)).unwrap();
    }
    TrainingData::new(cache, config).unwrap()
}

fn moving_square(seed: Seed, steps: usize) -> EpisodeData {
    let mut rng = seed.rng();
    let mut place = [rng.random_range(0.0..12.0f32), rng.random_range(0.0..12.0f32)];
    let mut episode = EpisodeData::default();
    let mut action = [0.0f32; 2];
    for step in 0..steps {
        if step % 4 == 0 {
            action = [rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0)];
        }
        episode.frames.push(picture(place));
        episode.states.push(place.to_vec());
        episode.proprioception.push(Vec::new());
        episode.actions.push(action.to_vec());
        place.iter_mut().zip(action).for_each(|(place, action)| *place = (*place + action).clamp(0.0, 12.0));
    }
    episode
}

/// A square of 4x4 pixels whose top left corner is in `place` (column, row), anti-aliased.
pub fn picture(place: [f32; 2]) -> Image {
    let covered = |pixel: usize, low: f32| ((pixel + 1) as f32).min(low + 4.0) - (pixel as f32).max(low);
    let mut pixels = Vec::new();
    for row in 0..SIDE {
        for column in 0..SIDE {
            let share = covered(column, place[0]).max(0.0) * covered(row, place[1]).max(0.0);
            pixels.extend([(share * 255.0) as u8; 3]);
        }
    }
    Image::new(ImageSize::square(SIDE).unwrap(), pixels).unwrap()
}

/// Trains in `folder`.
pub fn run(
    config: &TrainingConfig,
    data: &TrainingData,
    folder: &Path,
    resume: bool,
    stop_after: Option<usize>,
) -> Result<(Jepa, TrainingReport)> {
    run_from(None, config, data, folder, resume, stop_after)
}

/// Trains in `folder` from the weights of `start`.
pub fn run_from(
    start: Option<&Checkpoint>,
    config: &TrainingConfig,
    data: &TrainingData,
    folder: &Path,
    resume: bool,
    stop_after: Option<usize>,
) -> Result<(Jepa, TrainingReport)> {
    let options = RunOptions {
        seed: Seed::new(1),
        threads: 2,
        folder,
        start,
        resume,
        stop_after,
        stop: &AtomicBool::new(false),
        progress: &|_| (),
    };
    train(config, data, &options)
}
