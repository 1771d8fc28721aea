//! The simulator as a world model.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use crate::support::{ACTION_CHUNK, FakeSimulator, configurator, task};
use mindseye_agent::actor::{Icem, IcemConfig};
use mindseye_agent::assembly::{TrueWorldActor, true_world};
use mindseye_agent::cost::{CostModule, TrueGoalDistance};
use mindseye_agent::memory::RingMemory;
use mindseye_agent::world_model::{Context, Dynamics, SimulatorWorldModel};
use mindseye_agent::{Agent, Latent, Modules, Plans, Result, Task, TickReport};
use mindseye_interface::{Action, Environment, ManualClock, Seed, Simulator, config};

fn plans() -> Plans {
    let wave = |index: usize| ((index * 7919 + 13) % 101) as f32 / 50.0 - 1.0;
    Plans::new(21, 3, 10, (0..21 * 3 * 10).map(wave).collect()).unwrap()
}

#[test]
fn what_the_oracle_predicts_is_what_happens() {
    let mut simulator = FakeSimulator::new();
    simulator.set_state(&[0.5, 1.9]).unwrap();
    let oracle = SimulatorWorldModel::new(&simulator, 1).unwrap();
    let start = Latent::global(vec![0.5, 1.9]);
    let rollouts = oracle.rollout(&Context::of(&start), &plans()).unwrap();
    for index in [0, 20] {
        simulator.set_state(&[0.5, 1.9]).unwrap();
        for (chunk, actions) in plans().plan(index).values().chunks_exact(10).enumerate() {
            for action in actions.chunks_exact(2) {
                simulator.step(&Action::new(action.to_vec()).unwrap()).unwrap();
            }
            let state: Vec<f32> = simulator.state().iter().map(|&value| value as f32).collect();
            assert_eq!(rollouts.state(index, 0, chunk).values(), state);
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit_and_the_world_is_left_alone() {
    let simulator = FakeSimulator::new();
    let start = Latent::global(vec![0.0; 2]);
    let [one, two, four] = [1, 2, 4].map(|threads| {
        let oracle = SimulatorWorldModel::new(&simulator, threads).unwrap();
        let first = oracle.rollout(&Context::of(&start), &plans()).unwrap();
        assert_eq!(first, oracle.rollout(&Context::of(&start), &plans()).unwrap(), "rolled out twice");
        first
    });
    assert_eq!((&one, &one), (&two, &four));
    assert_eq!(simulator.state(), [0.0; 2]);
}

#[test]
fn chunks_of_partial_actions_are_refused() {
    let oracle = SimulatorWorldModel::new(&FakeSimulator::new(), 1).unwrap();
    let start = Latent::global(vec![0.0; 2]);
    for (horizon, width) in [(1, 3), (0, 2), (2, 0)] {
        let error =
            oracle.rollout(&Context::of(&start), &Plans::new(1, horizon, width, vec![0.0; horizon * width]).unwrap());
        assert!(error.unwrap_err().to_string().contains("simulator"));
    }
}

#[test]
fn an_agent_that_plans_with_the_true_world_reaches_its_goal() {
    let (mut simulator, goal) = (FakeSimulator::new(), [1.5, -0.7]);
    let oracle = SimulatorWorldModel::new(&simulator, 2).unwrap();
    let modules = Modules {
        configurator: configurator(&task(""), &[goal]),
        perception: Box::new(oracle.clone()),
        world_model: Box::new(oracle.clone()),
        cost: CostModule::new(vec![
            Box::new(TrueGoalDistance::new(oracle.clone(), ACTION_CHUNK).unwrap()),
            Box::new(mindseye_agent::cost::Effort),
        ]),
        actor: Box::new(Icem::new(IcemConfig::default())),
        policy: None,
        memory: Box::new(RingMemory::new(100)),
    };
    let mut agent = Agent::new(modules, Seed::new(0));
    let (mut observation, clock) = (simulator.reset(Seed::new(0)).unwrap(), ManualClock::default());
    for _ in 0..8 {
        oracle.synchronise(&simulator).unwrap();
        let report = agent.tick(&observation, &clock);
        assert_eq!(report.error, None);
        for action in report.action_chunk.chunks_exact(2) {
            observation = simulator.step(&Action::new(action.to_vec()).unwrap()).unwrap().observation;
        }
    }
    let check = simulator.check_goal(&goal.map(f64::from));
    assert!(check.strict, "{check:?}");
}

/// The agent `actor` in the true world, and the true world, after eight ticks towards `goal`.
fn run_true_world(actor: TrueWorldActor, weights: &str) -> Result<(FakeSimulator, Vec<TickReport>)> {
    let task = format!(
        "name = \"t\"\nhorizon_chunks = 4\nbudget_ms = 1e6\n\
         [weights]\ngoal_distance = 1.0\n{weights}\n[planner]\nkind = \"icem\""
    );
    let task: Task = config::parse(&task)?;
    let mut simulator = FakeSimulator::new();
    let mut agent = true_world(&task, &simulator, actor, ACTION_CHUNK, Seed::new(0), 1)?;
    agent.set_goals(&[vec![1.5, -0.7]])?;
    let (mut observation, clock) = (simulator.reset(Seed::new(0))?, ManualClock::default());
    let mut reports = Vec::new();
    for _ in 0..8 {
        let report = agent.tick(&simulator, &observation, &clock)?;
        for action in report.action_chunk.chunks_exact(2) {
            observation = simulator.step(&Action::new(action.to_vec())?)?.observation;
        }
        reports.push(report);
    }
    Ok((simulator, reports))
}

#[test]
fn the_oracle_and_the_baselines_act_without_errors() {
    for (actor, reaches) in
        [(TrueWorldActor::Planner, true), (TrueWorldActor::Random, false), (TrueWorldActor::Hold, false)]
    {
        let (simulator, reports) = run_true_world(actor, "critic = 2.0").unwrap();
        assert!(reports.iter().all(|report| report.error.is_none()), "{actor:?}: {:?}", reports[0].error);
        assert_eq!(simulator.check_goal(&[1.5, -0.7]).strict, reaches, "{actor:?}");
        assert_eq!(simulator.state() == [0.0; 2], actor == TrueWorldActor::Hold, "{actor:?}");
        assert_eq!(reports[0].expected.is_some(), reaches, "{actor:?}: baselines predict nothing");
    }
}

#[test]
fn a_weight_that_needs_a_learned_model_is_refused_before_the_first_tick() {
    for actor in [TrueWorldActor::Planner, TrueWorldActor::Random, TrueWorldActor::Hold] {
        let error = run_true_world(actor, "curiosity = 1.0").err().unwrap().to_string();
        assert!(error.starts_with("weights.curiosity: expected one of goal_distance, "), "{error}");
        assert!(error.ends_with("got curiosity") && !error.contains('\n'), "{error}");
    }
}
