//! Starts and goals: states of one held-out episode, of recordings or of the world's demonstrator.

use std::collections::BTreeMap;
use std::sync::Arc;

use mindseye_interface::{
    Environment as _, Error, GoalCheck, GoalKind, PairSearch, Result, SEQUENCE_GOALS, Seed, Simulator, StartGoal,
    StateDimension, held_out_episode,
};
use rand::Rng as _;
use rand::seq::SliceRandom as _;

use crate::recordings::Played;
use crate::simulator::WorldSimulator;
use crate::worlds::{MIXTURE, Worlds};

/// Smallest length of an episode that the demonstrator plays, control steps.
const MIN_EPISODE_STEPS: usize = 100;
/// Episodes that are tried per pair before the search for pairs is given up.
const EPISODES_PER_PAIR: u64 = 100;
/// Episodes that are tried in any case.
const MIN_EPISODES: u64 = 1000;

/// Pairs of one kind under one seed.
pub(crate) struct Search<'a> {
    pub worlds: &'a Worlds,
    pub wanted: PairSearch<'a>,
}

impl Search<'_> {
    /// The pairs.
    pub fn run(&self) -> Result<Vec<StartGoal>> {
        let (offset, goals) = match self.wanted.kind {
            GoalKind::Offset { goal_offset } | GoalKind::RobotOnly { goal_offset } => (goal_offset, 1),
            GoalKind::Sequence { goal_offset } => (goal_offset, SEQUENCE_GOALS),
            GoalKind::Hard => {
                let name = self.worlds.description().name.as_str();
                return Err(Error::field("hard pairs", "a scene that has them", name));
            }
        };
        let description = self.worlds.description();
        if !description.has_predicate() {
            let expected = "a world with check_goal or a goal_tolerance, so that success can be told";
            return Err(Error::field("evaluation", expected, format!("{} without", description.name)));
        }
        let mut world = self.worlds.simulator()?;
        let mut pairs = Vec::with_capacity(self.wanted.count);
        let tries = (EPISODES_PER_PAIR * self.wanted.count as u64).max(MIN_EPISODES);
        let recorded = self.worlds.recordings.as_ref().map(|_| self.recorded_order());
        for number in 0..tries {
            if pairs.len() == self.wanted.count {
                break;
            }
            if !(self.wanted.found)(pairs.len()) {
                return Ok(pairs);
            }
            let length = goals * offset + 1;
            let (episode, played) = match &recorded {
                Some(order) => match self.recorded(order, number, length) {
                    Some(found) => found,
                    None => continue,
                },
                None => {
                    let episode = held_out_episode(Seed::new(self.wanted.seed), number);
                    (episode, self.play(&mut world, episode, MIN_EPISODE_STEPS.max(length))?)
                }
            };
            let turn = number / recorded.as_ref().map_or(tries, |order| order.len().max(1) as u64);
            let pair = if turn == 0 { episode.child("pair") } else { episode.child("pair").index(turn) };
            let pair = if recorded.is_some() { pair.index(self.wanted.seed) } else { pair };
            let first = pair.rng().random_range(0..played.states.len() - goals * offset);
            let states: Vec<Vec<f64>> = (0..=goals).map(|goal| played.states[first + goal * offset].clone()).collect();
            if let Some(metrics) = self.accepted(&mut world, episode, &states)? {
                self.worlds.known.add(episode, played);
                pairs.push(self.pair(pairs.len(), episode, states, metrics));
            }
        }
        if pairs.len() < self.wanted.count {
            let name = format!("{} pairs of {}", self.worlds.description().name, self.wanted.kind);
            let expected = format!("{} that are not solved at the start", self.wanted.count);
            return Err(Error::field(name, expected, pairs.len()));
        }
        Ok(pairs)
    }

    fn pair(
        &self,
        index: usize,
        episode: Seed,
        mut states: Vec<Vec<f64>>,
        metrics: BTreeMap<&'static str, f64>,
    ) -> StartGoal {
        let start = states.remove(0);
        let goal = states.pop().unwrap_or_default();
        let metrics = if states.is_empty() { metrics } else { BTreeMap::new() };
        StartGoal { seed: self.wanted.seed, index, episode, start, via: states, goal, metrics }
    }

    /// The held-out episodes of the recordings in an order of their own for every seed.
    fn recorded_order(&self) -> Vec<usize> {
        let mut order = self.worlds.held_out.to_vec();
        order.shuffle(&mut Seed::new(self.wanted.seed).child("recorded pairs").rng());
        order
    }

    /// Episode `number` in `order`, again and again, where it has `length` timesteps.
    fn recorded(&self, order: &[usize], number: u64, length: usize) -> Option<(Seed, Arc<Played>)> {
        let index = *order.get((number % order.len().max(1) as u64) as usize)?;
        let played = self.worlds.recordings.as_ref()?.episodes.get(index)?.clone();
        let seed = played.seed.unwrap_or_else(|| held_out_episode(Seed::new(self.wanted.seed), index as u64));
        (played.states.len() >= length).then_some((seed, played))
    }

    /// An episode that the demonstrator plays.
    fn play(&self, world: &mut dyn Simulator, episode: Seed, steps: usize) -> Result<Arc<Played>> {
        world.reset(episode)?;
        let mut script = self.worlds.script(MIXTURE)?;
        script.begin(episode);
        let mut played = Played { seed: Some(episode), ..Played::default() };
        for _ in 0..steps {
            played.states.push(world.state());
            let action = script.act_in(world)?;
            world.step_blind(&action)?;
            played.actions.push(action);
        }
        Ok(Arc::new(played))
    }

    /// What the goal asks for, where `states` are a pair: allowed, not solved at the start, and about the object.
    fn accepted(
        &self,
        world: &mut WorldSimulator,
        episode: Seed,
        states: &[Vec<f64>],
    ) -> Result<Option<BTreeMap<&'static str, f64>>> {
        if !states.iter().all(|state| (self.wanted.allowed)(state)) {
            return Ok(None);
        }
        if self.worlds.recordings.is_some() {
            world.reset(episode)?; // sizes and friction may be those of the episode
        }
        let mut metrics = BTreeMap::new();
        for leg in states.windows(2) {
            let check = world.check_states(&leg[0], &leg[1])?.check;
            if check.moderate || !self.is_of_kind(&check)? {
                return Ok(None);
            }
            metrics = check.metrics;
        }
        // Predicates are of the world as it is; measures say what the goal asks for.
        metrics.retain(|name, _| !StateDimension::named(name).unit.is_empty());
        Ok(Some(metrics))
    }

    /// Whether the object, if there is one, has to be moved, or is in its place: as pairs of this kind ask.
    fn is_of_kind(&self, check: &GoalCheck) -> Result<bool> {
        let in_place = check.metrics.get("block").map(|block| *block != 0.0);
        match (self.wanted.kind, in_place) {
            (GoalKind::RobotOnly { .. }, None) => {
                let name = self.worlds.description().name.as_str();
                Err(Error::field("robot-only pairs", "a world whose check_goal has the metric `block`", name))
            }
            (GoalKind::RobotOnly { .. }, Some(in_place)) => Ok(in_place),
            (_, in_place) => Ok(in_place != Some(true)),
        }
    }
}
