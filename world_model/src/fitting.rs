//! Steps of an optimiser on the weights of a part, its gradients made in parts on several threads.

use rayon::prelude::*;

use crate::Result;
use crate::optimiser::{Gradients, Moments, OptimiserConfig, adamw, add, clip};
use crate::parameters::Weights;
use crate::training::{require_finite, thread_pool};

/// Parts that a step is done in, each on a thread if there are as many; sums are made part by part.
pub(crate) const PARTS: usize = 2;

/// How weights are fitted.
pub(crate) struct Fitting<'a> {
    /// What is moved.
    pub weights: &'a Weights,
    /// How far.
    pub optimiser: &'a OptimiserConfig,
    /// How often.
    pub steps: usize,
    /// Threads that share the work; the result does not depend on it.
    pub threads: usize,
}

/// The share of one part in a step: the loss, and its gradients.
pub(crate) type Share = (f64, Gradients);

impl Fitting<'_> {
    /// Does the steps. `share` says what part `part` of [`PARTS`] adds to step `step`; `go_on` hears of every step and its loss, and ends the work
    /// by saying no. The mean loss over the last tenth of the steps, or `None` if it was ended.
    ///
    /// # Errors
    /// `share`'s; [`crate::Error::Diverged`] when a loss is not finite.
    pub fn run(
        &self,
        share: impl Fn(usize, usize) -> Result<Share> + Sync,
        go_on: &mut dyn FnMut(usize, f64) -> bool,
    ) -> Result<Option<f64>> {
        self.run_on(PARTS, Ok, |step, part| share(*step, part), || Ok(()), go_on)
    }

    /// As [`Fitting::run`], in `parts` parts of what `prepare` makes for a step before; `after` is done when the weights have moved.
    ///
    /// # Errors
    /// Those of `prepare`, `share` and `after`; [`crate::Error::Diverged`] when a loss is not finite.
    pub fn run_on<T: Send + Sync>(
        &self,
        parts: usize,
        prepare: impl Fn(usize) -> Result<T> + Sync,
        share: impl Fn(&T, usize) -> Result<Share> + Sync,
        after: impl Fn() -> Result<()>,
        go_on: &mut dyn FnMut(usize, f64) -> bool,
    ) -> Result<Option<f64>> {
        let pool = thread_pool(self.threads)?;
        let mut moments = Moments::default();
        let mut losses = Vec::with_capacity(self.steps);
        for step in 0..self.steps {
            let shares: Vec<Share> = pool.install(|| {
                let prepared = prepare(step)?;
                (0..parts).into_par_iter().map(|part| share(&prepared, part)).collect::<Result<_>>()
            })?;
            let (mut gradients, mut loss) = (Gradients::new(), 0.0);
            for (part_loss, part) in shares {
                loss += part_loss;
                part.into_iter().for_each(|(name, values)| add(&mut gradients, name, values));
            }
            require_finite(step, "the loss", loss)?;
            let rate = self.optimiser.learning_rate_at(step, self.steps);
            pool.install(|| {
                clip(&mut gradients, self.optimiser.clip_norm);
                adamw(self.weights.iter(), &gradients, &mut moments, self.optimiser, rate, step)
            })?;
            after()?;
            losses.push(loss);
            if !go_on(step + 1, loss) {
                return Ok(None);
            }
        }
        let last = &losses[losses.len() - losses.len().div_ceil(10)..];
        Ok(Some(last.iter().sum::<f64>() / last.len().max(1) as f64))
    }
}
