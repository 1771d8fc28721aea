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
use mindseye_world_model::{Checkpoint, CriticNetwork, PlanSlopes};
use rand::Rng as _;
use rand_distr::StandardNormal;
use rayon::prelude::*;

use super::CriticArguments;
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
const OFF_PLAN: f32 = 0.6;
/// A lesson that was thought out is given with a state and a goal that are off by up to so much in every dimension (normally distributed).
const STRAY: f32 = 0.1;
/// A goal that came later is farther with this probability, block by block.
const LATER: f64 = 0.9;

/// Recorded states and what they cost.
pub(super) struct School<'a> {
    task: &'a Task,
    recorded: Recorded,
    /// Episodes to learn from, and those kept back.
    pub learnt: Vec<usize>,
    pub held_out: Vec<usize>,
    world: LearnedWorldModel,
    cost: CostModule,
    distance: GoalDistance,
    block: (usize, usize),
    discount: f32,
    imagined: f64,
    blocks: usize,
    slopes: PlanSlopes,
    /// Lessons that were imagined before, where they do not depend on what the critic believes.
    pub thought_out: Vec<ThoughtOut>,
}

/// A lesson, and what would have been had it begun elsewhere: to first order its plan would be as good (the envelope theorem).
#[derive(Debug, Clone)]
pub(super) struct ThoughtOut {
    pub lesson: CriticLesson,
    /// Slopes of every term's energy on the state, `[T, D]`, and on the goal, `[T, D]`.
    on_state: Vec<f32>,
    on_goal: Vec<f32>,
}

impl ThoughtOut {
    /// The same lesson for a state and a goal a little off.
    fn strayed(&self, rng: &mut Rng) -> CriticLesson {
        let mut lesson = self.lesson.clone();
        let width = lesson.state.len();
        let far: f32 = STRAY * rng.random_range(0.0..1.0f32);
        for (values, slopes) in [(&mut lesson.state, &self.on_state), (&mut lesson.goal, &self.on_goal)] {
            let step: Vec<f32> = (0..width).map(|_| far * rng.sample::<f32, _>(StandardNormal)).collect();
            values.iter_mut().zip(&step).for_each(|(value, step)| *value += step);
            for (energy, slopes) in lesson.energies.iter_mut().zip(slopes.chunks_exact(width)) {
                *energy += slopes.iter().zip(&step).map(|(slope, step)| slope * step).sum::<f32>();
            }
        }
        lesson
    }
}

/// A planner that imagines lessons.
struct Planner {
    cost: CostModule,
    config: PlannerConfig,
}

impl<'a> School<'a> {
    pub fn new(
        checkpoint: &Checkpoint,
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
            slopes: PlanSlopes::new(&checkpoint.model)?,
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
    fn situation(&self, episodes: &[usize], rng: &mut Rng) -> (usize, usize) {
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

    /// What a planner would do from the state `start`, as the model imagines it. The lesson ends where the plan does: the critic says what comes then.
    fn imagined(
        &self,
        start: &Latent,
        goal: &[f32],
        planner: &Planner,
        rng: &mut Rng,
    ) -> mindseye_agent::Result<CriticLesson> {
        let directive = self.directive_of_plans(goal)?;
        let (plan, rollouts) = self.plan(start, &directive, planner, rng)?;
        let (mut energies, mut share) = (vec![0.0; self.weights().len()], 1.0);
        for (block, actions) in plan.values().chunks_exact(directive.block_width()).enumerate() {
            let cost = self.energies(&rollouts.state(0, 0, block), actions, &directive)?;
            energies.iter_mut().zip(cost).for_each(|(sum, cost)| *sum += share * (1.0 - self.discount) * cost);
            share *= self.discount;
        }
        Ok(CriticLesson {
            state: start.values().to_vec(),
            next: rollouts.state(0, 0, self.blocks - 1).values().to_vec(),
            goal: goal.to_vec(),
            energies,
            tail: share,
        })
    }

    /// What lesson planners look at: the costs to foresee, discounted, and a critic's word on what comes after them.
    fn directive_of_plans(&self, goal: &[f32]) -> mindseye_agent::Result<Directive> {
        let mut directive = self.directive(goal)?;
        directive.horizon_blocks = self.blocks;
        directive.reduction = Reduction::Discounted { discount: self.discount };
        directive.weights.push((CRITIC.into(), 1.0));
        Ok(directive)
    }

    /// Lessons of the task's own planner, who takes it that nothing changes behind its horizon. Half of them begin near where its plans lead.
    pub fn think_out(&self, episodes: &[usize], count: usize, seed: Seed) -> Result<Vec<ThoughtOut>> {
        let steady = SteadyCritic::new(cost(self.task, self.distance.clone()));
        let planner = Planner {
            cost: cost(self.task, self.distance.clone()).with_critic(Box::new(steady)),
            config: self.task.planner.clone(),
        };
        let (done, meter) = (AtomicUsize::new(0), Meter::new("think out", count, "lessons"));
        let one = |index: usize| -> Result<ThoughtOut> {
            let mut rng = seed.index(index as u64).rng();
            let (moment, goal) = self.situation(episodes, &mut rng);
            let goal = self.recorded.latent(goal);
            let mut start = Latent::global(self.recorded.latent(moment).to_vec());
            if index % 2 == 1 {
                start = self.led(&start, goal, &planner, &mut rng)?;
            }
            let lesson = self.with_slopes(&start, goal, &planner, &mut rng)?;
            meter.set(done.fetch_add(1, Ordering::Relaxed) + 1, String::new);
            Ok(lesson)
        };
        (0..count).into_par_iter().map(one).collect()
    }

    /// What the planner would do from the state `start` if nothing changes after that, and what a little would change.
    fn with_slopes(
        &self,
        start: &Latent,
        goal: &[f32],
        planner: &Planner,
        rng: &mut Rng,
    ) -> mindseye_agent::Result<ThoughtOut> {
        let directive = self.directive_of_plans(goal)?;
        let (plan, _) = self.plan(start, &directive, planner, rng)?;
        let plans = Plans::from(&plan);
        let (mut energies, mut on_state, mut on_goal) = (Vec::new(), Vec::new(), Vec::new());
        for (term, _) in self.weights() {
            let alone = Directive { weights: vec![(term.clone(), 1.0), (CRITIC.into(), 1.0)], ..directive.clone() };
            let mut to_goal = vec![0.0; goal.len()];
            let judge = |latents: Vec<f32>| -> mindseye_agent::Result<Vec<f32>> {
                let rollouts = Rollouts::new([1, 1, plan.horizon(), 1, goal.len()], latents)?;
                let (energy, slopes) = planner.cost.judge_with_slopes(&rollouts, &plans, &alone)?;
                energies.push(energy[0]);
                if term == GoalDistance::NAME {
                    // A goal that moves along with all states is as far from them as before.
                    for slopes in slopes.states.chunks_exact(goal.len()) {
                        to_goal.iter_mut().zip(slopes).for_each(|(sum, slope)| *sum -= slope);
                    }
                }
                Ok(slopes.states)
            };
            let slopes = self.slopes.of(start.values(), plan.values(), plan.horizon(), 1, judge)?;
            on_state.extend(slopes.starts);
            on_goal.extend(to_goal);
        }
        let lesson = CriticLesson {
            state: start.values().to_vec(),
            next: start.values().to_vec(), // nothing comes after it
            goal: goal.to_vec(),
            energies,
            tail: 0.0,
        };
        Ok(ThoughtOut { lesson, on_state, on_goal })
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
        let cost = cost(self.task, self.distance.clone());
        let planner = Planner {
            cost: cost.with_critic(Box::new(LearnedCritic::new(critic.engine()?))),
            config: PlannerConfig::Gradient(GradientConfig { samples: 4, iterations: 4, ..GradientConfig::default() }),
        };
        let one = |index: usize| {
            let mut rng = seed.index(index as u64).rng();
            let (moment, goal) = self.situation(&self.learnt, &mut rng);
            let lesson = if !rng.random_bool(self.imagined) {
                self.lived((moment, goal))
            } else if self.thought_out.is_empty() {
                let start = Latent::global(self.recorded.latent(moment).to_vec());
                self.imagined(&start, self.recorded.latent(goal), &planner, &mut rng)
            } else {
                let lesson = &self.thought_out[rng.random_range(0..self.thought_out.len())];
                Ok(lesson.strayed(&mut rng))
            };
            lesson.map_err(|error| mindseye_world_model::Error::Teacher(error.to_string()))
        };
        let lessons: Vec<CriticLesson> =
            (0..count).into_par_iter().map(one).collect::<mindseye_world_model::Result<_>>()?;
        Ok(lessons.into_iter().collect())
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
    pub fn of_plans(critic: &CriticNetwork, weights: &[f32], lessons: &[ThoughtOut]) -> Result<Option<(f64, f64)>> {
        if lessons.is_empty() {
            return Ok(None);
        }
        let engine = critic.engine()?;
        let pair = |ThoughtOut { lesson, .. }: &ThoughtOut| -> Result<[f64; 2]> {
            let cost: f32 = lesson.energies.iter().zip(weights).map(|(energy, weight)| energy * weight).sum();
            Ok([cost, engine.energies(&lesson.state, &lesson.goal, weights)?[0]].map(f64::from))
        };
        let pairs: Vec<[f64; 2]> = lessons.par_iter().map(pair).collect::<Result<_>>()?;
        let squares = pairs.iter().map(|[cost, foreseen]| (cost - foreseen).powi(2)).sum::<f64>();
        Ok(Some((r2(&pairs, 1), (squares / pairs.len() as f64).sqrt())))
    }
}
