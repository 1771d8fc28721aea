//! The losses of a LeWM: prediction of embeddings, and SIGReg against their collapse.

use candle_core::{Tensor, Var};

use super::Lewm;
use super::layers::Projector;
use crate::ops::{self, column_statistics, with_values};
use crate::{Error, Result};

/// Knots of SIGReg's quadrature in LeWM.
const KNOTS: usize = 17;
/// Weight of a batch in the running statistics of the batch norms.
const MOMENTUM: f32 = 0.1;

/// The outcome of one pass over a batch, with its gradient graph.
#[derive(Debug)]
pub struct LewmPass {
    /// Mean squared error of the predicted embeddings, a scalar.
    pub prediction: Tensor,
    /// SIGReg's statistic, a scalar; its weight in LeWM is 0.09.
    pub sigreg: Tensor,
    /// Embeddings `[B, T, D]`.
    pub embeddings: Tensor,
    /// Predicted embeddings of all frames but the first, `[B, T - 1, D]`.
    pub predictions: Tensor,
    /// Mean and unbiased variance of what entered the two batch norms.
    statistics: [(Vec<f32>, Vec<f32>); 2],
}

impl Lewm {
    /// Losses of windows: normalised images `[B, T, 3, H, W]` and the standardised action chunks that leave their
    /// frames `[B, T, A]` (those of the last are not used), with SIGReg along the unit vectors `directions [M,
    /// D]`. Batch norms go by the batch; every embedding is predicted from at most `T - 1` before it. Targets are not
    /// detached.
    ///
    /// # Errors
    /// When the shapes do not fit, or there are fewer than two frames or more than the history and one.
    pub fn training_pass(&self, images: &Tensor, actions: &Tensor, directions: &Tensor) -> Result<LewmPass> {
        let (batch, frames, channels, height, side) = images.dims5()?;
        let class = self.class_tokens(&images.reshape((batch * frames, channels, height, side))?)?;
        self.losses_of(&class, (batch, frames), actions, directions)
    }

    /// The rest of [`Lewm::training_pass`] after the class tokens `[B * T, D]` of all images.
    pub(super) fn losses_of(
        &self,
        class: &Tensor,
        (batch, frames): (usize, usize),
        actions: &Tensor,
        directions: &Tensor,
    ) -> Result<LewmPass> {
        let (history, width) = (self.config.predictor.history, self.config.width());
        if frames < 2 || frames > history + 1 {
            let expected = format!("windows of 2 to {} frames", history + 1);
            return Err(Error::Shape { operation: "training", expected, got: frames.to_string() });
        }
        let (embeddings, inward) = self.projector.forward_training(class)?;
        let embeddings = embeddings.reshape((batch, frames, width))?;
        let seen = frames - 1;
        let chunks = actions.narrow(1, 0, seen)?.contiguous()?;
        let chunks = self.embed_actions(&chunks.reshape((batch * seen, chunks.dim(2)?))?)?;
        let before = embeddings.narrow(1, 0, seen)?.contiguous()?;
        let raw = self.predict_raw(&before, &chunks.reshape((batch, seen, width))?)?;
        let (predictions, outward) = self.outward.forward_training(&raw.reshape((batch * seen, width))?)?;
        let predictions = predictions.reshape((batch, seen, width))?;
        let prediction = (&predictions - embeddings.narrow(1, 1, seen)?)?.sqr()?.mean_all()?;
        let mut statistics = Vec::with_capacity(frames);
        for frame in 0..frames {
            let rows = embeddings.narrow(1, frame, 1)?.contiguous()?.reshape((batch, width))?;
            statistics.push(ops::sigreg(&ops::product(&rows, directions)?, KNOTS)?);
        }
        let sigreg = (Tensor::stack(&statistics, 0)?.mean_all()? * batch as f64)?;
        let statistics = [unbiased(&inward)?, unbiased(&outward)?];
        Ok(LewmPass { prediction, sigreg, embeddings, predictions, statistics })
    }

    /// Blends the statistics of `pass` into the running ones, which [`Lewm::embed`] and [`Lewm::predict`] use.
    ///
    /// # Errors
    /// When a statistic cannot be set.
    pub fn remember_statistics(&self, pass: &LewmPass) -> Result<()> {
        for (name, (mean, variance)) in ["projector", "pred_proj"].iter().zip(&pass.statistics) {
            for (statistic, new) in [("running_mean", mean), ("running_var", variance)] {
                let var = self.weights.get(&format!("{name}.net.1.{statistic}"));
                var.map_or(Ok(()), |var| blend(var, new))?;
            }
        }
        Ok(())
    }
}

/// Mean and unbiased variance of the columns of `rows [N, C]`.
fn unbiased(rows: &Tensor) -> Result<(Vec<f32>, Vec<f32>)> {
    let (count, columns) = rows.dims2()?;
    let (mean, mut variance) = with_values(rows, |values| column_statistics(values, columns))?;
    let factor = count as f32 / (count.max(2) - 1) as f32;
    variance.iter_mut().for_each(|variance| *variance *= factor);
    Ok((mean, variance))
}

fn blend(var: &Var, new: &[f32]) -> Result<()> {
    let blended = with_values(var, |old| -> Vec<f32> {
        old.iter().zip(new).map(|(old, new)| (1.0 - MOMENTUM) * old + MOMENTUM * new).collect()
    })?;
    Ok(var.set(&ops::tensor(blended, var.shape().clone())?)?)
}

impl Projector {
    /// `[N, D]` → `[N, D]` by the rows' own statistics; also what enters the norm, `[N, hidden]`.
    fn forward_training(&self, input: &Tensor) -> Result<(Tensor, Tensor)> {
        let inner = self.widen.forward(input)?;
        let normal = ops::batch_norm(&inner, &self.scale, &self.shift, super::layers::EPSILON)?;
        Ok((self.narrow.forward(&ops::gelu(&normal)?)?, inner))
    }
}
