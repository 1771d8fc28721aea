//! One episode of an evaluation, from the report of `mindseye evaluate --out`.

use std::path::{Path, PathBuf};

use mindseye_agent::Task;
use mindseye_evaluation::{Perturbation, allowed_states};
use mindseye_interface::{Benchmark, GoalKind, PairSearch, StartGoal, inputs};
use serde::Deserialize;

use crate::{Error, Result};

/// Name of the report in its folder.
const FILE: &str = "evaluation.json";
/// Largest number of a pair: all before it are searched for.
pub(crate) const MAX_PAIR: usize = 9_999;
/// Most bytes of a report: some 100,000 episodes.
const MAX_BYTES: u64 = 256 << 20;

/// What of a report is read here; it has more.
#[derive(Deserialize)]
struct Report {
    methods: Vec<Method>,
    settings: Settings,
    results: Vec<Episode>,
}

#[derive(Deserialize)]
struct Method {
    name: String,
    model: Option<Model>,
}

/// The model that was evaluated.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Model {
    /// Folder of the checkpoint.
    pub checkpoint: PathBuf,
    /// SHA-256 of its weights.
    pub fingerprint: String,
}

#[derive(Deserialize)]
struct Settings {
    benchmark: String,
    factors: Vec<String>,
    goals: GoalKind,
    warmup_episodes: usize,
    perturbation: Perturbation,
    task: Task,
}

#[derive(Deserialize)]
struct Episode {
    seed: u64,
    index: usize,
    start: Vec<f64>,
    goal: Vec<f64>,
    first_success_step: Option<usize>,
}

/// An episode of an evaluation, and what it follows from.
pub(crate) struct EvaluatedEpisode {
    pub scene: String,
    pub model: Model,
    pub task: Task,
    goals: GoalKind,
    episode: Episode,
}

impl EvaluatedEpisode {
    /// Episode number `number` of the report at `path` (a folder, or the file in it), counted from 0 among all of them
    /// or among those that `failed`.
    ///
    /// # Errors
    /// [`Error::File`] for a broken report, and for one whose episodes cannot be repeated here: with factors of
    /// variation, warm-up episodes or disturbed images, or of a method without a model; [`Error::Value`] where there is
    /// no such episode.
    pub fn read(path: &Path, number: usize, failed: bool) -> Result<Self> {
        let path = if path.is_dir() { path.join(FILE) } else { path.to_path_buf() };
        let text = inputs::read(&path, MAX_BYTES).map_err(|error| Error::file(&path, error))?;
        let Report { methods, settings, results } =
            serde_json::from_slice(&text).map_err(|error| Error::file(&path, error))?;
        let refuse = |field: &str, expected: &str, got: String| {
            Err(Error::file(&path, format!("{field}: expected {expected}, got {got}")))
        };
        let Settings { benchmark: scene, factors, goals, warmup_episodes, perturbation, task } = settings;
        if !factors.is_empty() {
            return refuse("settings.factors", "none: a run has the scene as it is", factors.join(", "));
        }
        if warmup_episodes > 0 {
            return refuse("settings.warmup_episodes", "0: a run begins with its episode", warmup_episodes.to_string());
        }
        if perturbation != Perturbation::default() {
            return refuse("settings.perturbation", "images as the camera takes them", format!("{perturbation:?}"));
        }
        let method = methods.into_iter().next();
        let Some(model) = method.as_ref().and_then(|method| method.model.clone()) else {
            let got = method.map_or_else(|| "none".to_owned(), |method| method.name);
            return refuse("methods", "an agent with a learned model first", got);
        };
        let mut episodes: Vec<Episode> = results;
        episodes.retain(|episode| !failed || episode.first_success_step.is_none());
        let count = episodes.len();
        if count == 0 {
            let expected = if failed { "an episode that failed" } else { "an episode" };
            return refuse("results", expected, "none".to_owned());
        }
        if number >= count {
            let which = if failed { " that failed" } else { "" };
            return Err(Error::value("--pair", format!("less than {count}, the number of episodes{which}"), number));
        }
        let episode = episodes.swap_remove(number);
        if episode.index > MAX_PAIR {
            return refuse("results: index", &format!("0 to {MAX_PAIR}"), episode.index.to_string());
        }
        Ok(Self { scene, model, task, goals, episode })
    }

    /// Start and goal in the world of `benchmark`.
    ///
    /// # Errors
    /// [`Error::Value`] where the world gives another pair under the same seed; when the world fails.
    pub fn pair(&self, benchmark: &dyn Benchmark) -> Result<StartGoal> {
        let Episode { seed, index, ref start, ref goal, .. } = self.episode;
        let world = benchmark.environment()?;
        let allowed = allowed_states(&self.task, world.as_ref()).map_err(|error| Error::Supplied(error.into()))?;
        let search = PairSearch { allowed: &allowed, ..PairSearch::new(self.goals, index + 1, seed) };
        let pair = benchmark.start_goal_pairs(&search)?.into_iter().nth(index);
        match pair {
            Some(pair) if are_equal(&pair.start, start) && are_equal(&pair.goal, goal) => Ok(pair),
            Some(pair) => {
                let state = |state: &[f64]| format!("start {state:?}");
                Err(Error::value(format!("pair {index} of seed {seed}"), state(start), state(&pair.start)))
            }
            None => Err(Error::value(format!("seed {seed}"), format!("{} pairs", index + 1), "fewer")),
        }
    }
}

/// Whether two true states are the same, but for the last digits of a text.
fn are_equal(one: &[f64], other: &[f64]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| (one - other).abs() < 1e-9)
}
