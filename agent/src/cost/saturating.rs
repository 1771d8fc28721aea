//! A term whose energy has an upper limit.

use super::{Fingerprint, Gradients, IntrinsicTerm};
use crate::Result;
use crate::directive::Directive;
use crate::latent::{Plans, Rollouts};

/// `e / (1 + e / s)` of the energies `e` of another term: as they are where they are small against `s`, and never more
/// than `s`. What counts is then how many chunks of a plan are near the goal, and how near, rather than how far
/// away a bad state is.
pub struct Saturating<T> {
    term: T,
    at: f32,
}

impl<T: IntrinsicTerm> Saturating<T> {
    /// `term`, saturating at the energy `at` (above 0; infinity changes nothing).
    pub fn new(term: T, at: f32) -> Self {
        Self { term, at }
    }
}

impl<T: IntrinsicTerm> IntrinsicTerm for Saturating<T> {
    fn name(&self) -> &'static str {
        self.term.name()
    }

    fn energy(&self, rollouts: &Rollouts, plans: &Plans, directive: &Directive) -> Result<Vec<f32>> {
        let mut energies = self.term.energy(rollouts, plans, directive)?;
        energies.iter_mut().for_each(|energy| *energy /= 1.0 + *energy / self.at);
        Ok(energies)
    }

    fn add_gradients(
        &self,
        rollouts: &Rollouts,
        plans: &Plans,
        directive: &Directive,
        upstream: &[f32],
        gradients: &mut Gradients,
    ) -> Result<()> {
        let energies = self.term.energy(rollouts, plans, directive)?;
        let weakened =
            energies.iter().zip(upstream).map(|(energy, upstream)| upstream / (1.0 + energy / self.at).powi(2));
        self.term.add_gradients(rollouts, plans, directive, &weakened.collect::<Vec<f32>>(), gradients)
    }

    fn every_chunk(&self) -> bool {
        self.term.every_chunk()
    }

    fn describe(&self, fingerprint: &mut Fingerprint) {
        self.term.describe(fingerprint);
        fingerprint.name("saturating");
        fingerprint.numbers(&[self.at]);
    }
}
