//! What the model predicts of recorded episodes, and what it needs the actions for.

use mindseye_interface::Seed;
use rand::Rng as _;
use serde::{Deserialize, Serialize};

use super::estimate::Estimate;
use super::recorded::{Recorded, Window, pairs};
use super::{ACTION_STEPS, SHOWN_STEPS};
use crate::Result;

/// Most control steps by which actions are moved against the images.
const MOST_LAG: usize = 6;
/// Draws in search of a window of another episode.
const DRAWS: usize = 20;

/// Error of predicted states so many chunks ahead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PredictionError {
    /// Action chunks ahead.
    pub chunks: usize,
    /// Windows measured.
    pub windows: usize,
    /// Mean squared error of the model per window, in the latent's units.
    pub error: f64,
    /// The same of the prediction that nothing changes.
    pub copy_last: f64,
    /// Error of the model over that of the prediction that nothing changes: 0 is perfect, 1 is worth nothing.
    pub ratio: Estimate,
}

/// What the model needs the actions for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionEffect {
    /// Action chunks ahead.
    pub chunks: usize,
    /// Error with the actions of other episodes over that with the recorded ones: 1 means that actions do not matter.
    /// The same windows on both sides.
    pub shuffled: Estimate,
    /// Error with the action that holds still over that with the recorded ones.
    pub neutral: Estimate,
    /// Control steps by which the actions, moved against the images, explain these best: below 0 where images are late.
    pub best_lag: i64,
    /// Error with the actions moved by so many control steps over that with the recorded ones.
    pub at_best_lag: Estimate,
}

impl Recorded<'_> {
    pub(super) fn prediction(&self, seed: Seed) -> Result<Vec<PredictionError>> {
        let mut errors = Vec::new();
        for chunks in SHOWN_STEPS {
            let windows = self.all_windows(chunks);
            if windows.is_empty() {
                continue;
            }
            let error = self.errors(&windows, &self.recorded_ends(&windows, chunks)?, chunks);
            let copy_last = self.errors(&windows, &self.starts(&windows), chunks);
            let mean = |sums: &[f64]| sums.iter().sum::<f64>() / windows.len() as f64;
            errors.push(PredictionError {
                chunks,
                windows: windows.len(),
                error: mean(&error),
                copy_last: mean(&copy_last),
                ratio: Estimate::ratio(&pairs(&error, &copy_last), seed.index(chunks as u64)),
            });
        }
        Ok(errors)
    }

    /// Errors one chunk ahead, and those of the prediction that nothing changes, per episode.
    pub(super) fn one_ahead(&self) -> Result<Vec<(f64, f64)>> {
        let windows = self.all_windows(1);
        let error = self.errors(&windows, &self.recorded_ends(&windows, 1)?, 1);
        Ok(pairs(&error, &self.errors(&windows, &self.starts(&windows), 1)))
    }

    /// None of data without a window.
    pub(super) fn action_effect(&self, seed: Seed) -> Result<Option<ActionEffect>> {
        let Some(chunks) = self.longest(ACTION_STEPS) else { return Ok(None) };
        let windows = self.all_windows(chunks);
        let recorded = self.errors(&windows, &self.recorded_ends(&windows, chunks)?, chunks);
        let mut rng = seed.child("shuffled").rng();
        let mut elsewhere = |window: &Window| {
            let mut other = *window;
            for _ in 0..DRAWS {
                other = windows[rng.random_range(0..windows.len())];
                if other.episode != window.episode {
                    break; // of a single episode, any of its windows
                }
            }
            self.chunks(other.start, chunks)
        };
        let shuffled: Vec<f32> = windows.iter().flat_map(&mut elsewhere).collect();
        let shuffled = self.errors(&windows, &self.ends(&windows, &shuffled, chunks)?, chunks);
        let neutral: Vec<f32> = windows.iter().flat_map(|window| self.held(window.start, chunks)).collect();
        let neutral = self.errors(&windows, &self.ends(&windows, &neutral, chunks)?, chunks);
        let ratio = |errors: &[f64], name: &str| Estimate::ratio(&pairs(errors, &recorded), seed.child(name));
        let (best_lag, at_best_lag) = self.best_lag(seed.child("lag"))?;
        let (shuffled, neutral) = (ratio(&shuffled, "of shuffled"), ratio(&neutral, "of neutral"));
        Ok(Some(ActionEffect { chunks, shuffled, neutral, best_lag, at_best_lag }))
    }

    fn recorded_ends(&self, windows: &[Window], chunks: usize) -> Result<Vec<f32>> {
        let plans: Vec<f32> = windows.iter().flat_map(|window| self.chunks(window.start, chunks)).collect();
        self.ends(windows, &plans, chunks)
    }

    fn starts(&self, windows: &[Window]) -> Vec<f32> {
        windows.iter().flat_map(|window| self.data.latent(window.start)).copied().collect()
    }

    /// Chunks that hold still from a frame on.
    pub(super) fn held(&self, start: usize, chunks: usize) -> Vec<f32> {
        let config = &self.checkpoint.config;
        let cached = self.data.cached_frame(start).unwrap_or(0);
        let own = self.cache.proprioception_at(cached);
        let held = config.action_space.hold(own).map(|action| action.values().to_vec());
        held.unwrap_or_else(|_| vec![0.0; config.model.action_width]).repeat(chunks * config.model.action_chunk)
    }

    /// The lag at which actions explain the images of one chunk best, and the error there over that without a lag.
    fn best_lag(&self, seed: Seed) -> Result<(i64, Estimate)> {
        let model = &self.checkpoint.config.model;
        let (steps, width) = (model.action_chunk, model.action_width);
        let most = MOST_LAG.min(steps) as i64;
        let cache = self.cache;
        let within = |window: &Window| {
            let frame = self.data.cached_frame(window.start)?;
            let episode = cache.episodes().iter().find(|episode| episode.contains(&frame))?;
            let fits = frame as i64 - most >= episode.start as i64 && frame + steps + most as usize <= episode.end;
            fits.then_some(frame)
        };
        let (windows, frames): (Vec<Window>, Vec<usize>) =
            self.all_windows(1).into_iter().filter_map(|window| Some((window, within(&window)?))).unzip();
        if windows.is_empty() {
            return Ok((0, Estimate { value: 1.0, low: None, high: None }));
        }
        let errors_at = |lag: i64| -> Result<Vec<f64>> {
            let moved = |&frame: &usize| {
                let first = (frame as i64 + lag) as usize;
                &cache.actions()[first * width..(first + steps) * width]
            };
            let plans: Vec<f32> = frames.iter().flat_map(moved).copied().collect();
            Ok(self.errors(&windows, &self.ends(&windows, &plans, 1)?, 1))
        };
        let recorded = errors_at(0)?;
        let (mut best, mut least) = (0, recorded.clone());
        for lag in (-most..=most).filter(|lag| *lag != 0) {
            let errors = errors_at(lag)?;
            if errors.iter().sum::<f64>() < least.iter().sum::<f64>() {
                (best, least) = (lag, errors);
            }
        }
        Ok((best, Estimate::ratio(&pairs(&least, &recorded), seed)))
    }
}
