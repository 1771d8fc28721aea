//! The simulator as a world model.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

mod support;

use std::sync::Arc;

use mindseye_agent::actor::{Icem, IcemConfig};
use mindseye_agent::cost::{CostModule, OracleGoal};
use mindseye_agent::memory::RingMemory;
use mindseye_agent::world_model::{SimulatorWorldModel, WorldModel};
use mindseye_agent::{Agent, Latent, Modules, Plans};
use mindseye_interface::{Action, Environment, ManualClock, Seed, Simulator};
use support::{ACTION_BLOCK, FakeSimulator, configurator, task};

fn plans() -> Plans {
    let wave = |index: usize| ((index * 7919 + 13) % 101) as f32 / 50.0 - 1.0;
    Plans::new(21, 3, 10, (0..21 * 3 * 10).map(wave).collect()).unwrap()
}

#[test]
fn what_the_oracle_imagines_is_what_happens() {
    let mut simulator = FakeSimulator::new();
    simulator.set_state(&[0.5, 1.9]).unwrap();
    let oracle = SimulatorWorldModel::new(&simulator, 1).unwrap();
    let start = Latent::global(vec![0.5, 1.9]);
    let rollouts = oracle.imagine(&start, &plans()).unwrap();
    for index in [0, 20] {
        simulator.set_state(&[0.5, 1.9]).unwrap();
        for (block, actions) in plans().plan(index).values().chunks_exact(10).enumerate() {
            for action in actions.chunks_exact(2) {
                simulator.step(&Action::new(action.to_vec()).unwrap()).unwrap();
            }
            let state: Vec<f32> = simulator.state().iter().map(|&value| value as f32).collect();
            assert_eq!(rollouts.state(index, 0, block).values(), state);
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit_and_the_world_is_left_alone() {
    let simulator = FakeSimulator::new();
    let start = Latent::global(vec![0.0; 2]);
    let [one, two, four] = [1, 2, 4].map(|threads| {
        let oracle = SimulatorWorldModel::new(&simulator, threads).unwrap();
        let first = oracle.imagine(&start, &plans()).unwrap();
        assert_eq!(first, oracle.imagine(&start, &plans()).unwrap(), "imagining twice");
        first
    });
    assert_eq!((&one, &one), (&two, &four));
    assert_eq!(simulator.state(), [0.0; 2]);
}

#[test]
fn blocks_that_are_no_actions_are_refused() {
    let oracle = SimulatorWorldModel::new(&FakeSimulator::new(), 1).unwrap();
    let start = Latent::global(vec![0.0; 2]);
    for (horizon, width) in [(1, 3), (0, 2), (2, 0)] {
        let error = oracle.imagine(&start, &Plans::new(1, horizon, width, vec![0.0; horizon * width]).unwrap());
        assert!(error.unwrap_err().to_string().contains("simulator"));
    }
}

#[test]
fn an_agent_that_plans_with_the_true_world_reaches_its_goal() {
    let (mut simulator, goal) = (FakeSimulator::new(), [1.5, -0.7]);
    let oracle = Arc::new(SimulatorWorldModel::new(&simulator, 2).unwrap());
    let modules = Modules {
        configurator: configurator(&task(""), &[goal]),
        perception: Box::new(oracle.clone()),
        world_model: Box::new(oracle.clone()),
        cost: CostModule::new(vec![
            Box::new(OracleGoal::new(oracle.clone(), ACTION_BLOCK).unwrap()),
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
        for action in report.block.chunks_exact(2) {
            observation = simulator.step(&Action::new(action.to_vec()).unwrap()).unwrap().observation;
        }
    }
    let check = simulator.check_goal(&goal.map(f64::from));
    assert!(check.strict, "{check:?}");
}
