//! A trainable critic: what it will cost to get from a state to a goal, beyond what is imagined (LeCun 2022, section 3.2).
//!
//! For every cost term it predicts the discounted sum of energies still to come, in units of one block's energy: `(1 - γ) Σ γ^j e_j`. What a
//! network says of all terms together is linear in the weights that a directive gives them, as the intrinsic cost is. Several networks learn the same
//! from different beginnings; the dearest of them counts, so that a plan gains nothing by going where only one of them has been.

mod training;

use std::ops::Range;

use candle_core::Tensor;
use mindseye_interface::config::require_range;
use serde::{Deserialize, Serialize};

use crate::adaptation::{Adaptation, AdaptationConfig, LastLayer};
use crate::jepa::ModelConfig;
use crate::layers::{GatedTrunk, Linear};
use crate::parameters::{Source, Weights};
use crate::part::{Part, require_sizes};
use crate::statistics::LatentMetric;
use crate::trunk_slopes::HeadSlopes;
use crate::{Error, Result};

pub use training::{CriticLesson, CriticTraining, Drawing, Lessons, train_critic};

/// Shape of a critic, and what it predicts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CriticConfig {
    /// Width `D` of the latents.
    pub latent_width: usize,
    /// Width of the hidden layers.
    pub hidden: usize,
    /// Residual hidden layers after the first.
    pub layers: usize,
    /// Networks `M`.
    pub members: usize,
    /// What an energy counts for each block that it lies farther ahead.
    pub discount: f32,
    /// Names of the cost terms `T`.
    pub terms: Vec<String>,
    /// What is divided out of each term's energies, so that networks predict numbers near 1.
    pub scales: Vec<f32>,
    /// The distance that the goal's term was measured with, and where it saturates: with others it means something else.
    pub metric: LatentMetric,
    /// See [`CriticConfig::metric`].
    pub goal_saturation: Option<f32>,
}

#[derive(Debug)]
struct Member {
    trunk: GatedTrunk,
    output: Linear,
}

/// `energies / scales = W trunk([z; g; g - z])` of every member.
#[derive(Debug)]
pub struct CriticNetwork {
    config: CriticConfig,
    members: Vec<Member>,
    weights: Weights,
}

impl Part for CriticNetwork {
    type Config = CriticConfig;

    const FILE: &'static str = "critic.safetensors";

    fn build(config: CriticConfig, mut source: Source) -> Result<Self> {
        require_range("critic.latent_width", config.latent_width, 1, 4096)?;
        require_range("critic.hidden", config.hidden, 1, 8192)?;
        require_range("critic.layers", config.layers, 0, 64)?;
        require_range("critic.members", config.members, 1, 64)?;
        require_range("critic.discount", config.discount, 0.0, 0.9999)?;
        require_range("critic.terms (how many)", config.terms.len(), 1, 64)?;
        require_range("critic.scales (how many)", config.scales.len(), config.terms.len(), config.terms.len())?;
        config.scales.iter().try_for_each(|scale| require_range("critic.scales", *scale, 1e-9, 1e9))?;
        let member = |source: &mut Source, index: usize| {
            source.within(&format!("member_{index}"), |source| {
                let trunk = GatedTrunk::new(source, 3 * config.latent_width, config.hidden, config.layers)?;
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

/// Fresh critics say that nothing will cost much.
const INITIAL_OUTPUT_GAIN: f32 = 0.1;

impl CriticNetwork {
    /// Scaled energies to come `[B, T]` of states `[B, D]` and goals `[B, D]`, by one member.
    fn forward(&self, member: usize, states: &Tensor, goals: &Tensor) -> Result<Tensor> {
        let Member { trunk, output } = &self.members[member];
        let rows = Tensor::cat(&[states, goals, &(goals - states)?], 1)?;
        output.forward(&trunk.forward(&rows)?)
    }

    /// The same on plain slices, for planning.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub fn engine(&self) -> Result<CriticEngine> {
        let head = |Member { trunk, output }: &Member| Ok((HeadSlopes::new(trunk, output)?, LastLayer::of(output)?));
        Ok(CriticEngine { config: self.config.clone(), members: self.members.iter().map(head).collect::<Result<_>>()? })
    }
}

/// A critic ready to be asked about many states.
#[derive(Debug, Clone)]
pub struct CriticEngine {
    config: CriticConfig,
    /// Every network, and its last layer as it was taught.
    members: Vec<(HeadSlopes, LastLayer)>,
}

/// What it cost, as it was lived.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CostsThatCame {
    /// `[N, D]`.
    pub states: Vec<f32>,
    /// What was wanted there, `[N, D]`.
    pub goals: Vec<f32>,
    /// What it cost from there on by every term, `[N, T]`: `(1 - γ) Σ γ^j e_j`, unweighted.
    pub energies: Vec<f32>,
}

impl CriticEngine {
    /// What it predicts.
    pub fn config(&self) -> &CriticConfig {
        &self.config
    }

    /// Energies to come `[N]` from `states [N, D]` to `goal [D]`, where term `t` weighs `weights[t]`: those of the member that expects most.
    ///
    /// # Errors
    /// [`Error::Shape`] when the sizes do not fit.
    pub fn energies(&self, states: &[f32], goal: &[f32], weights: &[f32]) -> Result<Vec<f32>> {
        let (rows, pull) = (self.rows(states, goal)?, self.scaled(weights)?);
        let mut dearest = vec![f32::NEG_INFINITY; states.len() / self.config.latent_width];
        for (head, _) in &self.members {
            for (dearest, values) in dearest.iter_mut().zip(head.values(&rows).chunks_exact(self.config.terms.len())) {
                let energy = weighted(values, &pull);
                if dearer(energy, *dearest) {
                    *dearest = energy;
                }
            }
        }
        Ok(dearest)
    }

    /// Energies to come `[N]` and their slopes on the states `[N, D]`.
    ///
    /// # Errors
    /// As [`CriticEngine::energies`].
    pub fn energies_and_slopes(&self, states: &[f32], goal: &[f32], weights: &[f32]) -> Result<(Vec<f32>, Vec<f32>)> {
        let (width, terms) = (self.config.latent_width, self.config.terms.len());
        let (rows, pull) = (self.rows(states, goal)?, self.scaled(weights)?);
        let count = states.len() / width;
        let mut dearest = vec![f32::NEG_INFINITY; count];
        let mut slopes = vec![0.0; states.len()];
        for (head, _) in &self.members {
            let (values, on_rows) = head.values_and_slopes(&rows, |_| pull.repeat(count));
            let of_rows = values.chunks_exact(terms).zip(on_rows.chunks_exact(3 * width));
            for ((values, on_row), (dearest, slopes)) in
                of_rows.zip(dearest.iter_mut().zip(slopes.chunks_exact_mut(width)))
            {
                let energy = weighted(values, &pull);
                if !dearer(energy, *dearest) {
                    continue;
                }
                *dearest = energy;
                // The state stands in the row as itself, and once more with a minus, in the difference.
                for (index, slope) in slopes.iter_mut().enumerate() {
                    *slope = on_row[index] - on_row[2 * width + index];
                }
            }
        }
        Ok((dearest, slopes))
    }

    /// The critic after what was lived: the networks' last layers, corrected from how they were taught, if all of them foresee better so what they have not seen.
    /// The errors are means over networks.
    ///
    /// # Errors
    /// [`Error::Shape`] when the sizes do not fit, or nothing was lived.
    pub fn adapt(&self, came: &CostsThatCame, config: &AdaptationConfig) -> Result<(Self, Adaptation)> {
        let (width, terms) = (self.config.latent_width, self.config.terms.len());
        let count = came.energies.len() / terms;
        let sizes = [came.states.len(), came.goals.len(), came.energies.len()];
        if count == 0 || sizes != [count * width, count * width, count * terms] {
            return Err(Error::Shape {
                operation: "adapting a critic",
                expected: format!("states and goals of {width} values, and {terms} energies"),
                got: format!("{sizes:?} values"),
            });
        }
        let pairs = came.states.chunks_exact(width).zip(came.goals.chunks_exact(width));
        let rows: Vec<f32> = pairs.flat_map(|(state, goal)| row(state, goal)).collect();
        let scaled = came.energies.iter().zip(self.config.scales.iter().cycle()).map(|(energy, scale)| energy / scale);
        let scaled: Vec<f32> = scaled.collect();
        let (mut layers, mut mean) = (Vec::new(), Adaptation { before: 0.0, after: 0.0, adopted: true });
        let share = 1.0 / self.members.len() as f32;
        for (head, taught) in &self.members {
            let (hidden, expected) = head.with_last_layer(taught).activations(&rows);
            let misses: Vec<f32> = scaled.iter().zip(&expected).map(|(came, expected)| came - expected).collect();
            let (layer, adaptation) = taught.corrected(&hidden, &misses, config);
            mean.before += share * adaptation.before;
            mean.after += share * adaptation.after;
            mean.adopted &= adaptation.adopted;
            layers.push(layer);
        }
        let with = |((head, taught), layer): (&(HeadSlopes, LastLayer), &LastLayer)| {
            (head.with_last_layer(if mean.adopted { layer } else { taught }), taught.clone())
        };
        let members = self.members.iter().zip(&layers).map(with).collect();
        Ok((Self { config: self.config.clone(), members }, mean))
    }

    /// `[z; g; g - z]` of every state.
    fn rows(&self, states: &[f32], goal: &[f32]) -> Result<Vec<f32>> {
        let width = self.config.latent_width;
        if goal.len() != width || !states.len().is_multiple_of(width) {
            return Err(Error::Shape {
                operation: "asking the critic",
                expected: format!("latents of {width}"),
                got: format!("a goal of {} values, {} values of states", goal.len(), states.len()),
            });
        }
        Ok(states.chunks_exact(width).flat_map(|state| row(state, goal)).collect())
    }

    /// What an output of a network weighs.
    fn scaled(&self, weights: &[f32]) -> Result<Vec<f32>> {
        let scales = &self.config.scales;
        if weights.len() != scales.len() {
            let (expected, got) = (format!("{} weights", scales.len()), weights.len().to_string());
            return Err(Error::Shape { operation: "asking the critic", expected, got });
        }
        Ok(weights.iter().zip(scales).map(|(weight, scale)| weight * scale).collect())
    }
}

/// The places of state `index`, `width` values each.
fn of(index: usize, width: usize) -> Range<usize> {
    index * width..(index + 1) * width
}

/// `[z; g; g - z]`.
fn row(state: &[f32], goal: &[f32]) -> Vec<f32> {
    let to_go: Vec<f32> = goal.iter().zip(state).map(|(goal, state)| goal - state).collect();
    [state, goal, &to_go].concat()
}

/// What all terms together cost.
fn weighted(values: &[f32], weights: &[f32]) -> f32 {
    values.iter().zip(weights).map(|(value, weight)| value * weight).sum()
}

/// Whether `energy` is dearer than the dearest so far. What is no number is dearer than any.
fn dearer(energy: f32, dearest: f32) -> bool {
    energy > dearest || (energy.is_nan() && !dearest.is_nan())
}
