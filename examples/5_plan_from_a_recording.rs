//! From a recording to a plan: the agent observes the first timestep of an episode, a later one is the goal.
//!
//! `cargo run --release --example 5_plan_from_a_recording -- RECORDING CHECKPOINT` takes a data set in any format that
//! `mindseye train --data` reads, and a model that was trained on it. Without arguments it takes an episode of
//! `two_room` and the shipped model. A robot would execute the first action chunk, observe, and plan again.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use mindseye_agent::{Agent, Task};
use mindseye_episodes::open;
use mindseye_examples::{asset, demonstrated_episode, recorded_frames};
use mindseye_interface::{Action, Goal, Observation, Seed, SystemClock, config};
use mindseye_world_model::Checkpoint;

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let model = arguments.get(1).cloned().unwrap_or_else(|| asset("checkpoints/two_room"));
    let checkpoint = Arc::new(Checkpoint::load(&model)?);
    let (space, spec) = (&checkpoint.config.action_space, checkpoint.model.spec());
    // Recordings of mindseye have normalised actions and their space; those of other tools have physical values.
    let (episode, recorded_space) = match &arguments[..] {
        [] => (demonstrated_episode(Seed::new(5), 60)?, Some(space.clone())),
        [recording, _] => {
            let source = open(recording)?;
            (source.read_episode(0)?, source.sidecar().map(|sidecar| sidecar.action_space.clone()))
        }
        _ => bail!("arguments: expected RECORDING CHECKPOINT or none, got {}", arguments.len()),
    };

    let observe = |timestep: usize| -> Result<Observation> {
        let frames = recorded_frames(&episode.frames[timestep], &spec.cameras)?;
        Ok(Observation { frames, proprioception: episode.proprioception[timestep].clone(), ..Observation::default() })
    };
    let later = 4 * spec.action_chunk;
    ensure!(episode.len() > later, "episode 0: expected more than {later} timesteps, got {}", episode.len());

    let task: Task = config::load(&asset("tasks/two_room.toml"))?; // planner and costs, for any model
    let mut agent = Agent::from_checkpoint(&checkpoint, &task, Seed::new(0))?;
    agent.set_goal(Goal::image(&observe(later)?))?; // models with proprioception need Agent::set_run_goals
    let report = agent.tick(&observe(0)?, &SystemClock::start());
    if let Some(error) = &report.error {
        bail!("planning: {error}");
    }
    println!("planned in {:.1} ms, {} states predicted", report.planning_ms, report.predicted_states);
    println!("actions are {}, in {}", space.names.join(", "), space.units.join(", "));
    for (step, planned) in report.plan.values().chunks_exact(space.width()).take(later).enumerate() {
        let planned = space.denormalise(&Action::new(planned.to_vec())?)?;
        let recorded = match &recorded_space {
            Some(space) => space.denormalise(&Action::new(episode.actions[step].clone())?)?,
            None => episode.actions[step].iter().map(|&value| f64::from(value)).collect(),
        };
        println!("step {step:2}: planned {planned:+.3?}, recorded {recorded:+.3?}");
    }
    Ok(())
}
