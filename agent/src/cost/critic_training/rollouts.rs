//! The targets of a critic: rollouts of the policy from recorded states, and their energies.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mindseye_interface::config::require_range;
use mindseye_interface::{Error as InterfaceError, Progress, Rng, Seed};
use mindseye_world_model::heads::critic::CriticTargets;
use mindseye_world_model::heads::policy::{PolicyRollout, StateGoalPairs, roll_out_policy};
use mindseye_world_model::{EncodedDataset, Head, Jepa, LatentMetric, Policy, RolloutEngine};
use rand::Rng as _;
use rayon::prelude::*;

use super::CriticRegressionConfig;
use crate::Result;
use crate::cost::{CRITIC, CostModule, PersistenceCritic, Reduction};
use crate::directive::Directive;
use crate::latent::{Latent, Plans, Rollouts};

/// What a critic predicts: the costs of a policy.
pub(crate) struct CostsOfPolicy<'a> {
    /// The model.
    pub model: &'a Jepa,
    /// The policy that is rolled out.
    pub policy: &'a Policy,
    /// Makes the cost of the task.
    pub cost: &'a (dyn Fn() -> CostModule + Sync),
    /// The directive of the task, with any goal.
    pub directive: &'a Directive,
    /// The metric of the goal distance.
    pub metric: LatentMetric,
    /// Where that distance saturates.
    pub goal_saturation: Option<f32>,
}

/// Every tenth episode is held out.
const HELD_OUT_EVERY: usize = 10;
/// Recorded transitions from which the scales of the terms are taken.
const SCALE_SAMPLES: usize = 2000;
/// Fraction of the goals that the next chunk reaches, and of those of any episode.
const GOAL_IS_NEXT: f64 = 0.1;
const GOAL_IS_ANYWHERE: f64 = 0.3;
/// Probability that another goal is one chunk later still.
const GOAL_IS_LATER: f64 = 0.9;
/// Rollouts that are computed together.
const ROLLOUTS_PER_GROUP: usize = 64;
/// Longest rollout of the policy that leads to a start state, action chunks.
const MAX_START_CHUNKS: usize = 10;
/// Largest difference of actions from those of the policy on the way to a start state.
const MAX_START_NOISE: f32 = 0.6;

/// Rollouts of the policy from recorded states, and their energies.
pub(super) struct CriticRollouts<'a> {
    dataset: &'a EncodedDataset,
    policy: &'a Policy,
    engine: RolloutEngine,
    cost: CostModule,
    /// The cost of plans after which the last state persists.
    cost_of_plans: CostModule,
    /// The directive of the task, with any goal, without a critic.
    directive: Directive,
    config: &'a CriticRegressionConfig,
    /// Episodes to train on, and those held out.
    pub training: Vec<usize>,
    pub held_out: Vec<usize>,
}

impl<'a> CriticRollouts<'a> {
    pub fn new(
        costs: &CostsOfPolicy<'a>,
        dataset: &'a EncodedDataset,
        config: &'a CriticRegressionConfig,
    ) -> Result<Self> {
        let policy = costs.policy;
        require_range("horizon (of the policy's plans)", config.horizon, 1, policy.config().horizon_chunks)?;
        let count = dataset.episodes().len();
        if count < HELD_OUT_EVERY {
            let expected = format!("{HELD_OUT_EVERY} or more, since one in {HELD_OUT_EVERY} is held out");
            return Err(InterfaceError::field("episodes of --data", expected, count).into());
        }
        let (held_out, training) =
            (0..dataset.episodes().len()).partition(|episode| episode % HELD_OUT_EVERY == HELD_OUT_EVERY - 1);
        let cost = costs.cost;
        let mut directive = costs.directive.clone();
        directive.weights.retain(|(name, _)| name != CRITIC);
        Ok(Self {
            dataset,
            policy,
            engine: RolloutEngine::new(costs.model)?,
            cost: cost(),
            cost_of_plans: cost().with_critic(Box::new(PersistenceCritic::new(cost()))),
            directive,
            config,
            training,
            held_out,
        })
    }

    pub fn dataset(&self) -> &EncodedDataset {
        self.dataset
    }

    pub fn discount(&self) -> f32 {
        self.config.discount
    }

    /// The terms that are predicted.
    pub fn terms(&self) -> Vec<String> {
        self.directive.weights.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Their weights.
    pub fn weights(&self) -> Vec<f32> {
        self.directive.weights.iter().map(|(_, weight)| *weight).collect()
    }

    /// The weighted sum of the energies of all terms.
    pub fn weighted(&self, energies: &[f32]) -> f32 {
        energies.iter().zip(self.weights()).map(|(energy, weight)| energy * weight).sum()
    }

    /// The directive to reach the goal latent `[D]`.
    pub fn directive_to(&self, goal: &[f32]) -> Directive {
        Directive { goal: Arc::new(Latent::global(goal.to_vec())), ..self.directive.clone() }
    }

    /// The directive by which the best proposal is chosen.
    fn directive_of_plans(&self, goal: &[f32]) -> Directive {
        let mut directive = self.directive_to(goal);
        directive.horizon_chunks = self.config.horizon;
        directive.reduction = Reduction::Discounted { discount: self.config.discount };
        directive.weights.push((CRITIC.into(), 1.0));
        directive
    }

    /// The unweighted energies of a state in which the agent holds still, times their weights.
    pub fn present_energy(&self, state: &[f32], directive: &Directive) -> Result<f32> {
        let present = self.cost.energies_of(&Latent::global(state.to_vec()), directive)?;
        Ok(present.iter().map(|(name, energy)| energy * directive.weight(name).unwrap_or(0.0)).sum())
    }

    /// The energies of `state [D]` reached by `chunk [A]`, by term.
    fn energies(&self, state: &[f32], chunk: &[f32], directive: &Directive) -> Result<Vec<f32>> {
        let named = self.cost.energies_of_step(&Latent::global(state.to_vec()), chunk, directive)?;
        let of = |name: &String| named.iter().find(|(known, _)| known == name).map_or(0.0, |(_, energy)| *energy);
        Ok(self.terms().iter().map(of).collect())
    }

    /// The energies of the recorded chunk after `frame`, by term.
    pub fn recorded_energies(&self, frame: usize, directive: &Directive) -> Result<Vec<f32>> {
        self.energies(self.dataset.latent(frame + 1), self.dataset.chunk(frame), directive)
    }

    /// A frame out of `episodes`, and a frame that is its goal.
    pub fn draw_pair(&self, episodes: &[usize], rng: &mut Rng) -> (usize, usize) {
        let any = |rng: &mut Rng| self.dataset.episodes()[episodes[rng.random_range(0..episodes.len())]].clone();
        let frames = any(rng);
        let frame = rng.random_range(frames.start..frames.end - 1);
        let kind: f64 = rng.random();
        if kind < GOAL_IS_NEXT {
            return (frame, frame + 1);
        }
        if kind < GOAL_IS_NEXT + GOAL_IS_ANYWHERE {
            let other = any(rng);
            return (frame, rng.random_range(other));
        }
        let mut goal = frame + 1;
        while goal + 1 < frames.end && rng.random_bool(GOAL_IS_LATER) {
            goal += 1;
        }
        (frame, goal)
    }

    /// Mean absolute energy of every term over recorded transitions.
    pub fn scales(&self, seed: Seed) -> Result<Vec<f32>> {
        let one = |index: usize| -> Result<Vec<f32>> {
            let (frame, goal) = self.draw_pair(&self.training, &mut seed.index(index as u64).rng());
            self.recorded_energies(frame, &self.directive_to(self.dataset.latent(goal)))
        };
        let all: Vec<Vec<f32>> = (0..SCALE_SAMPLES).into_par_iter().map(one).collect::<Result<_>>()?;
        let terms = all.first().map_or(0, Vec::len);
        let mean = |term: usize| all.iter().map(|energies| energies[term].abs()).sum::<f32>() / SCALE_SAMPLES as f32;
        Ok((0..terms).map(|term| mean(term).max(f32::MIN_POSITIVE.sqrt())).collect())
    }

    /// `count` targets out of `episodes`.
    pub fn targets(
        &self,
        episodes: &[usize],
        count: usize,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<CriticTargets> {
        progress.begin("critic targets", count, "targets");
        let done = AtomicUsize::new(0);
        let group = |group: usize| {
            let some = ROLLOUTS_PER_GROUP.min(count - group * ROLLOUTS_PER_GROUP);
            let targets = self.group_of_targets(self.draw_pairs(episodes, some, seed.index(group as u64))?)?;
            progress.advance(done.fetch_add(some, Ordering::Relaxed) + some, "");
            Ok(targets)
        };
        let groups: Vec<CriticTargets> =
            (0..count.div_ceil(ROLLOUTS_PER_GROUP)).into_par_iter().map(group).collect::<Result<_>>()?;
        progress.end();
        let mut all = CriticTargets::default();
        groups.into_iter().for_each(|targets| all.extend(targets));
        Ok(all)
    }

    /// Pairs out of `episodes`; half of the states are those that the policy leads to, with noise.
    fn draw_pairs(&self, episodes: &[usize], count: usize, seed: Seed) -> Result<StateGoalPairs> {
        let (mut pairs, mut rollouts) = (StateGoalPairs::default(), Vec::new());
        for index in 0..count {
            let mut rng = seed.index(index as u64).rng();
            let (frame, goal) = self.draw_pair(episodes, &mut rng);
            pairs.states.extend_from_slice(self.dataset.latent(frame));
            pairs.goals.extend_from_slice(self.dataset.latent(goal));
            if index % 2 == 1 {
                let chunks = rng.random_range(1..=MAX_START_CHUNKS);
                let noise = rng.random_range(0.0..MAX_START_NOISE);
                rollouts.push(PolicyRollout { index, chunks, noise, rng });
            }
        }
        roll_out_policy(&mut pairs, rollouts, self.policy, &self.engine, 1)?;
        Ok(pairs)
    }

    /// The energies of the best proposal for each of `pairs`.
    fn group_of_targets(&self, pairs: StateGoalPairs) -> Result<CriticTargets> {
        let StateGoalPairs { states, goals } = pairs;
        let (horizon, width, chunk_width) =
            (self.config.horizon, self.dataset.latent_width(), self.dataset.chunk_width());
        let (rollout_len, plan_len) = (horizon * width, horizon * chunk_width);
        let proposals = self.policy.config().proposals;
        let all = self.policy.proposals(&states, &goals)?;
        let starts: Vec<f32> = states.chunks_exact(width).flat_map(|state| state.repeat(proposals)).collect();
        let mut plans: Vec<f32> = all.iter().flatten().flat_map(|plan| &plan[..plan_len]).copied().collect();
        self.directive.freeze(&mut plans);
        let latents = self.engine.rollout(&starts, &plans, horizon, 1)?;
        let mut energies = Vec::new();
        for index in 0..states.len() / width {
            let rollouts = nth(&latents, index, proposals * rollout_len);
            let plans = nth(&plans, index, proposals * plan_len);
            let goal = nth(&goals, index, width);
            let of_plans = self.cost_of_plans.energies(
                &Rollouts::new([proposals, 1, horizon, 1, width], rollouts.to_vec())?,
                &Plans::new(proposals, horizon, chunk_width, plans.to_vec())?,
                &self.directive_of_plans(goal),
            )?;
            let best = (0..proposals).min_by(|&a, &b| of_plans[a].total_cmp(&of_plans[b])).unwrap_or(0);
            let state = nth(&states, index, width);
            let (plan, rollout) = (nth(plans, best, plan_len), nth(rollouts, best, rollout_len));
            energies.extend(self.discounted_energies(state, goal, plan, rollout)?);
        }
        Ok(CriticTargets { states, goals, energies })
    }

    /// `(1 - γ) Σ γ^j e_j` by term over the states `rollout [H, D]` of `plan [H, A]` from `start [D]`, of which the
    /// last persists.
    fn discounted_energies(&self, start: &[f32], goal: &[f32], plan: &[f32], rollout: &[f32]) -> Result<Vec<f32>> {
        let (width, chunk_width, discount) =
            (self.dataset.latent_width(), self.dataset.chunk_width(), self.config.discount);
        let directive = self.directive_to(goal);
        let (mut sums, mut tail, mut end) = (vec![0.0; self.terms().len()], 1.0, start);
        let mut add = |weight: f32, state: &[f32], actions: &[f32]| -> Result<()> {
            let energies = self.energies(state, actions, &directive)?;
            sums.iter_mut().zip(energies).for_each(|(sum, energy)| *sum += weight * energy);
            Ok(())
        };
        for (state, actions) in rollout.chunks_exact(width).zip(plan.chunks_exact(chunk_width)) {
            add(tail * (1.0 - discount), state, actions)?;
            (end, tail) = (state, tail * discount);
        }
        add(tail, end, &directive.hold_chunk())?;
        Ok(sums)
    }
}

/// Item `index` of items of `length` values.
pub(super) fn nth(values: &[f32], index: usize, length: usize) -> &[f32] {
    &values[index * length..(index + 1) * length]
}
