//! A minimal world and minimal methods: a point on a line that each action moves by a tenth of a metre.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::sync::{Arc, Mutex};

use mindseye_agent::actor::Fallback;
use mindseye_agent::configurator::{Configurator, Mode, ModeReason, SequenceConfigurator};
use mindseye_agent::memory::RingMemory;
use mindseye_agent::perception::StateSource;
use mindseye_agent::{Latent, Plan, Task, TickReport};
use mindseye_evaluation::{Controller, EpisodeStart, Error, Evaluation, GoalSequence, Method, Protocol, Result};
use mindseye_interface::{
    Action, ActionSpace, Benchmark, Clock, Environment, Frame, GoalCheck, GoalKind, Image, ImageSize, Observation,
    PairSearch, Seed, Simulator, Snapshot, StartGoal, Step,
};

/// Metres per control step at full action.
pub const STEP_M: f64 = 0.1;
/// Control steps per action chunk.
pub const CHUNK: usize = 5;

/// A point on a line, `x` metres from the origin.
pub struct Line {
    x: f64,
    space: ActionSpace,
}

impl Line {
    pub fn new() -> Self {
        let space = ActionSpace {
            names: vec!["velocity".into()],
            units: vec!["m/s".into()],
            low: vec![-1.0],
            high: vec![1.0],
            neutral: Vec::new(),
            max_step: Vec::new(),
        };
        Self { x: 0.0, space }
    }

    fn observation(&self) -> Observation {
        let image = Image::filled(ImageSize::square(1).unwrap(), [0; 3]);
        let frames = vec![Frame::new(&Arc::from("top"), image, 0.0)];
        Observation { frames, proprioception: vec![self.x as f32], ..Observation::default() }
    }
}

impl Environment for Line {
    fn reset(&mut self, _seed: Seed) -> mindseye_interface::Result<Observation> {
        self.x = 0.0;
        Ok(self.observation())
    }

    fn observe(&mut self) -> mindseye_interface::Result<Observation> {
        Ok(self.observation())
    }

    fn step(&mut self, action: &Action) -> mindseye_interface::Result<Step> {
        self.step_blind(action)?;
        Ok(Step { observation: self.observation(), terminated: false })
    }

    fn action_space(&self) -> &ActionSpace {
        &self.space
    }

    fn control_step_secs(&self) -> f64 {
        0.1
    }
}

impl Simulator for Line {
    fn scene(&self) -> &str {
        "line"
    }

    fn state(&self) -> Vec<f64> {
        vec![self.x]
    }

    fn state_names(&self) -> Vec<String> {
        vec!["x_m".into()]
    }

    fn proprioception_names(&self) -> Vec<String> {
        self.state_names()
    }

    fn set_state(&mut self, state: &[f64]) -> mindseye_interface::Result<Observation> {
        self.x = state[0];
        Ok(self.observation())
    }

    fn render(&mut self) -> Image {
        Image::filled(ImageSize::square(1).unwrap(), [0; 3])
    }

    fn step_blind(&mut self, action: &Action) -> mindseye_interface::Result<()> {
        self.x += STEP_M * f64::from(action.values()[0]);
        Ok(())
    }

    fn snapshot(&self) -> mindseye_interface::Result<Snapshot> {
        Ok(Snapshot(self.x.to_le_bytes().to_vec()))
    }

    fn restore(&mut self, snapshot: &Snapshot) -> mindseye_interface::Result<()> {
        self.x = f64::from_le_bytes(snapshot.0[..].try_into().unwrap());
        Ok(())
    }

    fn fork(&self) -> mindseye_interface::Result<Box<dyn Simulator>> {
        Ok(Box::new(Self { x: self.x, space: self.space.clone() }))
    }

    /// Moderate within 0.15 m, strict within 0.05 m; `near` within 0.35 m, and a measure that is no predicate.
    fn check_goal(&self, goal: &[f64]) -> GoalCheck {
        let distance = (self.x - goal[0]).abs();
        let metrics = [("near", f64::from(u8::from(distance < 0.35))), ("offset_m", distance)].into();
        GoalCheck { moderate: distance < 0.15, strict: distance < 0.05, distance, metrics }
    }

    fn goal_energy(&self, state: &[f64], goal: &[f64]) -> f64 {
        (state[0] - goal[0]).abs()
    }

    fn route(&self) -> Option<&'static str> {
        Some(if self.x < 0.0 { "left" } else { "right" })
    }
}

/// The line as a benchmark: starts at the origin, goals of the pairs in turn at these places, metres.
pub struct LineBenchmark {
    pub goals: Vec<f64>,
    pub has_hard_pairs: bool,
}

/// Angles that the pairs of [`LineBenchmark`] pretend to ask for, degrees.
pub const TURNS_DEG: [f64; 2] = [10.0, 30.0];

impl Benchmark for LineBenchmark {
    fn name(&self) -> &str {
        "line"
    }

    fn environment(&self) -> mindseye_interface::Result<Box<dyn Simulator>> {
        Ok(Box::new(Line::new()))
    }

    fn start_goal_pairs(&self, search: &PairSearch<'_>) -> mindseye_interface::Result<Vec<StartGoal>> {
        let &PairSearch { kind, count, seed, allowed, found } = search;
        if kind == GoalKind::Hard && !self.has_hard_pairs {
            return Err(mindseye_interface::Error::field("pairs", "a benchmark with hard pairs", "line"));
        }
        let goals = self.goals.iter().cycle().filter(|goal| allowed(&[**goal]));
        Ok(goals
            .take(count)
            .enumerate()
            .take_while(|(index, _)| found(*index))
            .map(|(index, goal)| pair(seed, index, &[*goal]))
            .collect())
    }
}

/// A pair from the origin through all of `goals`.
pub fn pair(seed: u64, index: usize, goals: &[f64]) -> StartGoal {
    let mut via: Vec<Vec<f64>> = goals.iter().map(|goal| vec![*goal]).collect();
    let goal = via.pop().unwrap();
    let metrics = [("turn_rad", TURNS_DEG[index % 2].to_radians())].into();
    StartGoal { seed, index, episode: Seed::new(seed).index(index as u64), start: vec![0.0], via, goal, metrics }
}

/// What a method does in every tick.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Behaviour {
    /// Goes to the goal and stays.
    Seek,
    /// Does the same in every control step.
    Constant(f32),
    /// Holds still because of an error, in every second tick; otherwise moves right.
    FailEverySecondTick,
    /// Decides in Mode-1: at once in the first and every fourth tick after it; holds still instead in the second, with
    /// an error in the third, and after planning in the fourth.
    InMode1,
}

/// What happened to a method.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Begin { goal: f64 },
    SetGoals(f64),
    StartEpisode,
}

/// A method without a model.
pub struct FakeMethod {
    pub name: &'static str,
    pub behaviour: Behaviour,
    /// A cost term that it does not have.
    pub refused_term: Option<&'static str>,
    pub events: Arc<Mutex<Vec<Event>>>,
}

impl FakeMethod {
    pub fn new(name: &'static str, behaviour: Behaviour) -> Self {
        Self { name, behaviour, refused_term: None, events: Arc::default() }
    }

    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }
}

struct FakeController {
    behaviour: Behaviour,
    goal: f64,
    tick: u64,
    events: Arc<Mutex<Vec<Event>>>,
}

fn first(goals: &GoalSequence) -> f64 {
    goals.0[0].state[0]
}

impl Method for FakeMethod {
    fn name(&self) -> &str {
        self.name
    }

    fn action_chunk(&self) -> usize {
        CHUNK
    }

    fn fingerprint(&self) -> Option<String> {
        Some(self.name.to_owned())
    }

    fn critic_discount(&self) -> Option<f32> {
        Some(0.5)
    }

    fn check_task(&self, task: &Task) -> Result<()> {
        match self.refused_term.filter(|term| task.weights.contains_key(*term)) {
            None => Ok(()),
            Some(term) => Err(Error::UnsupportedTask {
                method: self.name.into(),
                field: "weights",
                expected: "goal_distance".into(),
                got: term.into(),
            }),
        }
    }

    fn begin(&self, _world: &dyn Simulator, start: &EpisodeStart<'_>) -> Result<Box<dyn Controller>> {
        let goal = first(start.goals);
        self.events.lock().unwrap().push(Event::Begin { goal });
        let (behaviour, events) = (self.behaviour, self.events.clone());
        Ok(Box::new(FakeController { behaviour, goal, tick: 0, events }))
    }
}

impl Controller for FakeController {
    fn set_goals(&mut self, goals: &GoalSequence) -> Result<()> {
        self.goal = first(goals);
        self.events.lock().unwrap().push(Event::SetGoals(self.goal));
        Ok(())
    }

    fn start_episode(&mut self) {
        self.events.lock().unwrap().push(Event::StartEpisode);
    }

    fn tick(&mut self, world: &dyn Simulator, observation: &Observation, _clock: &dyn Clock) -> Result<TickReport> {
        self.tick += 1;
        let mut x = world.state()[0];
        let mut seek = || {
            let action = ((self.goal - x) / STEP_M).clamp(-1.0, 1.0);
            x += STEP_M * action;
            action as f32
        };
        let fails = self.behaviour == Behaviour::FailEverySecondTick && self.tick.is_multiple_of(2);
        let chunk = (0..CHUNK).map(|_| match self.behaviour {
            Behaviour::Seek => seek(),
            Behaviour::Constant(action) => action,
            Behaviour::FailEverySecondTick => f32::from(u8::from(!fails)),
            Behaviour::InMode1 => 0.0,
        });
        let mut report = tick_report(chunk.collect());
        report.error = fails.then(|| format!("tick {} failed", self.tick));
        if self.behaviour == Behaviour::InMode1 {
            report.mode = if self.tick.is_multiple_of(4) { Mode::Mode2 } else { Mode::Mode1 };
            report.fallback = (self.tick % 4 == 2).then_some(Fallback::HoldStill);
            report.error = (self.tick % 4 == 3).then(|| "no policy".to_owned());
        }
        if observation.frames.is_empty() {
            report.state_source = StateSource::Imputed;
        }
        Ok(report)
    }
}

/// A tick that chose `chunk`, with 10 predicted states.
fn tick_report(chunk: Vec<f32>) -> TickReport {
    let goals = vec![Latent::global(vec![0.0])];
    let configurator = SequenceConfigurator::new(&task(""), goals, CHUNK, 1).unwrap();
    TickReport {
        tick: 0,
        directive: configurator.configure(&RingMemory::new(1)),
        plan: Plan::zeros(1, chunk.len()),
        action_chunk: chunk,
        expected: None,
        energies: Vec::new(),
        predicted_value: None,
        planning_energies: Vec::new(),
        candidates: Vec::new(),
        planning_ms: 1.0,
        deadline_missed: false,
        fallback: None::<Fallback>,
        mode: Mode::Mode2,
        mode_reason: ModeReason::Task,
        predicted_states: 10,
        surprise: None,
        kernel_density: None,
        state_source: StateSource::default(),
        adaptation: None,
        error: None,
    }
}

/// A task with goal distance, and `weights` more.
pub fn task(weights: &str) -> Task {
    let text = format!(
        "name = \"test\"\nhorizon_chunks = 2\nbudget_ms = 1000.0\n[planner]\nkind = \"icem\"\n[weights]\n\
         goal_distance = 1.0\n{weights}"
    );
    mindseye_interface::config::parse(&text).unwrap()
}

/// An evaluation of so many control steps and `episodes` on one seed.
pub fn evaluation<'a>(
    benchmark: &'a dyn Benchmark,
    task: &'a Task,
    budget_steps: usize,
    episodes: usize,
) -> Evaluation<'a> {
    let goals = GoalKind::Offset { goal_offset: 25 };
    let standard = Evaluation::standard(benchmark, task, goals);
    let protocol = Protocol { budget_steps, episodes, seeds: vec![7], threads: 2, ..Protocol::standard(goals) };
    Evaluation { protocol, ..standard }
}
