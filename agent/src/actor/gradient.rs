//! Planning by gradients: some random plans, each improved along the gradient of its energy through the world model.

use mindseye_interface::config::require_range;
use mindseye_interface::{Result as InterfaceResult, Rng};
use serde::{Deserialize, Serialize};

use super::descent::{Descent, Optimiser};
use super::population::Noise;
use super::search::{PreviousPlan, Search};
use super::{Actor, Choice, Deadline, Imagination};
use crate::Result;

/// Settings of planning by gradients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GradientConfig {
    /// Plans that are improved side by side: what remains of the previous one, proposals, and random ones.
    pub samples: usize,
    /// Steps of improvement.
    pub iterations: usize,
    /// How gradients become steps.
    pub optimiser: Optimiser,
    /// Length of a step, in normalised actions (Adam) or per gradient (SGD).
    pub learning_rate: f32,
    /// Standard deviation of the random plans around the previous one, in normalised actions.
    pub initial_std: f32,
    /// Colour of the noise: power falls as `1 / f^beta`.
    pub noise_beta: f64,
}

impl Default for GradientConfig {
    fn default() -> Self {
        let optimiser = Optimiser::Adam;
        Self { samples: 16, iterations: 10, optimiser, learning_rate: 0.1, initial_std: 0.6, noise_beta: 2.0 }
    }
}

impl GradientConfig {
    pub(crate) fn validate(&self) -> InterfaceResult<()> {
        require_range("planner.samples", self.samples, 1, 100_000)?;
        require_range("planner.iterations", self.iterations, 1, 10_000)?;
        require_range("planner.learning_rate", self.learning_rate, 1e-6, 100.0)?;
        require_range("planner.initial_std", self.initial_std, 1e-6, 100.0)?;
        require_range("planner.noise_beta", self.noise_beta, 0.0, 10.0)
    }
}

/// The planner; between ticks it keeps its previous plan.
pub struct Gradient {
    config: GradientConfig,
    noise: Noise,
    previous: PreviousPlan,
}

impl Gradient {
    /// A planner that has not planned yet.
    pub fn new(config: GradientConfig) -> Self {
        let noise = Noise::new(config.noise_beta);
        Self { config, noise, previous: PreviousPlan::default() }
    }
}

impl Actor for Gradient {
    fn act(&mut self, imagination: &Imagination<'_>, rng: &mut Rng, deadline: &Deadline<'_>) -> Result<Choice> {
        let mut search = Search::new(imagination, deadline, &self.previous);
        let centre = search.centre();
        let std = vec![self.config.initial_std; centre.len()];
        let mut sequences = search.proposals();
        while sequences.len() < self.config.samples {
            sequences.push(self.noise.around(&centre, &std, imagination.directive.action_width, rng));
        }
        let values = sequences.len() * centre.len();
        let mut descent = Descent::new(self.config.optimiser, self.config.learning_rate, values);
        for _ in 0..self.config.iterations {
            let Some(gradients) = search.differentiate(&sequences)? else { break };
            descent.step(&mut sequences, &gradients);
        }
        search.score(sequences)?; // where the last step led
        search.finish(&mut self.previous)
    }

    fn reset(&mut self) {
        self.previous.forget();
    }
}
