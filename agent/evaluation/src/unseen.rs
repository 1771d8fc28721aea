//! Recorded episodes that a model has not been trained on.

use std::path::PathBuf;

use mindseye_episodes::{CacheOptions, DatasetMixture};
use mindseye_interface::{Benchmark, ImageSize, NoProgress, Progress};
use mindseye_world_model::training::Familiar;

use crate::{Error, LearnedAgent, Result};

/// Starts and goals of `benchmark`, which come from the recordings in `data` where there are any, are from now on those
/// of episodes that the model of `agent` was not trained on. How many these are; `None` without recordings.
///
/// # Errors
/// As [`unseen_episodes`].
pub fn hold_out(benchmark: &mut dyn Benchmark, agent: &LearnedAgent, data: &[PathBuf]) -> Result<Option<usize>> {
    if data.is_empty() {
        return Ok(None);
    }
    let unseen = unseen_episodes(agent, data, &NoProgress)?;
    let count = unseen.len();
    benchmark.keep_recorded(unseen);
    Ok(Some(count))
}

/// The places of those episodes of the data sets in `data`, one after the other, that the model of `agent` (and those
/// that it started from) was not trained on: they were kept for validation, or are no part of its training. Episodes
/// are recognised by their images.
///
/// # Errors
/// When data cannot be read, the model does not say what it was trained on, or it was trained on all of them.
pub fn unseen_episodes(agent: &LearnedAgent, data: &[PathBuf], progress: &dyn Progress) -> Result<Vec<usize>> {
    let config = &agent.checkpoint()?.config;
    let (model, chunk) = (&config.model, config.model.action_chunk);
    let size = ImageSize::new(model.cameras * model.image_side, model.image_side)?;
    let options = CacheOptions { image_size: Some(size), stride: chunk, ..CacheOptions::default() };
    let cache = DatasetMixture::open(data, &[], &[])?.load(&options, progress)?;
    let Some(familiar) = config.training.familiar(&cache, chunk)? else {
        let expected = "a checkpoint that says which episodes it was trained on";
        return Err(Error::value("held-out episodes (--data)", expected, "one that does not"));
    };
    let unseen: Vec<usize> = (0..familiar.len()).filter(|&index| familiar[index] != Familiar::Trained).collect();
    if unseen.is_empty() {
        let expected = "episodes that the model was not trained on";
        return Err(Error::value(
            "held-out episodes (--data)",
            expected,
            format!("{} of its training", familiar.len()),
        ));
    }
    Ok(unseen)
}
