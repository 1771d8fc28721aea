//! The losses of a step, micro batch by micro batch, each with a gradient graph of its own.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};
use mindseye_interface::Seed;

use super::clips::{ClipBatch, ClipData, Epoch};
use super::config::PretrainingConfig;
use super::masks::{MaskSet, draw_masks};
use super::network::{Encoder, Networks};
use super::pixel_twin;
use super::regularisers::{centred, means_by_position, normality, variance};
use super::target::PretrainingObjective;
use crate::ops::{standardise, tensor, unit_directions, with_values};
use crate::parameters::Weights;
use crate::trainer::{Collective, Objective, PartialGradients, each_part, range_of_part};
use crate::{Error, Result};

/// PyTorch's epsilon, by which targets are normalised.
const TARGET_EPSILON: f32 = 1e-5;

/// Pretraining as the trainer sees it.
pub(super) struct MaskedPrediction<'a> {
    pub config: &'a PretrainingConfig,
    pub networks: Networks,
    data: &'a ClipData,
    seed: Seed,
    epoch: Option<Epoch>,
}

/// What a step is trained on.
pub(super) struct StepBatch {
    pub clips: ClipBatch,
    pub masks: Vec<MaskSet>,
    /// Of SIGReg, `[K, D]`.
    directions: Option<Tensor>,
    step: usize,
}

/// Losses of a micro batch.
pub(super) struct PartLosses {
    /// The weighted sum.
    pub total: Tensor,
    /// Unweighted, by name.
    pub terms: Vec<(&'static str, f32)>,
}

impl<'a> MaskedPrediction<'a> {
    pub fn new(config: &'a PretrainingConfig, data: &'a ClipData, seed: Seed) -> Result<Self> {
        let networks = Networks::new(config, seed.child("weights"))?;
        Ok(Self { config, networks, data, seed, epoch: None })
    }

    /// The same batch for validation: masks of its own, terms of the whole.
    pub fn prepared(&self, clips: ClipBatch, step: usize, seed: Seed) -> Result<StepBatch> {
        let config = self.config;
        let grid = config.encoder.grid();
        let masks = draw_masks(&config.masks, config.objective, grid, &clips.motion, seed.child("masks"));
        let directions = match config.loss.sigreg > 0.0 {
            true => {
                let (count, width) = (config.loss.sigreg_directions, config.encoder.width);
                Some(unit_directions(count, width, seed.child("directions"))?)
            }
            false => None,
        };
        Ok(StepBatch { clips, masks, directions, step })
    }

    /// Tokens `[b, N, D]` of whole clips by `encoder`.
    pub fn whole(&self, encoder: &Encoder, batch: &ClipBatch, range: Range<usize>) -> Result<Tensor> {
        let (values, tokens) = (self.config.encoder.tubelet_values(), self.config.encoder.grid().tokens());
        let rows = &batch.tubelets[range.start * tokens * values..range.end * tokens * values];
        let numbers: Vec<u32> = (0..tokens as u32).collect();
        encoder.forward(&tensor(rows.to_vec(), (range.len() * tokens, values))?, &vec![numbers; range.len()])
    }

    /// What is predicted of the clips `range`, for the tokens `numbers`, `[b, M, O]`. `whole` are the tokens of the
    /// whole clips.
    pub fn targets(
        &self,
        whole: Option<&Tensor>,
        batch: &ClipBatch,
        first: usize,
        numbers: &[Vec<u32>],
    ) -> Result<Tensor> {
        let config = self.config;
        let (clips, count) = (numbers.len(), numbers.first().map_or(0, Vec::len));
        if !config.objective.is_latent() {
            let values = config.encoder.tubelet_values();
            let pixels = batch.gather(first, numbers, values);
            let pixels = pixel_twin::targets(pixels, values, config.loss.pixel_floor as f32);
            return Ok(tensor(pixels, (clips, count, values))?);
        }
        let Some(whole) = whole else {
            let expected = "tokens of the whole clips".into();
            return Err(Error::Shape { operation: "pretraining", expected, got: "none".into() });
        };
        let (_, tokens, width) = whole.dims3()?;
        let rows = numbers
            .iter()
            .enumerate()
            .flat_map(|(clip, numbers)| numbers.iter().map(move |number| (clip * tokens) as u32 + number));
        let rows = Tensor::from_vec(rows.collect::<Vec<u32>>(), clips * count, &Device::Cpu)?;
        let rows = whole.reshape((clips * tokens, width))?.index_select(&rows, 0)?;
        Ok(rows.reshape((clips, count, width))?)
    }

    /// Tokens of whole clips as they are predicted: those of the average, layer-normed; or the encoder's own. And the
    /// same before the norm. None where nothing needs them.
    pub fn predicted_tokens(&self, batch: &ClipBatch, range: Range<usize>) -> Result<Option<(Tensor, Tensor)>> {
        let loss = &self.config.loss;
        match &self.networks.average {
            None => {
                let whole = self.whole(&self.networks.encoder, batch, range)?;
                Ok(Some((whole.clone(), whole)))
            }
            Some(_) if !self.config.objective.is_latent() && loss.variance + loss.sigreg == 0.0 => Ok(None),
            Some(average) => {
                let whole = self.whole(average, batch, range)?;
                Ok(Some((standardise(&whole, TARGET_EPSILON)?, whole)))
            }
        }
    }

    /// The error of a prediction, a scalar.
    pub fn error(&self, predicted: &Tensor, targets: &Tensor) -> Result<Tensor> {
        match self.config.objective {
            PretrainingObjective::Vjepa => Ok((predicted - targets)?.abs()?.mean_all()?),
            PretrainingObjective::Ijepa => {
                let off = (predicted - targets)?.abs()?;
                let beyond = (&off - 1.0)?.relu()?;
                let within = (&off - &beyond)?;
                Ok(((within.sqr()? * 0.5)? + beyond)?.mean_all()?)
            }
            PretrainingObjective::Levjepa => Ok((predicted - targets)?.sqr()?.mean_all()?),
            PretrainingObjective::Pixels => pixel_twin::error(predicted, targets),
        }
    }

    /// Losses of the clips `range`.
    pub fn losses(&self, batch: &StepBatch, range: Range<usize>) -> Result<PartLosses> {
        let (config, first) = (self.config, range.start);
        let whole = self.predicted_tokens(&batch.clips, range.clone())?;
        let means = whole.as_ref().map(|(_, raw)| means_by_position(raw)).transpose()?;
        let normed = whole.as_ref().map(|(normed, _)| normed);
        let mut sums = Sums::new()?;
        let sets = batch.masks.len() as f64;
        for (token, set) in batch.masks.iter().enumerate() {
            let numbers = &set.context[range.clone()];
            let context = self.encode_seen(&batch.clips, first, numbers)?;
            let blocks = set.targets.len() as f64;
            for targets in &set.targets {
                let hidden = &targets[range.clone()];
                let (predicted, of_context) = self.networks.predictor.forward(&context, numbers, hidden, token)?;
                let error = self.error(&predicted, &self.targets(normed, &batch.clips, first, hidden)?)?;
                sums.add("prediction", config.loss.prediction, &error, sets * blocks)?;
                if let Some(of_context) = of_context {
                    let seen = self.targets(normed, &batch.clips, first, numbers)?;
                    let error = self.context_error(&of_context, &seen, numbers, hidden)?;
                    let grown = (batch.step + 1) as f64 / config.loss.context_warmup_steps.max(1) as f64;
                    sums.add("context", config.loss.context * grown.min(1.0), &error, sets * blocks)?;
                }
            }
            if let Some(means) = means.as_ref().filter(|_| config.loss.variance > 0.0) {
                let rows = centred(&context, numbers, means)?;
                sums.add("variance", config.loss.variance, &variance(&rows)?, sets)?;
            }
            // Without an average SIGReg is on the tokens of whole clips, below.
            if let Some((means, directions)) = means.as_ref().zip(batch.directions.as_ref())
                && config.objective.averages()
            {
                let rows = centred(&context, numbers, means)?;
                let statistic = normality(&rows, directions, config.loss.sigreg_knots, batch.clips.clips)?;
                sums.add("sigreg", config.loss.sigreg, &statistic, sets)?;
            }
        }
        if let (Some((_, raw)), Some(means), Some(directions), false) =
            (&whole, &means, &batch.directions, config.objective.averages())
        {
            let all: Vec<u32> = (0..raw.dim(1)? as u32).collect();
            let rows = centred(raw, &vec![all; range.len()], means)?;
            let statistic = normality(&rows, directions, config.loss.sigreg_knots, batch.clips.clips)?;
            sums.add("sigreg", config.loss.sigreg, &statistic, 1.0)?;
        }
        if let Some((_, raw)) = &whole {
            sums.terms.push(("std", content_std(&standardise(raw, TARGET_EPSILON)?)?));
        }
        Ok(PartLosses { total: sums.total, terms: sums.terms })
    }

    /// Tokens of what is seen alone: the encoder gets nothing else.
    fn encode_seen(&self, clips: &ClipBatch, first: usize, numbers: &[Vec<u32>]) -> Result<Tensor> {
        let values = self.config.encoder.tubelet_values();
        let rows = clips.gather(first, numbers, values);
        let count = rows.len() / values;
        self.networks.encoder.forward(&tensor(rows, (count, values))?, numbers)
    }

    /// V-JEPA 2.1's loss of seen tokens: each weighs by the root of its distance to the nearest hidden one.
    fn context_error(
        &self,
        predicted: &Tensor,
        targets: &Tensor,
        seen: &[Vec<u32>],
        hidden: &[Vec<u32>],
    ) -> Result<Tensor> {
        let grid = self.config.encoder.grid();
        let place = |number: u32| {
            let (number, cells) = (number as usize, grid.rows * grid.columns);
            [number / cells, number % cells / grid.columns, number % grid.columns].map(|axis| axis as f32)
        };
        let mut weights = Vec::new();
        for (seen, hidden) in seen.iter().zip(hidden) {
            let hidden: Vec<[f32; 3]> = hidden.iter().map(|number| place(*number)).collect();
            for here in seen.iter().map(|number| place(*number)) {
                let square = |there: &[f32; 3]| here.iter().zip(there).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
                let nearest = hidden.iter().map(square).fold(f32::INFINITY, f32::min);
                weights.push(nearest.max(1.0).powf(-0.25)); // of a squared distance
            }
        }
        let shape = (seen.len(), seen.first().map_or(0, Vec::len), 1);
        let off = (predicted - targets)?.abs()?;
        Ok(off.broadcast_mul(&tensor(weights, shape)?)?.mean_all()?)
    }
}

/// Standard deviation of tokens `[B, N, D]` over clips, position by position: 0 where all clips give the same.
fn content_std(tokens: &Tensor) -> Result<f32> {
    let means = means_by_position(tokens)?;
    let clips = tokens.dim(0)?;
    let squares = with_values(tokens, |values| {
        let of_clip =
            |clip: &[f32]| clip.iter().zip(&means).map(|(value, mean)| f64::from(value - mean).powi(2)).sum::<f64>();
        values.chunks_exact(means.len()).map(of_clip).sum::<f64>() / values.len() as f64
    })?;
    Ok((squares * clips as f64 / (clips.max(2) - 1) as f64).sqrt() as f32)
}

struct Sums {
    total: Tensor,
    terms: Vec<(&'static str, f32)>,
}

impl Sums {
    fn new() -> Result<Self> {
        Ok(Self { total: Tensor::zeros((), DType::F32, &Device::Cpu)?, terms: Vec::new() })
    }

    /// Adds `weight` times a term, one of `count` that are averaged.
    fn add(&mut self, name: &'static str, weight: f64, term: &Tensor, count: f64) -> Result<()> {
        let value = term.to_scalar::<f32>()? / count as f32;
        match self.terms.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += value,
            None => self.terms.push((name, value)),
        }
        if weight > 0.0 {
            self.total = (&self.total + (term * (weight / count))?)?;
        }
        Ok(())
    }
}

impl Objective for MaskedPrediction<'_> {
    type Batch = StepBatch;
    type Error = Error;

    fn weights(&self) -> Weights {
        self.networks.weights.clone()
    }

    fn batch(&mut self, step: usize) -> Result<StepBatch> {
        let clips = self.data.training_batch(step, &mut self.epoch, self.seed.child("clips"))?;
        self.prepared(clips, step, self.seed.child("steps").index(step as u64))
    }

    fn micro_batches(&self, batch: &StepBatch) -> usize {
        self.config.micro_batches.min(batch.clips.clips)
    }

    fn partial_gradients(
        &self,
        batch: &StepBatch,
        parts: Range<usize>,
        _collective: &dyn Collective,
    ) -> Result<Vec<PartialGradients>> {
        let (clips, count) = (batch.clips.clips, self.micro_batches(batch));
        each_part(parts, |part| {
            let range = range_of_part(clips, count, part);
            let fraction = range.len() as f32 / clips as f32;
            let losses = self.losses(batch, range)?;
            let scaled = (&losses.total * f64::from(fraction))?;
            let mut partial = PartialGradients::of(&scaled, self.networks.trained())?;
            partial.terms = losses.terms.into_iter().map(|(name, value)| (name, fraction * value)).collect();
            Ok(partial)
        })
    }

    fn after_step(&mut self, batch: &StepBatch) -> Result<()> {
        self.networks.follow(self.config.momentum.at(batch.step, self.config.steps))
    }
}
