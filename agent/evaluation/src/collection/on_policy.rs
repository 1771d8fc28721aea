//! On-policy collection: the agent sets itself goals that a script could reach and acts towards them, so that a next
//! training sees what its plans really do.

use mindseye_agent::Task;
use mindseye_episodes::EpisodeData;
use mindseye_interface::{Action, Benchmark, GoalSource, Observation, Rng, ScriptSource, Seed, Simulator, SystemClock};
use rand::Rng as _;

use super::push_step;
use crate::goals::{GoalSequence, GoalState};
use crate::{EpisodeStart, Error, Method, Result};

/// An agent that sets itself goals.
pub struct OnPolicyCollection<'a> {
    /// The worlds.
    pub benchmark: &'a dyn Benchmark,
    /// Where its goals come from.
    pub goals: &'a dyn GoalSource,
    /// The agent.
    pub method: &'a dyn Method,
    /// How it plans.
    pub task: &'a Task,
}

/// Distance of goals, control steps of the script.
const GOAL_STEPS: std::ops::RangeInclusive<usize> = 15..=40;
/// Control steps for which a goal is pursued at most.
const PATIENCE_STEPS: usize = 50;
/// Draws of a goal until one asks for an object to be moved.
const DRAWS: u64 = 6;
/// Share of the action chunks with noise, so that states near the agent's plans are recorded too.
const NOISY_SHARE: f64 = 0.25;
/// Largest noise on a normalised action.
const NOISE: f32 = 0.5;

/// Goals in turn that were reached before a step, after which collection is given up.
const MOST_IDLE_GOALS: usize = 1000;

/// Goals that scripts reach in a copy of the world, from where it is.
pub struct ScriptedGoals<'a>(
    /// The scripts.
    pub &'a dyn ScriptSource,
);

impl GoalSource for ScriptedGoals<'_> {
    fn goal(&self, world: &dyn Simulator, seed: Seed) -> mindseye_interface::Result<(Vec<f64>, Observation)> {
        if !world.has_snapshots() {
            let expected = "recorded episodes (--data), since the world has no snapshots to look for goals in";
            return Err(mindseye_interface::Error::field("goals of the agent's own collection", expected, "none"));
        }
        let mut script = self.0.script()?;
        let mut reached = world.state();
        for draw in 0..DRAWS {
            let seed = seed.index(draw);
            let mut fork = world.fork()?;
            script.begin(seed);
            for _ in 0..seed.child("steps").rng().random_range(GOAL_STEPS) {
                let action = script.act_in(fork.as_mut())?;
                fork.step_blind(&action)?;
            }
            reached = fork.state();
            // Where there is an object, the goal asks for it to be moved.
            if world.check_goal(&reached).metrics.get("block").is_none_or(|in_place| *in_place == 0.0) {
                break;
            }
        }
        let observation = world.fork()?.set_state(&reached)?;
        Ok((reached, observation))
    }
}

/// An episode being recorded.
struct Recording<'a> {
    simulator: &'a mut dyn Simulator,
    observation: Observation,
    episode: EpisodeData,
    noise: Rng,
}

impl OnPolicyCollection<'_> {
    /// Records the episode of `seed`, `steps` control steps. Equal seeds give equal episodes: no clock cuts planning
    /// short.
    ///
    /// # Errors
    /// When the world or the agent cannot be built, or the simulator fails.
    pub fn episode(&self, seed: Seed, steps: usize) -> Result<EpisodeData> {
        let mut simulator = self.benchmark.environment()?;
        let observation = simulator.reset(seed)?;
        let (simulator, noise) = (simulator.as_mut(), seed.child("disturbance").rng());
        let mut recording = Recording { simulator, observation, episode: EpisodeData::default(), noise };
        let (mut goals, mut idle) = (0, 0);
        while recording.episode.actions.len() < steps {
            let goal_seed = seed.child("goal").index(goals);
            goals += 1;
            let (state, observation) = self.goals.goal(recording.simulator, goal_seed)?;
            let until = steps.min(recording.episode.actions.len() + PATIENCE_STEPS);
            let before = recording.episode.actions.len();
            self.pursue(GoalState { observation, state }, &mut recording, until, goal_seed)?;
            idle = if recording.episode.actions.len() == before { idle + 1 } else { 0 };
            if idle > MOST_IDLE_GOALS {
                return Err(Error::value(
                    "on-policy collection",
                    "goals that are not reached yet",
                    "reached ones only",
                ));
            }
        }
        recording.simulator.stop()?;
        Ok(recording.episode)
    }

    /// Acts towards `goal` until it is reached or the episode has `until` control steps.
    fn pursue(&self, goal: GoalState, recording: &mut Recording<'_>, until: usize, seed: Seed) -> Result<()> {
        let state = goal.state.clone();
        let goals = GoalSequence(vec![goal]);
        let task = Task { budget_ms: f64::INFINITY, ..self.task.clone() };
        let start = EpisodeStart { task: &task, goals: &goals, seed, threads: 1 };
        let mut controller = self.method.begin(recording.simulator, &start)?;
        let clock = SystemClock::start();
        while recording.episode.actions.len() < until && !recording.simulator.check_goal(&state).moderate {
            let report = controller.tick(recording.simulator, &recording.observation, &clock)?;
            let (mut chunk, steps) = (report.action_chunk, report.directive.replan_every);
            if recording.noise.random_bool(NOISY_SHARE) {
                chunk.iter_mut().for_each(|value| *value += NOISE * recording.noise.random_range(-1.0..=1.0f32));
            }
            recording.execute(&chunk, until.min(recording.episode.actions.len() + steps))?;
            controller.report_executed(steps);
        }
        Ok(())
    }
}

impl Recording<'_> {
    /// Executes an action chunk `[A]`, until the episode has `until` control steps.
    fn execute(&mut self, chunk: &[f32], until: usize) -> Result<()> {
        let width = self.simulator.action_space().width();
        let chunk = chunk.chunks_exact(width).take(until - self.episode.actions.len());
        let actions =
            chunk.map(|values| Action::new(values.to_vec())).collect::<mindseye_interface::Result<Vec<_>>>()?;
        self.simulator.announce(&actions, true)?;
        for action in actions {
            let state = self.simulator.state();
            let next = self.simulator.step(&action)?.observation;
            push_step(&mut self.episode, std::mem::replace(&mut self.observation, next), &state, &action)?;
        }
        Ok(())
    }
}
