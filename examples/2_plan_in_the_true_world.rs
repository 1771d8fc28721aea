//! An agent without any learning: the simulator itself is its world model, so its plans are as good as plans can be.
//!
//! `cargo run --release --example 2_plan_in_the_true_world`

use std::sync::Arc;

use anyhow::Result;
use mindseye::{assets, running::execute};
use mindseye_agent::configurator::SequenceConfigurator;
use mindseye_agent::cost::{ActionLimits, CostModule, Effort, OracleGoal};
use mindseye_agent::memory::RingMemory;
use mindseye_agent::world_model::SimulatorWorldModel;
use mindseye_agent::{Agent, Latent, Modules, Task};
use mindseye_interface::{Seed, SystemClock, config};
use mindseye_sim::{SceneOptions, make};

fn main() -> Result<()> {
    let mut room = make("two_room", &SceneOptions::with_side(64)?)?;
    room.reset(Seed::new(0))?;
    let goal = [0.85, 0.8];
    let mut observation = room.set_state(&[0.15, 0.8])?; // in the other room, behind the wall

    // Six modules. Perception and world model are the true world; the latent is the true state.
    let task: Task = config::load(&assets::task("two_room")?)?;
    let world = Arc::new(SimulatorWorldModel::new(room.as_ref(), 1)?);
    let goals = vec![Latent::global(goal.map(|value| value as f32).to_vec())];
    let (block, width) = (5, room.action_space().width());
    let goal_energy = OracleGoal::new(world.clone(), block)?; // along the shortest way, not through walls
    let modules = Modules {
        configurator: Box::new(SequenceConfigurator::new(&task, goals, block, width)?),
        perception: Box::new(world.clone()),
        world_model: Box::new(world.clone()),
        cost: CostModule::new(vec![Box::new(goal_energy), Box::new(Effort), Box::new(ActionLimits)]),
        actor: task.planner.build(),
        policy: None,
        memory: Box::new(RingMemory::new(100)),
    };
    let mut agent = Agent::new(modules, Seed::new(0));

    let clock = SystemClock::start();
    while !room.check_goal(&goal).strict && observation.tick < 100 {
        world.synchronise(room.as_ref())?; // the oracle may look
        let report = agent.tick(&observation, &clock);
        observation = execute(room.as_mut(), &report.block, block, |_| ())?;
        let check = room.check_goal(&goal);
        println!("step {:3}: {:.3} m to go, planned in {:.1} ms", observation.tick, check.distance, report.planning_ms);
    }
    Ok(())
}
