//! From arguments to a run: which scene, which of its pairs, which model and task.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use mindseye_agent::{ModelSource, Task};
use mindseye_evaluation::{LearnedAgent, Method as _};
use mindseye_interface::config::require_range;
use mindseye_interface::{Benchmark, GoalKind, PairSearch};

use crate::evaluated::{EvaluatedEpisode, MAX_PAIR};
use crate::recorded::RecordedEpisode;
use crate::{Detail, Error, InteractiveRun, Result, RunSetup, SavedRun};

/// The error of whoever supplies something.
pub type Supplied<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A world that runs may share between threads.
pub type SharedBenchmark = Arc<dyn Benchmark + Send + Sync>;

/// Side of images for models that see none, pixels.
const IMAGE_SIDE: usize = 64;
/// The scene unless told otherwise.
const DEFAULT_SCENE: &str = "push_t";

/// What a program supplies to [`RunArguments`], which knows neither scenes nor shipped files.
pub trait Shipped {
    /// The scene called `scene`, with square camera images of `image_side` pixels.
    ///
    /// # Errors
    /// When there is no such scene.
    fn world(&self, scene: &str, image_side: usize) -> Supplied<SharedBenchmark>;

    /// The folder of the checkpoint that a person named, or of the one that comes with `scene`.
    ///
    /// # Errors
    /// When there is none.
    fn checkpoint(&self, named: Option<&Path>, scene: &str) -> Supplied<PathBuf>;

    /// The task that a person named, or the one that comes with `scene`.
    ///
    /// # Errors
    /// When there is none, it is broken, or of another scene.
    fn task(&self, named: Option<&Path>, scene: &str) -> Supplied<Task>;
}

/// Which run.
#[derive(Debug, Clone, Args)]
pub struct RunArguments {
    /// Name of the scene: two_room, push_t or bridge. [default: push_t, or that of what is loaded]
    scene: Option<String>,
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
    /// An evaluation one of whose episodes is to be seen: the folder that `mindseye evaluate --out` wrote. --pair
    /// counts its episodes from 0. Its time for planning is not enforced.
    #[arg(long, value_name = "REPORT", conflicts_with_all = ["task", "seed", "goal_offset", "load"])]
    evaluation: Option<PathBuf>,
    /// Of an evaluation: --pair counts the episodes that failed.
    #[arg(long, requires = "evaluation")]
    failed: bool,
    /// A data set of which an episode is to be seen: a folder that `mindseye record` wrote. --pair counts its episodes
    /// from 0. What was done then is done again, towards the episode's end as the goal, and the agent plans beside it,
    /// until the recording ends or a person lets the agent act.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["seed", "goal_offset", "load", "evaluation"])]
    data: Option<PathBuf>,
    /// Wait before the first tick.
    #[arg(long)]
    paused: bool,
}

/// Pairs of an evaluation.
pub struct EvaluatedPairs {
    /// Their runs, before the first tick.
    pub setups: Vec<RunSetup>,
    /// Control steps that the protocol allows for each.
    pub budget_steps: usize,
}

impl RunArguments {
    /// Whether the run waits before its first tick.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// The same, waiting before the first tick where nobody is there to see it (`is_seen` is false).
    #[must_use]
    pub fn paused_unless(self, is_seen: bool) -> Self {
        Self { paused: self.paused || !is_seen, ..self }
    }

    /// The run before its first tick, or after all ticks of a saved one.
    ///
    /// # Errors
    /// When there is no such scene, pair, task or checkpoint, or they do not fit together.
    pub fn run(&self, shipped: &dyn Shipped) -> Result<InteractiveRun> {
        self.check()?;
        match (&self.load, &self.evaluation, &self.data) {
            (Some(path), ..) => self.load(path, shipped).map_err(|error| match error {
                Error::File { .. } => error, // which names it already
                error => Error::file(path, error),
            }),
            (None, Some(path), _) => InteractiveRun::new(self.evaluated(path, shipped)?),
            (None, None, Some(path)) => InteractiveRun::new(self.recorded(path, shipped)?),
            (None, None, None) => InteractiveRun::new(self.setup(shipped)?),
        }
    }

    /// `count` pairs of the seed from the first one on, for those who run them one after the other.
    ///
    /// # Errors
    /// As [`RunArguments::run`]; [`Error::Value`] where a saved run or an episode of a report is named, and where
    /// there are fewer pairs.
    pub fn pairs(&self, shipped: &dyn Shipped, count: usize) -> Result<EvaluatedPairs> {
        self.check()?;
        let one_each = [
            ("--load", &self.load, "none: a saved run is one run"),
            ("--evaluation", &self.evaluation, "none: its episodes are one run each"),
            ("--data", &self.data, "none: its episodes are one run each"),
        ];
        match one_each.into_iter().find_map(|(name, path, expected)| Some((name, path.as_ref()?, expected))) {
            None => self.setups(shipped, count),
            Some((name, path, expected)) => Err(Error::value(name, expected, path.display())),
        }
    }

    fn check(&self) -> Result<()> {
        require_range("--pair", self.pair, 0, MAX_PAIR)?;
        require_range("--goal-offset", self.goal_offset, 1, 100_000)?;
        require_range("--threads", self.threads, 1, 1024)?;
        require_range("--candidates", self.candidates, 0, 10_000)?;
        if self.failed && self.evaluation.is_none() {
            return Err(Error::value("--failed", "--evaluation REPORT beside it", "none"));
        }
        Ok(())
    }

    /// The setup of an episode of the evaluation at `path`.
    fn evaluated(&self, path: &Path, shipped: &dyn Shipped) -> Result<RunSetup> {
        let episode = EvaluatedEpisode::read(path, self.pair, self.failed)?;
        self.require_scene(&episode.scene, "evaluated")?;
        shipped.world(&episode.scene, IMAGE_SIDE).map_err(Error::Supplied)?;
        let checkpoint = self.checkpoint.as_deref().unwrap_or(&episode.model.checkpoint);
        let agent = self.agent(shipped, Some(checkpoint), &episode.scene)?;
        let (expected, got) = (&episode.model.fingerprint, agent.model().map(|model| model.fingerprint.as_str()));
        if got != Some(expected) {
            let got = format!("{} of {}", got.unwrap_or("none"), checkpoint.display());
            return Err(Error::value("the evaluated model", expected, got));
        }
        let source = agent.source().clone();
        let benchmark = world_for(shipped, &source, &episode.scene)?;
        let pair = episode.pair(benchmark.as_ref())?;
        Ok(RunSetup {
            benchmark,
            source,
            task: episode.task,
            pair,
            recorded: None,
            threads: self.threads,
            detail: self.detail(),
        })
    }

    /// The setup of an episode of the data set at `path`.
    fn recorded(&self, path: &Path, shipped: &dyn Shipped) -> Result<RunSetup> {
        let episode = RecordedEpisode::read(path, self.pair)?;
        self.require_scene(&episode.scene, "recorded")?;
        shipped.world(&episode.scene, IMAGE_SIDE).map_err(Error::Supplied)?;
        let source = self.model(shipped, &episode.scene)?;
        let task = shipped.task(self.task.as_deref(), &episode.scene).map_err(Error::Supplied)?;
        let benchmark = world_for(shipped, &source, &episode.scene)?;
        let pair = episode.pair(benchmark.as_ref())?;
        let (recorded, threads, detail) = (Some(Arc::new(episode.recorded)), self.threads, self.detail());
        Ok(RunSetup { benchmark, source, task, pair, recorded, threads, detail })
    }

    /// Refuses another scene than that of what is opened.
    fn require_scene(&self, scene: &str, how: &str) -> Result<()> {
        match self.scene.as_ref().filter(|named| **named != scene) {
            None => Ok(()),
            Some(named) => Err(Error::value("scene", format!("{scene} as {how}"), named)),
        }
    }

    fn load(&self, path: &Path, shipped: &dyn Shipped) -> Result<InteractiveRun> {
        let saved = SavedRun::load(path)?;
        self.require_scene(&saved.scene, "saved")?;
        // A scene that there is not has no checkpoint either.
        shipped.world(&saved.scene, IMAGE_SIDE).map_err(Error::Supplied)?;
        let source = self.model(shipped, &saved.scene)?;
        let world = world_for(shipped, &source, &saved.scene)?;
        let setup = saved.setup(world, source, self.threads, self.detail());
        InteractiveRun::load(path, &mut |_| Ok(setup.clone()))
    }

    fn setup(&self, shipped: &dyn Shipped) -> Result<RunSetup> {
        let pairs = self.setups(shipped, 1)?;
        pairs.setups.into_iter().next().ok_or_else(|| Error::value("--pair", "one that there is", self.pair))
    }

    /// The pairs from number `pair` on; `count` of them, at least 1.
    fn setups(&self, shipped: &dyn Shipped, count: usize) -> Result<EvaluatedPairs> {
        // First of all: what there is no scene for has no checkpoint either, and the scene's name is what was wrong.
        let scene = self.scene.as_deref().unwrap_or(DEFAULT_SCENE);
        shipped.world(scene, IMAGE_SIDE).map_err(Error::Supplied)?;
        let source = self.model(shipped, scene)?;
        let task = shipped.task(self.task.as_deref(), scene).map_err(Error::Supplied)?;
        let benchmark = world_for(shipped, &source, scene)?;
        let goals = match benchmark.has_hard_pairs() {
            true => GoalKind::Hard,
            false => GoalKind::Offset { goal_offset: self.goal_offset },
        };
        let until = self.pair + count;
        let pairs = benchmark.start_goal_pairs(&PairSearch::new(goals, until, self.seed))?;
        if pairs.len() < until {
            return Err(Error::value("--pair", format!("less than {}", pairs.len()), until - 1));
        }
        let (threads, detail) = (self.threads, self.detail());
        let of_pair = |pair| RunSetup {
            benchmark: benchmark.clone(),
            source: source.clone(),
            task: task.clone(),
            pair,
            recorded: None,
            threads,
            detail,
        };
        let setups = pairs.into_iter().skip(self.pair).map(of_pair).collect();
        Ok(EvaluatedPairs { setups, budget_steps: goals.default_budget() })
    }

    fn model(&self, shipped: &dyn Shipped, scene: &str) -> Result<ModelSource> {
        Ok(self.agent(shipped, self.checkpoint.as_deref(), scene)?.source().clone())
    }

    fn agent(&self, shipped: &dyn Shipped, named: Option<&Path>, scene: &str) -> Result<LearnedAgent> {
        let folder = shipped.checkpoint(named, scene).map_err(Error::Supplied)?;
        LearnedAgent::load(&folder, scene).map_err(|error| Error::Supplied(error.into()))
    }

    fn detail(&self) -> Detail {
        Detail { candidates: self.candidates, ..Detail::default() }
    }
}

/// The scene with a camera like the model's.
fn world_for(shipped: &dyn Shipped, source: &ModelSource, scene: &str) -> Result<SharedBenchmark> {
    let side = source.model().spec().cameras.first().map_or(IMAGE_SIDE, |camera| camera.width);
    shipped.world(scene, side).map_err(Error::Supplied)
}
