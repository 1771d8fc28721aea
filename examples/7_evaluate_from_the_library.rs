//! The evaluation protocol as a library: an agent and its baselines on the same held-out pairs of a start and a goal.
//!
//! `cargo run --release --example 7_evaluate_from_the_library`. The standard protocol has 100 episodes on each of three
//! seeds; this example has 20 on one, so the intervals are wide. The whole report is data that serde can write.

use anyhow::Result;
use mindseye_agent::Task;
use mindseye_evaluation::{Evaluation, LearnedAgent, Method, MethodReport, NoOp, Oracle, RandomActions};
use mindseye_examples::asset;
use mindseye_interface::{GoalKind, NoProgress, config};
use mindseye_sim::{SceneOptions, benchmark};

fn main() -> Result<()> {
    let learned = LearnedAgent::load(&asset("checkpoints/two_room"), "two_room")?;
    let action_chunk = learned.action_chunk();
    let (random, no_op, oracle) = (RandomActions { action_chunk }, NoOp { action_chunk }, Oracle { action_chunk });

    let side = learned.image_side();
    let two_room = benchmark("two_room", &SceneOptions::with_side(side)?)?;
    let task: Task = config::load(&asset("tasks/two_room.toml"))?;
    let mut evaluation = Evaluation::standard(&two_room, &task, GoalKind::Offset { goal_offset: 25 });
    (evaluation.protocol.episodes, evaluation.protocol.seeds) = (20, vec![42]);
    let report = evaluation.run(&[&learned, &random, &no_op, &oracle], &NoProgress)?.report;

    println!("success with 95 % intervals: at any step, and held at the end");
    let print = |name: &str, rates: &MethodReport| println!("{name:14} {}   {}", rates.moderate, rates.strict);
    print(learned.name(), &report.rates.model);
    report.rates.baselines.iter().for_each(|(name, rates)| print(name, rates));
    for (name, errors) in &report.errors {
        println!("{name}: {} ticks with an error, the first: {}", errors.ticks, errors.first.as_deref().unwrap_or(""));
    }
    println!("planning: {:.1} ms in the median, {:.1} ms at most", report.planning_ms.p50, report.planning_ms.max);
    Ok(())
}
