//! Episodes that the agent plays by itself, to be learnt from: what its plans do in the real world, right or wrong.

use std::sync::Arc;

use anyhow::{Context, Result};
use mindseye_agent::{Task, TickReport};
use mindseye_episodes::EpisodeData;
use mindseye_interface::{Action, Observation, Rng, Seed, Simulator, SystemClock};
use mindseye_sim::SceneOptions;
use mindseye_world_model::Checkpoint;
use rand::Rng as _;

use crate::evaluation::Method;
use crate::running::{Aim, Mind};

/// An agent that sets itself goals: what a scripted demonstrator could bring about from where it is.
#[derive(Clone)]
pub struct Practice {
    /// Its model.
    pub checkpoint: Arc<Checkpoint>,
    /// How it plans.
    pub task: Task,
}

/// How far away goals are, control steps of the demonstrator.
const GOAL_STEPS: std::ops::RangeInclusive<usize> = 15..=40;
/// Control steps for which a goal is pursued at most.
const PATIENCE_STEPS: usize = 50;
/// Goals are drawn anew so many times if they do not ask for the block to be moved.
const DRAWS: u64 = 6;
/// Share of the blocks in which the agent's actions are disturbed, so that what is near its plans is seen too.
const DISTURBED: f64 = 0.25;
/// Spread of the disturbance.
const DISTURBANCE: f32 = 0.5;

impl Practice {
    /// Plays the episode of `seed`. Equal seeds give equal episodes: planning is not cut short by a clock.
    ///
    /// # Errors
    /// When the scene or the agent cannot be built, or the simulator fails.
    pub fn play(&self, scene: &str, options: &SceneOptions, seed: Seed, steps: usize) -> Result<EpisodeData> {
        let mut simulator = mindseye_sim::make(scene, options)?;
        let mut observation = simulator.reset(seed)?;
        let mut episode = EpisodeData::default();
        let mut rng = seed.child("disturbance").rng();
        let mut goals = 0;
        while episode.actions.len() < steps {
            let goal_seed = seed.child("goal").index(goals);
            goals += 1;
            let goal = self.goal(scene, options, simulator.as_ref(), goal_seed)?;
            let until = steps.min(episode.actions.len() + PATIENCE_STEPS);
            observation =
                self.pursue(&goal, simulator.as_mut(), observation, &mut episode, until, &mut rng, goal_seed)?;
        }
        Ok(episode)
    }

    /// A state that a demonstrator reaches from here.
    fn goal(&self, scene: &str, options: &SceneOptions, now: &dyn Simulator, seed: Seed) -> Result<Vec<f64>> {
        let mut demonstrator = mindseye_sim::demonstrator(scene, "mixture", options)?;
        let start = now.state();
        let mut reached = start.clone();
        for draw in 0..DRAWS {
            let seed = seed.index(draw);
            let mut world = now.fork()?;
            demonstrator.begin(seed);
            for _ in 0..seed.child("steps").rng().random_range(GOAL_STEPS) {
                let action = demonstrator.act(&world.state());
                world.step_blind(&action)?;
            }
            reached = world.state();
            if now.block_move(&start, &reached).is_none_or(|block| block.needed) {
                break;
            }
        }
        Ok(reached)
    }

    /// Acts towards `goal` until it is reached or the episode has `until` moments.
    #[expect(clippy::too_many_arguments, reason = "the parts of one episode under way")]
    fn pursue(
        &self,
        goal: &[f64],
        simulator: &mut dyn Simulator,
        mut observation: Observation,
        episode: &mut EpisodeData,
        until: usize,
        rng: &mut Rng,
        seed: Seed,
    ) -> Result<Observation> {
        let aim = simulator.fork()?.set_state(goal)?;
        let task = Task { budget_ms: f64::INFINITY, ..self.task.clone() };
        let method = Method::Model(self.checkpoint.clone());
        let courses = [vec![Aim { seen: aim, state: goal.to_vec() }]];
        let mut mind = Mind::new(&method, &task, simulator, &courses, seed, 1)?;
        let clock = SystemClock::start();
        let width = simulator.action_space().width();
        while episode.actions.len() < until && !simulator.check_goal(goal).moderate {
            let TickReport { mut block, .. } = mind.tick(simulator, &observation, &clock)?;
            if rng.random_bool(DISTURBED) {
                block.iter_mut().for_each(|value| *value += DISTURBANCE * rng.random_range(-1.0..=1.0f32));
            }
            for values in block.chunks_exact(width) {
                if episode.actions.len() == until {
                    break;
                }
                let action = Action::new(values.to_vec())?;
                let state = simulator.state().iter().map(|&value| value as f32).collect();
                let next = simulator.step(&action)?.observation;
                let seen = std::mem::replace(&mut observation, next);
                episode.frames.push(seen.image.context("recording: expected a picture at every step, got none")?);
                episode.proprioception.push(seen.proprioception);
                episode.states.push(state);
                episode.actions.push(action.values().to_vec());
            }
        }
        Ok(observation)
    }
}
