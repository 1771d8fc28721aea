//! States of several tokens: perception, costs, heads, memory and planning with a model of four tokens per state.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::sync::Arc;

use crate::support::transition;
use mindseye_agent::actor::{Actor, Deadline, Gradient, GradientConfig, Icem, IcemConfig, Imagination};
use mindseye_agent::cost::{
    CostModule, Critic, Curiosity, Effort, GoalDistance, IntrinsicTerm, LearnedCritic, LearnedEstimator, StateEstimator,
};
use mindseye_agent::memory::{AssociativeMemory, Memory, RingMemory, SoftMemory, SoftMemoryConfig, Transition};
use mindseye_agent::perception::ModelPerception;
use mindseye_agent::world_model::{Context, Dynamics};
use mindseye_agent::{Agent, Directive, Error, Latent, LatentShape, Plan, Plans, Rollouts, Task};
use mindseye_interface::{Frame, Goal, Image, ImageSize, ManualClock, Observation, Seed, config};
use mindseye_world_model::WeightSource;
use mindseye_world_model::heads::critic::CriticConfig;
use mindseye_world_model::heads::state_probe::StateProbeConfig;
use mindseye_world_model::testing::TokenModel;
use mindseye_world_model::{CriticNetwork, Head, InferenceOptions, LatentMetric, Model, StateProbe};

const SHAPE: LatentShape = LatentShape { tokens: 4, width: 3 };
/// Control steps per chunk, and numbers per action.
const CHUNK: (usize, usize) = (2, 2);

fn model() -> Arc<dyn Model> {
    Arc::new(TokenModel::default())
}

fn dynamics() -> Box<dyn Dynamics> {
    TokenModel::default().dynamics(&InferenceOptions::default()).unwrap()
}

fn latent(values: impl Fn(usize) -> f32) -> Latent {
    Latent::new(4, 3, (0..12).map(values).collect()).unwrap()
}

fn wave(index: usize) -> f32 {
    ((index * 7919 + 13) % 101) as f32 / 100.0
}

/// An image whose four quadrants have the colours `tokens [4, 3]`, from 0 to 1.
fn observed(tokens: &[f32]) -> Observation {
    let mut image = Image::filled(ImageSize::square(8).unwrap(), [0; 3]);
    for (index, pixel) in image.pixels_mut().chunks_exact_mut(3).enumerate() {
        let token = index / 8 / 4 * 2 + index % 8 / 4;
        for (value, colour) in pixel.iter_mut().zip(&tokens[token * 3..]) {
            *value = (colour * 255.0).round() as u8;
        }
    }
    Observation { frames: vec![Frame::new(&"top".into(), image, 0.0)], ..Observation::default() }
}

#[test]
fn an_image_is_perceived_as_four_tokens() {
    let perception = ModelPerception::new(model());
    let colours: Vec<f32> = (0..12).map(|index| (20 * index) as f32 / 255.0).collect();
    let perceived = perception.encode(&observed(&colours)).unwrap().unwrap();
    assert_eq!(perceived.shape(), SHAPE);
    for (value, colour) in perceived.values().iter().zip(&colours) {
        assert!((value - colour).abs() < 1e-5, "{perceived:?}");
    }
    assert_eq!(perception.encode(&Observation::default()).unwrap(), None, "a lost frame");
    let small = Image::filled(ImageSize::square(4).unwrap(), [0; 3]);
    let small = Observation { frames: vec![Frame::new(&"top".into(), small, 0.0)], ..Observation::default() };
    assert!(perception.encode(&small).unwrap_err().to_string().contains("8x8 pixels of camera top"));
    let other = Observation {
        frames: vec![Frame::new(&"side".into(), Image::filled(ImageSize::square(8).unwrap(), [0; 3]), 0.0)],
        ..Observation::default()
    };
    assert!(perception.encode(&other).unwrap_err().to_string().contains("no frame"), "another camera");
}

/// Two samples of three states of four tokens.
fn rollouts() -> (Rollouts, Plans) {
    let values = (0..2 * 3 * 12).map(wave).collect();
    (Rollouts::new([1, 2, 3, 4, 3], values).unwrap(), Plans::new(1, 3, 4, (0..12).map(wave).collect()).unwrap())
}

const FACTOR: [f32; 9] = [2.0, 1.0, 0.0, 0.0, 3.0, 0.5, 1.0, 0.0, 0.25];

/// `|L d|²`.
fn square(difference: [f32; 3]) -> f32 {
    FACTOR.chunks_exact(3).map(|row| row.iter().zip(difference).map(|(l, d)| l * d).sum::<f32>().powi(2)).sum()
}

#[test]
fn the_goal_distance_and_curiosity_are_means_over_tokens() {
    let (rollouts, plans) = rollouts();
    let goal = latent(|index| 0.1 * index as f32);
    let directive = Directive::towards(goal.clone(), 3, CHUNK);
    let distance = GoalDistance::new(FACTOR.to_vec()).unwrap().energy(&rollouts, &plans, &directive).unwrap();
    let curiosity = Curiosity::new(FACTOR.to_vec()).unwrap().energy(&rollouts, &plans, &directive).unwrap();
    assert_eq!((distance.len(), curiosity.len()), (6, 6));
    for sample in 0..2 {
        for chunk in 0..3 {
            let state = rollouts.state(0, sample, chunk);
            let token = |values: &[f32], token: usize| -> [f32; 3] { values[token * 3..][..3].try_into().unwrap() };
            let differences = |other: &Latent, token_of: usize| {
                let (own, other) = (token(state.values(), token_of), token(other.values(), token_of));
                [0, 1, 2].map(|index| own[index] - other[index])
            };
            let expected = (0..4).map(|index| square(differences(&goal, index))).sum::<f32>() / 4.0;
            let index = sample * 3 + chunk;
            assert!((distance[index] - expected).abs() < 1e-4, "{} {expected}", distance[index]);
            // Two samples are half of their difference away from their mean.
            let twin = rollouts.state(0, 1 - sample, chunk);
            let apart = (0..4).map(|index| square(differences(&twin, index).map(|d| d / 2.0))).sum::<f32>() / 4.0;
            assert!((curiosity[index] + apart).abs() < 1e-4, "{} {apart}", curiosity[index]);
        }
    }
    let global = Directive::towards(Latent::global(vec![0.0; 12]), 3, CHUNK);
    let error = GoalDistance::new(FACTOR.to_vec()).unwrap().energy(&rollouts, &plans, &global).unwrap_err();
    assert!(matches!(error, Error::Shape { .. }) && error.to_string().contains("a goal of 1x12"), "{error}");
}

fn cost() -> CostModule {
    CostModule::new(vec![Box::new(GoalDistance::new(FACTOR.to_vec()).unwrap()), Box::new(Effort)])
}

fn directive(goal: Latent) -> Directive {
    let weights = vec![("goal_distance".into(), 1.0), ("effort".into(), 0.01)];
    Directive { weights, ..Directive::towards(goal, 3, CHUNK) }
}

#[test]
fn gradients_of_energies_on_plans_are_those_of_central_differences() {
    let (dynamics, cost, start) = (dynamics(), cost(), latent(|index| wave(index + 40)));
    let directive = directive(latent(wave));
    let imagination = Imagination::new(&*dynamics, &cost, &start, &directive);
    let values: Vec<f32> = (0..2 * 3 * 4).map(|index| wave(index + 7) - 0.5).collect();
    let plans = |values: Vec<f32>| Plans::new(2, 3, 4, values).unwrap();
    let (energies, gradients) = imagination.energies_and_gradients(&plans(values.clone())).unwrap();
    assert_eq!(energies, imagination.energies(&plans(values.clone())).unwrap());
    let steepest = gradients.iter().fold(0.0f32, |most, gradient| most.max(gradient.abs()));
    assert!(steepest > 0.0);
    for index in 0..values.len() {
        let energy = |by: f32| -> f64 {
            let mut moved = values.clone();
            moved[index] += by;
            imagination.energies(&plans(moved)).unwrap().iter().map(|&energy| f64::from(energy)).sum()
        };
        let numeric = ((energy(1e-2) - energy(-1e-2)) / 2e-2) as f32;
        assert!((gradients[index] - numeric).abs() < 1e-2 * steepest, "{index}: {} {numeric}", gradients[index]);
    }
}

#[test]
fn planning_by_sampling_and_by_gradients_finds_plans_to_a_goal_of_four_tokens() {
    let (dynamics, cost, start) = (dynamics(), cost(), latent(|_| 0.5));
    // Where some plan leads.
    let plan = Plan::new(3, 4, (0..12).map(|index| 1.6 * wave(index) - 0.8).collect()).unwrap();
    let goal = dynamics.rollout(&Context::of(&start), &Plans::from(&plan)).unwrap().state(0, 0, 2);
    let directive = Directive { weights: vec![("goal_distance".into(), 1.0)], ..directive(goal) };
    let still = Imagination::new(&*dynamics, &cost, &start, &directive)
        .energies(&Plans::from(&directive.hold_plan()))
        .unwrap()[0];
    let sampling = IcemConfig { samples: 256, iterations: 8, ..IcemConfig::default() };
    let gradient = GradientConfig { iterations: 100, learning_rate: 0.05, ..GradientConfig::default() };
    let planners: [(&str, Box<dyn Actor>); 2] =
        [("icem", Box::new(Icem::new(sampling))), ("gradient", Box::new(Gradient::new(gradient)))];
    for (name, mut planner) in planners {
        let clock = ManualClock::default();
        let imagination = Imagination::new(&*dynamics, &cost, &start, &directive);
        let deadline = Deadline { clock: &clock, at_secs: f64::INFINITY };
        let choice = planner.act(&imagination, &mut Seed::new(1).rng(), &deadline).unwrap();
        let energy = *choice.energies.last().unwrap();
        assert!(energy < 0.2 * still, "{name}: {energy} against {still} of holding still");
        assert_eq!(choice.rollout.unwrap().shape(), [1, 1, 3, 4, 3], "{name}");
    }
}

#[test]
fn heads_take_the_mean_token() {
    let states: Vec<f32> = (0..24).map(wave).collect();
    let mean = |state: &[f32]| -> Vec<f32> {
        (0..3).map(|index| state.iter().skip(index).step_by(3).sum::<f32>() / 4.0).collect()
    };
    let means: Vec<f32> = states.chunks_exact(12).flat_map(mean).collect();
    let names = vec!["x_m".to_owned(), "angle_rad".to_owned()];
    let config =
        StateProbeConfig { latent_width: 3, state_names: names, step_scales: vec![1.0; 2], hidden: 8, layers: 1 };
    let probe = StateProbe::build(config, WeightSource::fresh(Seed::new(1))).unwrap();
    let estimators = (LearnedEstimator::of_tokens(&probe, SHAPE).unwrap(), LearnedEstimator::new(&probe).unwrap());
    let upstream = [1.0, -0.5, 0.25, 2.0];
    let (mut gradients, mut on_means) = (vec![0.0; 24], vec![0.0; 6]);
    assert_eq!(estimators.0.read(&states).unwrap(), estimators.1.read(&means).unwrap());
    estimators.0.add_gradients(&states, &upstream, &mut gradients).unwrap();
    estimators.1.add_gradients(&means, &upstream, &mut on_means).unwrap();
    let shared = |on_means: &[f32]| -> Vec<f32> {
        on_means.chunks_exact(3).flat_map(|on_mean| on_mean.repeat(4)).map(|gradient| gradient / 4.0).collect()
    };
    assert_eq!(gradients, shared(&on_means));
    let config = CriticConfig {
        latent_width: 3,
        hidden: 8,
        layers: 1,
        members: 2,
        discount: 0.9,
        terms: vec!["goal_distance".into()],
        scales: vec![1.0],
        metric: LatentMetric::Euclidean,
        goal_saturation: None,
    };
    let engine = CriticNetwork::build(config, WeightSource::fresh(Seed::new(2))).unwrap().engine().unwrap();
    let goal = latent(|index| wave(index + 50));
    let directive = directive(goal.clone());
    let expected = engine.energies_and_gradients(&means, &mean(goal.values()), &[1.0]).unwrap();
    let critic = LearnedCritic::new(engine);
    let (energies, gradients) = critic.future_energy_and_gradients(&states, &directive).unwrap();
    assert_eq!((&energies, &gradients), (&expected.0, &shared(&expected.1)));
    assert_eq!(critic.future_energy(&states, &directive).unwrap(), energies);
}

/// A tick number `tick` with a state of `values` numbers.
fn large(tick: u64, values: usize) -> Transition {
    Transition {
        latent: Latent::new(4, values / 4, vec![tick as f32; values]).unwrap(),
        ..transition(tick, [0.0; 2], 0, 1.0)
    }
}

#[test]
fn a_memory_is_bounded_by_bytes_as_well_as_by_ticks() {
    let one = large(0, 4000).bytes();
    assert!((16_000..20_000).contains(&one), "{one}");
    let mut memory = RingMemory::new(1000).with_max_bytes(10 * one);
    for tick in 0..50 {
        memory.remember(large(tick, 4000));
    }
    assert!(memory.len() == 10 && memory.bytes() <= 10 * one, "{}", memory.len());
    assert_eq!(memory.recent(1)[0].tick, 49);
    memory.remember(large(50, 400_000));
    assert_eq!((memory.len(), memory.recent(1)[0].tick), (1, 50), "the newest tick stays, whatever its size");
    let mut small = RingMemory::new(1000);
    (0..1200).for_each(|tick| small.remember(large(tick, 32)));
    assert_eq!(small.len(), 1000, "small ticks are bounded by their number");
}

#[test]
fn transitions_of_large_states_take_at_most_the_memory_of_the_task() {
    let mut memory =
        AssociativeMemory::new(1000, SoftMemoryConfig { max_mib: 1, ..SoftMemoryConfig::default() }).unwrap();
    for tick in 0..60 {
        memory.remember(Transition { state_source: Default::default(), ..large(tick, 8000) });
    }
    let store = memory.store().unwrap();
    // A key and a value of 8000 numbers each are 64 kB.
    assert_eq!((store.capacity(), store.slots().len()), (16, 16));
    assert!((20..=32).contains(&memory.len()), "{}", memory.len());
    let small = SoftMemory::new(SoftMemoryConfig::default(), 42, 32).unwrap();
    assert_eq!(small.capacity(), 1000, "small ones are bounded by their number");
}

/// The colours of four lamps, which do what the model predicts.
struct Lamps(Latent);

impl Lamps {
    fn execute(&mut self, chunk: &[f32]) {
        let plan = Plans::new(1, 1, 4, chunk.to_vec()).unwrap();
        self.0 = dynamics().rollout(&Context::of(&self.0), &plan).unwrap().state(0, 0, 0);
    }
}

#[test]
fn an_agent_reaches_a_goal_image_in_a_world_of_four_tokens() {
    let goal = [0.7, 0.4, 0.4].repeat(4);
    for planner in [
        "kind = \"icem\"\nsamples = 128\niterations = 6\n",
        "kind = \"gradient\"\nsamples = 8\niterations = 40\nlearning_rate = 0.05\n",
    ] {
        let text = format!(
            "name = \"lamps\"\nhorizon_chunks = 3\nbudget_ms = 1e6\nreduction = {{ kind = \"mean\" }}\n\
             [weights]\ngoal_distance = 1.0\n[planner]\n{planner}"
        );
        let task: Task = config::parse(&text).unwrap();
        let mut agent = Agent::from_checkpoint(model(), &task, Seed::new(0)).unwrap();
        agent.set_goal(Goal::image(&observed(&goal))).unwrap();
        let (mut lamps, clock) = (Lamps(latent(|_| 0.5)), ManualClock::default());
        let distance = |lamps: &Lamps| lamps.0.mean_square_distance(&Latent::new(4, 3, goal.clone()).unwrap());
        let before = distance(&lamps);
        for tick in 0..12 {
            let report = agent.tick(&observed(lamps.0.values()), &clock);
            assert_eq!(report.error, None, "{planner}");
            assert!(tick == 0 || report.surprise.unwrap() < 1e-4, "{planner}: {:?}", report.surprise);
            lamps.execute(&report.action_chunk);
        }
        assert!(distance(&lamps) < 0.15 * before, "{planner}: {} of {before}", distance(&lamps));
        // One number of twelve is 0.3 away from its prediction.
        let mut lit = lamps.0.values().to_vec();
        lit[7] += 0.3;
        let surprise = agent.tick(&observed(&lit), &clock).surprise.unwrap();
        assert!((surprise - 0.09 / 12.0).abs() < 1e-3, "{planner}: all tokens count: {surprise}");
    }
}
