//! The critic that was trained beside a model.

use mindseye_world_model::CriticEngine;

use super::Critic;
use crate::Result;
use crate::directive::Directive;
use crate::pooling::{add_gradients_of_means, mean_tokens};

/// A trained critic network; the weights of its terms come with the directive. It takes the mean tokens of states and
/// goal.
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
        let (goal, shape) = (&directive.goal, directive.goal.shape());
        let (states, goal) = (mean_tokens(states, shape), mean_tokens(goal.values(), shape));
        Ok(self.engine.energies(&states, &goal, &self.weights(directive))?)
    }

    fn future_energy_and_gradients(&self, states: &[f32], directive: &Directive) -> Result<(Vec<f32>, Vec<f32>)> {
        let (goal, shape) = (&directive.goal, directive.goal.shape());
        let (means, goal) = (mean_tokens(states, shape), mean_tokens(goal.values(), shape));
        let (energies, on_means) = self.engine.energies_and_gradients(&means, &goal, &self.weights(directive))?;
        if shape.tokens <= 1 {
            return Ok((energies, on_means));
        }
        let mut gradients = vec![0.0; states.len()];
        add_gradients_of_means(&on_means, shape, &mut gradients);
        Ok((energies, gradients))
    }
}
