//! Losses of the model: prediction in latent space, and terms that keep the latent from collapsing.

use candle_core::{Device, Tensor};
use candle_nn::loss::mse;
use mindseye_interface::Seed;
use mindseye_interface::config::require_range;
use serde::{Deserialize, Serialize};

use super::predictor::Predictor;
use crate::Result;
use crate::layers::Linear;
use crate::ops;
use crate::parameters::{WeightSource, Weights};

/// Weights of the loss terms; a weight of zero switches a term off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossConfig {
    /// Mean squared error of the predicted latents, over every start and every unroll length in a window.
    pub prediction: f64,
    /// SIGReg per sample: multiplied by the number of latents in the batch (LeJEPA's test statistic).
    pub sigreg: f64,
    /// Random directions per step of SIGReg.
    pub sigreg_directions: usize,
    /// Knots of SIGReg's quadrature on `[0, 3]`.
    pub sigreg_knots: usize,
    /// Mean squared error of the action chunk that a small network infers from the latents before and after it.
    pub inverse_dynamics: f64,
    /// Removed; configs of before have it with 0.
    #[doc(hidden)]
    #[serde(skip_serializing)]
    pub vicreg: RemovedTerm,
    /// Removed; configs of before have it with 0.
    #[doc(hidden)]
    #[serde(skip_serializing)]
    pub straightening: RemovedTerm,
}

/// The weight of a loss term that no longer exists: only 0 is read.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RemovedTerm;

impl<'de> Deserialize<'de> for RemovedTerm {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let weight = f64::deserialize(deserializer)?;
        if weight == 0.0 {
            return Ok(Self);
        }
        Err(serde::de::Error::custom(format!(
            "expected 0, since the loss terms vicreg and straightening were removed, got {weight}"
        )))
    }
}

impl Default for LossConfig {
    fn default() -> Self {
        Self {
            prediction: 1.0,
            sigreg: 0.1,
            sigreg_directions: 128,
            sigreg_knots: 9,
            inverse_dynamics: 0.0,
            vicreg: RemovedTerm,
            straightening: RemovedTerm,
        }
    }
}

impl LossConfig {
    pub(crate) fn validate(&self) -> mindseye_interface::Result<()> {
        let weights = [
            ("loss.prediction", self.prediction),
            ("loss.sigreg", self.sigreg),
            ("loss.inverse_dynamics", self.inverse_dynamics),
        ];
        weights.iter().try_for_each(|(field, weight)| require_range(field, *weight, 0.0, 1e6))?;
        require_range("loss.sigreg_directions", self.sigreg_directions, 1, 65_536)?;
        require_range("loss.sigreg_knots", self.sigreg_knots, 2, 257)
    }
}

/// Networks that serve a loss only and are discarded after training.
#[derive(Debug)]
pub(crate) struct LossHeads {
    inverse_hidden: Linear,
    inverse_output: Linear,
    /// Their weights by name.
    pub weights: Weights,
}

/// Width of the inverse-dynamics head.
const INVERSE_HIDDEN: usize = 256;

impl LossHeads {
    /// Heads for latents `[D]` and action chunks `[A]`, their weights from `source`.
    ///
    /// # Errors
    /// As [`WeightSource::weight`].
    pub(crate) fn new(mut source: WeightSource, latent_width: usize, chunk_width: usize) -> Result<Self> {
        let (inverse_hidden, inverse_output) = source.within("heads", |source| {
            let hidden = Linear::new(source, "inverse_hidden", 2 * latent_width, INVERSE_HIDDEN, 1.0)?;
            Ok((hidden, Linear::new(source, "inverse_output", INVERSE_HIDDEN, chunk_width, 1.0)?))
        })?;
        Ok(Self { inverse_hidden, inverse_output, weights: source.finish()? })
    }
}

/// One number per term, and their weighted sum with its gradient graph.
pub(crate) struct Losses {
    /// The weighted sum, a scalar.
    pub total: Tensor,
    /// Unweighted terms by name, in a fixed order.
    pub terms: Vec<(&'static str, f32)>,
}

impl Losses {
    fn new() -> Result<Self> {
        Ok(Self { total: Tensor::zeros((), candle_core::DType::F32, &Device::Cpu)?, terms: Vec::new() })
    }

    /// Adds a term, unless its weight is zero: then it is not even computed.
    fn add(&mut self, name: &'static str, weight: f64, term: impl FnOnce() -> Result<Tensor>) -> Result<()> {
        if weight > 0.0 {
            let value = term()?;
            self.terms.push((name, value.to_scalar::<f32>()?));
            self.total = (&self.total + (value * weight)?)?;
        }
        Ok(())
    }
}

/// The terms of single windows, of latents `[B, T, D]` and action chunks `[B, T - 1, A]`: means over windows, so that
/// those of micro batches can be averaged.
///
/// # Errors
/// When the shapes do not fit.
pub(crate) fn dynamics(
    config: &LossConfig,
    predictor: &Predictor,
    heads: &LossHeads,
    latents: &Tensor,
    chunks: &Tensor,
) -> Result<Losses> {
    let mut losses = Losses::new()?;
    losses.add("prediction", config.prediction, || {
        prediction(predictor, latents, chunks, |predicted, target| Ok(mse(predicted, target)?))
    })?;
    losses.add("inverse_dynamics", config.inverse_dynamics, || inverse_dynamics(heads, latents, chunks))?;
    Ok(losses)
}

/// The terms of the distribution of all latents of a batch, `[N, D]`.
///
/// # Errors
/// When the shapes do not fit.
pub(crate) fn regularisation(config: &LossConfig, latents: &Tensor, directions_seed: Seed) -> Result<Losses> {
    let (count, width) = latents.dims2()?;
    let mut losses = Losses::new()?;
    losses.add("sigreg", config.sigreg * count as f64, || {
        let directions = ops::unit_directions(config.sigreg_directions, width, directions_seed)?;
        Ok(ops::sigreg(&ops::product(latents, &directions)?, config.sigreg_knots)?)
    })?;
    Ok(losses)
}

/// The prediction error of latents `[B, T, D]` and action chunks `[B, T - 1, A]` in units of typical steps: errors
/// times `steps_from_error [D, D]`. For latents that no longer change.
///
/// # Errors
/// When the shapes do not fit.
pub(crate) fn prediction_in_steps(
    predictor: &Predictor,
    latents: &Tensor,
    chunks: &Tensor,
    steps_from_error: &Tensor,
) -> Result<Losses> {
    let width = latents.dim(2)?;
    let mut losses = Losses::new()?;
    losses.add("prediction_in_steps", 1.0, || {
        prediction(predictor, latents, chunks, |predicted, target| {
            let error = (predicted - target)?.reshape(((), width))?;
            Ok(ops::product(&error, steps_from_error)?.sqr()?.mean_all()?)
        })
    })?;
    Ok(losses)
}

/// Unrolls the predictor from every frame of every window to the window's end; the mean over unroll lengths of the
/// `error` of the predicted against the recorded latents. Targets are not detached: the regulariser keeps them from
/// collapsing.
fn prediction(
    predictor: &Predictor,
    latents: &Tensor,
    chunks: &Tensor,
    error: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let (batch, frames, width) = latents.dims3()?;
    let chunk_width = chunks.dim(2)?;
    let mut predicted = latents.clone();
    let mut errors = Vec::new();
    for length in 1..frames {
        let starts = frames - length;
        let rows = predicted.narrow(1, 0, starts)?.reshape((batch * starts, width))?;
        let actions = chunks.narrow(1, length - 1, starts)?.reshape((batch * starts, chunk_width))?;
        predicted = predictor.forward(&rows, &actions)?.reshape((batch, starts, width))?;
        errors.push(error(&predicted, &latents.narrow(1, length, starts)?)?);
    }
    Ok((Tensor::stack(&errors, 0)?.mean_all())?)
}

fn inverse_dynamics(heads: &LossHeads, latents: &Tensor, chunks: &Tensor) -> Result<Tensor> {
    let (batch, frames, width) = latents.dims3()?;
    let rows = batch * (frames - 1);
    let before = latents.narrow(1, 0, frames - 1)?.reshape((rows, width))?;
    let after = latents.narrow(1, 1, frames - 1)?.reshape((rows, width))?;
    let hidden = ops::silu(&heads.inverse_hidden.forward(&Tensor::cat(&[before, after], 1)?)?)?;
    let found = heads.inverse_output.forward(&hidden)?;
    Ok(mse(&found, &chunks.reshape((rows, chunks.dim(2)?))?)?)
}
