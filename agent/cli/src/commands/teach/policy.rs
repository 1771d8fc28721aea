//! `mindseye teach policy`: from a planner to a policy that does the same without imagining.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use anyhow::{Result, bail};
use clap::Args;
use mindseye_agent::actor::{Deadline, Imagination};
use mindseye_agent::configurator::{Configurator, SequenceConfigurator};
use mindseye_agent::cost::{CostModule, GoalDistance};
use mindseye_agent::memory::RingMemory;
use mindseye_agent::world_model::LearnedWorldModel;
use mindseye_agent::{Directive, Latent, Plans, Task};
use mindseye_interface::config::require_range;
use mindseye_interface::{Seed, SystemClock};
use mindseye_world_model::policy::{Judged, PolicyConfig, Situations, Teacher, train_policy};
use mindseye_world_model::{Checkpoint, Policy, RolloutEngine};
use rand::Rng as _;
use rayon::prelude::*;
use serde::Serialize;

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
    /// Optimiser steps, of 256 situations each.
    #[arg(long, default_value_t = 5000)]
    steps: usize,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct PolicyReport {
    path: PathBuf,
    steps: usize,
    /// Mean energy of the policy's plans, over the last tenth of the steps.
    energy: f64,
    /// Mean energy, on recorded situations, of the policy's plans, of those that the planner finds, and of doing nothing.
    energy_of_policy: f64,
    energy_of_planner: f64,
    energy_of_nothing: f64,
}

/// Most blocks that the policy leads away from a recorded state before the planner takes over.
const LED_BLOCKS: std::ops::RangeInclusive<usize> = 1..=5;

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
    let school = School::new(&checkpoint, &task, recorded, arguments.goal_blocks)?;
    let seed = Seed::new(lesson.seed).child("distill");
    let config = PolicyConfig::for_model(&checkpoint.config.model, task.horizon_blocks);
    let meter = Meter::new("distill", arguments.steps, "steps");
    let go_on = |step, energy: f64| {
        meter.set(step, || format!("energy {energy:.3}"));
        !stop.load(Ordering::Relaxed)
    };
    let draw = |policy: &Policy, count: usize, seed: Seed| school.draw(Some(policy), count, seed);
    let judge = |state: &[f32], goal: &[f32], plan: &[f32]| school.judge(state, goal, plan);
    let teacher = Teacher { draw: &draw, judge: &judge };
    let Some((policy, energy)) = train_policy(config, &teacher, arguments.steps, seed, lesson.threads, go_on)? else {
        bail!("stopped; nothing was written");
    };
    drop(meter);
    let compared = pool.install(|| school.compare(&policy, seed.child("compare")))?;
    checkpoint.policy = Some(policy);
    checkpoint.save(&lesson.out)?;
    let [energy_of_policy, energy_of_planner, energy_of_nothing] = compared;
    let (path, steps) = (lesson.out.clone(), arguments.steps);
    let report = PolicyReport { path, steps, energy, energy_of_policy, energy_of_planner, energy_of_nothing };
    if lesson.json {
        return print_json(&report);
    }
    println!("{}: a policy beside its model", lesson.out.display());
    println!(
        "mean energy of its plans {energy_of_policy:.3}, of those that the planner finds {energy_of_planner:.3}, of doing nothing {energy_of_nothing:.3}"
    );
    Ok(())
}

/// Recorded states, and a planner to learn from.
struct School<'a> {
    task: &'a Task,
    recorded: Recorded,
    world: LearnedWorldModel,
    engine: RolloutEngine,
    cost: CostModule,
    block: (usize, usize),
    goal_blocks: usize,
}

impl<'a> School<'a> {
    fn new(checkpoint: &Checkpoint, task: &'a Task, recorded: Recorded, goal_blocks: usize) -> Result<Self> {
        let model = &checkpoint.config.model;
        Ok(Self {
            task,
            recorded,
            world: LearnedWorldModel::new(&checkpoint.model, task.precision, 1)?,
            engine: RolloutEngine::new(&checkpoint.model)?,
            cost: cost(task, GoalDistance::new(checkpoint.statistics.factor(task.metric))?),
            block: (model.action_block, model.action_width),
            goal_blocks,
        })
    }

    /// Situations out of recorded episodes; with a `policy`, half of the states are those that it leads to.
    fn draw(&self, policy: Option<&Policy>, count: usize, seed: Seed) -> mindseye_world_model::Result<Situations> {
        let one = |index: usize| {
            let mut rng = seed.index(index as u64).rng();
            let episodes = &self.recorded.episodes;
            let episode = &episodes[rng.random_range(0..episodes.len())];
            let start = rng.random_range(episode.start..episode.end - 1);
            let ahead = rng.random_range(1..=self.goal_blocks.min(episode.end - 1 - start));
            let latent = |moment: usize| self.recorded.latent(moment).to_vec();
            let (mut state, goal) = (latent(start), latent(start + ahead));
            if let Some(policy) = policy.filter(|_| index % 2 == 1) {
                for _ in 0..rng.random_range(LED_BLOCKS) {
                    let block = policy.plan(&state, &goal)?[..self.block.0 * self.block.1].to_vec();
                    state = self.engine.rollout(&state, &block, 1, 1)?;
                }
            }
            Ok((state, goal))
        };
        let drawn: Vec<(Vec<f32>, Vec<f32>)> =
            (0..count).into_par_iter().map(one).collect::<mindseye_world_model::Result<_>>()?;
        let (states, goals): (Vec<Vec<f32>>, Vec<Vec<f32>>) = drawn.into_iter().unzip();
        Ok(Situations { states: states.concat(), goals: goals.concat() })
    }

    fn directive(&self, goal: &[f32]) -> mindseye_agent::Result<Directive> {
        let goals = vec![Latent::global(goal.to_vec())];
        let configurator = SequenceConfigurator::new(self.task, goals, self.block.0, self.block.1)?;
        Ok(configurator.configure(&RingMemory::new(1)))
    }

    /// The energy of `plan` and its slopes.
    fn judge(&self, state: &[f32], goal: &[f32], plan: &[f32]) -> mindseye_world_model::Result<Judged> {
        let judge = || -> mindseye_agent::Result<Judged> {
            let (directive, start) = (self.directive(goal)?, Latent::global(state.to_vec()));
            let plans = Plans::new(1, directive.horizon_blocks, directive.block_width(), plan.to_vec())?;
            let (energies, slopes) =
                Imagination::new(&self.world, &self.cost, &start, &directive).energies_and_slopes(&plans)?;
            Ok((energies[0], slopes))
        };
        judge().map_err(|error| mindseye_world_model::Error::Teacher(error.to_string()))
    }

    /// Mean energies of plans of the policy, of the planner, and of doing nothing, on the same recorded situations.
    fn compare(&self, policy: &Policy, seed: Seed) -> Result<[f64; 3]> {
        let Situations { states, goals } = self.draw(None, COMPARED, seed)?;
        let one = |index: usize| -> Result<[f64; 3]> {
            let width = self.recorded.width;
            let of = |values: &[f32]| values[index * width..(index + 1) * width].to_vec();
            let (state, goal) = (of(&states), of(&goals));
            let (directive, start) = (self.directive(&goal)?, Latent::global(state.clone()));
            let imagination = Imagination::new(&self.world, &self.cost, &start, &directive);
            let clock = SystemClock::start();
            let deadline = Deadline { clock: &clock, at_secs: f64::INFINITY };
            let mut rng = seed.child("planner").index(index as u64).rng();
            let found = self.task.planner.build().act(&imagination, &mut rng, &deadline)?.plan.values().to_vec();
            let plans =
                [policy.plan(&state, &goal)?, found, vec![0.0; directive.horizon_blocks * directive.block_width()]];
            let plans = Plans::new(3, directive.horizon_blocks, directive.block_width(), plans.concat())?;
            let energies = imagination.energies(&plans)?;
            Ok([0, 1, 2].map(|plan: usize| f64::from(energies[plan])))
        };
        let all: Vec<[f64; 3]> = (0..COMPARED).into_par_iter().map(one).collect::<Result<_>>()?;
        Ok([0, 1, 2].map(|plan: usize| all.iter().map(|energies| energies[plan]).sum::<f64>() / COMPARED as f64))
    }
}

/// Situations on which policy and planner are compared.
const COMPARED: usize = 200;
