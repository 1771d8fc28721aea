//! From a recording to a plan: the agent sees a recorded moment, wants a later one, and says what it would do.
//!
//! `cargo run --release --example 5_plan_from_a_recording -- RECORDING CHECKPOINT`, for example with the data set that `mindseye train --data
//! RECORDING --out CHECKPOINT` learnt from (any format that it reads). Without arguments it records a few episodes of two_room and takes the
//! shipped model. A robot would do the first block, look again, and plan anew.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use mindseye::running::cost;
use mindseye::{assets, commands};
use mindseye_agent::configurator::SequenceConfigurator;
use mindseye_agent::cost::GoalDistance;
use mindseye_agent::memory::RingMemory;
use mindseye_agent::perception::JepaPerception;
use mindseye_agent::world_model::LearnedWorldModel;
use mindseye_agent::{Agent, Modules};
use mindseye_episodes::{EpisodeData, open, picture::resized};
use mindseye_interface::{Image, ImageSize, Observation, Seed, SystemClock};
use mindseye_world_model::Checkpoint;

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args().skip(1).map(PathBuf::from).collect();
    let folder = tempfile::tempdir()?;
    let (recording, model) = match &arguments[..] {
        [recording, model] => (recording.clone(), model.clone()),
        _ => {
            let recording = folder.path().join("recording");
            commands::record::record_scene("two_room", 64, (3, 60), Seed::new(5), &recording)?;
            (recording, assets::checkpoint("two_room")?)
        }
    };
    let checkpoint = Arc::new(Checkpoint::load(&model)?);
    let shape = checkpoint.config.model.clone();
    let source = open(&recording)?;
    println!("{}: {} episodes, {}", recording.display(), source.len(), source.format());

    // What the robot sees, and what it should see: two moments of the first episode, four blocks apart.
    let episode = source.read_episode(0)?;
    let later = 4 * shape.action_block;
    ensure!(episode.len() > later, "expected an episode of more than {later} moments, got {}", episode.len());
    let size = ImageSize::new(shape.cameras * shape.image_side, shape.image_side)?;
    let moment = |episode: &EpisodeData, index: usize| -> Result<Observation> {
        let image = Some(Image::new(size, resized(&episode.frames[index], size))?);
        let proprioception = episode.proprioception[index].clone();
        Ok(Observation { image, proprioception, tick: index as u64, time_secs: 0.0 })
    };
    let perception = JepaPerception::new(checkpoint.clone());
    let goal = perception.encode(&moment(&episode, later)?)?.context("a goal")?;

    let task = commands::load_task(None, "two_room")?; // planner and costs; any model can be planned with them
    let metric = GoalDistance::new(checkpoint.statistics.factor(task.metric))?;
    let modules = Modules {
        configurator: Box::new(SequenceConfigurator::new(&task, vec![goal], shape.action_block, shape.action_width)?),
        perception: Box::new(perception),
        world_model: Box::new(LearnedWorldModel::new(&checkpoint.model, task.precision, 1)?),
        cost: cost(&task, metric),
        actor: task.planner.build(),
        policy: None,
        memory: Box::new(RingMemory::new(100)),
    };
    let report = Agent::new(modules, Seed::new(0)).tick(&moment(&episode, 0)?, &SystemClock::start());
    println!("planned in {:.1} ms, {} states imagined", report.planning_ms, report.predictor_rows);
    println!("first block (control step by control step, -1 to 1): {:.2?}", report.block);
    println!(
        "what was done then:                                  {:.2?}",
        episode.actions[..shape.action_block].concat()
    );
    println!("energy of the best plan, round by round: {:.3?}", report.planning_energies);
    Ok(())
}
