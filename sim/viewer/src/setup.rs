//! From arguments to a run: which scene, which of its pairs, which model and task.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use mindseye_agent::{ModelSource, Task};
use mindseye_assets as assets;
use mindseye_interface::{Benchmark as _, GoalKind, PairSearch, config};
use mindseye_runs::{Detail, InteractiveRun, RunSetup, SavedRun};
use mindseye_sim::{SceneBenchmark, SceneOptions, benchmark};
use mindseye_world_model::Checkpoint;

use crate::session::{Session, Settings};

/// What is shown.
#[derive(Debug, Clone, Args)]
pub struct SetupArguments {
    /// Name of the scene: two_room, push_t or bridge.
    #[arg(default_value = "push_t")]
    scene: String,
    /// Folder of the checkpoint; by default the one that comes with the scene.
    #[arg(long)]
    checkpoint: Option<PathBuf>,
    /// Task file (TOML); by default the one that comes with the scene.
    #[arg(long)]
    task: Option<PathBuf>,
    /// Seed of the evaluation that start and goal are from.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Which of its pairs, from 0.
    #[arg(long, default_value_t = 0)]
    pair: usize,
    /// Control steps from start to goal, in scenes without hard pairs of their own.
    #[arg(long, default_value_t = 25)]
    goal_offset: usize,
    /// Candidates that are kept for display.
    #[arg(long, default_value_t = Detail::default().candidates)]
    candidates: usize,
    /// Threads for planning.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// A run that was saved, with its scene, pair, task and commands; all of its ticks are replayed.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["task", "seed", "pair", "goal_offset"])]
    load: Option<PathBuf>,
    /// Wait before the first tick.
    #[arg(long)]
    paused: bool,
}

impl SetupArguments {
    /// The same, waiting before the first tick where nobody is there to see it (`is_seen` is false).
    #[must_use]
    pub fn paused_unless(self, is_seen: bool) -> Self {
        Self { paused: self.paused || !is_seen, ..self }
    }
}

/// The run that `arguments` ask for, on a thread of its own.
///
/// # Errors
/// When there is no such scene, pair, task or checkpoint, or they do not fit together.
pub fn prepare(arguments: &SetupArguments) -> Result<Session> {
    let run = match &arguments.load {
        Some(path) => {
            let saved = SavedRun::load(path)?;
            let source = model(arguments.checkpoint.as_deref(), &saved.scene)?;
            let world = world_for(&source, &saved.scene)?;
            let setup = saved.setup(world, source, arguments.threads, detail(arguments));
            InteractiveRun::load(path, &mut |_| Ok(setup.clone()))?
        }
        None => InteractiveRun::new(setup(arguments)?)?,
    };
    let setup = run.setup();
    let scene = mindseye_sim::scene(setup.benchmark.name())?;
    let figure = scene.figure(&mindseye_sim::Factors::default(), setup.pair.episode)?;
    let title = format!("{}, seed {}, pair {}", scene.name, setup.pair.seed, setup.pair.index);
    let spec = setup.source.model().spec();
    let settings = Settings::of(&setup.task, spec.action_width, spec.action_chunk);
    Ok(Session::start(run, figure, title, settings, arguments.paused)?)
}

fn setup(arguments: &SetupArguments) -> Result<RunSetup> {
    let source = model(arguments.checkpoint.as_deref(), &arguments.scene)?;
    let task = match &arguments.task {
        Some(path) => assets::resolve(path),
        None => assets::task(&arguments.scene).map_err(anyhow::Error::msg)?,
    };
    let task: Task = config::load(&task)?;
    let scene = mindseye_sim::scene(&arguments.scene)?;
    if task.scene.as_deref().is_some_and(|known| known != scene.name) {
        bail!("task {}: expected one of the scene {}, got one of {:?}", task.name, scene.name, task.scene);
    }
    let goals =
        if scene.has_hard_pairs() { GoalKind::Hard } else { GoalKind::Offset { goal_offset: arguments.goal_offset } };
    let benchmark = world_for(&source, scene.name)?;
    let pairs = benchmark.start_goal_pairs(&PairSearch::new(goals, arguments.pair + 1, arguments.seed))?;
    let pair =
        pairs.into_iter().last().with_context(|| format!("--pair: expected a pair of {}, got none", scene.name))?;
    Ok(RunSetup { benchmark, source, task, pair, threads: arguments.threads, detail: detail(arguments) })
}

fn model(checkpoint: Option<&Path>, scene: &str) -> Result<ModelSource> {
    let folder = assets::checkpoint_or(checkpoint, scene).map_err(anyhow::Error::msg)?;
    Ok(ModelSource::from(Arc::new(Checkpoint::load_for_scene(&folder, scene)?)))
}

/// The scene with a camera like the model's.
fn world_for(source: &ModelSource, scene: &str) -> Result<Arc<SceneBenchmark>> {
    let image_side = source.model().spec().cameras.first().map_or(64, |camera| camera.width);
    Ok(Arc::new(benchmark(scene, &SceneOptions::with_side(image_side)?)?))
}

fn detail(arguments: &SetupArguments) -> Detail {
    Detail { candidates: arguments.candidates, ..Detail::default() }
}
