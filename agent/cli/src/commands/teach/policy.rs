//! `mindseye teach policy`: from a planner to a policy that does the same without imagining.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use anyhow::{Result, bail};
use clap::Args;
use mindseye_agent::actor::{Deadline, Imagination};
use mindseye_agent::configurator::{Configurator, SequenceConfigurator};
use mindseye_agent::cost::{CostModule, GoalDistance, Slopes};
use mindseye_agent::memory::RingMemory;
use mindseye_agent::world_model::LearnedWorldModel;
use mindseye_agent::{Directive, Latent, Plans, Rollouts, Task};
use mindseye_interface::config::require_range;
use mindseye_interface::{Seed, SystemClock};
use mindseye_world_model::policy::{Judged, PolicyConfig, Situations, Teacher, train_policy};
use mindseye_world_model::{Checkpoint, PlanSlopes, Policy, RolloutEngine};
use rand::Rng as _;
use rayon::prelude::*;
use serde::Serialize;

use super::led::{Led, lead};
use super::{Lesson, Recorded};
use crate::commands::{load_task, print_json};
use crate::progress::{Meter, stop_on_ctrl_c};
use crate::running::cost;

/// Teach a policy to do at once what a planner finds by imagining.
///
/// States and goals are drawn from recorded episodes; half of the states are those that the policy itself leads to, as the model imagines them. The
/// policy's plans are imagined and judged by the task's costs, and the slopes of their energy teach it. The checkpoint is written to --out with the policy
/// beside it: planners then begin with its proposals, it is what is done when there is no time to think, and the planner `policy` does nothing else (Mode-1).
#[derive(Debug, Args)]
#[command(
    after_help = "Example: mindseye teach policy --scene push_t --checkpoint assets/checkpoints/push_t --data data/push_t --out runs/with_policy"
)]
pub struct PolicyArguments {
    #[command(flatten)]
    lesson: Lesson,
    /// Task file (TOML): the costs to learn from; by default the shipped one of the scene.
    #[arg(long)]
    task: Option<PathBuf>,
    /// Goals are at most so many blocks away.
    #[arg(long, default_value_t = 10)]
    goal_blocks: usize,
    /// Plans that the policy proposes for every situation.
    #[arg(long, default_value_t = 4)]
    guesses: usize,
    /// Optimiser steps, of 64 situations each.
    #[arg(long, default_value_t = 5000)]
    steps: usize,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct PolicyReport {
    path: PathBuf,
    steps: usize,
    /// Mean energy of the policy's best guesses, over the last tenth of the steps.
    energy: f64,
    /// Mean energy, on recorded situations, of what the policy takes for its best guess, of its best guess, of what the planner finds, and of doing
    /// nothing.
    energy_of_policy: f64,
    energy_of_best_guess: f64,
    energy_of_planner: f64,
    energy_of_nothing: f64,
}

/// Most blocks that the policy leads away from a recorded state.
const LED_BLOCKS: usize = 10;
/// An energy is small below this share of what doing nothing costs.
const FLOOR: f32 = 0.05;

/// Runs the command.
///
/// # Errors
/// When an argument makes no sense, data and checkpoint do not fit together, or a file cannot be written.
pub fn run(arguments: &PolicyArguments) -> Result<()> {
    require_range("--goal-blocks", arguments.goal_blocks, 1, 10_000)?;
    require_range("--steps", arguments.steps, 1, 100_000_000)?;
    let lesson = &arguments.lesson;
    let mut checkpoint = lesson.checkpoint()?;
    let task = load_task(arguments.task.as_deref(), &lesson.scene)?;
    if let Some(part) = task.names_states() {
        bail!(
            "--task: expected a goal that is a picture and nothing marked, since a policy sees no more, got a task with {part}"
        );
    }
    let stop = stop_on_ctrl_c()?;
    let pool = lesson.pool()?;
    let recorded = pool.install(|| Recorded::open(&checkpoint, &lesson.data))?;
    let school = School::new(&checkpoint, &task, recorded, arguments)?;
    let seed = Seed::new(lesson.seed).child("distill");
    let config = PolicyConfig {
        guesses: arguments.guesses,
        ..PolicyConfig::for_model(&checkpoint.config.model, task.horizon_blocks)
    };
    let meter = Meter::new("distill", arguments.steps, "steps");
    let go_on = |step, energy: f64| {
        meter.set(step, || format!("energy {energy:.3}"));
        !stop.load(Ordering::Relaxed)
    };
    let draw = |policy: &Policy, count: usize, seed: Seed| school.draw(Some(policy), count, seed);
    let judge = |situations: &Situations, plans: &[f32]| school.judge(situations, plans);
    let of_nothing = pool.install(|| school.energy_of_nothing(seed.child("nothing")))?;
    let floor = FLOOR * of_nothing;
    let teacher = Teacher { draw: &draw, judge: &judge, floor };
    let Some((policy, energy)) = train_policy(config, &teacher, arguments.steps, seed, lesson.threads, go_on)? else {
        bail!("stopped; nothing was written");
    };
    drop(meter);
    let compared = pool.install(|| school.compare(&policy, seed.child("compare")))?;
    checkpoint.policy = Some(policy);
    checkpoint.save(&lesson.out)?;
    let [energy_of_policy, energy_of_best_guess, energy_of_planner, energy_of_nothing] = compared;
    let (path, steps) = (lesson.out.clone(), arguments.steps);
    let report = PolicyReport {
        path,
        steps,
        energy,
        energy_of_policy,
        energy_of_best_guess,
        energy_of_planner,
        energy_of_nothing,
    };
    if lesson.json {
        return print_json(&report);
    }
    println!("{}: a policy beside its model", lesson.out.display());
    println!(
        "mean energy of its plans {energy_of_policy:.3} (the best of its guesses: {energy_of_best_guess:.3}), of those that the planner finds {energy_of_planner:.3}, of doing nothing {energy_of_nothing:.3}"
    );
    Ok(())
}

/// Recorded states, and a planner to learn from.
struct School<'a> {
    task: &'a Task,
    recorded: Recorded,
    world: LearnedWorldModel,
    engine: RolloutEngine,
    slopes: PlanSlopes,
    threads: usize,
    cost: CostModule,
    block: (usize, usize),
    goal_blocks: usize,
}

impl<'a> School<'a> {
    fn new(checkpoint: &Checkpoint, task: &'a Task, recorded: Recorded, arguments: &PolicyArguments) -> Result<Self> {
        let model = &checkpoint.config.model;
        Ok(Self {
            task,
            recorded,
            world: LearnedWorldModel::new(&checkpoint.model, task.precision, 1)?,
            engine: RolloutEngine::new(&checkpoint.model)?,
            slopes: PlanSlopes::new(&checkpoint.model)?,
            threads: arguments.lesson.threads,
            cost: cost(task, GoalDistance::new(checkpoint.statistics.factor(task.metric))?),
            block: (model.action_block, model.action_width),
            goal_blocks: arguments.goal_blocks,
        })
    }

    /// Situations out of recorded episodes; with a `policy`, half of the states are those that it leads to.
    fn draw(&self, policy: Option<&Policy>, count: usize, seed: Seed) -> mindseye_world_model::Result<Situations> {
        let mut drawn = Situations::default();
        let mut led = Vec::new();
        for index in 0..count {
            let mut rng = seed.index(index as u64).rng();
            let episodes = &self.recorded.episodes;
            let episode = &episodes[rng.random_range(0..episodes.len())];
            let start = rng.random_range(episode.start..episode.end - 1);
            let ahead = rng.random_range(1..=self.goal_blocks.min(episode.end - 1 - start));
            drawn.states.extend_from_slice(self.recorded.latent(start));
            drawn.goals.extend_from_slice(self.recorded.latent(start + ahead));
            if index % 2 == 1 {
                led.push(Led { index, blocks: rng.random_range(1..=LED_BLOCKS), off: 0.0, rng });
            }
        }
        if let Some(policy) = policy {
            lead(&mut drawn, led, policy, &self.engine, self.threads)?;
        }
        Ok(drawn)
    }

    fn directive(&self, goal: &[f32]) -> mindseye_agent::Result<Directive> {
        let goals = vec![Latent::global(goal.to_vec())];
        let configurator = SequenceConfigurator::new(self.task, goals, self.block.0, self.block.1)?;
        Ok(configurator.configure(&RingMemory::new(1)))
    }

    /// The energy of a plan for every situation, and its slopes.
    fn judge(&self, situations: &Situations, plans: &[f32]) -> mindseye_world_model::Result<Judged> {
        let width = self.recorded.width;
        let (horizon, block_width) = (self.task.horizon_blocks, self.block.0 * self.block.1);
        let plan = |index: usize| {
            let values = &plans[index * horizon * block_width..][..horizon * block_width];
            Plans::new(1, horizon, block_width, values.to_vec())
        };
        let (mut energies, mut on_plans) = (Vec::new(), Vec::new());
        let judge = |latents: Vec<f32>| -> mindseye_agent::Result<Vec<f32>> {
            let one = |(index, latents): (usize, &[f32])| {
                let directive = self.directive(&situations.goals[index * width..(index + 1) * width])?;
                let rollout = Rollouts::new([1, 1, horizon, 1, width], latents.to_vec())?;
                self.cost.judge_with_slopes(&rollout, &plan(index)?, &directive)
            };
            let judged: Vec<(Vec<f32>, Slopes)> =
                latents.par_chunks(horizon * width).enumerate().map(one).collect::<mindseye_agent::Result<_>>()?;
            energies = judged.iter().map(|(energies, _)| energies[0]).collect();
            on_plans = judged.iter().flat_map(|(_, slopes)| &slopes.plans).copied().collect();
            Ok(judged.into_iter().flat_map(|(_, slopes)| slopes.states).collect())
        };
        let through_states = self.slopes.of(&situations.states, plans, horizon, self.threads, judge);
        let through_states = through_states.map_err(|error| mindseye_world_model::Error::Teacher(error.to_string()))?;
        on_plans.iter_mut().zip(through_states).for_each(|(slope, through)| *slope += through);
        Ok((energies, on_plans))
    }

    /// What doing nothing costs on average.
    fn energy_of_nothing(&self, seed: Seed) -> Result<f32> {
        let situations = self.draw(None, COMPARED, seed)?;
        let plans = vec![0.0; COMPARED * self.task.horizon_blocks * self.block.0 * self.block.1];
        let (energies, _) = self.judge(&situations, &plans)?;
        Ok(energies.iter().sum::<f32>() / COMPARED as f32)
    }

    /// Mean energies of what the policy takes for its best guess, of its best guess, of what the planner finds, and of doing nothing, on the same
    /// recorded situations.
    fn compare(&self, policy: &Policy, seed: Seed) -> Result<[f64; 4]> {
        let Situations { states, goals } = self.draw(None, COMPARED, seed)?;
        let one = |index: usize| -> Result<[f64; 4]> {
            let width = self.recorded.width;
            let of = |values: &[f32]| values[index * width..(index + 1) * width].to_vec();
            let (state, goal) = (of(&states), of(&goals));
            let (directive, start) = (self.directive(&goal)?, Latent::global(state.clone()));
            let imagination = Imagination::new(&self.world, &self.cost, &start, &directive);
            let clock = SystemClock::start();
            let deadline = Deadline { clock: &clock, at_secs: f64::INFINITY };
            let mut rng = seed.child("planner").index(index as u64).rng();
            let found = self.task.planner.build().act(&imagination, &mut rng, &deadline)?.plan.values().to_vec();
            let mut plans = vec![vec![0.0; directive.horizon_blocks * directive.block_width()], found];
            plans.extend(policy.guesses(&state, &goal)?.into_iter().flatten());
            let plans = Plans::new(plans.len(), directive.horizon_blocks, directive.block_width(), plans.concat())?;
            let energies = imagination.energies(&plans)?;
            let best = energies[2..].iter().copied().fold(f32::INFINITY, f32::min);
            Ok([energies[2], best, energies[1], energies[0]].map(f64::from))
        };
        let all: Vec<[f64; 4]> = (0..COMPARED).into_par_iter().map(one).collect::<Result<_>>()?;
        Ok([0, 1, 2, 3].map(|plan: usize| all.iter().map(|energies| energies[plan]).sum::<f64>() / COMPARED as f64))
    }
}

/// Situations on which policy and planner are compared.
const COMPARED: usize = 200;
