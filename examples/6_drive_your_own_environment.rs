//! An agent drives an environment that is no simulator: a struct that implements `Environment`, and nothing else.
//!
//! `cargo run --release --example 6_drive_your_own_environment`. The struct is `ToyRobot` in `src/toy_robot.rs`: five
//! short methods. A robot of your own takes its place in `run`, with a model that was trained on its recordings.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use mindseye_agent::control_loop::{Limits, TickListener, run};
use mindseye_agent::{Agent, Task, TickReport};
use mindseye_examples::{ToyRobot, asset};
use mindseye_interface::{Goal, Observation, Seed, config};
use mindseye_world_model::Checkpoint;

/// Prints every tick. An agent that meets an error holds still and says why in its report.
struct Printer;

impl TickListener for Printer {
    fn on_tick(&mut self, observation: &Observation, report: &TickReport) {
        let error = report.error.as_deref().unwrap_or("no error");
        println!("step {:3}: planned in {:4.1} ms, {error}", observation.tick, report.planning_ms);
    }
}

fn main() -> Result<()> {
    let checkpoint = Arc::new(Checkpoint::load(&asset("checkpoints/two_room"))?);
    let task: Task = config::load(&asset("tasks/two_room.toml"))?;
    let mut agent = Agent::from_checkpoint(&checkpoint, &task, Seed::new(0))?;
    let mut robot = ToyRobot::new(checkpoint.config.model.image_side)?;
    let goal_m = [0.85, 0.8];
    agent.set_goal(Goal::image(&robot.place(goal_m)?))?; // an image of the robot at its goal
    robot.place([0.15, 0.8])?; // in the other room, behind the wall
    println!("{:.3} m from the goal", robot.distance_m(goal_m));

    let limits = Limits { max_steps: Some(80), real_time: false, ..Limits::default() };
    let summary = run(&mut agent, &mut robot, &limits, &mut Printer, &AtomicBool::new(false))?;
    println!("{:.3} m from the goal after {} control steps", robot.distance_m(goal_m), summary.steps);
    Ok(())
}
