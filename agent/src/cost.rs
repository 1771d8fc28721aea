//! Cost: energies of imagined states (LeCun 2022, section 3.2). Intrinsic terms are fixed, named and weighted; a critic may add the
//! energy still to come beyond the horizon.

mod action_limits;
mod curiosity;
mod effort;
mod fingerprint;
mod goal_distance;
mod learned_critic;
mod named;
mod oracle_goal;
mod reading;
mod risk;
mod saturating;
mod smoothness;
mod steady_critic;

pub use action_limits::ActionLimits;
pub use curiosity::Curiosity;
pub use effort::Effort;
pub use fingerprint::Fingerprint;
pub use goal_distance::GoalDistance;
pub use learned_critic::LearnedCritic;
pub use named::Named;
pub use oracle_goal::OracleGoal;
pub use reading::{LearnedReader, SharedReader, StateReader, TrueState};
pub use saturating::Saturating;
pub use smoothness::Smoothness;
pub use steady_critic::SteadyCritic;

use mindseye_world_model::{Adaptation, AdaptationConfig};
use serde::{Deserialize, Serialize};

use crate::configurator::Directive;
use crate::latent::{Latent, Plans, Rollouts};
use crate::memory::Memory;
use crate::{Error, Result};

/// One fixed, named source of discomfort.
pub trait IntrinsicTerm: Send + Sync {
    /// The name under which weights and reports know the term.
    fn name(&self) -> &'static str;

    /// Energies `[N, S, H]` of the states in `rollouts` reached by `plans`; lower is better.
    ///
    /// # Errors
    /// When the shapes do not fit.
    fn energy(&self, rollouts: &Rollouts, plans: &Plans, directive: &Directive) -> Result<Vec<f32>>;

    /// Adds the slopes of the sum of all energies, each times its `pull [N, S, H]`, to `slopes`.
    ///
    /// # Errors
    /// When the shapes do not fit; [`Error::NoSlopes`] where a term has none.
    fn add_slopes(
        &self,
        rollouts: &Rollouts,
        plans: &Plans,
        directive: &Directive,
        pull: &[f32],
        slopes: &mut Slopes,
    ) -> Result<()>;

    /// Whether the term counts in every block of a plan, added up, whatever the directive's reduction: for safety, where nothing that happens on
    /// the way is forgiven.
    fn every_block(&self) -> bool {
        false
    }

    /// Adds the name and every parameter: what the term is does not change in a life.
    fn describe(&self, fingerprint: &mut Fingerprint);
}

/// Slopes of an energy.
#[derive(Debug, Clone, PartialEq)]
pub struct Slopes {
    /// On imagined states, `[N, S, H, P, D]`.
    pub states: Vec<f32>,
    /// On the plans themselves, `[N, H, A]`.
    pub plans: Vec<f32>,
}

impl Slopes {
    /// No slope anywhere.
    pub fn level(rollouts: &Rollouts, plans: &Plans) -> Self {
        Self { states: vec![0.0; rollouts.values().len()], plans: vec![0.0; plans.values().len()] }
    }
}

/// Predicts the intrinsic energy still to come from a state (LeCun 2022, section 3.2: the trainable critic), as the directive weighs it.
pub trait Critic: Send + Sync {
    /// Energies to come `[N]` from the states `[N, P, D]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    fn future_energy(&self, states: &[f32], directive: &Directive) -> Result<Vec<f32>>;

    /// The energies, and their slopes on the states, `[N, P, D]`.
    ///
    /// # Errors
    /// When the shapes do not fit; [`Error::NoSlopes`] where a critic has none.
    fn future_energy_and_slopes(&self, _states: &[f32], _directive: &Directive) -> Result<(Vec<f32>, Vec<f32>)> {
        Err(Error::NoSlopes { part: CRITIC })
    }

    /// Learns what pursuits that have come to their end cost; what came of it, where a critic does.
    ///
    /// # Errors
    /// When what is remembered does not fit the critic.
    fn learn(&mut self, _memory: &dyn Memory, _config: &AdaptationConfig) -> Result<Option<Adaptation>> {
        Ok(None)
    }
}

/// How the energies of a plan's blocks become one number.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Reduction {
    /// The last block only: what counts is where the plan ends.
    #[default]
    Last,
    /// The mean over blocks: what counts is to be near soon.
    Mean,
    /// The mean over blocks plus `weight` times the last block.
    MeanPlusLast {
        /// Weight of the last block.
        weight: f32,
    },
    /// The smallest over blocks, where every block that passes before counts `per_block`: what counts is to be there once, and
    /// soon. A plan is not judged by what it does after its best moment, so that waiting, going round and staying all are free.
    Soonest {
        /// Price of a block of waiting; 1 is the mean goal distance of one action block.
        per_block: f32,
    },
    /// `(1 - discount)` times the sum over blocks, each of which counts `discount` times what the one before it does; what a critic says
    /// of the end counts as all blocks after it. The mean energy of a life, of which the near future is the larger part.
    Discounted {
        /// Between 0 and 1: a plan is judged by about `1 / (1 - discount)` blocks.
        discount: f32,
    },
}

impl Reduction {
    /// One number of the energies `[H]` of one future.
    pub fn reduce(self, energies: &[f32]) -> f32 {
        let last = energies.last().copied().unwrap_or(0.0);
        let mean = || energies.iter().sum::<f32>() / energies.len().max(1) as f32;
        match self {
            Self::Last => last,
            Self::Mean => mean(),
            Self::MeanPlusLast { weight } => mean() + weight * last,
            Self::Soonest { per_block } => {
                let priced = energies.iter().enumerate().map(|(block, energy)| energy + per_block * block as f32);
                // `f32::min` would forget a NaN.
                priced.reduce(|a, b| if b < a || b.is_nan() { b } else { a }).unwrap_or(0.0)
            }
            Self::Discounted { discount } => {
                (1.0 - discount) * energies.iter().rev().fold(0.0, |later, energy| energy + discount * later)
            }
        }
    }

    /// What the energy that a critic expects after `horizon` blocks counts.
    pub fn tail(self, horizon: usize) -> f32 {
        match self {
            Self::Discounted { discount } => discount.powi(i32::try_from(horizon).unwrap_or(i32::MAX)),
            _ => 1.0,
        }
    }

    /// The slope of [`Reduction::reduce`] on every energy `[H]`.
    pub fn slopes(self, energies: &[f32]) -> Vec<f32> {
        let (count, last) = (energies.len(), energies.len().saturating_sub(1));
        let at = |one: usize| (0..count).map(|block| f32::from(u8::from(block == one))).collect::<Vec<f32>>();
        let mean = 1.0 / count.max(1) as f32;
        match self {
            Self::Last => at(last),
            Self::Mean => vec![mean; count],
            Self::MeanPlusLast { weight } => at(last).into_iter().map(|last| mean + weight * last).collect(),
            Self::Soonest { per_block } => {
                let priced = |block: usize| energies[block] + per_block * block as f32;
                at((0..count).min_by(|&a, &b| priced(a).total_cmp(&priced(b))).unwrap_or(0))
            }
            Self::Discounted { discount } => {
                std::iter::successors(Some(1.0 - discount), |slope| Some(slope * discount)).take(count).collect()
            }
        }
    }
}

/// All terms, and the critic where there is one. What they weigh is the directive's to say.
pub struct CostModule {
    terms: Vec<Box<dyn IntrinsicTerm>>,
    critic: Option<Box<dyn Critic>>,
}

impl CostModule {
    /// A cost of `terms`, without a critic.
    pub fn new(terms: Vec<Box<dyn IntrinsicTerm>>) -> Self {
        Self { terms, critic: None }
    }

    /// The same cost with one term more.
    #[must_use]
    pub fn with_term(mut self, term: Box<dyn IntrinsicTerm>) -> Self {
        self.terms.push(term);
        self
    }

    /// The same cost with a critic at the end of the horizon.
    #[must_use]
    pub fn with_critic(self, critic: Box<dyn Critic>) -> Self {
        Self { critic: Some(critic), ..self }
    }

    /// Refuses weights of terms that are not here.
    ///
    /// # Errors
    /// [`Error::Unknown`] naming the weight and the terms there are.
    pub fn require_terms(&self, directive: &Directive) -> Result<()> {
        let known =
            |name: &str| (name == CRITIC && self.critic.is_some()) || self.terms.iter().any(|term| term.name() == name);
        match directive.weights.iter().find(|(name, _)| !known(name)) {
            None => Ok(()),
            Some((name, _)) => {
                let names: Vec<&str> = self.terms.iter().map(|term| term.name()).collect();
                Err(Error::Unknown { field: "weights", expected: names.join(", "), got: name.clone() })
            }
        }
    }

    /// What tells this cost from others: names and parameters of all terms, 64 hexadecimal digits. There is no way to change a term, so that it
    /// stays the same for a life.
    pub fn fingerprint(&self) -> String {
        let mut fingerprint = Fingerprint::default();
        self.terms.iter().for_each(|term| term.describe(&mut fingerprint));
        fingerprint.digits()
    }

    /// One energy per plan, `[N]`. That of a future is the weighted sum of the terms, reduced over blocks (those that count in every block added up), plus
    /// the critic's energy of the last state; that of a plan the mean over its futures plus the directive's risk times their standard deviation.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn judge(&self, rollouts: &Rollouts, plans: &Plans, directive: &Directive) -> Result<Vec<f32>> {
        let totals = self.totals(rollouts, plans, directive, false)?;
        let mut energies = self.of_futures(&totals, rollouts, plans, directive)?;
        if let Some((critic, weight)) = self.critic(rollouts, directive) {
            let to_come = critic.future_energy(&ends(rollouts), directive)?;
            energies.iter_mut().zip(to_come).for_each(|(energy, to_come)| *energy += weight * to_come);
        }
        let futures = rollouts.futures().max(1);
        Ok(energies.chunks(futures).map(|energies| risk::energy(energies, directive.risk)).collect())
    }

    /// Energies of all futures until the horizon, `[N, S]`; `totals [N, S, H]` are those of their blocks by the terms that the reduction is for.
    fn of_futures(
        &self,
        totals: &[f32],
        rollouts: &Rollouts,
        plans: &Plans,
        directive: &Directive,
    ) -> Result<Vec<f32>> {
        let futures = totals.chunks(rollouts.horizon().max(1)).map(|energies| directive.reduction.reduce(energies));
        let mut energies: Vec<f32> = futures.collect();
        if self.weighted(directive).any(|(term, _)| term.every_block()) {
            let always = self.totals(rollouts, plans, directive, true)?;
            let sums = always.chunks(rollouts.horizon().max(1)).map(|energies| energies.iter().sum::<f32>());
            energies.iter_mut().zip(sums).for_each(|(energy, sum)| *energy += sum);
        }
        Ok(energies)
    }

    /// The energies `[N]` of [`CostModule::judge`], and their slopes.
    ///
    /// # Errors
    /// When the shapes do not fit; [`Error::NoSlopes`] where a term with a weight, or a critic, has none.
    pub fn judge_with_slopes(
        &self,
        rollouts: &Rollouts,
        plans: &Plans,
        directive: &Directive,
    ) -> Result<(Vec<f32>, Slopes)> {
        let totals = self.totals(rollouts, plans, directive, false)?;
        let mut energies = self.of_futures(&totals, rollouts, plans, directive)?;
        let critic = self.critic(rollouts, directive);
        let to_come =
            critic.map(|(critic, _)| critic.future_energy_and_slopes(&ends(rollouts), directive)).transpose()?;
        let to_come = critic.zip(to_come).map(|((_, weight), (energies, on_ends))| (weight, energies, on_ends));
        if let Some((weight, to_come, _)) = &to_come {
            energies.iter_mut().zip(to_come).for_each(|(energy, to_come)| *energy += weight * to_come);
        }
        let by_plan = || energies.chunks(rollouts.futures().max(1));
        // What the energy of every future counts, [N, S].
        let shares: Vec<f32> = by_plan().flat_map(|energies| risk::slopes(energies, directive.risk)).collect();
        let horizon = rollouts.horizon().max(1);
        let by_future = totals.chunks(horizon).zip(&shares);
        let reduced = by_future.flat_map(|(energies, share)| {
            directive.reduction.slopes(energies).into_iter().map(move |slope| slope * share)
        });
        let reduced: Vec<f32> = reduced.collect();
        let always: Vec<f32> = shares.iter().flat_map(|share| std::iter::repeat_n(*share, horizon)).collect();
        let mut slopes = Slopes::level(rollouts, plans);
        for (term, weight) in self.weighted(directive) {
            let of_blocks = if term.every_block() { &always } else { &reduced };
            let pull: Vec<f32> = of_blocks.iter().map(|slope| weight * slope).collect();
            term.add_slopes(rollouts, plans, directive, &pull, &mut slopes)?;
        }
        if let Some((weight, _, on_ends)) = to_come {
            let (length, rollout_len) = (rollouts.state_len(), rollouts.horizon() * rollouts.state_len());
            let rollouts = slopes.states.chunks_exact_mut(rollout_len.max(1));
            for ((rollout, on_end), share) in rollouts.zip(on_ends.chunks_exact(length.max(1))).zip(&shares) {
                let end = &mut rollout[rollout_len - length..];
                end.iter_mut().zip(on_end).for_each(|(sum, slope)| *sum += weight * share * slope);
            }
        }
        Ok((by_plan().map(|energies| risk::energy(energies, directive.risk)).collect(), slopes))
    }

    /// The critic, where it has a say, and what an energy that it expects after `rollouts` counts.
    fn critic(&self, rollouts: &Rollouts, directive: &Directive) -> Option<(&dyn Critic, f32)> {
        let weight = directive.weight(CRITIC)? * directive.reduction.tail(rollouts.horizon());
        Some((self.critic.as_deref()?, weight))
    }

    /// See [`Critic::learn`]. Intrinsic terms learn nothing.
    ///
    /// # Errors
    /// The critic's.
    pub fn learn(&mut self, memory: &dyn Memory, config: &AdaptationConfig) -> Result<Option<Adaptation>> {
        self.critic.as_mut().map_or(Ok(None), |critic| critic.learn(memory, config))
    }

    /// Weighted sums of the energies of the terms that count in every block, or of the others, `[N, S, H]`.
    fn totals(&self, rollouts: &Rollouts, plans: &Plans, directive: &Directive, every_block: bool) -> Result<Vec<f32>> {
        let mut totals = vec![0.0f32; rollouts.states()];
        for (term, weight) in self.weighted(directive).filter(|(term, _)| term.every_block() == every_block) {
            let energies = term.energy(rollouts, plans, directive)?;
            totals.iter_mut().zip(energies).for_each(|(total, energy)| *total += weight * energy);
        }
        Ok(totals)
    }

    /// What the critic foresees from a state, where it has a say: for reports.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn foreseen(&self, latent: &Latent, directive: &Directive) -> Result<Option<f32>> {
        let critic = self.critic.as_ref().filter(|_| directive.weight(CRITIC).is_some());
        critic.map(|critic| Ok(critic.future_energy(latent.values(), directive)?[0])).transpose()
    }

    /// The unweighted energies of one state, by name: for reports.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn energies_of(&self, latent: &Latent, directive: &Directive) -> Result<Vec<(String, f32)>> {
        self.energies_of_step(latent, &vec![0.0; directive.block_width()], directive)
    }

    /// The unweighted energies of the state `latent` that the action block `block [A]` led to, by name.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn energies_of_step(
        &self,
        latent: &Latent,
        block: &[f32],
        directive: &Directive,
    ) -> Result<Vec<(String, f32)>> {
        let (state, done) = (Rollouts::of_state(latent), Plans::new(1, 1, directive.block_width(), block.to_vec())?);
        let weighted = self.weighted(directive);
        weighted.map(|(term, _)| Ok((term.name().to_owned(), term.energy(&state, &done, directive)?[0]))).collect()
    }

    fn weighted<'a>(&'a self, directive: &'a Directive) -> impl Iterator<Item = (&'a dyn IntrinsicTerm, f32)> + 'a {
        let terms = self.terms.iter();
        terms.filter_map(|term| directive.weight(term.name()).map(|weight| (term.as_ref(), weight)))
    }
}

/// Name of the critic's weight.
pub const CRITIC: &str = "critic";

/// The last states of all futures, `[N * S, P, D]`.
fn ends(rollouts: &Rollouts) -> Vec<f32> {
    let length = rollouts.state_len();
    let futures = rollouts.values().chunks_exact((rollouts.horizon() * length).max(1));
    futures.flat_map(|states| &states[states.len() - length..]).copied().collect()
}
