//! `mindseye distill`: from a planner to a policy that does the same without imagining.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, bail};
use clap::Args;
use mindseye_agent::actor::{Deadline, Imagination};
use mindseye_agent::configurator::{Configurator, SequenceConfigurator};
use mindseye_agent::cost::{CostModule, GoalDistance};
use mindseye_agent::memory::RingMemory;
use mindseye_agent::world_model::LearnedWorldModel;
use mindseye_agent::{Directive, Latent, Plans, Task};
use mindseye_episodes::{CacheOptions, FrameCache};
use mindseye_interface::config::require_range;
use mindseye_interface::{ImageSize, Seed, SystemClock};
use mindseye_world_model::encoder::Sensed;
use mindseye_world_model::policy::{Judged, PolicyConfig, Situations, Teacher, train_policy};
use mindseye_world_model::{Checkpoint, Policy, RolloutEngine};
use rand::Rng as _;
use rayon::prelude::*;
use serde::Serialize;

use super::{load_task, print_json};
use crate::progress::{Meter, stop_on_ctrl_c};
use crate::running::cost;
use crate::sources::Sources;

/// Teach a policy to do at once what a planner finds by imagining.
///
/// States and goals are drawn from recorded episodes; half of the states are those that the policy itself leads to, as the model imagines them. The
/// policy's plans are imagined and judged by the task's costs, and the slopes of their energy teach it. The checkpoint is written to --out with the policy
/// beside it: planners then begin with its proposals, it is what is done when there is no time to think, and the planner `policy` does nothing else (Mode-1).
#[derive(Debug, Args)]
#[command(
    after_help = "Example: mindseye distill --scene push_t --checkpoint assets/checkpoints/push_t --data data/push_t --out runs/with_policy"
)]
pub struct DistillArguments {
    /// Name of the scene (or what the checkpoint's data are of).
    #[arg(long)]
    scene: String,
    /// Folder of the checkpoint.
    #[arg(long)]
    checkpoint: PathBuf,
    /// Task file (TOML): the costs to learn from; by default the shipped one of the scene.
    #[arg(long)]
    task: Option<PathBuf>,
    /// Data set to draw states and goals from.
    #[arg(long, required = true)]
    data: Vec<PathBuf>,
    /// Folder for the checkpoint with its policy.
    #[arg(long)]
    out: PathBuf,
    /// Goals are at most so many blocks away.
    #[arg(long, default_value_t = 10)]
    goal_blocks: usize,
    /// Optimiser steps, of 256 situations each.
    #[arg(long, default_value_t = 5000)]
    steps: usize,
    /// Root of every random choice.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads; the policy does not depend on it.
    #[arg(long, default_value_t = super::default_threads())]
    threads: usize,
    /// Print one JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct DistillReport {
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
pub fn run(arguments: &DistillArguments) -> Result<()> {
    require_range("--goal-blocks", arguments.goal_blocks, 1, 10_000)?;
    require_range("--steps", arguments.steps, 1, 100_000_000)?;
    require_range("--threads", arguments.threads, 1, 1024)?;
    if arguments.out.join("config.json").exists() && arguments.out != arguments.checkpoint {
        bail!("{}: expected a folder without a checkpoint, got one with", arguments.out.display());
    }
    let mut checkpoint = Checkpoint::load_for_scene(&arguments.checkpoint, &arguments.scene)?;
    let task = load_task(arguments.task.as_deref(), &arguments.scene)?;
    let stop = stop_on_ctrl_c()?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(arguments.threads).build().context("starting threads")?;
    let school = pool.install(|| School::open(&checkpoint, &task, arguments))?;
    let seed = Seed::new(arguments.seed).child("distill");
    let config = PolicyConfig::for_model(&checkpoint.config.model, task.horizon_blocks);
    let meter = Meter::new("distill", arguments.steps, "steps");
    let go_on = |step, energy: f64| {
        meter.set(step, || format!("energy {energy:.3}"));
        !stop.load(Ordering::Relaxed)
    };
    let draw = |policy: &Policy, count: usize, seed: Seed| school.draw(Some(policy), count, seed);
    let judge = |state: &[f32], goal: &[f32], plan: &[f32]| school.judge(state, goal, plan);
    let teacher = Teacher { draw: &draw, judge: &judge };
    let Some((policy, energy)) = train_policy(config, &teacher, arguments.steps, seed, arguments.threads, go_on)?
    else {
        bail!("stopped; nothing was written");
    };
    drop(meter);
    let compared = pool.install(|| school.compare(&policy, seed.child("compare")))?;
    checkpoint.policy = Some(policy);
    checkpoint.save(&arguments.out)?;
    let [energy_of_policy, energy_of_planner, energy_of_nothing] = compared;
    let (path, steps) = (arguments.out.clone(), arguments.steps);
    let report = DistillReport { path, steps, energy, energy_of_policy, energy_of_planner, energy_of_nothing };
    if arguments.json {
        return print_json(&report);
    }
    println!("{}: a policy beside its model", arguments.out.display());
    println!(
        "mean energy of its plans {energy_of_policy:.3}, of those that the planner finds {energy_of_planner:.3}, of doing nothing {energy_of_nothing:.3}"
    );
    Ok(())
}

/// Recorded states, and a planner to learn from.
struct School<'a> {
    task: &'a Task,
    /// Latents `[F, D]` of all moments with pictures, and the places of each episode's among them, one block apart.
    latents: Vec<f32>,
    episodes: Vec<std::ops::Range<usize>>,
    world: LearnedWorldModel,
    engine: RolloutEngine,
    cost: CostModule,
    width: usize,
    block: (usize, usize),
    goal_blocks: usize,
}

impl<'a> School<'a> {
    fn open(checkpoint: &Checkpoint, task: &'a Task, arguments: &DistillArguments) -> Result<Self> {
        let model = &checkpoint.config.model;
        let sources = Sources::open(&arguments.data, &[], &[])?;
        let side = model.image_side;
        let options = CacheOptions {
            image_size: Some(ImageSize::new(model.cameras * side, side)?),
            stride: model.action_block,
            ..CacheOptions::default()
        };
        let meter = Meter::new("decode", sources.frames(), "frames");
        let cache = sources.load(&options, &|done| meter.set(done, String::new))?;
        drop(meter);
        let (latents, episodes) = encode(checkpoint, &cache)?;
        if episodes.iter().all(|episode| episode.len() < 2) {
            bail!("{}: expected episodes of at least two blocks, got none", sources.path().display());
        }
        Ok(Self {
            task,
            latents,
            episodes: episodes.into_iter().filter(|episode| episode.len() > 1).collect(),
            world: LearnedWorldModel::new(&checkpoint.model, task.precision, 1)?,
            engine: RolloutEngine::new(&checkpoint.model)?,
            cost: cost(task, GoalDistance::new(checkpoint.statistics.factor(task.metric))?),
            width: model.latent_width,
            block: (model.action_block, model.action_width),
            goal_blocks: arguments.goal_blocks,
        })
    }

    /// Situations out of recorded episodes; with a `policy`, half of the states are those that it leads to.
    fn draw(&self, policy: Option<&Policy>, count: usize, seed: Seed) -> mindseye_world_model::Result<Situations> {
        let one = |index: usize| {
            let mut rng = seed.index(index as u64).rng();
            let episode = &self.episodes[rng.random_range(0..self.episodes.len())];
            let start = rng.random_range(episode.start..episode.end - 1);
            let ahead = rng.random_range(1..=self.goal_blocks.min(episode.end - 1 - start));
            let latent = |place: usize| self.latents[place * self.width..(place + 1) * self.width].to_vec();
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
            let of = |values: &[f32]| values[index * self.width..(index + 1) * self.width].to_vec();
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
/// Moments encoded at a time.
const CHUNK: usize = 256;

/// Latents of all moments with pictures, and each episode's places among them.
fn encode(checkpoint: &Checkpoint, cache: &FrameCache) -> Result<(Vec<f32>, Vec<std::ops::Range<usize>>)> {
    let model = &checkpoint.config.model;
    let (mut moments, mut episodes) = (Vec::new(), Vec::new());
    for episode in cache.episodes() {
        let first = moments.len();
        moments.extend(episode.clone().filter(|&moment| cache.has_picture(moment)));
        episodes.push(first..moments.len());
    }
    let encode = |chunk: &[usize]| -> Result<Vec<f32>> {
        let pictures: Vec<u8> = chunk.iter().flat_map(|&moment| cache.picture(moment)).copied().collect();
        let felt =
            |&moment: &usize| if model.proprioception_width == 0 { &[] } else { cache.proprioception_at(moment) };
        let proprioception: Vec<f32> = chunk.iter().flat_map(felt).copied().collect();
        Ok(checkpoint.model.encode(Sensed { pictures: &pictures, proprioception: &proprioception })?)
    };
    let parts: Vec<Vec<f32>> = moments.par_chunks(CHUNK).map(encode).collect::<Result<_>>()?;
    Ok((parts.concat(), episodes))
}
