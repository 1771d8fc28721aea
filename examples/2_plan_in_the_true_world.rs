//! An agent without a learned model: its world model is the simulator itself, so its predictions have no error.
//!
//! `cargo run --release --example 2_plan_in_the_true_world`

use anyhow::{Result, bail};
use mindseye_agent::Task;
use mindseye_agent::assembly::{TrueWorldActor, true_world};
use mindseye_examples::asset;
use mindseye_interface::{Action, Seed, SystemClock, config};
use mindseye_sim::{SceneOptions, make};

/// Control steps per action chunk.
const ACTION_CHUNK: usize = 5;

fn main() -> Result<()> {
    let mut room = make("two_room", &SceneOptions::with_side(64)?)?;
    room.reset(Seed::new(0))?;
    let goal = [0.85, 0.8]; // a true state: x and y, metres
    let mut observation = room.set_state(&[0.15, 0.8])?; // in the other room, behind the wall

    // The task names the planner and the weights of the costs; distances are along the route through the door.
    // A simulator waits: without a deadline the search ends as it should on any machine, however busy.
    let task: Task = config::load(&asset("tasks/two_room.toml"))?;
    let task = Task { budget_ms: f64::INFINITY, ..task };
    let mut agent = true_world(&task, room.as_ref(), TrueWorldActor::Planner, ACTION_CHUNK, Seed::new(0), 1)?;
    agent.set_goals(&[goal.to_vec()])?;

    let (width, clock) = (room.action_space().width(), SystemClock::start());
    while !room.check_goal(&goal).strict && observation.tick < 100 {
        let report = agent.tick(room.as_ref(), &observation, &clock)?;
        if let Some(error) = &report.error {
            bail!("tick {}: {error}", report.tick); // the agent held still
        }
        for action in report.action_chunk.chunks_exact(width) {
            observation = room.step(&Action::new(action.to_vec())?)?.observation;
        }
        let distance = room.check_goal(&goal).distance;
        println!("step {:3}: {distance:.3} m to go, planned in {:.1} ms", observation.tick, report.planning_ms);
        if let Some(fallback) = report.fallback {
            println!("  there was no time for a search, the plan is {fallback:?}");
        }
    }
    Ok(())
}
