//! A trainable critic: the energy from a state on the way to a goal, beyond the horizon of a plan (LeCun
//! 2022, section 3.2).
//!
//! For every cost term it predicts the discounted sum of future energies in units of the energy of one action chunk:
//! `(1 - γ) Σ γ^j e_j`. The total is linear in the weights of the terms, as the intrinsic cost is. Several networks
//! (members) with different initial weights are trained on the same targets; the largest prediction counts, so that a
//! plan gains nothing where only one of them is optimistic.

mod training;

use candle_core::Tensor;
use mindseye_interface::config::require_range;
use serde::{Deserialize, Serialize};

use crate::families::jepa::ModelConfig;
use crate::heads::{Head, require_sizes};
use crate::layers::{GatedMlp, Linear};
use crate::mlp_backward::HeadGradients;
use crate::parameters::{WeightSource, Weights};
use crate::statistics::LatentMetric;
use crate::{Error, Result};

pub use training::{CriticTargets, CriticTrainingConfig};

/// Shape of a critic, and its targets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CriticConfig {
    /// Width `D` of the latents.
    pub latent_width: usize,
    /// Width of the hidden layers.
    pub hidden: usize,
    /// Residual hidden layers after the first.
    pub layers: usize,
    /// Members `M`: networks trained on the same targets.
    pub members: usize,
    /// Discount γ per action chunk.
    pub discount: f32,
    /// Names of the cost terms `T`.
    pub terms: Vec<String>,
    /// Divisor of the energies of each term, so that networks predict numbers near 1.
    pub scales: Vec<f32>,
    /// The metric of the goal distance in the targets.
    pub metric: LatentMetric,
    /// Where that distance saturates.
    pub goal_saturation: Option<f32>,
}

#[derive(Debug)]
struct Member {
    trunk: GatedMlp,
    output: Linear,
}

/// `energies / scales = W trunk([z; g; g - z])` of every member.
#[derive(Debug)]
pub struct CriticNetwork {
    config: CriticConfig,
    members: Vec<Member>,
    weights: Weights,
}

impl Head for CriticNetwork {
    type Config = CriticConfig;

    const FILE: &'static str = "critic.safetensors";

    fn build(config: CriticConfig, mut source: WeightSource) -> Result<Self> {
        require_range("critic.latent_width", config.latent_width, 1, 4096)?;
        require_range("critic.hidden", config.hidden, 1, 8192)?;
        require_range("critic.layers", config.layers, 0, 64)?;
        require_range("critic.members", config.members, 1, 64)?;
        require_range("critic.discount", config.discount, 0.0, 0.9999)?;
        require_range("critic.terms (how many)", config.terms.len(), 1, 64)?;
        require_range("critic.scales (how many)", config.scales.len(), config.terms.len(), config.terms.len())?;
        config.scales.iter().try_for_each(|scale| require_range("critic.scales", *scale, 1e-9, 1e9))?;
        let member = |source: &mut WeightSource, index: usize| {
            source.within(&format!("member_{index}"), |source| {
                let trunk = GatedMlp::new(source, 3 * config.latent_width, config.hidden, config.layers)?;
                let output = Linear::new(source, "output", config.hidden, config.terms.len(), INITIAL_OUTPUT_GAIN)?;
                Ok(Member { trunk, output })
            })
        };
        let members = source.within("critic", |source| {
            (0..config.members).map(|index| member(source, index)).collect::<Result<Vec<_>>>()
        })?;
        let weights = source.finish()?;
        Ok(Self { config, members, weights })
    }

    fn config(&self) -> &CriticConfig {
        &self.config
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn require_fit(&self, model: &ModelConfig) -> Result<()> {
        require_sizes("critic", &[("latent_width", self.config.latent_width, model.latent_width)])
    }
}

/// Fresh critics predict small energies.
const INITIAL_OUTPUT_GAIN: f32 = 0.1;

impl CriticNetwork {
    /// Scaled future energies `[B, T]` of states `[B, D]` and goals `[B, D]`, by one member.
    fn forward(&self, member: usize, states: &Tensor, goals: &Tensor) -> Result<Tensor> {
        let Member { trunk, output } = &self.members[member];
        let rows = Tensor::cat(&[states, goals, &(goals - states)?], 1)?;
        output.forward(&trunk.forward(&rows)?)
    }

    /// The critic on plain slices, for planning.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub fn engine(&self) -> Result<CriticEngine> {
        let head = |Member { trunk, output }: &Member| HeadGradients::new(trunk, output);
        Ok(CriticEngine { config: self.config.clone(), members: self.members.iter().map(head).collect::<Result<_>>()? })
    }
}

/// A critic for the evaluation of many states.
#[derive(Debug, Clone)]
pub struct CriticEngine {
    config: CriticConfig,
    members: Vec<HeadGradients>,
}

impl CriticEngine {
    /// What it predicts.
    pub fn config(&self) -> &CriticConfig {
        &self.config
    }

    /// Future energies `[N]` from `states [N, D]` to `goal [D]` with the term weights `weights [T]`: the largest over
    /// members.
    ///
    /// # Errors
    /// [`Error::Shape`] when the sizes do not fit.
    pub fn energies(&self, states: &[f32], goal: &[f32], weights: &[f32]) -> Result<Vec<f32>> {
        let (rows, upstream) = (self.rows(states, goal)?, self.scaled(weights)?);
        let mut largest = vec![f32::NEG_INFINITY; states.len() / self.config.latent_width];
        for head in &self.members {
            for (largest, values) in largest.iter_mut().zip(head.values(&rows).chunks_exact(self.config.terms.len())) {
                let energy = weighted(values, &upstream);
                if larger(energy, *largest) {
                    *largest = energy;
                }
            }
        }
        Ok(largest)
    }

    /// Future energies `[N]` and their gradients on the states `[N, D]`.
    ///
    /// # Errors
    /// As [`CriticEngine::energies`].
    pub fn energies_and_gradients(
        &self,
        states: &[f32],
        goal: &[f32],
        weights: &[f32],
    ) -> Result<(Vec<f32>, Vec<f32>)> {
        let (width, terms) = (self.config.latent_width, self.config.terms.len());
        let (rows, upstream) = (self.rows(states, goal)?, self.scaled(weights)?);
        let count = states.len() / width;
        let mut largest = vec![f32::NEG_INFINITY; count];
        let mut gradients = vec![0.0; states.len()];
        for head in &self.members {
            let (values, on_rows) = head.values_and_gradients(&rows, |_| upstream.repeat(count));
            let of_rows = values.chunks_exact(terms).zip(on_rows.chunks_exact(3 * width));
            for ((values, on_row), (largest, gradients)) in
                of_rows.zip(largest.iter_mut().zip(gradients.chunks_exact_mut(width)))
            {
                let energy = weighted(values, &upstream);
                if !larger(energy, *largest) {
                    continue;
                }
                *largest = energy;
                // The state occurs twice in the row: as itself, and with a minus in the difference.
                for (index, gradient) in gradients.iter_mut().enumerate() {
                    *gradient = on_row[index] - on_row[2 * width + index];
                }
            }
        }
        Ok((largest, gradients))
    }

    /// `[z; g; g - z]` of every state.
    fn rows(&self, states: &[f32], goal: &[f32]) -> Result<Vec<f32>> {
        let width = self.config.latent_width;
        if goal.len() != width || !states.len().is_multiple_of(width) {
            return Err(Error::Shape {
                operation: "evaluating the critic",
                expected: format!("latents of {width}"),
                got: format!("a goal of {} values, {} values of states", goal.len(), states.len()),
            });
        }
        Ok(states.chunks_exact(width).flat_map(|state| row(state, goal)).collect())
    }

    /// Weights of the outputs of a network.
    fn scaled(&self, weights: &[f32]) -> Result<Vec<f32>> {
        let scales = &self.config.scales;
        if weights.len() != scales.len() {
            let (expected, got) = (format!("{} weights", scales.len()), weights.len().to_string());
            return Err(Error::Shape { operation: "evaluating the critic", expected, got });
        }
        Ok(weights.iter().zip(scales).map(|(weight, scale)| weight * scale).collect())
    }
}

/// `[z; g; g - z]`.
fn row(state: &[f32], goal: &[f32]) -> Vec<f32> {
    let to_go: Vec<f32> = goal.iter().zip(state).map(|(goal, state)| goal - state).collect();
    [state, goal, &to_go].concat()
}

/// The weighted sum of all terms.
fn weighted(values: &[f32], weights: &[f32]) -> f32 {
    values.iter().zip(weights).map(|(value, weight)| value * weight).sum()
}

/// Whether `energy` is larger than the largest so far. NaN is larger than any number.
fn larger(energy: f32, largest: f32) -> bool {
    energy > largest || (energy.is_nan() && !largest.is_nan())
}
