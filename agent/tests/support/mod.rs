//! A minimal world: a point on a plane that each action moves by a tenth of a metre. Everything about it is known in
//! closed form.

#![allow(dead_code)] // every test file uses another part of this
#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mindseye_agent::actor::{
    Actor, Choice, Deadline, Gradient, GradientConfig, Hybrid, HybridConfig, Icem, IcemConfig, Imagination, Mppi,
    MppiConfig, Optimiser, PredictiveSampling, PredictiveSamplingConfig,
};
use mindseye_agent::configurator::{Configurator, SequenceConfigurator};
use mindseye_agent::cost::{CostModule, Effort, GoalDistance};
use mindseye_agent::directive::StateSource;
use mindseye_agent::memory::{Arrival, RingMemory, Transition};
use mindseye_agent::perception::ProprioceptivePerception;
use mindseye_agent::world_model::{Cancel, Context, Dynamics, Recording, WorldModel};
use mindseye_agent::{Agent, Directive, Latent, Modules, Plan, Plans, Result, Rollouts, Task};
use mindseye_interface::{
    Action, ActionSpace, Clock, Environment, GoalCheck, Image, ImageSize, ManualClock, Observation, Seed, Simulator,
    Snapshot, Step,
};

/// Metres per control step at full action.
pub const SPEED_M: f32 = 0.1;
/// Control steps per chunk.
pub const ACTION_CHUNK: usize = 5;

/// Result of dynamics.
pub type Predicted<T> = mindseye_world_model::Result<T>;

/// The analytic world model: position `[x, y]`, moved by the actions.
#[derive(Debug, Clone, Copy)]
pub struct PointMass;

impl Dynamics for PointMass {
    fn rollout(&self, context: &Context<'_>, plans: &Plans) -> Predicted<Rollouts> {
        let mut values = Vec::new();
        for plan in plans.values().chunks_exact(plans.horizon() * plans.chunk_width()) {
            let mut place = context.latents.last().unwrap().values().to_vec();
            for chunk in plan.chunks_exact(plans.chunk_width()) {
                for action in chunk.chunks_exact(2) {
                    place.iter_mut().zip(action).for_each(|(place, action)| *place += SPEED_M * action);
                }
                values.extend_from_slice(&place);
            }
        }
        Rollouts::new([plans.count(), 1, plans.horizon(), 1, 2], values)
    }

    fn rollout_recorded(&self, context: &Context<'_>, plans: &Plans) -> Predicted<(Rollouts, Recording)> {
        Ok((self.rollout(context, plans)?, Recording::new((plans.horizon(), plans.chunk_width()))))
    }

    fn vjp(&self, recording: Recording, upstream: &[f32], _cancel: Cancel<'_>) -> Predicted<Vec<f32>> {
        let (horizon, chunk_width): (usize, usize) = recording.open()?;
        let mut on_plans = Vec::new();
        for gradients in upstream.chunks_exact(2 * horizon) {
            for chunk in 0..horizon {
                // An action moves every later state alike.
                let later = |part: usize| gradients[2 * chunk + part..].iter().step_by(2).sum::<f32>();
                let on_action = [SPEED_M * later(0), SPEED_M * later(1)];
                on_plans.extend(on_action.repeat(chunk_width / 2));
            }
        }
        Ok(on_plans)
    }
}

impl WorldModel for PointMass {}

/// A clock that moves only when it is told to, also by another owner of it.
#[derive(Debug, Clone, Default)]
pub struct WorldClock(Arc<AtomicU64>);

impl WorldClock {
    /// Moves on by `secs`.
    pub fn advance(&self, secs: f64) {
        self.0.fetch_add((secs * 1e9).round() as u64, Ordering::Relaxed);
    }
}

impl Clock for WorldClock {
    fn now_secs(&self) -> f64 {
        self.0.load(Ordering::Relaxed) as f64 / 1e9
    }
}

/// The point mass, where imagining takes time: gradients three times as long. Between chunks it can be cancelled.
#[derive(Debug, Clone, Default)]
pub struct SlowPointMass {
    /// The clock that moves meanwhile.
    pub clock: WorldClock,
    /// Seconds of every call.
    pub secs_per_call: f64,
    /// Seconds of every predicted state.
    pub secs_per_state: f64,
    /// Nanoseconds that only the next call takes in addition.
    pub hiccup_nanos: Arc<AtomicU64>,
    /// How many times as slow every state is from now on; 0 for as slow as ever.
    pub slowness: Arc<AtomicU64>,
}

impl SlowPointMass {
    fn take(&self, passes: f64, context: &Context<'_>, plans: &Plans) -> Predicted<()> {
        let hiccup_secs = self.hiccup_nanos.swap(0, Ordering::Relaxed) as f64 / 1e9;
        self.clock.advance(hiccup_secs + passes * self.secs_per_call);
        let slowness = self.slowness.load(Ordering::Relaxed).max(1) as f64;
        for _ in 0..plans.horizon() {
            context.cancel.check()?;
            self.clock.advance(passes * slowness * self.secs_per_state * plans.count() as f64);
        }
        Ok(())
    }
}

impl Dynamics for SlowPointMass {
    fn rollout(&self, context: &Context<'_>, plans: &Plans) -> Predicted<Rollouts> {
        self.take(1.0, context, plans)?;
        PointMass.rollout(context, plans)
    }

    fn rollout_recorded(&self, context: &Context<'_>, plans: &Plans) -> Predicted<(Rollouts, Recording)> {
        self.take(3.0, context, plans)?;
        PointMass.rollout_recorded(context, plans)
    }

    fn vjp(&self, recording: Recording, upstream: &[f32], cancel: Cancel<'_>) -> Predicted<Vec<f32>> {
        PointMass.vjp(recording, upstream, cancel)
    }
}

impl WorldModel for SlowPointMass {}

/// A world model that predicts nothing but NaN.
#[derive(Debug)]
pub struct NanPredictions;

impl Dynamics for NanPredictions {
    fn rollout(&self, _context: &Context<'_>, plans: &Plans) -> Predicted<Rollouts> {
        let shape = [plans.count(), 1, plans.horizon(), 1, 2];
        Rollouts::new(shape, vec![f32::NAN; shape.iter().product()])
    }

    fn rollout_recorded(&self, context: &Context<'_>, plans: &Plans) -> Predicted<(Rollouts, Recording)> {
        Ok((self.rollout(context, plans)?, Recording::new(plans.values().len())))
    }

    fn vjp(&self, recording: Recording, _upstream: &[f32], _cancel: Cancel<'_>) -> Predicted<Vec<f32>> {
        Ok(vec![f32::NAN; recording.open()?])
    }
}

impl WorldModel for NanPredictions {}

/// A directive towards `goal` over `horizon_chunks` chunks.
pub fn directive(goal: [f32; 2], horizon_chunks: usize) -> Directive {
    Directive {
        budget_secs: 1e6,
        ..Directive::towards(Latent::global(goal.to_vec()), horizon_chunks, (ACTION_CHUNK, 2))
    }
}

/// Goal distance and effort.
pub fn cost() -> CostModule {
    CostModule::new(vec![Box::new(GoalDistance::euclidean(2)), Box::new(Effort)])
}

/// Every planner, with its name.
pub fn planners() -> Vec<(&'static str, Box<dyn Actor>)> {
    let cem = IcemConfig { samples: 64, elites: 10, iterations: 8, ..IcemConfig::cem() };
    let mut planners: Vec<(&'static str, Box<dyn Actor>)> = vec![
        ("cem", Box::new(Icem::new(cem))),
        ("icem", Box::new(Icem::new(IcemConfig::default()))),
        ("mppi", Box::new(Mppi::new(MppiConfig::default()))),
        ("predictive_sampling", Box::new(PredictiveSampling::new(PredictiveSamplingConfig::default()))),
        ("hybrid", Box::new(Hybrid::new(HybridConfig::default()))),
    ];
    for (name, optimiser, learning_rate) in [("adam", Optimiser::Adam, 0.1), ("sgd", Optimiser::Sgd, 1.0)] {
        let config = GradientConfig { optimiser, learning_rate, iterations: 20, ..GradientConfig::default() };
        planners.push((name, Box::new(Gradient::new(config))));
    }
    planners
}

/// What `actor` decides in the first tick at the origin, and how many states it predicted.
pub fn choice_of(
    actor: &mut dyn Actor,
    model: &dyn Dynamics,
    directive: &Directive,
    seed: u64,
) -> Result<(Choice, usize)> {
    let (cost, start, clock) = (cost(), Latent::global(vec![0.0, 0.0]), ManualClock::default());
    let imagination = Imagination::new(model, &cost, &start, directive);
    let deadline = Deadline { clock: &clock, at_secs: 1.0 };
    let choice = actor.act(&imagination, &mut Seed::new(seed).rng(), &deadline)?;
    Ok((choice, imagination.predicted_states()))
}

/// What the point mass does from `place`.
pub fn rolled_out(place: &[f32], plans: &Plans) -> Rollouts {
    PointMass.rollout(&Context::of(&Latent::global(place.to_vec())), plans).unwrap()
}

/// Where `plan` ends, from the origin.
pub fn end_of(plan: &Plan) -> Vec<f32> {
    let rollouts = rolled_out(&[0.0, 0.0], &Plans::from(plan));
    rollouts.state(0, 0, plan.horizon() - 1).values().to_vec()
}

/// Proprioception is `place`; nothing is observed when the frame was dropped.
pub fn observation(place: Option<[f32; 2]>) -> Observation {
    let proprioception = place.map_or_else(Vec::new, |place| place.to_vec());
    Observation { proprioception, ..Observation::default() }
}

/// A task with a small iCEM, and `lines` more at its top level.
pub fn task(lines: &str) -> Task {
    let text = format!(
        "name = \"test\"\nhorizon_chunks = 4\nbudget_ms = 1000.0\n\
         {lines}\n[weights]\ngoal_distance = 1.0\neffort = 0.001\n\
         [planner]\nkind = \"icem\"\nsamples = 64\niterations = 4"
    );
    mindseye_interface::config::parse(&text).unwrap()
}

/// A configurator that pursues `goals` with `task`.
pub fn configurator(task: &Task, goals: &[[f32; 2]]) -> Box<dyn Configurator> {
    let goals = goals.iter().map(|goal| Latent::global(goal.to_vec())).collect();
    Box::new(SequenceConfigurator::new(task, goals, ACTION_CHUNK, 2).unwrap())
}

/// An agent that observes its place by proprioception and pursues `goals`.
pub fn agent(goals: &[[f32; 2]], world_model: Box<dyn WorldModel>, seed: u64) -> Agent {
    Agent::new(modules(goals, world_model), Seed::new(seed))
}

/// The modules of [`agent`].
pub fn modules(goals: &[[f32; 2]], world_model: Box<dyn WorldModel>) -> Modules {
    Modules {
        configurator: configurator(&task(""), goals),
        perception: Box::new(ProprioceptivePerception),
        world_model,
        cost: cost(),
        actor: Box::new(Icem::new(IcemConfig { iterations: 4, ..IcemConfig::default() })),
        policy: None,
        memory: Box::new(RingMemory::new(1000)),
    }
}

/// A tick number `tick` at `place`, pursuing `sub_goal` with goal distance `energy`.
pub fn transition(tick: u64, place: [f32; 2], sub_goal: usize, energy: f32) -> Transition {
    Transition {
        tick,
        sub_goal,
        latent: Latent::global(place.to_vec()),
        goal: Some(Latent::global(vec![sub_goal as f32, 0.0])),
        energies: vec![("goal_distance".into(), energy), ("effort".into(), 0.1)],
        action_chunk: vec![0.5; ACTION_CHUNK * 2],
        plan: Plan::zeros(2, ACTION_CHUNK * 2),
        predicted: tick.is_multiple_of(2).then(|| Latent::global(vec![1.0 / 3.0, -0.0])),
        surprise: tick.is_multiple_of(3).then_some(0.1),
        state_source: if tick.is_multiple_of(5) { StateSource::Imputed } else { StateSource::Observed },
        arrival: Arrival::WholeChunk,
    }
}

/// The point on the plane as a simulator, between walls at -2 m and 2 m.
pub struct FakeSimulator {
    place: [f64; 2],
    space: ActionSpace,
}

impl FakeSimulator {
    /// A world with the point at the origin.
    pub fn new() -> Self {
        let pair = |text: &str| vec![format!("{text}_x"), format!("{text}_y")];
        let space = ActionSpace {
            names: pair("velocity"),
            units: vec!["m/s".into(), "m/s".into()],
            low: vec![-1.0; 2],
            high: vec![1.0; 2],
            neutral: Vec::new(),
            max_step: Vec::new(),
        };
        Self { place: [0.0; 2], space }
    }

    fn observation(&self) -> Observation {
        observation(Some(self.place.map(|value| value as f32)))
    }
}

impl Environment for FakeSimulator {
    fn reset(&mut self, _seed: Seed) -> mindseye_interface::Result<Observation> {
        self.place = [0.0; 2];
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

impl Simulator for FakeSimulator {
    fn scene(&self) -> &str {
        "fake"
    }

    fn state(&self) -> Vec<f64> {
        self.place.to_vec()
    }

    fn state_names(&self) -> Vec<String> {
        vec!["x_m".into(), "y_m".into()]
    }

    fn proprioception_names(&self) -> Vec<String> {
        self.state_names()
    }

    fn set_state(&mut self, state: &[f64]) -> mindseye_interface::Result<Observation> {
        self.place.copy_from_slice(state);
        Ok(self.observation())
    }

    fn render(&mut self) -> Image {
        Image::filled(ImageSize::square(1).unwrap(), [0; 3])
    }

    fn step_blind(&mut self, action: &Action) -> mindseye_interface::Result<()> {
        let moves = action.values().iter().map(|&value| f64::from(SPEED_M * value));
        self.place.iter_mut().zip(moves).for_each(|(place, by)| *place = (*place + by).clamp(-2.0, 2.0));
        Ok(())
    }

    fn snapshot(&self) -> mindseye_interface::Result<Snapshot> {
        Ok(Snapshot(self.place.iter().flat_map(|value| value.to_le_bytes()).collect()))
    }

    fn restore(&mut self, snapshot: &Snapshot) -> mindseye_interface::Result<()> {
        for (place, bytes) in self.place.iter_mut().zip(snapshot.0.chunks_exact(8)) {
            *place = f64::from_le_bytes(bytes.try_into().unwrap());
        }
        Ok(())
    }

    fn fork(&self) -> mindseye_interface::Result<Box<dyn Simulator>> {
        Ok(Box::new(Self { place: self.place, space: self.space.clone() }))
    }

    fn check_goal(&self, goal: &[f64]) -> GoalCheck {
        let distance = self.goal_energy(&self.place, goal);
        GoalCheck { moderate: distance < 0.2, strict: distance < 0.1, distance, metrics: Default::default() }
    }

    fn goal_energy(&self, state: &[f64], goal: &[f64]) -> f64 {
        state.iter().zip(goal).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    }
}
