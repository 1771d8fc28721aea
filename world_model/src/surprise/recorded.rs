//! Surprise of recorded episodes, tick by tick, and the calibration by them.

use mindseye_episodes::FrameCache;
use mindseye_interface::Progress;
use rayon::prelude::*;

use super::calibration::SurpriseCalibration;
use super::{RawScores, STEPS, SurpriseMetric};
use crate::checkpoint::Checkpoint;
use crate::families::jepa::RolloutEngine;
use crate::families::jepa::encoding::encode_frames;
use crate::{Error, Result};

/// Most ticks of a calibration: half an hour at ten a second.
const MOST_TICKS: usize = 18_000;

/// The scores of every timestep with an image of the episode number `episode` of `cache`, whose actions are normalised
/// as the model takes them, on the current rayon pool.
///
/// # Errors
/// [`Error::Shape`] when the images do not fit the model.
pub fn recorded_scores(checkpoint: &Checkpoint, cache: &FrameCache, episode: usize) -> Result<Vec<RawScores>> {
    let metric = SurpriseMetric::new(&checkpoint.statistics);
    scores_of(checkpoint, &RolloutEngine::new(&checkpoint.model)?, &metric, cache, episode)
}

fn scores_of(
    checkpoint: &Checkpoint,
    engine: &RolloutEngine,
    metric: &SurpriseMetric,
    cache: &FrameCache,
    episode: usize,
) -> Result<Vec<RawScores>> {
    let config = checkpoint.model.config();
    let (chunk, width, action) = (config.action_chunk, config.latent_width, cache.action_width());
    let range = cache.episodes()[episode].clone();
    let frames: Vec<usize> = range.clone().filter(|&frame| cache.has_image(frame)).collect();
    let latents = encode_frames(&checkpoint.model, cache, &frames, &|_| ())?;
    let latent = |place: usize| &latents[place * width..(place + 1) * width];
    // Of every frame what is predicted of the chunks after it, as far as the episode goes.
    let mut scores: Vec<RawScores> = (0..frames.len())
        .map(|place| RawScores { radius: metric.radius(latent(place)), ..RawScores::default() })
        .collect();
    for (place, &frame) in frames.iter().enumerate() {
        let chunks = ((range.end - 1 - frame) / chunk).min(STEPS);
        if chunks == 0 {
            continue;
        }
        let plan = &cache.actions()[frame * action..(frame + chunks * chunk) * action];
        let predicted = engine.rollout(latent(place), plan, chunks, 1)?;
        for (step, predicted) in predicted.chunks_exact(width).enumerate() {
            let Ok(seen) = frames.binary_search(&(frame + (step + 1) * chunk)) else { continue };
            scores[seen].prediction[step] = Some(metric.distance(predicted, latent(seen)));
        }
    }
    Ok(scores)
}

/// The calibration of the model of `checkpoint` by the episodes `chosen` of `cache`, whose actions are normalised as
/// the model takes them; by some of them, evenly spread, where there are more than half an hour at ten ticks a second.
/// Alarms are those of `rule`, so many ticks among so many ([`super::DEFAULT_RULE`]).
///
/// # Errors
/// [`Error::Data`] for too few episodes, [`Error::Shape`] when the images do not fit the model.
pub fn calibrate_surprise(
    checkpoint: &Checkpoint,
    cache: &FrameCache,
    chosen: &[usize],
    rule: (usize, usize),
    progress: &dyn Progress,
) -> Result<SurpriseCalibration> {
    let expected = checkpoint.model.config().action_width;
    if cache.action_width() != expected {
        let (expected, got) = (format!("{expected} numbers"), cache.action_width().to_string());
        return Err(Error::Data { field: "actions", expected, got });
    }
    let ticks: usize = chosen.iter().map(|&episode| cache.episodes()[episode].len()).sum();
    let every = ticks.div_ceil(MOST_TICKS).max(1);
    let some: Vec<usize> = chosen.iter().copied().step_by(every).collect();
    progress.begin("surprise", some.len(), "episodes");
    let (engine, metric) = (RolloutEngine::new(&checkpoint.model)?, SurpriseMetric::new(&checkpoint.statistics));
    let done = std::sync::atomic::AtomicUsize::new(0);
    let one = |&episode: &usize| {
        let scores = scores_of(checkpoint, &engine, &metric, cache, episode);
        progress.advance(done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1, "");
        scores
    };
    let scores = some.par_iter().map(one).collect::<Result<Vec<_>>>();
    progress.end();
    let stride = cache_stride(cache);
    let tick_secs = checkpoint.config.control_step_secs * stride as f64;
    SurpriseCalibration::of(&scores?, tick_secs, checkpoint.fingerprint(), rule)
}

/// Timesteps between two images of `cache`.
fn cache_stride(cache: &FrameCache) -> usize {
    let of = |range: &std::ops::Range<usize>| (1..range.len()).find(|step| cache.has_image(range.start + step));
    cache.episodes().iter().find_map(of).unwrap_or(1)
}
