//! `mindseye teach critic`: from recorded episodes to a critic that knows what is still to come beyond the horizon.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use anyhow::{Result, bail};
use clap::Args;
use mindseye_agent::actor::{Actor, Deadline, Gradient, GradientConfig, Imagination};
use mindseye_agent::configurator::{Configurator, SequenceConfigurator};
use mindseye_agent::cost::{CRITIC, CostModule, GoalDistance, LearnedCritic, Reduction};
use mindseye_agent::memory::RingMemory;
use mindseye_agent::world_model::{LearnedWorldModel, WorldModel};
use mindseye_agent::{Directive, Latent, Plans, Task};
use mindseye_interface::config::require_range;
use mindseye_interface::{Rng, Seed, SystemClock};
use mindseye_world_model::critic::{CriticConfig, CriticLesson, CriticTraining, Lessons, train_critic};
use mindseye_world_model::{Checkpoint, CriticNetwork};
use rand::Rng as _;
use rayon::prelude::*;
use serde::Serialize;

use super::{Lesson, Recorded};
use crate::commands::{load_task, print_json};
use crate::progress::{Meter, stop_on_ctrl_c};
use crate::running::cost;

/// Teach a critic: what will it cost from here to the goal, beyond what is imagined?
///
/// It learns from recorded episodes, whoever acted in them, with goals given in hindsight: states that came later in the same episode, and states of
/// others. Half of its lessons are single blocks as they were lived; the others begin at recorded states and go on as a planner would, who looks two blocks
/// ahead and asks the critic for the rest: so it comes to foresee what planning costs, not what was done. The checkpoint is written to --out with the critic beside it. A task whose weights have `critic` (and whose reduction is
/// `discounted`) then judges plans by what they cost until the horizon and by what the critic expects after it: a short horizon sees far.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: mindseye teach critic --scene two_room --checkpoint assets/checkpoints/two_room --data data/two_room --out runs/with_critic"
)]
pub struct CriticArguments {
    #[command(flatten)]
    lesson: Lesson,
    /// Task file (TOML): the costs to foresee; by default the shipped one of the scene.
    #[arg(long)]
    task: Option<PathBuf>,
    /// What an energy counts for each block that it lies farther ahead.
    #[arg(long, default_value_t = 0.9)]
    discount: f32,
    /// How much harder cheaper ways pull than dearer ones: 0.5 expects what was done on average, towards 1 the best of it.
    #[arg(long, default_value_t = 0.7)]
    expectile: f32,
    /// Share of the lessons that are imagined.
    #[arg(long, default_value_t = 0.5)]
    imagined: f64,
    /// Networks that learn the same; the one that expects most counts.
    #[arg(long, default_value_t = 2)]
    members: usize,
    /// Optimiser steps, of 256 lessons each.
    #[arg(long, default_value_t = 10_000)]
    steps: usize,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct CriticReport {
    path: PathBuf,
    steps: usize,
    /// Mean loss over the last tenth of the steps.
    loss: f64,
    /// Episodes that were kept back, and situations out of them on which the rest was measured.
    held_out_episodes: usize,
    situations: usize,
    /// Share of the variance of what came (the discounted sum until the goal was reached) that the critic foresaw, 1 at most. To say the mean is 0.
    r2: f64,
    /// The same of saying that it will go on costing what it costs now.
    r2_as_now: f64,
}

/// Blocks that an imagined lesson goes on for.
const IMAGINED_BLOCKS: usize = 2;
/// Lessons per step.
const BATCH: usize = 256;
/// Width and depth of the networks.
const HIDDEN: usize = 256;
const LAYERS: usize = 2;
/// Share of the way on which the copies follow at each step.
const FOLLOW: f32 = 0.02;
/// One episode in so many is kept back.
const HELD_OUT: usize = 10;
/// Situations that are measured.
const SITUATIONS: usize = 2000;
/// Random steps from which the scales of the terms are taken.
const SCALED: usize = 2000;
/// Share of the lessons whose goal is what the block led to, and of those whose goal is of any episode.
const AT_GOAL: f64 = 0.1;
const ANYWHERE: f64 = 0.3;
/// A goal that came later is farther with this probability, block by block.
const LATER: f64 = 0.9;

/// Runs the command.
///
/// # Errors
/// When an argument makes no sense, data and checkpoint do not fit together, or a file cannot be written.
pub fn run(arguments: &CriticArguments) -> Result<()> {
    require_range("--discount", arguments.discount, 0.0, 0.999)?;
    require_range("--expectile", arguments.expectile, 0.01, 0.99)?;
    require_range("--imagined", arguments.imagined, 0.0, 1.0)?;
    require_range("--members", arguments.members, 1, 64)?;
    require_range("--steps", arguments.steps, 1, 100_000_000)?;
    let lesson = &arguments.lesson;
    let mut checkpoint = lesson.checkpoint()?;
    let task = load_task(arguments.task.as_deref(), &lesson.scene)?;
    let stop = stop_on_ctrl_c()?;
    let pool = lesson.pool()?;
    let recorded = pool.install(|| Recorded::open(&checkpoint, &lesson.data))?;
    let seed = Seed::new(lesson.seed).child("critic");
    let school = School::new(&checkpoint, &task, recorded, arguments)?;
    let (terms, weights): (Vec<String>, Vec<f32>) = school.weights().into_iter().unzip();
    let config = CriticConfig {
        latent_width: checkpoint.config.model.latent_width,
        hidden: HIDDEN,
        layers: LAYERS,
        members: arguments.members,
        discount: arguments.discount,
        scales: pool.install(|| school.scales(seed.child("scales")))?,
        terms,
        metric: task.metric,
        goal_saturation: task.goal_saturation,
    };
    let training = CriticTraining {
        steps: arguments.steps,
        batch: BATCH,
        expectile: arguments.expectile,
        weights: weights.clone(),
        follow: FOLLOW,
    };
    let meter = Meter::new("critic", arguments.steps, "steps");
    let go_on = |step, loss: f64| {
        meter.set(step, || format!("loss {loss:.4}"));
        !stop.load(Ordering::Relaxed)
    };
    let draw = |critic: &CriticNetwork, count: usize, seed: Seed| school.draw(critic, count, seed);
    let Some((critic, loss)) = train_critic(config, &training, &draw, seed, lesson.threads, go_on)? else {
        bail!("stopped; nothing was written");
    };
    drop(meter);
    let (r2, r2_as_now) = pool.install(|| school.examine(&critic, &weights, seed.child("examine")))?;
    checkpoint.critic = Some(critic);
    checkpoint.save(&lesson.out)?;
    let report = CriticReport {
        path: lesson.out.clone(),
        steps: arguments.steps,
        loss,
        held_out_episodes: school.held_out.len(),
        situations: SITUATIONS,
        r2,
        r2_as_now,
    };
    if lesson.json {
        return print_json(&report);
    }
    println!("{}: a critic beside its model", lesson.out.display());
    println!("R2 of what it foresees in {} episodes that were kept back: {r2:.3}", report.held_out_episodes);
    println!("R2 of saying that all goes on costing what it costs now: {r2_as_now:.3}");
    Ok(())
}

/// Recorded states and what they cost.
struct School<'a> {
    task: &'a Task,
    recorded: Recorded,
    /// Episodes to learn from, and those kept back.
    learnt: Vec<usize>,
    held_out: Vec<usize>,
    world: LearnedWorldModel,
    cost: CostModule,
    distance: GoalDistance,
    block: (usize, usize),
    discount: f32,
    imagined: f64,
}

/// A planner that imagines lessons.
struct Planner {
    cost: CostModule,
    config: GradientConfig,
}

impl<'a> School<'a> {
    fn new(checkpoint: &Checkpoint, task: &'a Task, recorded: Recorded, arguments: &CriticArguments) -> Result<Self> {
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
        })
    }

    /// The terms that are foreseen, and what they weigh.
    fn weights(&self) -> Vec<(String, f32)> {
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
    fn situation(&self, rng: &mut Rng) -> (usize, usize) {
        let any = |rng: &mut Rng| self.recorded.episodes[self.learnt[rng.random_range(0..self.learnt.len())]].clone();
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

    /// What a planner would do from a recorded state, as the model imagines it.
    fn imagined(
        &self,
        (moment, goal): (usize, usize),
        planner: &Planner,
        rng: &mut Rng,
    ) -> mindseye_agent::Result<CriticLesson> {
        let mut directive = self.directive(self.recorded.latent(goal))?;
        directive.horizon_blocks = IMAGINED_BLOCKS;
        directive.reduction = Reduction::Discounted { discount: self.discount };
        directive.weights.push((CRITIC.into(), 1.0));
        let start = Latent::global(self.recorded.latent(moment).to_vec());
        let imagination = Imagination::new(&self.world, &planner.cost, &start, &directive);
        let clock = SystemClock::start();
        let deadline = Deadline { clock: &clock, at_secs: f64::INFINITY };
        let plan = Gradient::new(planner.config.clone()).act(&imagination, rng, &deadline)?.plan;
        let rollouts = self.world.imagine(&start, &Plans::from(&plan))?;
        let (mut energies, mut share) = (vec![0.0; self.weights().len()], 1.0);
        for (block, actions) in plan.values().chunks_exact(directive.block_width()).enumerate() {
            let cost = self.energies(&rollouts.state(0, 0, block), actions, &directive)?;
            energies.iter_mut().zip(cost).for_each(|(sum, cost)| *sum += share * (1.0 - self.discount) * cost);
            share *= self.discount;
        }
        Ok(CriticLesson {
            state: start.values().to_vec(),
            next: rollouts.state(0, 0, IMAGINED_BLOCKS - 1).values().to_vec(),
            goal: self.recorded.latent(goal).to_vec(),
            energies,
            tail: share,
        })
    }

    fn draw(&self, critic: &CriticNetwork, count: usize, seed: Seed) -> mindseye_world_model::Result<Lessons> {
        let cost = cost(self.task, self.distance.clone());
        let planner = Planner {
            cost: cost.with_critic(Box::new(LearnedCritic::new(critic.engine()?))),
            config: GradientConfig { samples: 4, iterations: 4, ..GradientConfig::default() },
        };
        let one = |index: usize| {
            let mut rng = seed.index(index as u64).rng();
            let situation = self.situation(&mut rng);
            let imagines = rng.random_bool(self.imagined);
            let lesson = if imagines { self.imagined(situation, &planner, &mut rng) } else { self.lived(situation) };
            lesson.map_err(|error| mindseye_world_model::Error::Teacher(error.to_string()))
        };
        let lessons: Vec<CriticLesson> =
            (0..count).into_par_iter().map(one).collect::<mindseye_world_model::Result<_>>()?;
        Ok(lessons.into_iter().collect())
    }

    /// Mean energy of every term.
    fn scales(&self, seed: Seed) -> Result<Vec<f32>> {
        let one = |index: usize| -> Result<Vec<f32>> {
            let (moment, goal) = self.situation(&mut seed.index(index as u64).rng());
            Ok(self.lived_energies(moment, &self.directive(self.recorded.latent(goal))?)?)
        };
        let all: Vec<Vec<f32>> = (0..SCALED).into_par_iter().map(one).collect::<Result<_>>()?;
        let terms = all.first().map_or(0, Vec::len);
        let mean = |term: usize| all.iter().map(|energies| energies[term].abs()).sum::<f32>() / SCALED as f32;
        Ok((0..terms).map(|term| mean(term).max(f32::MIN_POSITIVE.sqrt())).collect())
    }

    /// How much of what came in episodes that were kept back the critic foresees, and how much is foreseen by saying that all goes on as it is.
    fn examine(&self, critic: &CriticNetwork, weights: &[f32], seed: Seed) -> Result<(f64, f64)> {
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
        let mean = all.iter().map(|[came, ..]| came).sum::<f64>() / all.len() as f64;
        let squares = |of: &dyn Fn(&[f64; 3]) -> f64| all.iter().map(|row| of(row).powi(2)).sum::<f64>();
        let variance = squares(&|[came, ..]| came - mean).max(f64::MIN_POSITIVE);
        let r2 = |which: usize| 1.0 - squares(&|row: &[f64; 3]| row[0] - row[which]) / variance;
        Ok((r2(1), r2(2)))
    }
}
