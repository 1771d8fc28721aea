//! Objectives of a trainer, and the division of a step into micro batches.

use std::ops::Range;

use rayon::prelude::*;

use super::{Collective, PartialGradients};
use crate::parameters::Weights;

/// A loss over batches that are divided into micro batches.
///
/// A step is a pure function of the weights, the seed that the objective was built with, and the number of the step. So
/// every worker of a [`Collective`] builds the same objective and ends with the same weights.
pub trait Objective: Send + Sync {
    /// What one step needs beside the weights.
    type Batch: Send + Sync;
    /// What can go wrong in a step.
    type Error: From<crate::Error> + Send;

    /// All weights by name; a saved state contains them. A step changes those that have a gradient.
    fn weights(&self) -> Weights;

    /// The batch of step `step`, which counts from 0 in every stage.
    ///
    /// # Errors
    /// When the batch cannot be drawn.
    fn batch(&mut self, step: usize) -> Result<Self::Batch, Self::Error>;

    /// Number of micro batches of `batch`.
    fn micro_batches(&self, batch: &Self::Batch) -> usize;

    /// Partial gradients of the micro batches `parts`, in their order, on the current rayon pool. The gradient of the
    /// step is their sum over all micro batches. Statistics of the whole batch go through `collective`.
    ///
    /// # Errors
    /// When the batch does not fit the weights.
    fn partial_gradients(
        &self,
        batch: &Self::Batch,
        parts: Range<usize>,
        collective: &dyn Collective,
    ) -> Result<Vec<PartialGradients>, Self::Error>;

    /// Runs after the weights have moved.
    ///
    /// # Errors
    /// When a statistic cannot be written.
    fn after_step(&mut self, _batch: &Self::Batch) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// Partial gradients of `parts` where each follows from its number alone, on the current rayon pool.
///
/// # Errors
/// Those of `part`.
pub fn each_part<E: Send>(
    parts: Range<usize>,
    part: impl Fn(usize) -> Result<PartialGradients, E> + Sync + Send,
) -> Result<Vec<PartialGradients>, E> {
    parts.into_par_iter().map(part).collect()
}

/// The items of part `part` of `parts` equal parts of `count` items.
pub fn range_of_part(count: usize, parts: usize, part: usize) -> Range<usize> {
    part * count / parts..(part + 1) * count / parts
}
