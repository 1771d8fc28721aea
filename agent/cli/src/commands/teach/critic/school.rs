//! What a critic is taught: recorded states, and what it costs to go on from there.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, bail};
use mindseye_agent::actor::{Deadline, GradientConfig, Imagination};
use mindseye_agent::configurator::{Configurator, PlannerConfig, SequenceConfigurator};
use mindseye_agent::cost::{CRITIC, CostModule, GoalDistance, LearnedCritic, Reduction, SteadyCritic};
use mindseye_agent::memory::RingMemory;
use mindseye_agent::world_model::{LearnedWorldModel, WorldModel};
use mindseye_agent::{Directive, Latent, Plan, Plans, Rollouts, Task};
use mindseye_interface::{Rng, Seed, SystemClock};
use mindseye_world_model::critic::{CriticLesson, Lessons};
use mindseye_world_model::{Checkpoint, CriticNetwork};
use rand::Rng as _;
use rayon::prelude::*;

use super::guide::Guide;
use super::{By, CriticArguments};
use crate::commands::teach::Recorded;
use crate::evaluation::r2;
use crate::progress::Meter;
use crate::running::cost;

/// One episode in so many is kept back.
const HELD_OUT: usize = 10;
/// Situations that are measured.
pub(super) const SITUATIONS: usize = 2000;
/// Random steps from which the scales of the terms are taken.
const SCALED: usize = 2000;
/// Share of the lessons whose goal is what the block led to, and of those whose goal is of any episode.
const AT_GOAL: f64 = 0.1;
const ANYWHERE: f64 = 0.3;
/// Actions beside a plan's are at most so far from it.
pub(super) const OFF_PLAN: f32 = 0.6;
/// A goal that came later is farther with this probability, block by block.
const LATER: f64 = 0.9;

/// Recorded states and what they cost.
pub(super) struct School<'a> {
    pub(super) task: &'a Task,
    pub(super) recorded: Recorded,
    /// Episodes to learn from, and those kept back.
    pub learnt: Vec<usize>,
    pub held_out: Vec<usize>,
    world: LearnedWorldModel,
    cost: CostModule,
    pub(super) distance: GoalDistance,
    pub(super) block: (usize, usize),
    discount: f32,
    imagined: f64,
    pub(super) blocks: usize,
    guide: Option<Guide<'a>>,
    /// Lessons that were imagined before, where they do not depend on what the critic believes.
    pub thought_out: Vec<CriticLesson>,
}

/// A planner that imagines lessons.
struct Planner {
    cost: CostModule,
    config: PlannerConfig,
}

impl<'a> School<'a> {
    pub fn new(
        checkpoint: &'a Checkpoint,
        task: &'a Task,
        recorded: Recorded,
        arguments: &CriticArguments,
    ) -> Result<Self> {
        let model = &checkpoint.config.model;
        let (held_out, learnt): (Vec<usize>, Vec<usize>) =
            (0..recorded.episodes.len()).partition(|episode| episode % HELD_OUT == HELD_OUT - 1);
        if held_out.is_empty() {
            let got = recorded.episodes.len();
            bail!("--data: expected {HELD_OUT} episodes or more (one in {HELD_OUT} is kept back), got {got}");
        }
        let guide = match arguments.by {
            By::Planner => None,
            By::Policy => Some(Guide::new(checkpoint, arguments.blocks)?),
        };
        let distance = GoalDistance::new(checkpoint.statistics.factor(task.metric))?;
        Ok(Self {
            task,
            recorded,
            learnt,
            held_out,
            world: LearnedWorldModel::new(&checkpoint.model, task.precision, 1)?,
            cost: cost(task, distance.clone()),
            distance,
            block: (model.action_block, model.action_width),
            discount: arguments.discount,
            imagined: arguments.imagined,
            blocks: arguments.blocks,
            guide,
            thought_out: Vec::new(),
        })
    }

    /// The terms that are foreseen, and what they weigh.
    pub fn weights(&self) -> Vec<(String, f32)> {
        let weights = self.task.weights.iter().filter(|(name, _)| *name != CRITIC);
        weights.map(|(name, weight)| (name.clone(), *weight)).collect()
    }

    fn directive(&self, goal: &[f32]) -> mindseye_agent::Result<Directive> {
        let goals = vec![Latent::global(goal.to_vec())];
        let configurator = SequenceConfigurator::new(self.task, goals, self.block.0, self.block.1)?;
        let mut directive = configurator.configure(&RingMemory::new(1));
        directive.weights.retain(|(name, _)| name != CRITIC);
        Ok(directive)
    }

    /// What it costs to be in `state` after `block`, term by term.
    fn energies(&self, state: &Latent, block: &[f32], directive: &Directive) -> mindseye_agent::Result<Vec<f32>> {
        let named = self.cost.energies_of_step(state, block, directive)?;
        let of = |name: &String| named.iter().find(|(known, _)| known == name).map_or(0.0, |(_, energy)| *energy);
        Ok(self.task.weights.keys().filter(|name| *name != CRITIC).map(of).collect())
    }

    /// What the recorded block after `moment` cost on the way to the directive's goal, term by term.
    fn lived_energies(&self, moment: usize, directive: &Directive) -> mindseye_agent::Result<Vec<f32>> {
        let next = Latent::global(self.recorded.latent(moment + 1).to_vec());
        self.energies(&next, self.recorded.block(moment), directive)
    }

    /// A moment of an episode to learn from, with a goal: which moment that was.
    pub(super) fn situation(&self, episodes: &[usize], rng: &mut Rng) -> (usize, usize) {
        let any = |rng: &mut Rng| self.recorded.episodes[episodes[rng.random_range(0..episodes.len())]].clone();
        let moments = any(rng);
        let moment = rng.random_range(moments.start..moments.end - 1);
        let kind: f64 = rng.random();
        if kind < AT_GOAL {
            return (moment, moment + 1);
        }
        if kind < AT_GOAL + ANYWHERE {
            let other = any(rng);
            return (moment, rng.random_range(other));
        }
        let mut goal = moment + 1;
        while goal + 1 < moments.end && rng.random_bool(LATER) {
            goal += 1;
        }
        (moment, goal)
    }

    /// A block as it was lived.
    fn lived(&self, (moment, goal): (usize, usize)) -> mindseye_agent::Result<CriticLesson> {
        let directive = self.directive(self.recorded.latent(goal))?;
        let energies = self.lived_energies(moment, &directive)?;
        Ok(CriticLesson {
            state: self.recorded.latent(moment).to_vec(),
            next: self.recorded.latent(moment + 1).to_vec(),
            goal: self.recorded.latent(goal).to_vec(),
            energies: energies.into_iter().map(|energy| (1.0 - self.discount) * energy).collect(),
            tail: if goal == moment + 1 { 0.0 } else { self.discount },
        })
    }

    /// The planner's plan from `start` and where it leads.
    fn plan(
        &self,
        start: &Latent,
        directive: &Directive,
        planner: &Planner,
        rng: &mut Rng,
    ) -> mindseye_agent::Result<(Plan, Rollouts)> {
        let imagination = Imagination::new(&self.world, &planner.cost, start, directive);
        let clock = SystemClock::start();
        let deadline = Deadline { clock: &clock, at_secs: f64::INFINITY };
        let plan = planner.config.build().act(&imagination, rng, &deadline)?.plan;
        let rollouts = self.world.imagine(start, &Plans::from(&plan))?;
        Ok((plan, rollouts))
    }

    /// What doing `plan [H, A]` from `start [D]` costs, where it leads to the states `rollout [H, D]`. What comes after it the critic says, or nobody: with
    /// `steady` all goes on costing what its end costs.
    pub(super) fn imagined(
        &self,
        start: &[f32],
        goal: &[f32],
        (plan, rollout): (&[f32], &[f32]),
        steady: bool,
    ) -> mindseye_agent::Result<CriticLesson> {
        let (width, block_width) = (self.recorded.width, self.block.0 * self.block.1);
        let directive = self.directive(goal)?;
        let (mut energies, mut tail) = (vec![0.0; self.weights().len()], 1.0);
        let mut end = start;
        let mut count = |share: f32, state: &[f32], actions: &[f32]| -> mindseye_agent::Result<()> {
            let cost = self.energies(&Latent::global(state.to_vec()), actions, &directive)?;
            energies.iter_mut().zip(cost).for_each(|(sum, cost)| *sum += share * cost);
            Ok(())
        };
        for (state, actions) in rollout.chunks_exact(width).zip(plan.chunks_exact(block_width)) {
            count(tail * (1.0 - self.discount), state, actions)?;
            (end, tail) = (state, tail * self.discount);
        }
        if steady {
            count(tail, end, &vec![0.0; block_width])?;
            tail = 0.0;
        }
        Ok(CriticLesson { state: start.to_vec(), next: end.to_vec(), goal: goal.to_vec(), energies, tail })
    }

    /// What lesson planners look at: the costs to foresee, discounted, and a critic's word on what comes after them.
    pub(super) fn directive_of_plans(&self, goal: &[f32]) -> mindseye_agent::Result<Directive> {
        let mut directive = self.directive(goal)?;
        directive.horizon_blocks = self.blocks;
        directive.reduction = Reduction::Discounted { discount: self.discount };
        directive.weights.push((CRITIC.into(), 1.0));
        Ok(directive)
    }

    /// Lessons of the policy or the task's own planner, who takes it that nothing changes behind its horizon. Half of them begin near where its plans lead.
    pub fn think_out(&self, episodes: &[usize], count: usize, seed: Seed) -> Result<Vec<CriticLesson>> {
        if let Some(guide) = &self.guide {
            let meter = Meter::new("think out", count, "lessons");
            return Ok(self.guided(guide, None, (episodes, count), seed, &|done| meter.set(done, String::new))?);
        }
        let steady = SteadyCritic::new(cost(self.task, self.distance.clone()));
        let planner = Planner {
            cost: cost(self.task, self.distance.clone()).with_critic(Box::new(steady)),
            config: self.task.planner.clone(),
        };
        let (done, meter) = (AtomicUsize::new(0), Meter::new("think out", count, "lessons"));
        let one = |index: usize| -> Result<CriticLesson> {
            let mut rng = seed.index(index as u64).rng();
            let (moment, goal) = self.situation(episodes, &mut rng);
            let goal = self.recorded.latent(goal);
            let mut start = Latent::global(self.recorded.latent(moment).to_vec());
            if index % 2 == 1 {
                start = self.led(&start, goal, &planner, &mut rng)?;
            }
            let lesson = self.planned(&start, goal, &planner, true, &mut rng)?;
            meter.set(done.fetch_add(1, Ordering::Relaxed) + 1, String::new);
            Ok(lesson)
        };
        (0..count).into_par_iter().map(one).collect()
    }

    /// What the planner would do from the state `start`.
    fn planned(
        &self,
        start: &Latent,
        goal: &[f32],
        planner: &Planner,
        steady: bool,
        rng: &mut Rng,
    ) -> mindseye_agent::Result<CriticLesson> {
        let (plan, rollouts) = self.plan(start, &self.directive_of_plans(goal)?, planner, rng)?;
        self.imagined(start.values(), goal, (plan.values(), rollouts.values()), steady)
    }

    /// A state that a plan leads to, or one that is a little off.
    fn led(&self, start: &Latent, goal: &[f32], planner: &Planner, rng: &mut Rng) -> Result<Latent> {
        let directive = self.directive_of_plans(goal)?;
        let (plan, _) = self.plan(start, &directive, planner, rng)?;
        let noise = rng.random_range(0.0..OFF_PLAN);
        let values = plan.values().iter().map(|action| (action + noise * rng.random_range(-1.0..1.0)).clamp(-1.0, 1.0));
        let plans = Plans::new(1, plan.horizon(), plan.block_width(), values.collect())?;
        let block = rng.random_range(0..plan.horizon());
        Ok(self.world.imagine(start, &plans)?.state(0, 0, block))
    }

    /// Lessons for what `critic` believes by now.
    pub fn draw(&self, critic: &CriticNetwork, count: usize, seed: Seed) -> mindseye_world_model::Result<Lessons> {
        let guided = match &self.guide {
            Some(guide) if self.thought_out.is_empty() => {
                let share = (self.imagined * count as f64).round() as usize;
                self.guided(guide, Some(critic), (&self.learnt, share), seed.child("guided"), &|_| ())?
            }
            _ => Vec::new(),
        };
        let cost = cost(self.task, self.distance.clone());
        let planner = Planner {
            cost: cost.with_critic(Box::new(LearnedCritic::new(critic.engine()?))),
            config: PlannerConfig::Gradient(GradientConfig { samples: 4, iterations: 4, ..GradientConfig::default() }),
        };
        let one = |index: usize| {
            let mut rng = seed.index(index as u64).rng();
            let (moment, goal) = self.situation(&self.learnt, &mut rng);
            let lesson = if self.guide.is_some() && self.thought_out.is_empty() || !rng.random_bool(self.imagined) {
                self.lived((moment, goal))
            } else if self.thought_out.is_empty() {
                let start = Latent::global(self.recorded.latent(moment).to_vec());
                self.planned(&start, self.recorded.latent(goal), &planner, false, &mut rng)
            } else {
                Ok(self.thought_out[rng.random_range(0..self.thought_out.len())].clone())
            };
            lesson.map_err(|error| mindseye_world_model::Error::Teacher(error.to_string()))
        };
        let lessons: Vec<CriticLesson> =
            (guided.len()..count).into_par_iter().map(one).collect::<mindseye_world_model::Result<_>>()?;
        Ok(guided.into_iter().chain(lessons).collect())
    }

    /// Mean energy of every term.
    pub fn scales(&self, seed: Seed) -> Result<Vec<f32>> {
        let one = |index: usize| -> Result<Vec<f32>> {
            let (moment, goal) = self.situation(&self.learnt, &mut seed.index(index as u64).rng());
            Ok(self.lived_energies(moment, &self.directive(self.recorded.latent(goal))?)?)
        };
        let all: Vec<Vec<f32>> = (0..SCALED).into_par_iter().map(one).collect::<Result<_>>()?;
        let terms = all.first().map_or(0, Vec::len);
        let mean = |term: usize| all.iter().map(|energies| energies[term].abs()).sum::<f32>() / SCALED as f32;
        Ok((0..terms).map(|term| mean(term).max(f32::MIN_POSITIVE.sqrt())).collect())
    }

    /// How much of what came in episodes that were kept back the critic foresees, and how much is foreseen by saying that all goes on as it is.
    pub fn examine(&self, critic: &CriticNetwork, weights: &[f32], seed: Seed) -> Result<(f64, f64)> {
        let engine = critic.engine()?;
        let discount = engine.config().discount;
        let one = |index: usize| -> Result<[f64; 3]> {
            let mut rng = seed.index(index as u64).rng();
            let moments = self.recorded.episodes[self.held_out[rng.random_range(0..self.held_out.len())]].clone();
            let start = rng.random_range(moments.start..moments.end - 1);
            let goal = rng.random_range(start + 1..moments.end);
            let directive = self.directive(self.recorded.latent(goal))?;
            let weighted = |energies: Vec<f32>| energies.iter().zip(weights).map(|(e, w)| e * w).sum::<f32>();
            let mut came = 0.0;
            for moment in (start..goal).rev() {
                came = (1.0 - discount) * weighted(self.lived_energies(moment, &directive)?) + discount * came;
            }
            let state = self.recorded.latent(start);
            let foreseen = engine.energies(state, directive.goal.values(), weights)?[0];
            let now = self.cost.energies_of(&Latent::global(state.to_vec()), &directive)?;
            let now: f32 = now.iter().map(|(name, energy)| energy * directive.weight(name).unwrap_or(0.0)).sum();
            Ok([came, foreseen, now].map(f64::from))
        };
        let all: Vec<[f64; 3]> = (0..SITUATIONS).into_par_iter().map(one).collect::<Result<_>>()?;
        Ok((r2(&all, 1), r2(&all, 2)))
    }

    /// How much of the variance of what `lessons` cost the critic foresees, and its error, root mean square; nothing of no lessons.
    pub fn of_plans(critic: &CriticNetwork, weights: &[f32], lessons: &[CriticLesson]) -> Result<Option<(f64, f64)>> {
        if lessons.is_empty() {
            return Ok(None);
        }
        let engine = critic.engine()?;
        let pair = |lesson: &CriticLesson| -> Result<[f64; 2]> {
            let cost: f32 = lesson.energies.iter().zip(weights).map(|(energy, weight)| energy * weight).sum();
            Ok([cost, engine.energies(&lesson.state, &lesson.goal, weights)?[0]].map(f64::from))
        };
        let pairs: Vec<[f64; 2]> = lessons.par_iter().map(pair).collect::<Result<_>>()?;
        let squares = pairs.iter().map(|[cost, foreseen]| (cost - foreseen).powi(2)).sum::<f64>();
        Ok(Some((r2(&pairs, 1), (squares / pairs.len() as f64).sqrt())))
    }
}
