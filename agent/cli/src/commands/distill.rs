//! `mindseye distill`: from a planner to a policy that does the same without imagining.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};
use clap::Args;
use mindseye_agent::actor::{Deadline, Imagination};
use mindseye_agent::configurator::{Configurator, SequenceConfigurator};
use mindseye_agent::cost::{CostModule, GoalDistance};
use mindseye_agent::memory::RingMemory;
use mindseye_agent::world_model::LearnedWorldModel;
use mindseye_agent::{Latent, Task};
use mindseye_episodes::{CacheOptions, FrameCache};
use mindseye_interface::config::require_range;
use mindseye_interface::{ImageSize, Seed, SystemClock};
use mindseye_world_model::encoder::Sensed;
use mindseye_world_model::policy::{Lessons, PolicyConfig, PolicyReport, train_policy};
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
/// States and goals are drawn from recorded episodes, the task's planner plans from one to the other in the checkpoint's model, and a small network
/// learns the plans. In the second half, states are those that the policy itself leads to, as the model imagines them. The checkpoint is written to --out with the
/// policy beside it: planners then begin with its proposals, it is what is done when there is no time to think, and the planner `policy` does nothing else (Mode-1).
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
    /// Task file (TOML): the planner to learn from; by default the shipped one of the scene.
    #[arg(long)]
    task: Option<PathBuf>,
    /// Data set to draw states and goals from.
    #[arg(long, required = true)]
    data: Vec<PathBuf>,
    /// Folder for the checkpoint with its policy.
    #[arg(long)]
    out: PathBuf,
    /// Plans to learn from.
    #[arg(long, default_value_t = 40_000)]
    lessons: usize,
    /// Goals are at most so many blocks away.
    #[arg(long, default_value_t = 10)]
    goal_blocks: usize,
    /// Optimiser steps of each half.
    #[arg(long, default_value_t = 4000)]
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
    #[serde(flatten)]
    policy: PolicyReport,
}

/// Most blocks that the policy leads away from a recorded state before the planner takes over.
const LED_BLOCKS: std::ops::RangeInclusive<usize> = 1..=5;

/// Runs the command.
///
/// # Errors
/// When an argument makes no sense, data and checkpoint do not fit together, or a file cannot be written.
pub fn run(arguments: &DistillArguments) -> Result<()> {
    require_range("--lessons", arguments.lessons, 100, 100_000_000)?;
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
    let mut lessons = Lessons::default();
    let mut taught: Option<(Policy, PolicyReport)> = None;
    for half in 0..2u64 {
        let meter = Meter::new("plan", arguments.lessons / 2, "lessons");
        let policy = taught.as_ref().map(|(policy, _)| policy);
        pool.install(|| school.teach(arguments.lessons / 2, seed.index(half), policy, &meter, &mut lessons))?;
        drop(meter);
        let meter = Meter::new("learn", arguments.steps, "steps");
        let go_on = |step| {
            meter.set(step, String::new);
            !stop.load(Ordering::Relaxed)
        };
        taught = Some(train_policy(config.clone(), &lessons, arguments.steps, seed, arguments.threads, go_on)?);
        if stop.load(Ordering::Relaxed) {
            bail!("stopped; nothing was written");
        }
    }
    let Some((policy, report)) = taught else { bail!("expected a policy, got none") };
    checkpoint.policy = Some(policy);
    checkpoint.save(&arguments.out)?;
    let report = DistillReport { path: arguments.out.clone(), policy: report };
    if arguments.json {
        return print_json(&report);
    }
    let PolicyReport { lessons, first_block_error, first_block_error_of_mean, .. } = report.policy;
    println!("{}: a policy taught by {lessons} plans", arguments.out.display());
    println!(
        "its first blocks are {:.3} off from the planner's (mean square; their mean is {first_block_error_of_mean:.3} off)",
        first_block_error
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

    /// Adds `count` lessons; with a `policy`, states are those that it leads to.
    fn teach(
        &self,
        count: usize,
        seed: Seed,
        policy: Option<&Policy>,
        meter: &Meter,
        lessons: &mut Lessons,
    ) -> Result<()> {
        let done = AtomicUsize::new(0);
        let one = |index: usize| {
            let lesson = self.lesson(seed.index(index as u64), policy);
            meter.set(done.fetch_add(1, Ordering::Relaxed) + 1, String::new);
            lesson
        };
        let taught: Vec<[Vec<f32>; 3]> = (0..count).into_par_iter().map(one).collect::<Result<_>>()?;
        for [state, goal, plan] in taught {
            lessons.states.extend(state);
            lessons.goals.extend(goal);
            lessons.plans.extend(plan);
        }
        Ok(())
    }

    /// A state, a goal, and the plan that the planner finds.
    fn lesson(&self, seed: Seed, policy: Option<&Policy>) -> Result<[Vec<f32>; 3]> {
        let mut rng = seed.rng();
        let episode = &self.episodes[rng.random_range(0..self.episodes.len())];
        let start = rng.random_range(episode.start..episode.end - 1);
        let ahead = rng.random_range(1..=self.goal_blocks.min(episode.end - 1 - start));
        let latent = |place: usize| self.latents[place * self.width..(place + 1) * self.width].to_vec();
        let (mut state, goal) = (latent(start), latent(start + ahead));
        if let Some(policy) = policy {
            let block_width = self.block.0 * self.block.1;
            for _ in 0..rng.random_range(LED_BLOCKS) {
                let block = policy.plan(&state, &goal)?[..block_width].to_vec();
                state = self.engine.rollout(&state, &block, 1, 1)?;
            }
        }
        let goals = vec![Latent::global(goal.clone())];
        let configurator = SequenceConfigurator::new(self.task, goals, self.block.0, self.block.1)?;
        let directive = configurator.configure(&RingMemory::new(1));
        let start = Latent::global(state.clone());
        let imagination = Imagination::new(&self.world, &self.cost, &start, &directive);
        let clock = SystemClock::start();
        let deadline = Deadline { clock: &clock, at_secs: f64::INFINITY };
        let choice = self.task.planner.build().act(&imagination, &mut seed.child("planner").rng(), &deadline)?;
        Ok([state, goal, choice.plan.values().to_vec()])
    }
}

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
