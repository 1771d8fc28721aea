//! The critic that was taught beside a model.

use mindseye_world_model::CriticEngine;

use super::Critic;
use crate::Result;
use crate::configurator::Directive;

/// A trained critic network; what its terms weigh is the directive's to say.
#[derive(Debug, Clone)]
pub struct LearnedCritic {
    engine: CriticEngine,
}

impl LearnedCritic {
    /// The critic `engine`.
    pub fn new(engine: CriticEngine) -> Self {
        Self { engine }
    }

    fn weights(&self, directive: &Directive) -> Vec<f32> {
        self.engine.config().terms.iter().map(|term| directive.weight(term).unwrap_or(0.0)).collect()
    }
}

impl Critic for LearnedCritic {
    fn future_energy(&self, states: &[f32], directive: &Directive) -> Result<Vec<f32>> {
        Ok(self.engine.energies(states, directive.goal.values(), &self.weights(directive))?)
    }

    fn future_energy_and_slopes(&self, states: &[f32], directive: &Directive) -> Result<(Vec<f32>, Vec<f32>)> {
        Ok(self.engine.energies_and_slopes(states, directive.goal.values(), &self.weights(directive))?)
    }
}
