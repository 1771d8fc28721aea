//! Candidates with their energies: what CEM and iCEM share.

use crate::actor::{Choice, Imagination};
use crate::latent::{Plan, Plans};
use crate::{Error, Result};

/// A judged sequence of normalised actions, `[H * A]`.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub actions: Vec<f32>,
    pub energy: f32,
}

/// Judges `sequences`; the candidates with finite energies, best first (equal energies in the order of the sequences).
pub(super) fn judged(imagination: &Imagination<'_>, sequences: Vec<Vec<f32>>) -> Result<Vec<Candidate>> {
    let directive = imagination.directive;
    let (count, horizon, width) = (sequences.len(), directive.horizon_blocks, directive.block_width());
    let energies = imagination.energies(&Plans::new(count, horizon, width, sequences.concat())?)?;
    let pairs = sequences.into_iter().zip(energies);
    let mut candidates: Vec<Candidate> = pairs
        .map(|(actions, energy)| Candidate { actions, energy })
        .filter(|candidate| candidate.energy.is_finite())
        .collect();
    if candidates.is_empty() {
        return Err(Error::NoFiniteEnergy { candidates: count });
    }
    candidates.sort_by(|a, b| a.energy.total_cmp(&b.energy));
    Ok(candidates)
}

/// Mean and standard deviation of the elites, value by value.
pub(super) fn fit(elites: &[Candidate]) -> (Vec<f32>, Vec<f32>) {
    let count = elites.len().max(1) as f32;
    let length = elites.first().map_or(0, |elite| elite.actions.len());
    let mean_of = |of: &dyn Fn(usize, f32) -> f32| -> Vec<f32> {
        let sum = |index: usize| elites.iter().map(|elite| of(index, elite.actions[index])).sum::<f32>();
        (0..length).map(|index| sum(index) / count).collect()
    };
    let mean = mean_of(&|_, value| value);
    let std = mean_of(&|index, value| (value - mean[index]).powi(2)).into_iter().map(f32::sqrt).collect();
    (mean, std)
}

/// The best candidate seen so far, and how it improved.
#[derive(Debug, Default)]
pub(super) struct Best {
    candidate: Option<Candidate>,
    energies: Vec<f32>,
}

impl Best {
    /// Takes the round's best candidate into account.
    pub fn offer(&mut self, challenger: &Candidate) {
        if self.candidate.as_ref().is_none_or(|best| challenger.energy < best.energy) {
            self.candidate = Some(challenger.clone());
        }
        self.energies.extend(self.candidate.as_ref().map(|best| best.energy));
    }

    /// Whether no round was finished.
    pub fn is_empty(&self) -> bool {
        self.candidate.is_none()
    }

    /// The decision; `fallback` if no round was finished in time.
    pub fn into_choice(self, fallback: Plan) -> Result<Choice> {
        let plan = match self.candidate {
            Some(best) => Plan::new(fallback.horizon(), fallback.block_width(), best.actions)?,
            None => fallback,
        };
        Ok(Choice { plan, energies: self.energies })
    }
}
