//! What a model knows of episodes it has never seen, as numbers and as pictures.

use std::path::Path;

use anyhow::{Context, Result, bail};
use mindseye_episodes::{CacheOptions, FrameCache, Mapping, Sidecar, open_with};
use mindseye_interface::{ActionSpace, Image, ImageSize, Seed};
use mindseye_world_model::training::{Probe, TrainingData, Validation, encode_batch, validate};
use mindseye_world_model::{Checkpoint, RolloutEngine};
use serde::Serialize;

use crate::pictures::{CURVE, Canvas, FAINT, GOOD, INK, LETTER, write_png};

/// What was found on one data set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelReport {
    /// Episodes looked at: linear probes were fitted to three quarters of them and judged on the rest.
    pub episodes: usize,
    /// Names of the true state's dimensions, in the order of the probes.
    pub state_names: Vec<String>,
    /// Probes, rollout errors, spread.
    pub validation: Validation,
    /// What the probes read from imagined latents, one entry per block; those of block 0 are of what is seen.
    pub imagined: Vec<ImaginedErrors>,
}

/// How far imagination is off, as a linear probe reads it: root mean square per dimension of the state, in its units.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImaginedErrors {
    /// Blocks imagined.
    pub blocks: usize,
    /// Error of what is imagined.
    pub rmse: Vec<f64>,
    /// Median absolute error of what is imagined.
    pub median: Vec<f64>,
    /// Error of taking what is seen in the first picture for what is so many blocks later.
    pub copy_last_rmse: Vec<f64>,
}

/// Episodes looked at.
const EPISODES: usize = 800;
/// Share of them that the probes are judged on.
const HELD_OUT: f64 = 0.25;
/// Windows of two frames for the pictures of the probes: fitted and shown.
const PROBE_WINDOWS: (usize, usize) = (2000, 300);
/// Metres that a radian counts as when windows are chosen in which much happens.
const TURN_M: f64 = 1.0;
/// Blocks imagined in the picture, windows shown, and windows they are chosen from.
const BLOCKS: usize = 5;
const WINDOWS: usize = 6;
const CHOICE: usize = 400;
/// Windows shown begin in states that differ by more than this, summed over dimensions.
const APART: f32 = 0.4;

/// Measures the model of `checkpoint` on the data set in `folder`; with `out`, writes `probes.png` (what linear probes read from the
/// latent, against the truth) and `imagination.png` (what the decoder draws of rolled-out latents, under what the camera saw).
///
/// # Errors
/// When the data set is broken, of another scene or shape, has no true state, or a picture cannot be written.
pub fn report(checkpoint: &Checkpoint, folder: &Path, mapping: &Mapping, out: Option<&Path>) -> Result<ModelReport> {
    let dataset = open_with(folder, mapping)?;
    if let Some(Sidecar { scene, .. }) = dataset.sidecar()
        && *scene != checkpoint.config.scene
    {
        bail!("{}: scene: expected {}, got {scene}", folder.display(), checkpoint.config.scene);
    }
    let (expected, got) = (checkpoint.config.model.action_width, dataset.shape().action);
    if expected != got {
        bail!("{}: actions: expected {expected} numbers, got {got}", folder.display());
    }
    let model = &checkpoint.config.model;
    let options = CacheOptions {
        image_size: Some(ImageSize::new(model.cameras * model.image_side, model.image_side)?),
        max_episodes: Some(EPISODES),
        ..CacheOptions::default()
    };
    let mut cache = FrameCache::load(dataset.as_ref(), &options, &|_, _| ())?;
    if dataset.sidecar().is_none() {
        let ActionSpace { low, high, .. } = &checkpoint.config.action_space;
        let narrow = |bounds: &[f64]| bounds.iter().map(|&bound| bound as f32).collect::<Vec<f32>>();
        cache.scale_actions(&narrow(low), &narrow(high)); // as in training
    }
    let mut recipe = checkpoint.config.recipe.clone();
    recipe.data.validation_fraction = HELD_OUT;
    let data = TrainingData::new(cache, &recipe)?;
    let seed = Seed::new(0).child("model report");
    let validation = validate(&checkpoint.model, &data, seed)?;
    if let Some(out) = out {
        std::fs::create_dir_all(out).with_context(|| format!("{}", out.display()))?;
        write_png(&out.join("probes.png"), probes(checkpoint, &data, seed)?.image())?;
        write_png(&out.join("imagination.png"), imagination(checkpoint, &data, seed)?.image())?;
    }
    let episodes = dataset.len().min(EPISODES);
    let imagined = imagined_errors(checkpoint, &data, seed)?;
    Ok(ModelReport { episodes, state_names: data.state_names().to_vec(), validation, imagined })
}

/// Reads imagined latents with a probe that was fitted to seen ones.
fn imagined_errors(checkpoint: &Checkpoint, data: &TrainingData, seed: Seed) -> Result<Vec<ImaginedErrors>> {
    let model = &checkpoint.config.model;
    let (latent_width, block_width, frames) = (model.latent_width, model.block_width(), BLOCKS + 1);
    let fit = data.training_sample(PROBE_WINDOWS.0, 2, seed)?;
    let Some(probe) =
        Probe::fit(&encode_batch(&checkpoint.model, &fit)?, &fit.states, data.state_names(), latent_width)
    else {
        return Ok(Vec::new());
    };
    let batch = data.validation_sample(CHOICE, frames, seed)?;
    let latents = encode_batch(&checkpoint.model, &batch)?;
    let engine = RolloutEngine::new(&checkpoint.model)?;
    let mut imagined = Vec::new();
    for (window, blocks) in batch.blocks.chunks_exact(BLOCKS * block_width).enumerate() {
        let start = &latents[window * frames * latent_width..][..latent_width];
        imagined.extend_from_slice(start);
        imagined.extend(engine.rollout(start, blocks, BLOCKS, 1)?);
    }
    let at = |values: &[f32], width: usize, frame: usize| -> Vec<f32> {
        values.chunks_exact(frames * width).flat_map(|window| window[frame * width..][..width].to_vec()).collect()
    };
    let first = at(&latents, latent_width, 0);
    let errors = |blocks: usize| {
        let states = at(&batch.states, data.state_names().len(), blocks);
        let off = probe.judge(&at(&imagined, latent_width, blocks), &states);
        ImaginedErrors { blocks, rmse: off.rmse, median: off.median, copy_last_rmse: probe.judge(&first, &states).rmse }
    };
    Ok((0..frames).map(errors).collect())
}

const CHART: usize = 260;
const GAP: usize = 28;

/// One chart per dimension of the true state: the truth across, what a linear probe reads up, held-out frames.
fn probes(checkpoint: &Checkpoint, data: &TrainingData, seed: Seed) -> Result<Canvas> {
    let names = data.state_names();
    let (fit, shown) =
        (data.training_sample(PROBE_WINDOWS.0, 2, seed)?, data.validation_sample(PROBE_WINDOWS.1, 2, seed)?);
    let probe =
        Probe::fit(&encode_batch(&checkpoint.model, &fit)?, &fit.states, names, checkpoint.config.model.latent_width)
            .context("probes: expected a true state in the data set, got none")?;
    let latents = encode_batch(&checkpoint.model, &shown)?;
    let (read, errors) = (probe.read(&latents), probe.judge(&latents, &shown.states));
    let mut canvas = Canvas::new(names.len() * (CHART + GAP) + GAP, CHART + 5 * GAP / 2)?;
    for (index, name) in names.iter().enumerate() {
        let (left, top) = (GAP + index * (CHART + GAP), 3 * GAP / 2);
        let truth: Vec<f64> =
            shown.states.iter().skip(index).step_by(names.len()).map(|&value| f64::from(value)).collect();
        let read: Vec<f64> = read.iter().skip(index).step_by(names.len()).copied().collect();
        let low = truth.iter().copied().fold(f64::INFINITY, f64::min);
        let width = (truth.iter().copied().fold(f64::NEG_INFINITY, f64::max) - low).max(1e-9);
        canvas.text(left, GAP / 2, name, INK);
        let median = errors.median[index];
        let median =
            if name.ends_with("_rad") { format!("{:.1} degrees", median.to_degrees()) } else { format!("{median:.4}") };
        canvas.text(left, top + CHART + LETTER, &format!("median error {median}"), FAINT);
        canvas.frame(left, top, CHART, CHART, FAINT);
        let (bottom, side) = ((top + CHART - 3) as f64, (CHART - 6) as f64);
        canvas.line((left as f64 + 3.0, bottom), (left as f64 + 3.0 + side, bottom - side), GOOD);
        for (truth, read) in truth.iter().zip(read) {
            let up = ((read - low) / width).clamp(0.0, 1.0);
            let (x, y) = (left as f64 + 3.0 + (truth - low) / width * side, bottom - up * side);
            canvas.line((x - 1.0, y), (x + 1.0, y), CURVE);
            canvas.line((x, y - 1.0), (x, y + 1.0), CURVE);
        }
    }
    Ok(canvas)
}

/// The held-out windows in which most happens: what the camera saw, block by block, and under it what was imagined from the first
/// picture and the actions.
fn imagination(checkpoint: &Checkpoint, data: &TrainingData, seed: Seed) -> Result<Canvas> {
    let Some(decoder) = &checkpoint.decoder else {
        bail!("imagination.png: expected a checkpoint with a decoder, got one without");
    };
    let model = &checkpoint.config.model;
    let frames = BLOCKS + 1;
    let batch = data.validation_sample(CHOICE, frames, seed)?;
    let width = data.state_names().len();
    let change = |window: &usize| -> f64 {
        let first = window * frames * width;
        let (from, to) = (&batch.states[first..first + width], &batch.states[first + BLOCKS * width..][..width]);
        let parts = from.iter().zip(to).zip(data.state_names()).map(|((from, to), name)| {
            let change = f64::from(to - from);
            if name.ends_with("_rad") { TURN_M * change.sin().atan2(change.cos()).abs() } else { change.abs() }
        });
        parts.sum()
    };
    let mut order: Vec<usize> = (0..batch.windows).collect();
    order.sort_by(|a, b| change(b).total_cmp(&change(a)));
    let start = |window: usize| &batch.states[window * frames * width..][..width];
    let mut chosen: Vec<usize> = Vec::new();
    for window in order {
        let apart = |other: &usize| start(window).iter().zip(start(*other)).map(|(a, b)| (a - b).abs()).sum::<f32>();
        if chosen.len() < WINDOWS && chosen.iter().all(|other| apart(other) > APART) {
            chosen.push(window); // not a window of the same event
        }
    }
    let side = model.image_side;
    let (moment, picture, block_width) = (model.picture_bytes(), side * side * 3, model.block_width());
    let latents = encode_batch(&checkpoint.model, &batch)?;
    let engine = RolloutEngine::new(&checkpoint.model)?;
    let scale = (128 / side).max(1);
    let cell = side * scale + 6;
    let mut canvas = Canvas::new(frames * cell + 2 * GAP, WINDOWS * (2 * cell + GAP / 2) + 2 * GAP)?;
    canvas.text(
        GAP,
        LETTER,
        "what the camera saw, block by block; under it, imagined from the first picture and the actions",
        INK,
    );
    for (row, window) in chosen.into_iter().enumerate() {
        let top = GAP + row * (2 * cell + GAP / 2);
        let bytes = &batch.pictures[window * frames * moment..][..frames * moment];
        let start = latents[window * frames * model.latent_width..][..model.latent_width].to_vec();
        let blocks = &batch.blocks[window * BLOCKS * block_width..][..BLOCKS * block_width];
        let imagined = engine.rollout(&start, blocks, BLOCKS, 1)?;
        let drawn = decoder.draw(&[start, imagined].concat())?;
        for (frame, (seen, drawn)) in bytes.chunks_exact(moment).zip(&drawn).enumerate() {
            let seen = Image::new(ImageSize::square(side)?, seen[..picture].to_vec())?;
            canvas.picture(GAP + frame * cell, top, &seen, scale, FAINT);
            canvas.picture(GAP + frame * cell, top + cell, drawn, scale, if frame == 0 { GOOD } else { CURVE });
        }
    }
    Ok(canvas)
}
