//! Training of a critic: regression on discounted energies that were computed beforehand.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::CriticNetwork;
use crate::heads::Head;
use crate::ops::tensor;
use crate::trainer::PartialGradients;
use crate::{Error, Result};

/// States, goals, and the energies that rollouts from there cost.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CriticTargets {
    /// `[N, D]`.
    pub states: Vec<f32>,
    /// `[N, D]`.
    pub goals: Vec<f32>,
    /// `(1 - γ) Σ γ^j e_j` of every term, unweighted, `[N, T]`.
    pub energies: Vec<f32>,
}

impl CriticTargets {
    /// The targets with the indices `chosen`.
    pub fn gather(&self, chosen: &[usize], count: usize) -> Self {
        let rows = |values: &[f32]| -> Vec<f32> {
            let width = values.len() / count.max(1);
            chosen.iter().flat_map(|index| &values[index * width..(index + 1) * width]).copied().collect()
        };
        Self { states: rows(&self.states), goals: rows(&self.goals), energies: rows(&self.energies) }
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: Self) {
        self.states.extend(other.states);
        self.goals.extend(other.goals);
        self.energies.extend(other.energies);
    }
}

/// How a critic is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CriticTrainingConfig {
    /// Optimiser steps.
    pub steps: usize,
    /// Targets per step.
    pub batch: usize,
    /// Micro batches of a step and member: as many threads can work at once; another number gives other bits.
    pub micro_batches: usize,
}

impl Default for CriticTrainingConfig {
    fn default() -> Self {
        Self { steps: 10_000, batch: 256, micro_batches: 2 }
    }
}

impl CriticNetwork {
    /// The contribution of the targets `rows` of a batch to the mean squared error (in units of the scales) of
    /// `member`, averaged over members.
    ///
    /// # Errors
    /// [`Error::Shape`] when the targets do not fit the critic.
    pub fn regression(&self, member: usize, targets: &CriticTargets, rows: Range<usize>) -> Result<PartialGradients> {
        let config = self.config();
        let (width, terms) = (config.latent_width, config.terms.len());
        let count = targets.states.len() / width;
        let sizes = [targets.states.len(), targets.goals.len(), targets.energies.len()];
        if count == 0 || rows.end > count || sizes != [count * width, count * width, count * terms] {
            return Err(Error::Shape {
                operation: "training a critic",
                expected: format!("targets of {width} values per latent and {terms} energies"),
                got: format!("{sizes:?} values"),
            });
        }
        if rows.is_empty() {
            return Ok(PartialGradients::default());
        }
        let latents =
            |values: &[f32]| tensor(values[rows.start * width..rows.end * width].to_vec(), (rows.len(), width));
        let predicted = self.forward(member, &latents(&targets.states)?, &latents(&targets.goals)?)?;
        let energies = targets.energies[rows.start * terms..rows.end * terms].iter();
        let scaled = energies.zip(config.scales.iter().cycle()).map(|(energy, scale)| energy / scale).collect();
        let loss = (predicted - tensor(scaled, (rows.len(), terms))?)?.sqr()?.mean_all()?;
        let fraction = rows.len() as f64 / count as f64 / self.members.len() as f64;
        let value = f64::from(loss.to_scalar::<f32>()?);
        let partial = PartialGradients::of(&(loss * fraction)?, self.weights().iter())?;
        Ok(PartialGradients { loss: fraction * value, ..partial })
    }
}
