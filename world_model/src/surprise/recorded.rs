//! Surprise of recorded episodes, tick by tick, and the calibration by them.

use mindseye_episodes::FrameCache;
use mindseye_interface::Progress;
use rayon::prelude::*;

use super::calibration::SurpriseCalibration;
use super::{RawScores, STEPS, SurpriseMetric, whitening_of};
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
/// [`Error::Shape`] when the images or the calibration do not fit the model.
pub fn recorded_scores(
    checkpoint: &Checkpoint,
    calibration: &SurpriseCalibration,
    cache: &FrameCache,
    episode: usize,
) -> Result<Vec<RawScores>> {
    let metric = SurpriseMetric::new(&checkpoint.statistics, &calibration.error_factor)?;
    let ticks = differences(checkpoint, &RolloutEngine::new(&checkpoint.model)?, cache, episode)?;
    Ok(ticks.iter().map(|tick| tick.scores(&metric)).collect())
}

/// What was seen at a tick, and by how much it differs from what was predicted of it.
struct Differences {
    /// `[D]`.
    latent: Vec<f32>,
    /// By the number of chunks, predicted minus seen `[D]`.
    differences: [Option<Vec<f32>>; STEPS],
}

impl Differences {
    fn scores(&self, metric: &SurpriseMetric) -> RawScores {
        let nothing = vec![0.0; self.latent.len()];
        let of = |length: &dyn Fn(&[f32]) -> f64| self.differences.each_ref().map(|one| one.as_deref().map(length));
        RawScores {
            prediction: of(&|difference| metric.distance(difference, &nothing)),
            error: of(&|difference| metric.error(difference)),
            radius: metric.radius(&self.latent),
        }
    }
}

fn differences(
    checkpoint: &Checkpoint,
    engine: &RolloutEngine,
    cache: &FrameCache,
    episode: usize,
) -> Result<Vec<Differences>> {
    let config = checkpoint.model.config();
    let (chunk, width, action) = (config.action_chunk, config.latent_width, cache.action_width());
    let range = cache.episodes()[episode].clone();
    let frames: Vec<usize> = range.clone().filter(|&frame| cache.has_image(frame)).collect();
    let latents = encode_frames(&checkpoint.model, cache, &frames, &|_| ())?;
    let latent = |place: usize| &latents[place * width..(place + 1) * width];
    let tick = |place: usize| Differences { latent: latent(place).to_vec(), differences: Default::default() };
    let mut ticks: Vec<Differences> = (0..frames.len()).map(tick).collect();
    for (place, &frame) in frames.iter().enumerate() {
        // What is predicted of the chunks after it, as far as the episode goes.
        let chunks = ((range.end - 1 - frame) / chunk).min(STEPS);
        if chunks == 0 {
            continue;
        }
        let plan = &cache.actions()[frame * action..(frame + chunks * chunk) * action];
        let predicted = engine.rollout(latent(place), plan, chunks, 1)?;
        for (step, predicted) in predicted.chunks_exact(width).enumerate() {
            let Ok(seen) = frames.binary_search(&(frame + (step + 1) * chunk)) else { continue };
            let difference = predicted.iter().zip(latent(seen)).map(|(predicted, seen)| predicted - seen);
            ticks[seen].differences[step] = Some(difference.collect());
        }
    }
    Ok(ticks)
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
    let engine = RolloutEngine::new(&checkpoint.model)?;
    let done = std::sync::atomic::AtomicUsize::new(0);
    let one = |&episode: &usize| {
        let ticks = differences(checkpoint, &engine, cache, episode);
        progress.advance(done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1, "");
        ticks
    };
    let episodes = some.par_iter().map(one).collect::<Result<Vec<Vec<Differences>>>>();
    progress.end();
    let episodes = episodes?;
    let width = checkpoint.model.config().latent_width;
    let errors: Vec<f32> =
        episodes.iter().flatten().filter_map(|tick| tick.differences[0].as_ref()).flatten().copied().collect();
    let factor = whitening_of(&errors, width);
    let metric = SurpriseMetric::new(&checkpoint.statistics, &factor)?;
    let scores: Vec<Vec<RawScores>> =
        episodes.iter().map(|ticks| ticks.iter().map(|tick| tick.scores(&metric)).collect()).collect();
    let stride = cache_stride(cache);
    let tick_secs = checkpoint.config.control_step_secs * stride as f64;
    SurpriseCalibration::of(&scores, tick_secs, (checkpoint.fingerprint(), factor), rule)
}

/// Timesteps between two images of `cache`.
fn cache_stride(cache: &FrameCache) -> usize {
    let of = |range: &std::ops::Range<usize>| (1..range.len()).find(|step| cache.has_image(range.start + step));
    cache.episodes().iter().find_map(of).unwrap_or(1)
}
