//! Episodes of an agent, filmed: what it observes, what it imagines, whether it arrives.

use std::fmt::{Display, Formatter};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mindseye_agent::Task;
use mindseye_evaluation::interval::{Percentiles, SuccessRate};
use mindseye_evaluation::{
    Episode, EpisodeListener, EpisodeResult, Error as EvaluationError, GoalChange, LearnedAgent, Perturbation,
    StepView, TickView,
};
use mindseye_interface::{Benchmark, GoalKind, PairSearch, Seed, StartGoal};
use mindseye_world_model::Checkpoint;
use serde::Serialize;

use crate::{DemoFilm, Error, Result};

/// The first episodes of an evaluation, each until its goal is held or its budget is spent: the same starts and goals,
/// the same agent, and so the same outcomes.
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
    /// Root seed of the evaluation.
    pub seed: u64,
    /// Threads of the current rayon pool that plan.
    pub threads: usize,
    /// Side of the square floor that the camera shows, metres: for marks in the film.
    pub floor_side_m: f64,
    /// The rate that was measured before with this checkpoint and task on such goals, where it is known.
    pub measured: Option<SuccessRate>,
    /// Ends the demonstration between two ticks; what is done is kept.
    pub stop: &'a AtomicBool,
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
    /// The rate that was measured before, over more episodes.
    pub measured: Option<SuccessRate>,
    /// Planning time of all ticks, milliseconds.
    pub planning_ms: Percentiles,
    /// The film; none where it was stopped before there was anything to show.
    pub film: Option<PathBuf>,
    /// Whether it was stopped before its last episode ended.
    pub interrupted: bool,
}

/// One episode.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DemoEpisode {
    /// Names of the dimensions of the true state.
    pub state_names: Vec<String>,
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

/// `agent (0.45, 0.69), block (0.34, 0.65) 97 deg`: positions and angles of what the `names` belong to.
fn described(names: &[String], state: &[f64]) -> String {
    let mut parts: Vec<(&str, String)> = Vec::new();
    for (name, value) in names.iter().zip(state) {
        let (whose, text) = match (name.strip_suffix("_x_m"), name.strip_suffix("_y_m")) {
            (Some(whose), _) => (whose, format!("({value:.2}")),
            (_, Some(whose)) => (whose, format!("{value:.2})")),
            _ => match name.strip_suffix("_angle_rad") {
                Some(whose) => (whose, format!("{:.0} deg", value.to_degrees().rem_euclid(360.0))),
                None => (name.as_str(), format!("{value:.2}")),
            },
        };
        match parts.last_mut().filter(|(last, _)| *last == whose) {
            Some((_, before)) if text.ends_with(')') => *before += &format!(", {text}"),
            Some((_, before)) => *before += &format!(" {text}"),
            None => parts.push((whose, text)),
        }
    }
    parts.iter().map(|(whose, text)| format!("{whose} {text}")).collect::<Vec<_>>().join(", ")
}

/// An episode on one line.
impl Display for DemoEpisode {
    fn fmt(&self, text: &mut Formatter<'_>) -> std::fmt::Result {
        let state = |values: &[f64]| described(&self.state_names, values);
        write!(text, "{} -> {}: ", state(&self.start), state(&self.goal))?;
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
        write!(text, "solved {} of {count}; ", self.solved)?;
        match &self.measured {
            Some(rate) => {
                let shown = format!("{rate}").trim().to_owned();
                writeln!(text, "measured over {} such episodes: {shown}", rate.episodes)?;
            }
            None => writeln!(text, "so few episodes say {low:.0} to {high:.0} %, mindseye evaluate measures it")?,
        }
        write!(text, "planning {p50:.1} ms median, {p95:.1} ms p95")?;
        match &self.film {
            Some(film) => write!(text, "\nfilm: {}", film.display()),
            None => Ok(()),
        }
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
        let mut frames = DemoFilm::new(scene, self.checkpoint.clone(), self.budget_steps, DISTANCE_UNIT)
            .imagining(self.task.horizon_chunks)
            .marking(self.floor_side_m)?;
        let agent = LearnedAgent::new(self.checkpoint.clone());
        let state_names = self.benchmark.environment()?.state_names();
        let (mut episodes, mut planning_ms, mut interrupted) = (Vec::new(), Vec::new(), false);
        for pair in self.benchmark.start_goal_pairs(&PairSearch::new(self.goals, self.episodes, self.seed))? {
            frames.begin(&format!("episode {} of {}", pair.index + 1, self.episodes));
            let Some(result) = self.episode(&agent, &pair, &mut frames)? else {
                interrupted = true;
                break;
            };
            frames.end(&result)?;
            planning_ms.extend_from_slice(&result.planning_ms);
            let episode = DemoEpisode {
                state_names: state_names.clone(),
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
        let film = (!frames.is_empty()).then(|| film.to_path_buf());
        film.as_ref().map_or(Ok(()), |film| frames.write(film))?;
        let solved = episodes.iter().filter(|episode| episode.arrived_after_steps.is_some()).count();
        let (scene, planning_ms, measured) = (scene.to_owned(), Percentiles::of(planning_ms), self.measured);
        Ok(DemoReport { scene, solved, episodes, measured, planning_ms, film, interrupted })
    }

    /// One episode; `None` when it was stopped.
    fn episode(&self, agent: &LearnedAgent, pair: &StartGoal, frames: &mut DemoFilm) -> Result<Option<EpisodeResult>> {
        let episode = Episode {
            benchmark: self.benchmark,
            method: agent,
            task: self.task,
            pair,
            warmup: &[],
            budget_steps: self.budget_steps,
            seed: Seed::new(pair.seed).child("agent").index(pair.index as u64),
            threads: self.threads,
            real_time: false,
            stop_when_held: true,
            perturbation: Perturbation::default(),
            goal_change: self.switch_after.map(|after_steps| GoalChange { after_steps, goal: pair.start.clone() }),
        };
        match episode.run_watched(&mut Filmed { frames, stop: self.stop }) {
            Ok(result) => Ok(Some(result)),
            Err(EvaluationError::Stopped { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Films every control step, until it is asked to stop.
struct Filmed<'a> {
    frames: &'a mut DemoFilm,
    stop: &'a AtomicBool,
}

impl EpisodeListener for Filmed<'_> {
    fn on_tick(&mut self, view: &TickView<'_>) -> mindseye_evaluation::Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(EvaluationError::Stopped { done: 0, of: 1 });
        }
        self.frames.tick(view).map_err(failed)
    }

    fn wants_steps(&self) -> bool {
        true
    }

    fn on_step(&mut self, view: &StepView<'_>) -> mindseye_evaluation::Result<()> {
        self.frames.step(view).map_err(failed)
    }
}

fn failed(error: Error) -> EvaluationError {
    EvaluationError::Listener(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_say_what_their_numbers_are() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let push_t = names(&["agent_x_m", "agent_y_m", "block_x_m", "block_y_m", "block_angle_rad"]);
        let state = [0.447, 0.687, 0.342, 0.65, -std::f64::consts::FRAC_PI_2];
        assert_eq!(described(&push_t, &state), "agent (0.45, 0.69), block (0.34, 0.65) 270 deg");
        assert_eq!(described(&names(&["gripper"]), &[0.5]), "gripper 0.50");
    }
}
