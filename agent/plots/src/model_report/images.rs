//! The images of a model report.

use mindseye_interface::{Image, ImageSize, StateDimension, StateSchema};
use mindseye_world_model::training::{Batch, Probe, encode_batch};

use super::{PROBE_WINDOWS, Subject, WINDOWS};
use crate::{Canvas, ImaginationSheet, ImaginedWindow, ProbeChart, ProbePanel, Result};

/// Why nothing is imagined.
const TOO_SHORT: &str = "no held-out episode is as long as an action chunk";
/// Windows shown.
const SHOWN: usize = 6;
/// Metres that a radian counts as when windows are chosen in which much changes.
const RADIAN_M: f64 = 1.0;
/// Windows shown start in states that differ by more than this, summed over dimensions: not two of one event.
const MIN_DIFFERENCE: f32 = 0.4;

/// An image, or why there is none.
type Drawn = std::result::Result<Canvas, String>;

/// Numbers beside the images that show what happens: the true state, or else proprioception.
struct Labels {
    schema: StateSchema,
    proprioception: bool,
}

impl Labels {
    /// The values `[windows * frames, K]` of `batch`.
    fn of<'a>(&self, batch: &'a Batch) -> &'a [f32] {
        if self.proprioception { &batch.proprioception } else { &batch.states }
    }
}

impl Subject<'_> {
    fn labels(&self) -> Option<Labels> {
        let states = self.data.state_names();
        if !states.is_empty() {
            return Some(Labels { schema: StateSchema::named(states), proprioception: false });
        }
        let names = self.data.proprioception_names();
        (!names.is_empty()).then(|| Labels { schema: StateSchema::named(names), proprioception: true })
    }

    /// What linear probes read from latents of held-out frames, against the truth.
    pub(super) fn probes(&self) -> Result<Drawn> {
        const WITHOUT: &str =
            "the data have neither a true state nor proprioception; a --mapping with state = [\"COLUMN\"] names one";
        let Some(labels) = self.labels() else { return Ok(Err(WITHOUT.into())) };
        let (model, width) = (&self.checkpoint.model, self.checkpoint.config.model.latent_width);
        let fit = self.data.training_sample(PROBE_WINDOWS.0, 2, self.seed)?;
        let held_out = self.data.validation_sample(PROBE_WINDOWS.1, 2, self.seed)?;
        let names = labels.schema.names();
        let Some(probe) = Probe::fit(&encode_batch(model, &fit)?, labels.of(&fit), &names, width) else {
            return Ok(Err("no linear probe could be fitted: the latents are not finite".into()));
        };
        let latents = encode_batch(model, &held_out)?;
        let truth = labels.of(&held_out);
        let (read, errors) = (probe.read(&latents), probe.errors_on(&latents, truth));
        let panel = |(index, dimension): (usize, &StateDimension)| {
            let truth = truth.iter().skip(index).step_by(names.len()).map(|&value| f64::from(value));
            let read = read.iter().skip(index).step_by(names.len()).copied();
            let (unit, factor) =
                if dimension.is_angle() { ("degrees", 1f64.to_degrees()) } else { (dimension.unit.as_str(), 1.0) };
            ProbePanel {
                name: dimension.name.clone(),
                unit: unit.to_owned(),
                points: truth.zip(read).map(|(truth, read)| (factor * truth, factor * read)).collect(),
                median_error: factor * errors.median[index],
                r2: errors.r2[index],
            }
        };
        let title = format!("{}: linear probes of the latent, held-out frames", self.checkpoint.config.scene);
        let panels = labels.schema.0.iter().enumerate().map(panel).collect();
        Ok(Ok(ProbeChart { title, panels }.draw()?))
    }

    /// Images for latents `[N, D]`: drawn by the decoder, or, without one, the recorded images whose latents are
    /// nearest.
    fn drawn(&self, latents: &[f32]) -> Result<Vec<Image>> {
        if let Some(decoder) = &self.checkpoint.decoder {
            return Ok(decoder.draw(latents)?);
        }
        let model = &self.checkpoint.config.model;
        let known = self.data.training_sample(PROBE_WINDOWS.0, 2, self.seed)?;
        let encoded = encode_batch(&self.checkpoint.model, &known)?;
        let size = ImageSize::square(model.image_side)?;
        let distance = |one: &[f32], other: &[f32]| one.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
        let nearest = |latent: &[f32]| -> Result<Image> {
            let distances = encoded.chunks_exact(model.latent_width).map(|known| distance(latent, known));
            let nearest = distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(index, _)| index);
            Ok(Image::new(size, known.images[nearest * model.image_bytes()..][..size.rgb_len()].to_vec())?)
        };
        latents.chunks_exact(model.latent_width).map(nearest).collect()
    }

    /// The held-out windows in which most changes: recorded images, and under them what the model predicts, as images
    /// (see [`Subject::drawn`]).
    pub(super) fn imagination(&self) -> Result<std::result::Result<ImaginationSheet, String>> {
        let model = &self.checkpoint.config.model;
        let Some(frames) = self.frames() else { return Ok(Err(TOO_SHORT.into())) };
        let batch = self.data.validation_sample(WINDOWS, frames, self.seed)?;
        let latents = encode_batch(&self.checkpoint.model, &batch)?;
        let imagined = self.imagine(&batch, &latents)?;
        let size = ImageSize::square(model.image_side)?;
        let window = |window: usize| -> Result<ImaginedWindow> {
            let recorded = batch.images.chunks_exact(model.image_bytes()).skip(window * frames).take(frames);
            // Of several cameras the first is shown.
            let observed = recorded.map(|frame| Image::new(size, frame[..size.rgb_len()].to_vec()));
            let states = &imagined[window * frames * model.latent_width..][..frames * model.latent_width];
            Ok(ImaginedWindow {
                observed: observed.collect::<mindseye_interface::Result<_>>()?,
                imagined: self.drawn(states)?,
            })
        };
        let chosen = self.most_changing(&batch, &latents);
        let scene = &self.checkpoint.config.scene;
        Ok(Ok(ImaginationSheet {
            title: match self.checkpoint.decoder {
                Some(_) => format!("{scene}: recorded, and imagined from start and actions"),
                None => format!("{scene}: recorded, and the recorded images nearest to what is imagined"),
            },
            chunk_secs: self.checkpoint.config.control_step_secs * model.action_chunk as f64,
            windows: chosen.into_iter().map(window).collect::<Result<_>>()?,
        }))
    }

    /// Windows with the largest change from first to last frame, in different states: of the true state, of
    /// proprioception, or (without either) of the latent.
    fn most_changing(&self, batch: &Batch, latents: &[f32]) -> Vec<usize> {
        let labels = self.labels();
        let values = labels.as_ref().map_or(latents, |labels| labels.of(batch));
        let width = values.len() / (batch.windows * batch.frames).max(1);
        let frame = |window: usize, frame: usize| &values[(window * batch.frames + frame) * width..][..width];
        let change = |window: usize| -> f64 {
            let pairs = frame(window, 0).iter().zip(frame(window, batch.frames - 1)).enumerate();
            let parts = pairs.map(|(index, (from, to))| {
                let dimension = labels.as_ref().map(|labels| &labels.schema.0[index]);
                let (from, to) = (f64::from(*from), f64::from(*to));
                let difference = dimension.map_or(to - from, |dimension| dimension.difference(from, to)).abs();
                if dimension.is_some_and(StateDimension::is_angle) { RADIAN_M * difference } else { difference }
            });
            parts.sum()
        };
        let mut order: Vec<(f64, usize)> = (0..batch.windows).map(|window| (change(window), window)).collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0));
        let differ = |one: usize, other: usize| {
            let difference = |(a, b): (&f32, &f32)| (a - b).abs();
            frame(one, 0).iter().zip(frame(other, 0)).map(difference).sum::<f32>() > MIN_DIFFERENCE
        };
        let mut chosen: Vec<usize> = Vec::new();
        for (_, window) in order {
            if chosen.len() < SHOWN && chosen.iter().all(|&other| differ(window, other)) {
                chosen.push(window);
            }
        }
        chosen
    }
}
