//! World models on a frozen encoder: what actions do is learnt, what is saved is what was trained, equal seeds give
//! equal bits.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::path::Path;
use std::sync::Arc;

use mindseye_episodes::{EpisodeData, FrameCache};
use mindseye_interface::{FolderLock, Frame, Image, ImageSize, Observation, Seed};
use mindseye_world_model::families::frozen::{
    Conditioning, FrozenDataConfig, FrozenRecipe, FrozenTokens, FrozenTrainingReport, FrozenWorldModel, TokenError,
    TokenPredictorConfig, train_on_frozen,
};
use mindseye_world_model::families::vit::{Vit, VitOptions};
use mindseye_world_model::training::RunOptions;
use mindseye_world_model::{
    AnyCheckpoint, Context, InferenceOptions, LatentStatistics, Model as _, OptimiserConfig, Plans, Result,
};
use rand::Rng as _;

use crate::pretraining::{SIDE, write_encoder};
use crate::support::origin;

/// A bright square of 4 pixels at a place, on a dark floor.
fn image(column: i32, row: i32) -> Image {
    let inside = |at: usize| {
        let (x, y) = ((at % SIDE) as i32, (at / SIDE) as i32);
        (column..column + 4).contains(&x) && (row..row + 4).contains(&y)
    };
    let pixels = (0..SIDE * SIDE).flat_map(|at| if inside(at) { [250, 120, 30] } else { [40, 50, 60] });
    Image::new(ImageSize::square(SIDE).unwrap(), pixels.collect()).unwrap()
}

/// Episodes of a square that goes where the action says: by 3 pixels in each axis, or not at all.
fn episodes(count: u64) -> FrameCache {
    let mut cache = FrameCache::new(ImageSize::square(SIDE).unwrap(), 2, 0, 0);
    for episode in 0..count {
        let mut rng = Seed::new(episode).rng();
        let (mut column, mut row) = (rng.random_range(0..12), rng.random_range(0..12));
        let (mut frames, mut actions) = (Vec::new(), Vec::new());
        for _ in 0..8 {
            let action = [rng.random_range(-1..=1), rng.random_range(-1..=1)];
            frames.push(image(column, row));
            actions.push(action.map(|value| value as f32).to_vec());
            column = (column + 3 * action[0]).clamp(0, 12);
            row = (row + 3 * action[1]).clamp(0, 12);
        }
        let empty = vec![vec![]; 8];
        cache.push(&EpisodeData { frames, proprioception: empty.clone(), states: empty, actions }).unwrap();
    }
    cache
}

fn recipe(conditioning: Conditioning, context: usize) -> FrozenRecipe {
    FrozenRecipe {
        steps: 400,
        micro_batches: 2,
        report_every: 100,
        validate_every: 200,
        save_every: 1000,
        action_chunk: 1,
        pool: 1,
        error: TokenError::Squared,
        predictor: TokenPredictorConfig { conditioning, context, width: 32, layers: 2, heads: 2 },
        data: FrozenDataConfig { batch: 24, rollout: 2, frame_stride: 1, validation_fraction: 0.1 },
        optimiser: OptimiserConfig { learning_rate: 3e-3, warmup_steps: 20, ..OptimiserConfig::default() },
    }
}

fn tokens(encoder: &Path, pool: usize) -> Result<FrozenTokens> {
    FrozenTokens::new(Arc::new(Vit::load(encoder, &VitOptions::default())?), pool)
}

fn run(
    recipe: &FrozenRecipe,
    encoder: &Path,
    options: &RunOptions<'_>,
) -> Result<(FrozenWorldModel, LatentStatistics, FrozenTrainingReport)> {
    train_on_frozen(recipe, tokens(encoder, recipe.pool)?, &episodes(80), options, &|_, _| ())
}

/// Predicted states of two plans of three chunks from a place, after a state before it where `context` is above 1.
fn rollouts(model: &dyn mindseye_world_model::Model, threads: usize) -> Vec<f32> {
    let observe = |image: Image| Observation {
        frames: vec![Frame::new(&"camera_0".into(), image, 0.0)],
        proprioception: Vec::new(),
        tick: 0,
        time_secs: 0.0,
    };
    let latents = model.encode(&[observe(image(0, 6)), observe(image(3, 6))]).unwrap();
    let plans = Plans::new(2, 3, 2, vec![1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, -1.0, 0.0, -1.0, 0.0, 0.0]).unwrap();
    let dynamics = model.dynamics(&InferenceOptions { threads, ..InferenceOptions::default() }).unwrap();
    dynamics.rollout(&Context::after(&latents, &[1.0, 0.0]), &plans).unwrap().values().to_vec()
}

#[test]
fn what_actions_do_is_learnt_with_either_conditioning() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    write_encoder(folder.path())?;
    for (conditioning, context) in [(Conditioning::Concatenated, 1), (Conditioning::Token, 2)] {
        let (_, _, report) = run(&recipe(conditioning, context), folder.path(), &RunOptions::new(Seed::new(1)))?;
        let validation = report.validation.unwrap();
        let [near, far] = [&validation.rollout[0], validation.rollout.last().unwrap()];
        assert!(near.error < 0.6 * near.copy_last, "{conditioning:?}: {validation}");
        assert!(validation.other_actions > 1.2 * far.error, "{conditioning:?}: {validation}");
    }
    Ok(())
}

#[test]
fn what_is_saved_is_what_was_trained_and_another_encoder_is_refused() -> Result<()> {
    let [encoder, out] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    write_encoder(encoder.path())?;
    let recipe = FrozenRecipe { steps: 5, pool: 2, ..recipe(Conditioning::Token, 2) };
    let (model, statistics, report) = run(&recipe, encoder.path(), &RunOptions::new(Seed::new(2)))?;
    model.save(out.path(), encoder.path(), &statistics, (&recipe, &report, &origin()))?;
    let loaded = AnyCheckpoint::load(out.path())?;
    assert_eq!((loaded.spec(), loaded.spec().latent.tokens), (model.spec(), 4));
    assert_eq!(rollouts(&*loaded.model, 1), rollouts(&model, 1));
    assert_eq!(rollouts(&*loaded.model, 1), rollouts(&*loaded.model, 3), "on any number of threads");
    assert_eq!(loaded.statistics.as_ref().map(LatentStatistics::shape), Some(loaded.spec().latent));
    assert_eq!(loaded.fingerprint(), AnyCheckpoint::load(out.path())?.fingerprint());
    let weights = out.path().join("encoder/model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    let error = AnyCheckpoint::load(out.path()).unwrap_err().to_string();
    assert!(error.contains("encoder: expected the encoder of the training"), "{error}");
    Ok(())
}

#[test]
fn weights_do_not_depend_on_threads_or_on_stops() -> Result<()> {
    let encoder = tempfile::tempdir().unwrap();
    write_encoder(encoder.path())?;
    let recipe = FrozenRecipe { steps: 8, ..recipe(Conditioning::Concatenated, 1) };
    let whole = run(&recipe, encoder.path(), &RunOptions { threads: 3, ..RunOptions::new(Seed::new(3)) })?.0;
    let folder = tempfile::tempdir().unwrap();
    let lock = FolderLock::acquire(folder.path(), "train").unwrap();
    let options = RunOptions { folder: Some(&lock), stop_after: Some(3), ..RunOptions::new(Seed::new(3)) };
    assert!(!run(&recipe, encoder.path(), &options)?.2.finished);
    let resumed = RunOptions { resume: true, stop_after: None, ..options };
    let resumed = run(&recipe, encoder.path(), &resumed)?.0;
    assert_eq!(rollouts(&resumed, 1), rollouts(&whole, 1));
    Ok(())
}

#[test]
fn what_does_not_fit_the_encoder_is_refused() -> Result<()> {
    let encoder = tempfile::tempdir().unwrap();
    write_encoder(encoder.path())?;
    let error = tokens(encoder.path(), 3).unwrap_err().to_string();
    assert!(error.contains("a pool that divides the encoder's 4x4 patches") && error.contains("got 3"), "{error}");
    let mut other = FrameCache::new(ImageSize::square(8)?, 2, 0, 0);
    let frames = vec![Image::new(ImageSize::square(8)?, vec![7; 192])?; 8];
    let empty = vec![vec![]; 8];
    other.push(&EpisodeData {
        frames,
        proprioception: empty.clone(),
        states: empty,
        actions: vec![vec![0.0; 2]; 8],
    })?;
    let recipe = recipe(Conditioning::Concatenated, 1);
    let options = RunOptions::new(Seed::new(0));
    let error = train_on_frozen(&recipe, tokens(encoder.path(), 1)?, &other, &options, &|_, _| ()).unwrap_err();
    assert!(error.to_string().contains("one camera of 16x16 pixels"), "{error}");
    Ok(())
}
