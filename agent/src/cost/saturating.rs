//! A term whose energy ends to count.

use super::{Fingerprint, IntrinsicTerm, Slopes};
use crate::Result;
use crate::configurator::Directive;
use crate::latent::{Plans, Rollouts};

/// `e / (1 + e / s)` of the energies `e` of another term: as they are where they are small against `s`, and never more than `s`. How far
/// away a bad state is then counts little; a plan is judged by how many of its blocks are near the goal, and how near.
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

    fn add_slopes(
        &self,
        rollouts: &Rollouts,
        plans: &Plans,
        directive: &Directive,
        pull: &[f32],
        slopes: &mut Slopes,
    ) -> Result<()> {
        let energies = self.term.energy(rollouts, plans, directive)?;
        let weakened = energies.iter().zip(pull).map(|(energy, pull)| pull / (1.0 + energy / self.at).powi(2));
        self.term.add_slopes(rollouts, plans, directive, &weakened.collect::<Vec<f32>>(), slopes)
    }

    fn every_block(&self) -> bool {
        self.term.every_block()
    }

    fn describe(&self, fingerprint: &mut Fingerprint) {
        self.term.describe(fingerprint);
        fingerprint.name("saturating");
        fingerprint.numbers(&[self.at]);
    }
}
