//! What training minimises: prediction in latent space, and terms that keep the latent from collapsing.

use candle_core::{Device, Tensor};
use candle_nn::loss::mse;
use mindseye_interface::Seed;
use mindseye_interface::config::require_range;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::layers::Linear;
use crate::ops;
use crate::parameters::{Source, Weights};
use crate::predictor::Predictor;

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
    /// VICReg's variance hinge and covariance penalty (Bardes et al. 2022), 25 : 1 between them.
    pub vicreg: f64,
    /// Mean squared error of the action block, read by a small network from the latents before and after it.
    pub inverse_dynamics: f64,
    /// 1 - cosine between successive latent steps: makes paths straight, distances meaningful.
    pub straightening: f64,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self {
            prediction: 1.0,
            sigreg: 0.1,
            sigreg_directions: 128,
            sigreg_knots: 9,
            vicreg: 0.0,
            inverse_dynamics: 0.0,
            straightening: 0.0,
        }
    }
}

impl LossConfig {
    pub(crate) fn validate(&self) -> mindseye_interface::Result<()> {
        let weights = [
            ("loss.prediction", self.prediction),
            ("loss.sigreg", self.sigreg),
            ("loss.vicreg", self.vicreg),
            ("loss.inverse_dynamics", self.inverse_dynamics),
            ("loss.straightening", self.straightening),
        ];
        weights.iter().try_for_each(|(field, weight)| require_range(field, *weight, 0.0, 1e6))?;
        require_range("loss.sigreg_directions", self.sigreg_directions, 1, 65_536)?;
        require_range("loss.sigreg_knots", self.sigreg_knots, 2, 257)
    }
}

/// Networks that serve a loss only and are thrown away after training.
#[derive(Debug)]
pub struct LossHeads {
    inverse_hidden: Linear,
    inverse_output: Linear,
    /// Their weights by name.
    pub weights: Weights,
}

/// Width of the inverse-dynamics head.
const INVERSE_HIDDEN: usize = 256;

impl LossHeads {
    /// Heads for latents `[D]` and action blocks `[A]`, their weights from `source`.
    ///
    /// # Errors
    /// As [`Source::weight`].
    pub fn new(mut source: Source, latent_width: usize, block_width: usize) -> Result<Self> {
        let (inverse_hidden, inverse_output) = source.within("heads", |source| {
            let hidden = Linear::new(source, "inverse_hidden", 2 * latent_width, INVERSE_HIDDEN, 1.0)?;
            Ok((hidden, Linear::new(source, "inverse_output", INVERSE_HIDDEN, block_width, 1.0)?))
        })?;
        Ok(Self { inverse_hidden, inverse_output, weights: source.finish()? })
    }
}

/// One number per term, and their weighted sum with its gradient graph.
pub struct Losses {
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

/// The terms that look at windows one by one, of latents `[B, T, D]` and action blocks `[B, T - 1, A]`: means over windows, so that
/// those of parts of a batch can be averaged.
///
/// # Errors
/// When the shapes do not fit.
pub fn dynamics(
    config: &LossConfig,
    predictor: &Predictor,
    heads: &LossHeads,
    latents: &Tensor,
    blocks: &Tensor,
) -> Result<Losses> {
    let mut losses = Losses::new()?;
    losses.add("prediction", config.prediction, || {
        prediction(predictor, latents, blocks, |predicted, target| Ok(mse(predicted, target)?))
    })?;
    losses.add("inverse_dynamics", config.inverse_dynamics, || inverse_dynamics(heads, latents, blocks))?;
    losses.add("straightening", config.straightening, || straightening(latents))?;
    Ok(losses)
}

/// The terms that look at how all latents of a batch `[N, D]` are spread.
///
/// # Errors
/// When the shapes do not fit.
pub fn regularisation(config: &LossConfig, latents: &Tensor, directions_seed: Seed) -> Result<Losses> {
    let (count, width) = latents.dims2()?;
    let mut losses = Losses::new()?;
    losses.add("sigreg", config.sigreg * count as f64, || {
        let directions = unit_directions(config.sigreg_directions, width, directions_seed)?;
        Ok(ops::sigreg(&ops::product(latents, &directions)?, config.sigreg_knots)?)
    })?;
    losses.add("vicreg", config.vicreg, || vicreg(latents))?;
    Ok(losses)
}

/// The prediction error of latents `[B, T, D]` and action blocks `[B, T - 1, A]` in units of typical steps: errors times
/// `steps_from_error [D, D]`. For latents that do not change any more.
///
/// # Errors
/// When the shapes do not fit.
pub fn prediction_in_steps(
    predictor: &Predictor,
    latents: &Tensor,
    blocks: &Tensor,
    steps_from_error: &Tensor,
) -> Result<Losses> {
    let width = latents.dim(2)?;
    let mut losses = Losses::new()?;
    losses.add("prediction_in_steps", 1.0, || {
        prediction(predictor, latents, blocks, |predicted, target| {
            let error = (predicted - target)?.reshape(((), width))?;
            Ok(ops::product(&error, steps_from_error)?.sqr()?.mean_all()?)
        })
    })?;
    Ok(losses)
}

/// Unrolls the predictor from every frame of every window to the window's end; the mean over unroll lengths of the `error` of what is
/// predicted against what came. Targets are not detached: what keeps them from collapsing is the regulariser.
fn prediction(
    predictor: &Predictor,
    latents: &Tensor,
    blocks: &Tensor,
    error: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let (batch, frames, width) = latents.dims3()?;
    let block_width = blocks.dim(2)?;
    let mut predicted = latents.clone();
    let mut errors = Vec::new();
    for length in 1..frames {
        let starts = frames - length;
        let rows = predicted.narrow(1, 0, starts)?.reshape((batch * starts, width))?;
        let actions = blocks.narrow(1, length - 1, starts)?.reshape((batch * starts, block_width))?;
        predicted = predictor.forward(&rows, &actions)?.reshape((batch, starts, width))?;
        errors.push(error(&predicted, &latents.narrow(1, length, starts)?)?);
    }
    Ok((Tensor::stack(&errors, 0)?.mean_all())?)
}

/// `[M, D]` unit vectors from `seed`.
pub(crate) fn unit_directions(count: usize, width: usize, seed: Seed) -> Result<Tensor> {
    let mut rng = seed.rng();
    let mut values: Vec<f32> = (0..count * width).map(|_| StandardNormal.sample(&mut rng)).collect();
    for direction in values.chunks_exact_mut(width) {
        let length = direction.iter().map(|value| value * value).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
        direction.iter_mut().for_each(|value| *value /= length);
    }
    Ok(ops::tensor(values, (count, width))?)
}

/// Hinge on the standard deviation of each dimension, and squared covariances between dimensions / D.
fn vicreg(latents: &Tensor) -> Result<Tensor> {
    let (rows, width) = latents.dims2()?;
    let centred = latents.broadcast_sub(&latents.mean_keepdim(0)?)?;
    let deviation = ((centred.sqr()?.mean(0)? + 1e-4)?).sqrt()?;
    let hinge = (1.0 - deviation)?.relu()?.mean_all()?;
    let transposed = centred.t()?.contiguous()?;
    let covariance = (ops::product(&transposed, &transposed)? / rows as f64)?;
    let mask = (1.0 - Tensor::eye(width, candle_core::DType::F32, &Device::Cpu)?)?;
    let off_diagonal = ((covariance * mask)?.sqr()?.sum_all()? / width as f64)?;
    Ok((hinge + (off_diagonal / 25.0)?)?)
}

fn inverse_dynamics(heads: &LossHeads, latents: &Tensor, blocks: &Tensor) -> Result<Tensor> {
    let (batch, frames, width) = latents.dims3()?;
    let rows = batch * (frames - 1);
    let before = latents.narrow(1, 0, frames - 1)?.reshape((rows, width))?;
    let after = latents.narrow(1, 1, frames - 1)?.reshape((rows, width))?;
    let hidden = ops::silu(&heads.inverse_hidden.forward(&Tensor::cat(&[before, after], 1)?)?)?;
    let found = heads.inverse_output.forward(&hidden)?;
    Ok(mse(&found, &blocks.reshape((rows, blocks.dim(2)?))?)?)
}

/// Temporal straightening: 1 - cosine similarity of successive steps, over the windows' inner frames.
fn straightening(latents: &Tensor) -> Result<Tensor> {
    let frames = latents.dim(1)?;
    if frames < 3 {
        return Ok(Tensor::zeros((), candle_core::DType::F32, &Device::Cpu)?);
    }
    let steps = (latents.narrow(1, 1, frames - 1)? - latents.narrow(1, 0, frames - 1)?)?;
    let (first, second) = (steps.narrow(1, 0, frames - 2)?, steps.narrow(1, 1, frames - 2)?);
    let norm = |steps: &Tensor| -> Result<Tensor> { Ok(((steps.sqr()?.sum(2)? + 1e-6)?).sqrt()?) };
    let cosine = ((&first * &second)?.sum(2)? / (norm(&first)? * norm(&second)?)?)?;
    Ok((1.0 - cosine.mean_all()?)?)
}
