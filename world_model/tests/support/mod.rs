//! A minimal world: a bright square on dark ground that the action moves by up to a pixel per control step.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else
#![allow(dead_code, reason = "each test file uses a part")]

use std::path::Path;
use std::sync::atomic::AtomicBool;

use mindseye_episodes::{EpisodeData, FrameCache};
use mindseye_interface::config::parse;
use mindseye_interface::{ActionSpace, FolderLock, Image, ImageSize, Seed};
use mindseye_world_model::checkpoint::Origin;
use mindseye_world_model::training::{
    RunOptions, StartingPoint, TrainedModel, TrainingConfig, TrainingData, TrainingReport, train,
};
use mindseye_world_model::{Checkpoint, Jepa, Result};
use rand::Rng;

pub const SIDE: usize = 16;

/// A small recipe; `more` is added to the table of losses.
pub fn recipe(steps: usize, encoder: &str, whitening: bool, losses: &str) -> TrainingConfig {
    parse(&text(steps, encoder, whitening, losses)).unwrap()
}

/// The text of a recipe with the table of losses `losses`.
pub fn recipe_text(losses: &str) -> String {
    text(4, PATCH, false, losses)
}

fn text(steps: usize, encoder: &str, whitening: bool, losses: &str) -> String {
    format!(
        "steps = {steps}\nmicro_batches = 2\nreport_every = 10\nvalidate_every = {steps}\n\
         save_every = 1000\ndecoder_steps = 0\n\
         [model]\nimage_side = {SIDE}\naction_width = 2\naction_chunk = 2\nlatent_width = 8\nwhitening = {whitening}\n\
         [model.encoder]\n{encoder}\n[model.predictor]\nhidden = 32\nlayers = 1\n\
         [data]\nbatch = 16\nframes = 4\nvalidation_fraction = 0.2\n\
         [loss]\n{losses}\n[optimiser]\nlearning_rate = 3e-3\n"
    )
}

/// Where the square's episodes come from.
pub fn origin() -> Origin {
    let action_space = ActionSpace {
        names: vec!["x".into(), "y".into()],
        units: vec!["m/s".into(); 2],
        low: vec![-1.0; 2],
        high: vec![1.0; 2],
        neutral: Vec::new(),
        max_step: Vec::new(),
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
        episode.frames.push(image_of(place));
        episode.states.push(place.to_vec());
        episode.proprioception.push(Vec::new());
        episode.actions.push(action.to_vec());
        place.iter_mut().zip(action).for_each(|(place, action)| *place = (*place + action).clamp(0.0, 12.0));
    }
    episode
}

/// A square of 4x4 pixels whose top left corner is in `place` (column, row), anti-aliased.
pub fn image_of(place: [f32; 2]) -> Image {
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
    let lock = FolderLock::acquire(folder, "train")?;
    let options = RunOptions { threads: 2, folder: Some(&lock), resume, stop_after, ..RunOptions::new(Seed::new(1)) };
    let start = start.map(|start| StartingPoint {
        model: &start.model,
        recipe: &start.config.recipe,
        training: &start.config.training,
    });
    let TrainedModel { model, report, .. } = train(config, data, start, &options, &|_, _| ())?;
    Ok((model, report))
}

/// Trains what `train` trains once in one go, and once stopped after every step in `stops` and resumed, in files;
/// `weights` of both must be equal, and no interruption may give a result.
pub fn resumes_to_the_same_weights<T>(
    stops: &[usize],
    train: impl Fn(&RunOptions<'_>) -> Result<Option<T>>,
    weights: impl Fn(&T) -> Vec<f32>,
) {
    let folders = tempfile::tempdir().unwrap();
    let lock = |name: &str| FolderLock::acquire(&folders.path().join(name), "train").unwrap();
    let (whole, parts, early) = (lock("whole"), lock("parts"), lock("early"));
    let seed = RunOptions::new(Seed::new(5));
    let expected = weights(&train(&RunOptions { folder: Some(&whole), threads: 2, ..seed }).unwrap().unwrap());
    for (index, &stop) in stops.iter().enumerate() {
        let (folder, stop_after) = (Some(&parts), Some(stop));
        let stopped = train(&RunOptions { folder, stop_after, resume: index > 0, ..seed }).unwrap();
        assert!(stopped.is_none(), "stopped after {stop}");
    }
    let resumed = train(&RunOptions { folder: Some(&parts), resume: true, ..seed }).unwrap().unwrap();
    assert!(expected == weights(&resumed), "resumed after {stops:?} on another number of threads: other weights");
    // Ctrl-C before the first step saves a state too.
    let stop = AtomicBool::new(true);
    assert!(train(&RunOptions { folder: Some(&early), stop: &stop, ..seed }).unwrap().is_none());
    let resumed = train(&RunOptions { folder: Some(&early), resume: true, ..seed }).unwrap().unwrap();
    assert!(expected == weights(&resumed), "resumed from the start: other weights");
    let other = RunOptions { folder: Some(&early), resume: true, ..RunOptions::new(Seed::new(6)) };
    let error = train(&other).map(drop).unwrap_err().to_string();
    assert!(error.contains("seed") && error.contains("got another"), "{error}");
    // Symptom: a state that was begun beside one model was resumed beside another with the same encoder. Cause: it was
    // known by config and data only. Fix: the fingerprint of the model belongs to it.
    let folder = lock("model");
    let of = |model| RunOptions { folder: Some(&folder), model: Some(model), ..seed };
    assert!(train(&RunOptions { stop: &stop, ..of("one") }).unwrap().is_none());
    let error = train(&RunOptions { resume: true, ..of("another") }).map(drop).unwrap_err().to_string();
    assert!(error.contains("model") && error.contains("got another"), "{error}");
}
