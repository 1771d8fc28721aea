//! Goals for an agent's own collection, from recordings: what was reached from a state like the one now.

use mindseye_interface::{Frame, GoalSource, ImageSize, Observation, Result, Seed, Simulator, StateSchema};
use rand::Rng as _;
use rand::seq::SliceRandom as _;

use crate::connection::failure;
use crate::recordings::Recordings;

/// Distance of goals, control steps of the recording.
const GOAL_STEPS: std::ops::RangeInclusive<usize> = 15..=40;
/// Recorded timesteps that are compared with the state now.
const COMPARED: usize = 4000;
/// The goal begins at one of so many nearest of them.
const NEAREST: usize = 10;
/// Draws of a goal until one asks for an object to be moved.
const DRAWS: usize = 6;

/// Goals that recorded episodes reached.
pub(crate) struct RecordedGoals<'a> {
    pub recordings: &'a Recordings,
    pub side: ImageSize,
    pub camera: std::sync::Arc<str>,
    pub schema: StateSchema,
    /// Standard deviation of every dimension of the state.
    pub scale: Vec<f64>,
}

/// A recorded timestep: episode and place in it.
type Place = (usize, usize);

impl<'a> RecordedGoals<'a> {
    pub fn new(recordings: &'a Recordings, side: ImageSize, camera: &str, state_names: &[String]) -> Self {
        let states = || recordings.episodes.iter().flat_map(|episode| &episode.states);
        let count = states().count().max(1) as f64;
        let scale = (0..state_names.len()).map(|index| {
            let mean = states().map(|state| state[index]).sum::<f64>() / count;
            let variance = states().map(|state| (state[index] - mean).powi(2)).sum::<f64>() / count;
            variance.sqrt().max(1e-9)
        });
        let scale = scale.collect();
        Self { recordings, side, camera: camera.into(), schema: StateSchema::named(state_names), scale }
    }

    /// Places from which an episode goes on for the shortest distance of a goal, drawn at random.
    fn places(&self, rng: &mut mindseye_interface::Rng) -> Vec<Place> {
        let of_episode = |(index, episode): (usize, &std::sync::Arc<crate::recordings::Played>)| {
            (0..episode.actions.len().saturating_sub(*GOAL_STEPS.start())).map(move |timestep| (index, timestep))
        };
        let mut places: Vec<Place> = self.recordings.episodes.iter().enumerate().flat_map(of_episode).collect();
        let (drawn, _) = places.partial_shuffle(rng, COMPARED);
        drawn.to_vec()
    }

    /// How far two states are, in standard deviations.
    fn distance(&self, one: &[f64], other: &[f64]) -> f64 {
        let values = one.iter().zip(other).zip(&self.scale);
        let away = self.schema.0.iter().zip(values);
        away.map(|(of, ((from, to), scale))| (of.difference(*from, *to) / scale).powi(2)).sum()
    }
}

impl GoalSource for RecordedGoals<'_> {
    fn goal(&self, world: &dyn Simulator, seed: Seed) -> Result<(Vec<f64>, Observation)> {
        let mut rng = seed.rng();
        let now = world.state();
        let mut places = self.places(&mut rng);
        if places.is_empty() {
            let reason = format!("--data: expected episodes of more than {} control steps", GOAL_STEPS.start());
            return Err(failure(&reason));
        }
        let episodes = &self.recordings.episodes;
        let away = |place: &Place| self.distance(&now, &episodes[place.0].states[place.1]);
        if !now.is_empty() {
            places.sort_by(|one, other| away(one).total_cmp(&away(other)));
            places.truncate(NEAREST);
        }
        let mut goal = places[0];
        for _ in 0..DRAWS {
            let (episode, from) = places[rng.random_range(0..places.len())];
            let last = episodes[episode].actions.len() - 1;
            goal = (episode, last.min(from + rng.random_range(GOAL_STEPS)));
            let state = &episodes[episode].states[goal.1];
            if now.is_empty() {
                break;
            }
            let check = world.check_goal(state);
            if !check.moderate && check.metrics.get("block").is_none_or(|in_place| *in_place == 0.0) {
                break;
            }
        }
        let recorded = self.recordings.timestep(goal.0, goal.1, self.side)?;
        let frames = vec![Frame::new(&self.camera, recorded.image, 0.0)];
        let observation = Observation { frames, proprioception: recorded.proprioception, ..Observation::default() };
        Ok((episodes[goal.0].states[goal.1].clone(), observation))
    }
}
