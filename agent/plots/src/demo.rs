//! Episodes of an agent, filmed: what it observes, what it imagines, whether it arrives.

use std::fmt::{Display, Formatter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mindseye_agent::Task;
use mindseye_evaluation::interval::{Percentiles, SuccessRate};
use mindseye_evaluation::{Episode, EpisodeResult, Error as EvaluationError, GoalChange, LearnedAgent, Perturbation};
use mindseye_interface::{Benchmark, GoalKind, Seed, StartGoal};
use mindseye_world_model::Checkpoint;
use serde::Serialize;

use crate::{DemoFilm, Result};

/// Episodes of an agent in real time, each until its goal is held or its budget is spent.
pub struct Demo<'a> {
    /// Where it acts.
    pub benchmark: &'a dyn Benchmark,
    /// Its world model, with a decoder for the film.
    pub checkpoint: Arc<Checkpoint>,
    /// How it plans.
    pub task: &'a Task,
    /// How starts and goals are chosen.
    pub goals: GoalKind,
    /// Number of episodes.
    pub episodes: usize,
    /// Control steps per episode.
    pub budget_steps: usize,
    /// After so many control steps of every episode the goal becomes where the episode began.
    pub switch_after: Option<usize>,
    /// Root of every random choice.
    pub seed: Seed,
    /// Threads of the current rayon pool that plan.
    pub threads: usize,
}

/// What an agent did in one scene.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DemoReport {
    /// Name of the scene.
    pub scene: String,
    /// The episodes in their order.
    pub episodes: Vec<DemoEpisode>,
    /// Episodes whose goal was reached.
    pub solved: usize,
    /// Planning time of all ticks, milliseconds.
    pub planning_ms: Percentiles,
    /// The film.
    pub film: PathBuf,
}

/// One episode.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DemoEpisode {
    /// True state at the start `[K]`.
    pub start: Vec<f64>,
    /// True state of the goal `[K]`.
    pub goal: Vec<f64>,
    /// Control steps to the goal; with a changed goal, to the start.
    pub arrived_after_steps: Option<usize>,
    /// Whether the goal was held at the end.
    pub held: bool,
    /// True distance at the end.
    pub final_distance: f64,
    /// Planning time, milliseconds.
    pub planning_ms: Percentiles,
}

/// Unit of distances in all scenes.
const DISTANCE_UNIT: &str = "m";

/// An episode on one line.
impl Display for DemoEpisode {
    fn fmt(&self, text: &mut Formatter<'_>) -> std::fmt::Result {
        let state = |values: &[f64]| values.iter().map(|value| format!("{value:.2}")).collect::<Vec<_>>().join(", ");
        write!(text, "({}) -> ({}): ", state(&self.start), state(&self.goal))?;
        match (self.arrived_after_steps, self.held) {
            (Some(step), true) => write!(text, "reached after {step} steps and held")?,
            (Some(step), false) => write!(text, "reached after {step} steps")?,
            (None, _) => write!(text, "missed by {:.3} {DISTANCE_UNIT}", self.final_distance)?,
        }
        let Percentiles { p50, max, .. } = self.planning_ms;
        write!(text, "; planning {p50:.1} ms median, {max:.1} ms at most")
    }
}

/// What the episodes say together, without a line break at the end.
impl Display for DemoReport {
    fn fmt(&self, text: &mut Formatter<'_>) -> std::fmt::Result {
        let count = self.episodes.len();
        let SuccessRate { low, high, .. } = SuccessRate::of(self.solved, count);
        let (low, high, Percentiles { p50, p95, .. }) = (100.0 * low, 100.0 * high, self.planning_ms);
        write!(text, "solved {} of {count} (so few episodes say: {low:.0} to {high:.0} % ", self.solved)?;
        writeln!(text, "succeed; mindseye evaluate measures it)")?;
        writeln!(text, "planning {p50:.1} ms median, {p95:.1} ms p95")?;
        write!(text, "film: {}", self.film.display())
    }
}

impl Demo<'_> {
    /// Runs the episodes and writes their film, a GIF, to `film`; `done` is called after each episode with its number
    /// from 1.
    ///
    /// # Errors
    /// When an episode fails, the checkpoint's decoder does not fit its model, or the film cannot be written.
    pub fn run(&self, film: &Path, done: &mut (dyn FnMut(usize, &DemoEpisode) + Send)) -> Result<DemoReport> {
        let scene = self.benchmark.name();
        let mut frames = DemoFilm::new(scene, self.checkpoint.clone(), self.budget_steps, DISTANCE_UNIT);
        let agent = LearnedAgent::new(self.checkpoint.clone());
        let (mut episodes, mut planning_ms) = (Vec::new(), Vec::new());
        for pair in self.benchmark.start_goal_pairs(self.goals, self.episodes, self.seed.value(), &|_| true)? {
            frames.begin(&format!("episode {} of {}", pair.index + 1, self.episodes));
            let result = self.episode(&agent, &pair, &mut frames)?;
            frames.end(&result)?;
            planning_ms.extend_from_slice(&result.planning_ms);
            let episode = DemoEpisode {
                arrived_after_steps: result.first_success_step,
                held: result.strict,
                final_distance: result.final_distance,
                planning_ms: Percentiles::of(result.planning_ms),
                start: pair.start,
                goal: pair.goal,
            };
            done(pair.index + 1, &episode);
            episodes.push(episode);
        }
        frames.write(film)?;
        let solved = episodes.iter().filter(|episode| episode.arrived_after_steps.is_some()).count();
        let planning_ms = Percentiles::of(planning_ms);
        Ok(DemoReport { scene: scene.to_owned(), solved, episodes, planning_ms, film: film.to_path_buf() })
    }

    fn episode(&self, agent: &LearnedAgent, pair: &StartGoal, frames: &mut DemoFilm) -> Result<EpisodeResult> {
        let episode = Episode {
            benchmark: self.benchmark,
            method: agent,
            task: self.task,
            pair,
            warmup: &[],
            budget_steps: self.budget_steps,
            seed: self.seed.child("agent").index(pair.index as u64),
            threads: self.threads,
            real_time: true,
            stop_when_held: true,
            perturbation: Perturbation::default(),
            goal_change: self.switch_after.map(|after_steps| GoalChange { after_steps, goal: pair.start.clone() }),
        };
        Ok(episode.run(&mut |view| frames.tick(view).map_err(|error| EvaluationError::Listener(error.into())))?)
    }
}
