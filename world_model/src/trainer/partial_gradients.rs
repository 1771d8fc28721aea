//! What a micro batch contributes to a step.

use candle_core::{Tensor, Var};

use crate::optimiser::{Gradients, add, collect};

/// What one micro batch contributes to a step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PartialGradients {
    /// Its part of the loss.
    pub loss: f64,
    /// Its part of every loss term, unweighted, by name.
    pub terms: Vec<(&'static str, f32)>,
    /// Its part of the gradients, by weight name.
    pub gradients: Gradients,
}

impl PartialGradients {
    /// A part `loss` of the loss (a scalar), and its gradients on `weights`.
    ///
    /// # Errors
    /// When the loss is no scalar.
    pub fn of<'a>(loss: &Tensor, weights: impl Iterator<Item = (&'a String, &'a Var)>) -> crate::Result<Self> {
        let mut gradients = Gradients::new();
        collect(&mut gradients, weights, &loss.backward()?)?;
        Ok(Self { loss: f64::from(loss.to_scalar::<f32>()?), terms: Vec::new(), gradients })
    }

    /// Adds the contribution of the next micro batch.
    pub(crate) fn add(&mut self, next: Self) {
        self.loss += next.loss;
        for (name, value) in next.terms {
            match self.terms.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => *sum += value,
                None => self.terms.push((name, value)),
            }
        }
        next.gradients.into_iter().for_each(|(name, values)| add(&mut self.gradients, name, values));
    }
}
