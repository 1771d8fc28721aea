//! Planning by gradients: some random plans, each improved along the gradient of its energy through the world model.

use mindseye_interface::config::require_range;
use mindseye_interface::{Result as InterfaceResult, Rng};
use serde::{Deserialize, Serialize};

use super::descent::{Descent, Optimiser};
use super::pace::Paces;
use super::population::Noise;
use super::previous_plan::PreviousPlan;
use super::search::Search;
use super::{Actor, Choice, Deadline, Imagination};
use crate::{Error, Result};

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
    paces: Paces,
}

impl Gradient {
    /// A planner that has not planned yet.
    pub fn new(config: GradientConfig) -> Self {
        let noise = Noise::new(config.noise_beta);
        Self { config, noise, previous: PreviousPlan::default(), paces: Paces::default() }
    }
}

impl Actor for Gradient {
    fn act(&mut self, imagination: &Imagination<'_>, rng: &mut Rng, deadline: &Deadline<'_>) -> Result<Choice> {
        let Self { config, noise, previous, paces } = self;
        let action_width = imagination.directive.action_width;
        let mut search = Search::new(imagination, deadline, previous, paces);
        let centre = search.centre();
        let std = vec![config.initial_std; centre.len()];
        let proposals = search.proposals();
        let mut draw = |index: usize| match proposals.get(index) {
            Some(proposal) => proposal.clone(),
            None => noise.around(&centre, &std, action_width, rng),
        };
        let count = config.samples.max(proposals.len());
        let (mut begun, mut without_energy) = (0, None);
        while begun < count {
            let Some(plans) = search.side_by_side(count - begun, config.iterations)? else {
                search.score(1, count - begun, &mut |index| draw(begun + index))?; // no time to improve them
                break;
            };
            let sequences = (begun..begun + plans).map(&mut draw).collect();
            begun += plans;
            match improve(&mut search, config, sequences) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error @ Error::NoFiniteEnergy { .. }) => without_energy = Some(error),
                Err(error) => return Err(error),
            }
        }
        match without_energy.filter(|_| !search.has_found()) {
            Some(error) => Err(error),
            None => search.finish(previous),
        }
    }

    fn reset(&mut self) {
        self.previous.forget();
    }
}

/// Improves `sequences` side by side; false where the time was up.
fn improve(search: &mut Search<'_>, config: &GradientConfig, mut sequences: Vec<Vec<f32>>) -> Result<bool> {
    let values = sequences.iter().map(Vec::len).sum();
    let mut descent = Descent::new(config.optimiser, config.learning_rate, values);
    let mut steps = 0;
    search.follow(&sequences);
    while steps < config.iterations {
        let Some(gradients) = search.differentiate(&mut sequences)? else { break };
        descent.step(&mut sequences, &gradients);
        steps += 1;
    }
    // Where the last step led.
    let scored = search.score_improved(1, &mut sequences)?;
    Ok(steps == config.iterations && scored.is_some())
}
