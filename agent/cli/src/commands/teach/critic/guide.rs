//! Lessons in which a policy acts: the best of its guesses is nearly as good as what a planner finds, and there are forty times as many.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, bail};
use mindseye_agent::cost::{CostModule, LearnedCritic, SteadyCritic};
use mindseye_agent::{Plans, Rollouts};
use mindseye_interface::Seed;
use mindseye_interface::config::require_range;
use mindseye_world_model::critic::CriticLesson;
use mindseye_world_model::policy::Situations;
use mindseye_world_model::{Checkpoint, CriticNetwork, Part, Policy, RolloutEngine};
use rand::Rng as _;
use rayon::prelude::*;

use super::school::{OFF_PLAN, School};
use crate::commands::teach::led::{Led, lead};
use crate::running::cost;

/// Lessons that are imagined together.
const GROUP: usize = 64;
/// Most blocks that the policy leads away from a recorded state.
const LED_BLOCKS: usize = 10;

/// A policy that says how lessons go on.
pub(super) struct Guide<'a> {
    policy: &'a Policy,
    engine: RolloutEngine,
}

impl<'a> Guide<'a> {
    /// The policy of `checkpoint`, for plans of `blocks`.
    pub fn new(checkpoint: &'a Checkpoint, blocks: usize) -> Result<Self> {
        let Some(policy) = &checkpoint.policy else {
            bail!("--by policy: expected a checkpoint with a policy (mindseye teach policy makes one), got none");
        };
        require_range("--blocks (of the policy's plans)", blocks, 1, policy.config().horizon_blocks)?;
        Ok(Self { policy, engine: RolloutEngine::new(&checkpoint.model)? })
    }
}

impl School<'_> {
    /// What the best guesses of the policy lead to, in `count` situations out of `episodes`. `critic` says what comes after them, or nobody: then all goes on
    /// as it is at their end. `tell` hears how many there are.
    pub fn guided(
        &self,
        guide: &Guide<'_>,
        critic: Option<&CriticNetwork>,
        (episodes, count): (&[usize], usize),
        seed: Seed,
        tell: &(dyn Fn(usize) + Sync),
    ) -> mindseye_world_model::Result<Vec<CriticLesson>> {
        let cost = cost(self.task, self.distance.clone());
        let cost = match critic {
            None => cost.with_critic(Box::new(SteadyCritic::new(self::cost(self.task, self.distance.clone())))),
            Some(critic) => cost.with_critic(Box::new(LearnedCritic::new(critic.engine()?))),
        };
        let done = AtomicUsize::new(0);
        let group = |group: usize| {
            let some = GROUP.min(count - group * GROUP);
            let situations = self.situations(guide, episodes, some, seed.index(group as u64))?;
            let lessons = self.best_guesses(guide, &cost, &situations, critic.is_none())?;
            tell(done.fetch_add(some, Ordering::Relaxed) + some);
            Ok(lessons)
        };
        let groups: Vec<Vec<CriticLesson>> =
            (0..count.div_ceil(GROUP)).into_par_iter().map(group).collect::<mindseye_world_model::Result<_>>()?;
        Ok(groups.into_iter().flatten().collect())
    }

    /// Situations out of `episodes`; half of the states are those that the policy leads to, or nearly.
    fn situations(
        &self,
        guide: &Guide<'_>,
        episodes: &[usize],
        count: usize,
        seed: Seed,
    ) -> mindseye_world_model::Result<Situations> {
        let (mut drawn, mut led) = (Situations::default(), Vec::new());
        for index in 0..count {
            let mut rng = seed.index(index as u64).rng();
            let (moment, goal) = self.situation(episodes, &mut rng);
            drawn.states.extend_from_slice(self.recorded.latent(moment));
            drawn.goals.extend_from_slice(self.recorded.latent(goal));
            if index % 2 == 1 {
                let (blocks, off) = (rng.random_range(1..=LED_BLOCKS), rng.random_range(0.0..OFF_PLAN));
                led.push(Led { index, blocks, off, rng });
            }
        }
        lead(&mut drawn, led, guide.policy, &guide.engine, 1)?;
        Ok(drawn)
    }

    /// What the best guess for each of `situations` costs, by `cost`.
    fn best_guesses(
        &self,
        guide: &Guide<'_>,
        cost: &CostModule,
        Situations { states, goals }: &Situations,
        steady: bool,
    ) -> mindseye_world_model::Result<Vec<CriticLesson>> {
        let (width, block_width) = (self.recorded.width, self.block.0 * self.block.1);
        let (rollout_len, plan_len) = (self.blocks * width, self.blocks * block_width);
        let guesses = guide.policy.config().guesses;
        let all = guide.policy.guesses(states, goals)?;
        let begun: Vec<f32> = states.chunks_exact(width).flat_map(|state| state.repeat(guesses)).collect();
        let plans: Vec<f32> = all.iter().flatten().flat_map(|plan| &plan[..plan_len]).copied().collect();
        let latents = guide.engine.rollout(&begun, &plans, self.blocks, 1)?;
        let lesson = |index: usize| -> mindseye_agent::Result<CriticLesson> {
            let rollouts = nth(&latents, index, guesses * rollout_len);
            let plans = nth(&plans, index, guesses * plan_len);
            let goal = nth(goals, index, width);
            let judged = cost.judge(
                &Rollouts::new([guesses, 1, self.blocks, 1, width], rollouts.to_vec())?,
                &Plans::new(guesses, self.blocks, block_width, plans.to_vec())?,
                &self.directive_of_plans(goal)?,
            )?;
            let best = (0..guesses).min_by(|&a, &b| judged[a].total_cmp(&judged[b])).unwrap_or(0);
            let led = (nth(plans, best, plan_len), nth(rollouts, best, rollout_len));
            self.imagined(nth(states, index, width), goal, led, steady)
        };
        let lessons: mindseye_agent::Result<_> = (0..states.len() / width).map(lesson).collect();
        lessons.map_err(|error| mindseye_world_model::Error::Teacher(error.to_string()))
    }
}

/// Number `index` of many things of `length` values.
fn nth(values: &[f32], index: usize, length: usize) -> &[f32] {
    &values[index * length..(index + 1) * length]
}
