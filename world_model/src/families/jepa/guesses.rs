//! What a training is about to do, in a few lines before it begins: above all what was guessed.

use std::sync::Mutex;
use std::time::Instant;

use mindseye_episodes::{ActionOutlier, DatasetMixture, EpisodeSource, RobustRange};
use mindseye_interface::{ActionSpace, Progress};

use super::recorded::short;
use super::training::{TrainingConfig, TrainingData, train};
use crate::Result;
use crate::trainer::RunOptions;

/// Most dimensions, episodes or outliers that are listed.
const LISTED: usize = 16;
/// Most lines about outliers.
const OUTLIER_LINES: usize = 8;
/// Steps of the shortest training whose time is estimated.
const LEAST_STEPS: usize = 200;
/// Steps that are tried for it, the first not timed.
const TRIED: usize = 3;
/// What a step of the finetuning and of the decoder takes, in steps of the joint training.
const STEPS_OF_FINETUNING: f64 = 0.5;
const STEPS_OF_DECODER: f64 = 0.25;

/// What is said.
pub struct Guesses<'a> {
    /// The recordings.
    pub sources: &'a DatasetMixture,
    /// How the model is trained.
    pub recipe: &'a TrainingConfig,
    /// What it is trained on.
    pub data: &'a TrainingData,
    /// `--fps`, where it was given.
    pub fps: Option<f64>,
    /// Duration of a control step, seconds.
    pub control_step_secs: f64,
    /// Where the length of a chunk comes from.
    pub chunk: &'a str,
    /// Bounds of the actions.
    pub space: &'a ActionSpace,
    /// Of actions as recorded; empty of data that mindseye normalised.
    pub ranges: &'a [RobustRange],
    /// Values of actions far from all others.
    pub outliers: &'a [ActionOutlier],
    /// Whether the encoder takes proprioception.
    pub proprioception: bool,
}

impl Guesses<'_> {
    /// The lines.
    ///
    /// # Errors
    /// When a data set cannot be described.
    pub fn lines(&self) -> Result<Vec<String>> {
        let model = &self.recipe.model;
        let mut lines = Vec::new();
        for source in self.sources.sources() {
            lines.push(self.source(source));
        }
        if let Some(first) = self.sources.sources().next() {
            lines.extend(self.columns(first)?);
        }
        lines.extend(self.actions());
        lines.extend(self.outlier_lines());
        let (chunk, secs) = (model.action_chunk, model.action_chunk as f64 * self.control_step_secs);
        lines.push(format!("  chunk: {chunk} control steps, {} s ({})", short(secs), self.chunk));
        let held_out = self.data.validation_episodes();
        let (training, count) = (self.data.training_episodes(), held_out.len());
        let listed = listed(held_out.iter().map(|&episode| self.place(episode)));
        lines.push(format!("  episodes: {training} to train on, {count} held out ({listed})"));
        Ok(lines)
    }

    /// The steps, and about how long they take.
    pub fn steps(&self, secs_per_step: Option<f64>) -> String {
        let TrainingConfig { steps, finetuning, decoder_steps, .. } = self.recipe;
        let finetuned = if *steps + finetuning.steps > 0 { finetuning.steps } else { 0 };
        let equal_steps =
            *steps as f64 + STEPS_OF_FINETUNING * finetuned as f64 + STEPS_OF_DECODER * *decoder_steps as f64;
        let time = secs_per_step.map(|secs| {
            let minutes = secs * equal_steps / 60.0;
            let minutes =
                if minutes < 1.0 { "less than a minute".into() } else { format!("about {minutes:.0} minutes") };
            format!("; {minutes} at this machine's pace now")
        });
        let time = time.unwrap_or_default();
        format!("  steps: {steps}, {finetuned} of the predictor alone, {decoder_steps} of the decoder{time}")
    }

    fn source(&self, source: &dyn EpisodeSource) -> String {
        let (path, format) = (source.path().display(), source.format());
        let rate = short(1.0 / self.control_step_secs);
        let from = match (source.sidecar(), self.fps, source.frames_per_second()) {
            (None, Some(_), _) => "--fps",
            _ => "as recorded or mapped",
        };
        let (episodes, frames) = (source.len(), source.frames());
        format!("{path}: {format}, {episodes} episodes, {frames} frames, {rate} a second ({from})")
    }

    fn columns(&self, source: &dyn EpisodeSource) -> Result<Vec<String>> {
        let side = self.recipe.model.image_side;
        let mapping = source.mapping();
        let mut lines = Vec::new();
        for camera in source.cameras() {
            let (column, height, width) = (&camera.column, camera.size.height(), camera.size.width());
            lines.push(format!("  camera: {column}, {width}x{height} pixels, scaled to {side}x{side}"));
        }
        let name = |columns: &Option<Vec<String>>| match columns.as_deref() {
            None | Some([]) => "none".to_owned(),
            Some(columns) => columns.join(" + "),
        };
        let unused = if self.proprioception { "" } else { " (not shown to the encoder; --proprioception)" };
        let own = name(&mapping.proprioception);
        let unused = if own == "none" { "" } else { unused };
        let (action, state) = (name(&mapping.action), name(&mapping.state));
        lines.push(format!("  columns: action {action}, proprioception {own}{unused}, true state {state}"));
        let read = source.cameras();
        let is_other = |feature: &&mindseye_episodes::FeatureSummary| {
            ["image", "video"].contains(&feature.dtype.as_str()) && !read.iter().any(|read| read.column == feature.name)
        };
        let features = source.summary()?.features;
        let others: Vec<&str> = features.iter().filter(is_other).map(|feature| feature.name.as_str()).collect();
        if !others.is_empty() {
            lines.push(format!("  cameras not read: {} (--mapping)", others.join(", ")));
        }
        Ok(lines)
    }

    /// Names and bounds, and which never moved.
    fn actions(&self) -> Vec<String> {
        let ActionSpace { names, low, high, .. } = self.space;
        let dimension = |index: usize| {
            let name = names.get(index).map_or("", String::as_str);
            format!("{name} {} to {}", short(low[index]), short(high[index]))
        };
        let (frozen, moving): (Vec<usize>, Vec<usize>) =
            (0..low.len().min(high.len())).partition(|&index| low[index] == high[index]);
        if !self.space.moves() {
            let line = "  actions: none that change, so the model predicts from images alone; it can watch, not plan";
            return vec![line.into()];
        }
        let mut lines = vec![format!("  actions, as -1 to 1: {}", listed(moving.into_iter().map(dimension)))];
        if !frozen.is_empty() {
            let held = |index: usize| format!("{} at {}", names[index], short(low[index]));
            let held = listed(frozen.into_iter().map(held));
            lines.push(format!("  never moved, so no plan moves it: {held}"));
        }
        lines
    }

    /// A line for every dimension with outliers.
    fn outlier_lines(&self) -> Vec<String> {
        let of = |dimension: usize| self.outliers.iter().filter(move |outlier| outlier.dimension == dimension);
        let with_any: Vec<usize> = (0..self.ranges.len()).filter(|&index| of(index).next().is_some()).collect();
        let line = |&index: &usize| {
            let (name, range) = (&self.space.names[index], &self.ranges[index]);
            let place = |outlier: &ActionOutlier| {
                format!("{} at {}, frame {}", outlier.value, self.place(outlier.episode), outlier.frame)
            };
            let (count, places) = (of(index).count(), listed(of(index).map(place)));
            let values = if count == 1 { "1 value is" } else { "values are" };
            let count = if count == 1 { String::new() } else { format!("{count} ") };
            let (low, high) = (short(range.low.into()), short(range.high.into()));
            let width = self.space.high[index] - self.space.low[index];
            let share = 100.0 * f64::from(range.high - range.low) / width;
            let effect = match width == 0.0 || share > 50.0 {
                true => "clamped to that".to_owned(),
                false => format!("stretching the range so that all others fall into {} % of it", short(share)),
            };
            format!("  action {name}: {count}{values} far from all others ({low} to {high}): {places}; {effect}")
        };
        let mut lines: Vec<String> = with_any.iter().take(OUTLIER_LINES).map(line).collect();
        if with_any.len() > OUTLIER_LINES {
            lines.push(format!("  the same in {} more dimensions", with_any.len() - OUTLIER_LINES));
        }
        lines
    }

    fn place(&self, episode: usize) -> String {
        let (path, index) = self.sources.locate(episode);
        match self.sources.sources().count() {
            1 => format!("episode {index}"),
            _ => format!("episode {index} of {}", path.display()),
        }
    }
}

fn listed(items: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = items.collect();
    let more = if all.len() > LISTED { format!(", and {} more", all.len() - LISTED) } else { String::new() };
    format!("{}{more}", all.get(..LISTED.min(all.len())).unwrap_or_default().join(", "))
}

/// Seconds of a step of the joint training, by trying some; nothing of it is kept. None of short trainings.
///
/// # Errors
/// As the training itself.
pub fn secs_per_step(recipe: &TrainingConfig, data: &TrainingData, options: &RunOptions<'_>) -> Result<Option<f64>> {
    if recipe.steps < LEAST_STEPS || options.resume {
        return Ok(None);
    }
    let mut tried = TrainingConfig { report_every: 1, validate_every: usize::MAX, ..recipe.clone() };
    tried.save_every = usize::MAX;
    tried.model.whitening = false; // else it would be measured on the data in the end
    let stopwatch = Stopwatch::default();
    let options = RunOptions { folder: None, stop_after: None, progress: &stopwatch, ..*options };
    train(&tried, data, None, &options, &|_, _| ())?;
    Ok(stopwatch.secs_per_step())
}

/// The times at which steps ended; asks to stop after some.
#[derive(Default)]
struct Stopwatch(Mutex<Vec<(usize, Instant)>>);

impl Stopwatch {
    fn secs_per_step(&self) -> Option<f64> {
        let ended = self.0.lock().ok()?;
        let (first, last) = (ended.iter().find(|(done, _)| *done == 1)?, ended.last()?);
        let steps = last.0.checked_sub(first.0).filter(|steps| *steps > 0)?;
        Some(last.1.duration_since(first.1).as_secs_f64() / steps as f64)
    }
}

impl Progress for Stopwatch {
    fn begin(&self, _stage: &str, _total: usize, _unit: &str) {}

    fn advance(&self, done: usize, _note: &str) -> bool {
        if let Ok(mut ended) = self.0.lock() {
            ended.push((done, Instant::now()));
        }
        done < TRIED
    }

    fn end(&self) {}
}
