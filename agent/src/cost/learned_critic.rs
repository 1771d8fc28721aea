//! The critic that was taught beside a model.

use mindseye_world_model::critic::CriticConfig;
use mindseye_world_model::{Adaptation, AdaptationConfig, CriticEngine};

use super::Critic;
use crate::Result;
use crate::configurator::Directive;
use crate::memory::Memory;

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

    fn learn(&mut self, memory: &dyn Memory, config: &AdaptationConfig) -> Result<Option<Adaptation>> {
        let CriticConfig { terms, discount, .. } = self.engine.config();
        let came = memory.costs_that_came(terms, *discount, config.moments);
        if came.energies.len() < config.least_moments * terms.len() {
            return Ok(None);
        }
        let (engine, adaptation) = self.engine.adapt(&came, config)?;
        self.engine = engine;
        Ok(Some(adaptation))
    }
}
