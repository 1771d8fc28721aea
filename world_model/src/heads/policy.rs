//! A reactive policy: from a state and a goal to a plan in one forward pass, without a rollout (LeCun 2022, section
//! 3.1, Mode-1).
//!
//! It amortises planning: its plans are rolled out, and the gradients of their energy, which a gradient planner would
//! descend, train its weights. (Imitation of plans that a planner found, as in section 3.1.3, works worse here, since
//! the planner's choice among equal plans is arbitrary; see `docs/log.md`.)
//!
//! It makes several proposals, since there are several routes round an obstacle and their mean leads into it. The best
//! proposal gets most of the gradient (multiple choice learning; Guzman-Rivera et al. 2012), and every proposal has a
//! score, its predicted energy, so that the best is known without a rollout.

mod rollout;

use std::ops::Range;

use candle_core::Tensor;
use mindseye_interface::config::require_range;
use serde::{Deserialize, Serialize};

pub use rollout::{PolicyRollout, roll_out_policy};

use crate::families::jepa::ModelConfig;
use crate::heads::{Head, require_sizes};
use crate::layers::{GatedMlp, Linear};
use crate::ops::{tensor, with_values};
use crate::parameters::{WeightSource, Weights};
use crate::trainer::PartialGradients;
use crate::{Error, Result};

/// Shape of the policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// Width `D` of the latents.
    pub latent_width: usize,
    /// Action chunks `H` of a plan.
    #[serde(alias = "horizon_blocks")]
    pub horizon_chunks: usize,
    /// Width `A` of an action chunk.
    #[serde(alias = "block_width")]
    pub chunk_width: usize,
    /// Width of the hidden layers.
    pub hidden: usize,
    /// Residual hidden layers after the first.
    pub layers: usize,
    /// Proposals `K` per pair of state and goal.
    #[serde(default = "one_proposal", alias = "guesses")]
    pub proposals: usize,
}

/// Policies of before there were several proposals have one.
fn one_proposal() -> usize {
    1
}

impl PolicyConfig {
    /// The policy for a model, with plans of `horizon_chunks`.
    pub fn for_model(model: &ModelConfig, horizon_chunks: usize) -> Self {
        let (latent_width, chunk_width) = (model.latent_width, model.chunk_width());
        Self { latent_width, horizon_chunks, chunk_width, hidden: 384, layers: 3, proposals: 4 }
    }

    fn plan_width(&self) -> usize {
        self.horizon_chunks * self.chunk_width
    }

    /// Number of scores: a single proposal needs none.
    fn score_width(&self) -> usize {
        if self.proposals > 1 { self.proposals } else { 0 }
    }
}

/// `plans = tanh(W trunk([z; g; g - z]))`, and their scores.
#[derive(Debug)]
pub struct Policy {
    config: PolicyConfig,
    trunk: GatedMlp,
    output: Linear,
    weights: Weights,
}

impl Head for Policy {
    type Config = PolicyConfig;

    const FILE: &'static str = "policy.safetensors";

    fn build(config: PolicyConfig, mut source: WeightSource) -> Result<Self> {
        require_range("policy.latent_width", config.latent_width, 1, 4096)?;
        require_range("policy.horizon_chunks", config.horizon_chunks, 1, 1000)?;
        require_range("policy.chunk_width", config.chunk_width, 1, 25_600)?;
        require_range("policy.hidden", config.hidden, 1, 8192)?;
        require_range("policy.layers", config.layers, 0, 64)?;
        require_range("policy.proposals", config.proposals, 1, 64)?;
        let (trunk, output) = source.within("policy", |source| {
            let trunk = GatedMlp::new(source, 3 * config.latent_width, config.hidden, config.layers)?;
            let outputs = config.proposals * config.plan_width() + config.score_width();
            Ok((trunk, Linear::new(source, "output", config.hidden, outputs, 1.0)?))
        })?;
        let weights = source.finish()?;
        Ok(Self { config, trunk, output, weights })
    }

    fn config(&self) -> &PolicyConfig {
        &self.config
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn require_fit(&self, model: &ModelConfig) -> Result<()> {
        let PolicyConfig { latent_width, chunk_width, .. } = self.config;
        let sizes =
            [("latent_width", latent_width, model.latent_width), ("chunk_width", chunk_width, model.chunk_width())];
        require_sizes("policy", &sizes)
    }
}

impl Policy {
    /// `states [B, D]`, `goals [B, D]` → plans `[B, K * H * A]` within -1 and 1, and scores, the logarithms of their
    /// predicted energies, `[B, K]`.
    fn forward(&self, states: &Tensor, goals: &Tensor) -> Result<(Tensor, Option<Tensor>)> {
        let input = Tensor::cat(&[states, goals, &(goals - states)?], 1)?;
        let output = self.output.forward(&self.trunk.forward(&input)?)?;
        let (values, scores) = (self.config.proposals * self.config.plan_width(), self.config.score_width());
        let scores = if scores > 0 { Some(output.narrow(1, values, scores)?) } else { None };
        Ok((output.narrow(1, 0, values)?.tanh()?, scores))
    }

    /// Plans `[H, A]` from each of `states [N, D]` to that of `goals [N, D]`: per pair, the proposal with the best
    /// score first.
    ///
    /// # Errors
    /// [`Error::Shape`] when the latents have another width, or there are more of one than of the other.
    pub fn proposals(&self, states: &[f32], goals: &[f32]) -> Result<Vec<Vec<Vec<f32>>>> {
        let PolicyConfig { latent_width: width, proposals, .. } = self.config;
        if states.len() != goals.len() || !states.len().is_multiple_of(width) || states.is_empty() {
            return Err(Error::Shape {
                operation: "proposing plans",
                expected: format!("latents of {width}, as many goals as states"),
                got: format!("{} and {} values", states.len(), goals.len()),
            });
        }
        let rows = |values: &[f32]| tensor(values.to_vec(), (values.len() / width, width));
        let (plans, scores) = self.forward(&rows(states)?, &rows(goals)?)?;
        let scores = match scores {
            Some(scores) => with_values(&scores, <[f32]>::to_vec)?,
            None => vec![0.0; states.len() / width],
        };
        let ordered = |plans: &[f32], scores: &[f32]| {
            let mut order: Vec<usize> = (0..proposals).collect();
            order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
            order.into_iter().map(|proposal| plans[self.of(proposal)].to_vec()).collect()
        };
        Ok(with_values(&plans, |plans| {
            let pairs = plans.chunks_exact(proposals * self.config.plan_width()).zip(scores.chunks_exact(proposals));
            pairs.map(|(plans, scores)| ordered(plans, scores)).collect()
        })?)
    }

    /// The values of proposal `proposal` among all.
    fn of(&self, proposal: usize) -> Range<usize> {
        let width = self.config.plan_width();
        proposal * width..(proposal + 1) * width
    }
}

/// States and the goals to reach from them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StateGoalPairs {
    /// `[N, D]`.
    pub states: Vec<f32>,
    /// `[N, D]`.
    pub goals: Vec<f32>,
}

/// How a policy is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyTrainingConfig {
    /// Optimiser steps.
    pub steps: usize,
    /// Pairs of state and goal per step.
    pub batch: usize,
    /// Micro batches of a step: as many threads can work at once; another number gives other bits.
    pub micro_batches: usize,
}

impl Default for PolicyTrainingConfig {
    fn default() -> Self {
        Self { steps: 5000, batch: 64, micro_batches: 2 }
    }
}

/// Weight of the proposals that are not the best.
const WEIGHT_OF_OTHERS: f32 = 0.2;
/// Gradients of the logarithmic energy of one plan are clipped to this length. Most are shorter; the few that are much
/// longer (an object about to be touched) would dominate a step.
const LARGEST_GRADIENT: f32 = 0.1;
/// Weight of the squared errors of the scores: less than that of the plans.
const SCORE_WEIGHT: f64 = 0.03;

/// Proposals of a training step with their gradient graph.
pub struct RecordedProposals<'a> {
    policy: &'a Policy,
    plans: Tensor,
    scores: Option<Tensor>,
}

impl Policy {
    /// Proposals for every pair, recorded for [`RecordedProposals::distil`].
    ///
    /// # Errors
    /// [`Error::Shape`] when the latents have another width.
    pub fn propose(&self, pairs: &StateGoalPairs) -> Result<RecordedProposals<'_>> {
        let rows = |values: &[f32]| {
            let width = self.config.latent_width;
            tensor(values.to_vec(), (values.len() / width, width))
        };
        let (plans, scores) = self.forward(&rows(&pairs.states)?, &rows(&pairs.goals)?)?;
        Ok(RecordedProposals { policy: self, plans, scores })
    }
}

impl RecordedProposals<'_> {
    /// The plans, `[N, K, H * A]`.
    ///
    /// # Errors
    /// When they are not on the CPU.
    pub fn plans(&self) -> Result<Vec<f32>> {
        Ok(with_values(&self.plans, <[f32]>::to_vec)?)
    }

    /// The contribution of these proposals to a step on `batch` pairs, given the energies `[N, K]` of the plans and
    /// their gradients `[N, K, H * A]`. The loss is the energy of the best proposals; the weights descend its
    /// logarithm, so that the last centimetres count as much as the first. Below `floor`, differences of energies
    /// count, not ratios.
    ///
    /// # Errors
    /// When the sizes do not fit.
    pub fn distil(
        self,
        energies: &[f32],
        mut gradients: Vec<f32>,
        floor: f32,
        batch: usize,
    ) -> Result<PartialGradients> {
        let Self { policy, plans, scores } = self;
        let (proposals, plan_width) = (policy.config.proposals, policy.config.plan_width());
        let count = energies.len() / proposals;
        let mut loss = 0.0;
        for (energies, gradients) in
            energies.chunks_exact(proposals).zip(gradients.chunks_exact_mut(proposals * plan_width))
        {
            let best = (0..proposals).min_by(|&a, &b| energies[a].total_cmp(&energies[b])).unwrap_or(0);
            // An energy that is not finite must stop the training, whichever proposal has it.
            let finite = energies.iter().all(|energy| energy.is_finite());
            loss += if finite { f64::from(energies[best]) } else { f64::NAN };
            for (proposal, gradients) in gradients.chunks_exact_mut(plan_width).enumerate() {
                let weight = match (proposals, proposal == best) {
                    (1, _) => 1.0,
                    (_, true) => 1.0 - WEIGHT_OF_OTHERS,
                    (_, false) => WEIGHT_OF_OTHERS / (proposals - 1) as f32,
                };
                let factor = weight / (energies[proposal].max(0.0) + floor); // the gradient of the logarithm
                let length = factor * gradients.iter().map(|gradient| gradient * gradient).sum::<f32>().sqrt();
                let factor = if length > LARGEST_GRADIENT { factor * LARGEST_GRADIENT / length } else { factor };
                gradients.iter_mut().for_each(|gradient| *gradient *= factor);
            }
        }
        // The sum of plan times gradient has the gradient of the energy on the weights.
        let mut total = (&plans * tensor(gradients, (count, proposals * plan_width))?)?.sum_all()?;
        if let Some(scores) = scores {
            let logarithms = energies.iter().map(|energy| (energy.max(0.0) + floor).ln()).collect();
            let squares = (scores - tensor(logarithms, (count, proposals))?)?.sqr()?.sum_all()?;
            total = (total + squares * SCORE_WEIGHT)?;
        }
        let mut partial = PartialGradients::of(&total, policy.weights.iter())?;
        partial.loss = loss / batch as f64;
        partial.gradients.values_mut().flatten().for_each(|value| *value /= batch as f32);
        Ok(partial)
    }
}
