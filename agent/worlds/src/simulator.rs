//! A world of another program as a simulator.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mindseye_interface::{
    Action, ActionSpace, Environment, GoalCheck, Image, ImageSize, Observation, Result, Seed, Simulator, Snapshot,
    StateSchema, Step,
};
use serde_json::{Value, json};

use crate::connection::{Connection, failure};
use crate::description::Description;
use crate::fields::{Defect, Field};
use crate::frozen::Frozen;
use crate::observation::{Check, Sensed, read_space};
use crate::pool::Pool;
use crate::recordings::{KnownEpisodes, same_state};

/// Most bytes of a snapshot.
const SNAPSHOT_BYTES: usize = 64 << 20;
/// Control steps of one message where recorded actions are repeated.
const REPEATED_STEPS: usize = 500;

/// A world of another program. Its process comes from a pool, and goes back there.
pub(crate) struct WorldSimulator {
    pool: Arc<Pool>,
    known: Arc<KnownEpisodes>,
    side: ImageSize,
    cameras: Vec<Arc<str>>,
    space: ActionSpace,
    /// Asked also where the world is only looked at.
    link: Mutex<Link>,
    now: Sensed,
    tick: u64,
    episode: Seed,
    /// What came of steps that were announced: the action, and the world after it.
    announced: VecDeque<(Action, Sensed)>,
}

/// The connection, with what is remembered where a method can neither change the world nor fail.
struct Link {
    /// Taken only when the simulator is dropped.
    connection: Option<Connection>,
    /// The goal that was asked about last.
    goal: Option<Vec<f64>>,
    /// The error of a method that cannot fail; the next one that can gives it.
    failed: Option<String>,
}

impl Link {
    fn ask<T>(
        &mut self,
        request: &'static str,
        fields: Value,
        most_bytes: usize,
        read: impl FnOnce(&Field<'_>) -> std::result::Result<T, Defect>,
    ) -> Result<T> {
        if let Some(failed) = &self.failed {
            return Err(failure(failed));
        }
        match &mut self.connection {
            Some(connection) => connection.ask(request, fields, most_bytes, read),
            None => Err(failure("it is gone")),
        }
    }

    /// The result, or nothing after an error, which is remembered.
    fn remember<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.failed = Some(error.to_string().trim_start_matches("world: ").to_owned())).ok()
    }
}

impl WorldSimulator {
    /// A world from `pool`, which knows the episodes `known`.
    pub fn new(pool: &Arc<Pool>, known: &Arc<KnownEpisodes>) -> Result<Self> {
        let (connection, description) = (pool.take()?, pool.description());
        let mut world = Self {
            pool: pool.clone(),
            known: known.clone(),
            side: ImageSize::square(pool.launch().image_side)?,
            cameras: description.cameras.iter().map(|camera| Arc::from(camera.name.as_str())).collect(),
            space: description.action.clone(),
            link: Mutex::new(Link { connection: Some(connection), goal: None, failed: None }),
            now: Sensed::default(),
            tick: 0,
            episode: Seed::new(0),
            announced: VecDeque::new(),
        };
        world.begin(Seed::new(0))?;
        Ok(world)
    }

    fn description(&self) -> &Description {
        self.pool.description()
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for an observation with images; the world is another one then.
    fn ask_observation(&mut self, request: &'static str, fields: Value) -> Result<()> {
        let (world, side, width) = (self.pool.description().clone(), self.side, self.space.width());
        let most_bytes = world.most_bytes(1);
        let (sensed, space) = self.link().ask(request, fields, most_bytes, |result| {
            Ok((Sensed::read(&result.get("observation")?, &world, side, true)?, read_space(result, width)?))
        })?;
        self.announced.clear();
        self.now = sensed;
        if let Some(space) = space {
            self.space = space;
        }
        Ok(())
    }

    fn begin(&mut self, seed: Seed) -> Result<()> {
        self.space.clone_from(&self.pool.description().action);
        self.ask_observation("reset", json!({ "seed": seed.value() }))?;
        (self.tick, self.episode) = (0, seed);
        Ok(())
    }

    /// The observations after `actions`, with `images` of all of them, of the last or of none.
    fn ask_steps(&mut self, actions: &[Action], images: &'static str) -> Result<Vec<Sensed>> {
        let physical = actions.iter().map(|action| self.space.denormalise(action)).collect::<Result<Vec<_>>>()?;
        let (world, side, count) = (self.pool.description().clone(), self.side, actions.len());
        let mut link = self.link();
        let goal = link.goal.clone().filter(|_| world.can.check_goal);
        let with_images = |index: usize| images == "all" || (images == "last" && index + 1 == count);
        let most_bytes = world.most_bytes(count);
        link.ask("step", json!({ "actions": physical, "images": images, "goal": goal }), most_bytes, |result| {
            let steps = result.get("steps")?.elements(Some(count))?;
            let steps = steps.iter().enumerate();
            let read = |(index, step)| {
                let sensed = Sensed::read(step, &world, side, with_images(index))?;
                Ok(Sensed { goal: goal.clone(), ..sensed })
            };
            steps.map(read).collect()
        })
    }

    /// Takes over the world after `action`, with its images where they are `wanted`.
    fn advance(&mut self, action: &Action, wanted: bool) -> Result<()> {
        let next = match self.announced.pop_front() {
            Some((announced, sensed)) if announced == *action => sensed,
            Some(_) => return Err(failure("step: expected the action that was announced, got another")),
            None => {
                let images = if wanted { "last" } else { "none" };
                let mut steps = self.ask_steps(std::slice::from_ref(action), images)?;
                steps.pop().ok_or_else(|| failure("step: expected one step, got none"))?
            }
        };
        self.now = next;
        self.tick += 1;
        if wanted && self.now.images.is_empty() {
            return Err(failure("step: expected an announced image, got none"));
        }
        Ok(())
    }

    fn observation(&self) -> Observation {
        let time_secs = self.tick as f64 * self.description().control_step_secs;
        Observation {
            frames: self.now.frames(&self.cameras, time_secs),
            proprioception: self.now.proprioception.clone(),
            tick: self.tick,
            time_secs,
        }
    }

    /// Brings the world to a state that it was in before, by the actions that led there.
    fn repeat(&mut self, state: &[f64]) -> Result<()> {
        if !self.description().deterministic {
            return Err(failure("set_state: expected a world that can, or that is deterministic, got neither"));
        }
        let Some(actions) = self.known.actions_to(self.episode, state) else {
            return Err(failure("set_state: expected a recorded state of this episode (the world can set no other)"));
        };
        let tick = self.tick;
        self.begin(self.episode)?;
        for actions in actions.chunks(REPEATED_STEPS) {
            self.ask_steps(actions, "none")?;
        }
        self.ask_observation("observe", Value::Null)?;
        self.tick = tick;
        if !same_state(&self.now.state, state) {
            let (expected, got) = (format!("{state:?}"), format!("{:?}", self.now.state));
            let reason = format!("repeating recorded actions: expected {expected}, got {got}: it is not deterministic");
            return Err(failure(&reason));
        }
        Ok(())
    }

    /// The predicate at `goal` in `state`, without a change of the world.
    ///
    /// # Errors
    /// When the world does not answer, or it cannot be told.
    pub fn check_states(&self, state: &[f64], goal: &[f64]) -> Result<Check> {
        if !self.description().can.check_goal {
            let expected = "check_goal: expected a world that can, or that names a goal_tolerance, got neither";
            return self.by_tolerance(state, goal).ok_or_else(|| failure(expected));
        }
        let mut link = self.link();
        link.goal = Some(goal.to_vec());
        link.ask("check_goal", json!({ "state": state, "goal": goal }), 0, Check::read)
    }

    /// The same for methods that cannot fail.
    fn check(&self, state: &[f64], goal: &[f64]) -> Check {
        // A goal that cannot be checked is never reached: an agent that records itself goes on to the next in time.
        let check = self.description().has_predicate().then(|| self.check_states(state, goal));
        check.and_then(|check| self.link().remember(check)).unwrap_or_else(Check::unknown)
    }

    /// The predicate of worlds that have none of their own; none where no tolerance is known.
    fn by_tolerance(&self, state: &[f64], goal: &[f64]) -> Option<Check> {
        let world = self.description();
        let dimensions = StateSchema::named(&world.state).0;
        let pairs = dimensions.iter().zip(state.iter().zip(goal));
        let away: Vec<f64> = pairs.map(|(of, (from, to))| of.difference(*from, *to).abs()).collect();
        if away.len() != world.goal_tolerance.len() || away.is_empty() {
            return None;
        }
        let within = |share: f64| away.iter().zip(&world.goal_tolerance).all(|(away, within)| *away <= share * within);
        let distance = away.iter().map(|away| away * away).sum::<f64>().sqrt();
        let check = GoalCheck { moderate: within(1.0), strict: within(0.5), distance, metrics: Default::default() };
        Some(Check { check, energy: distance })
    }

    fn frozen(&self) -> Frozen {
        let image = self.now.images.first().cloned();
        Frozen::of(self, image.unwrap_or_else(|| Image::filled(self.side, [0; 3])))
    }

    /// Reads images of the world as it is, where there are none.
    fn look(&mut self) -> Result<()> {
        if self.announced.is_empty() {
            return self.ask_observation("observe", Value::Null);
        }
        match self.now.images.is_empty() {
            true => Err(failure("observe: expected no steps that were announced, got some")),
            false => Ok(()),
        }
    }
}

impl Drop for WorldSimulator {
    fn drop(&mut self) {
        let link = self.link.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = link.connection.take().filter(|_| link.failed.is_none()) {
            self.pool.give_back(connection);
        }
    }
}

impl Environment for WorldSimulator {
    fn reset(&mut self, seed: Seed) -> Result<Observation> {
        self.begin(seed)?;
        Ok(self.observation())
    }

    fn observe(&mut self) -> Result<Observation> {
        self.look()?;
        Ok(self.observation())
    }

    fn step(&mut self, action: &Action) -> Result<Step> {
        self.advance(action, true)?;
        Ok(Step { observation: self.observation(), terminated: self.now.terminated })
    }

    fn stop(&mut self) -> Result<()> {
        self.announced.clear();
        self.link().ask("stop", Value::Null, 0, |_| Ok(()))
    }

    fn action_space(&self) -> &ActionSpace {
        &self.space
    }

    fn control_step_secs(&self) -> f64 {
        self.description().control_step_secs
    }
}

impl Simulator for WorldSimulator {
    fn scene(&self) -> &str {
        &self.description().name
    }

    fn state(&self) -> Vec<f64> {
        self.now.state.clone()
    }

    fn state_names(&self) -> Vec<String> {
        self.description().state.clone()
    }

    fn proprioception_names(&self) -> Vec<String> {
        self.description().proprioception.clone()
    }

    /// Where the world cannot set states, those of recorded episodes are reached by repeating their actions.
    fn set_state(&mut self, state: &[f64]) -> Result<Observation> {
        let expected = self.description().state.len();
        if state.len() != expected {
            let (operation, got) = ("state of a world", state.len());
            return Err(mindseye_interface::Error::Length { operation, expected, got });
        }
        match self.description().can.set_state {
            true => self.ask_observation("set_state", json!({ "state": state }))?,
            false => self.repeat(state)?,
        }
        Ok(self.observation())
    }

    fn render(&mut self) -> Image {
        if self.now.images.is_empty() {
            let looked = self.look();
            self.link().remember(looked);
        }
        self.now.images.first().cloned().unwrap_or_else(|| Image::filled(self.side, [0; 3]))
    }

    fn step_blind(&mut self, action: &Action) -> Result<()> {
        self.advance(action, false)
    }

    fn snapshot(&self) -> Result<Snapshot> {
        if !self.has_snapshots() {
            return self.frozen().snapshot();
        }
        let text = self
            .link()
            .ask("snapshot", Value::Null, SNAPSHOT_BYTES, |result| Ok(result.get("snapshot")?.text()?.to_owned()))?;
        Ok(Snapshot(json!({ "world": text, "tick": self.tick, "episode": self.episode }).to_string().into_bytes()))
    }

    fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        if !self.has_snapshots() {
            return Err(failure("restore: expected a world with snapshots, got one without"));
        }
        let saved: Value = serde_json::from_slice(&snapshot.0).unwrap_or_default();
        let (Some(world), Some(tick)) = (saved["world"].as_str(), saved["tick"].as_u64()) else {
            return Err(failure("restore: expected a snapshot of a world, got another"));
        };
        self.ask_observation("restore", json!({ "snapshot": world }))?;
        (self.tick, self.episode) = (tick, Seed::new(saved["episode"].as_u64().unwrap_or(0)));
        Ok(())
    }

    /// Of a world without snapshots a copy that knows the state and cannot act: enough for baselines, which act without
    /// a prediction.
    fn fork(&self) -> Result<Box<dyn Simulator>> {
        if !self.has_snapshots() {
            return Ok(Box::new(self.frozen()));
        }
        let mut other = Self::new(&self.pool, &self.known)?;
        other.restore(&self.snapshot()?)?;
        Ok(Box::new(other))
    }

    fn check_goal(&self, goal: &[f64]) -> GoalCheck {
        let known = self.now.check.clone().filter(|_| self.now.goal.as_deref() == Some(goal));
        known.unwrap_or_else(|| self.check(&self.now.state, goal)).check
    }

    fn goal_energy(&self, state: &[f64], goal: &[f64]) -> f64 {
        self.check(state, goal).energy
    }

    fn occlusion_target(&self) -> Option<[f64; 2]> {
        self.now.object
    }

    fn has_snapshots(&self) -> bool {
        self.description().can.snapshot
    }

    /// All of them in one message.
    fn announce(&mut self, actions: &[Action], rendered: bool) -> Result<()> {
        self.announced.clear();
        let steps = self.ask_steps(actions, if rendered { "all" } else { "last" })?;
        self.announced = actions.iter().cloned().zip(steps).collect();
        Ok(())
    }

    fn demonstrated_action(&mut self, begin: Option<Seed>) -> Result<Action> {
        if !self.description().can.act {
            return Err(failure("act: expected a world with a demonstrator of its own, got one without"));
        }
        let width = self.space.width();
        let physical = self
            .link()
            .ask("act", json!({ "seed": begin.map(Seed::value) }), 0, |result| result.get("action")?.numbers(width))?;
        self.space.normalise(&physical)
    }
}
