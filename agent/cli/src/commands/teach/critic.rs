//! `mindseye teach critic`: from recorded episodes to a critic that knows what is still to come beyond the horizon.

mod guide;
mod school;

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use mindseye_interface::Seed;
use mindseye_interface::config::require_range;
use mindseye_world_model::CriticNetwork;
use mindseye_world_model::critic::{CriticConfig, CriticTraining, train_critic};
use serde::Serialize;

use self::school::{SITUATIONS, School};
use super::{Lesson, Recorded};
use crate::commands::{load_task, print_json};
use crate::progress::{Meter, stop_on_ctrl_c};

/// Teach a critic: what will it cost from here to the goal, beyond what is imagined?
///
/// It learns from recorded episodes, whoever acted in them, with goals given in hindsight: states that came later in the same episode, and states of
/// others. Some of its lessons are single blocks as they were lived; the others begin at recorded states, or near where plans lead from there, and go on as a
/// planner would (or, with `--by policy`, the policy beside the model: forty times as many lessons): so it comes to foresee what planning costs, not what was done.
/// With `--beyond critic` the critic, as it is by then, says what lies behind the end of a lesson; with `--beyond steady` nothing changes there, and the critic learns
/// what looking so many blocks farther would say. The checkpoint is written to --out with the critic beside it. A task whose weights have `critic`
/// (assets/tasks/push_t_critic.toml) then judges plans by what they cost until the horizon and by what the critic expects after it: a short horizon sees far.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: mindseye teach critic --scene push_t --checkpoint assets/checkpoints/push_t --data data/push_t --by policy --beyond steady --blocks 4 --imagined 1 --expectile 0.5 --out runs/with_critic"
)]
pub struct CriticArguments {
    #[command(flatten)]
    lesson: Lesson,
    /// Task file (TOML): the costs to foresee; by default the shipped one of the scene.
    #[arg(long)]
    task: Option<PathBuf>,
    /// What an energy counts for each block that it lies farther ahead.
    #[arg(long, default_value_t = 0.9)]
    discount: f32,
    /// How much harder cheaper ways pull than dearer ones: 0.5 expects what was done on average, towards 1 the best of it.
    #[arg(long, default_value_t = 0.7)]
    expectile: f32,
    /// Share of the lessons that are imagined.
    #[arg(long, default_value_t = 0.5)]
    imagined: f64,
    /// Blocks that an imagined lesson goes on for.
    #[arg(long, default_value_t = 2)]
    blocks: usize,
    /// Who says how it goes on.
    #[arg(long, value_enum, default_value_t = By::Planner)]
    by: By,
    /// Who says what lies behind them.
    #[arg(long, value_enum, default_value_t = Beyond::Critic)]
    beyond: Beyond,
    /// Imagined lessons in all, with `--beyond steady`: they are thought out once.
    #[arg(long, default_value_t = 50_000)]
    lessons: usize,
    /// Networks that learn the same; the one that expects most counts.
    #[arg(long, default_value_t = 2)]
    members: usize,
    /// Optimiser steps, of 256 lessons each.
    #[arg(long, default_value_t = 10_000)]
    steps: usize,
}

/// Who acts in imagined lessons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    /// The task's planner: its plans are good, and take long to find.
    Planner,
    /// The policy that was taught beside the model: the best of its guesses is nearly as good, and there are forty times as many lessons.
    Policy,
}

/// Who says what lies behind the end of an imagined lesson.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Beyond {
    /// The critic that is being taught.
    Critic,
    /// Nobody: all goes on costing what the last state costs.
    Steady,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct CriticReport {
    path: PathBuf,
    steps: usize,
    /// Mean loss over the last tenth of the steps.
    loss: f64,
    /// Episodes that were kept back, and situations out of them on which the rest was measured.
    held_out_episodes: usize,
    situations: usize,
    /// Share of the variance of what came (the discounted sum until the goal was reached) that the critic foresaw, 1 at most. To say the mean is 0.
    r2: f64,
    /// The same of saying that it will go on costing what it costs now.
    r2_as_now: f64,
    /// With lessons that were thought out once: share of the variance of what such plans cost from states of episodes that were kept back that the critic
    /// foresaw, and its error there, root mean square.
    r2_of_plans: Option<f64>,
    error_of_plans: Option<f64>,
}

/// Lessons per step.
const BATCH: usize = 256;
/// Width and depth of the networks.
const HIDDEN: usize = 256;
const LAYERS: usize = 3;
/// Share of the way on which the copies follow at each step.
const FOLLOW: f32 = 0.02;

/// Runs the command.
///
/// # Errors
/// When an argument makes no sense, data and checkpoint do not fit together, or a file cannot be written.
pub fn run(arguments: &CriticArguments) -> Result<()> {
    require_range("--discount", arguments.discount, 0.0, 0.999)?;
    require_range("--expectile", arguments.expectile, 0.01, 0.99)?;
    require_range("--imagined", arguments.imagined, 0.0, 1.0)?;
    require_range("--blocks", arguments.blocks, 1, 64)?;
    require_range("--lessons", arguments.lessons, 1, 10_000_000)?;
    require_range("--members", arguments.members, 1, 64)?;
    require_range("--steps", arguments.steps, 1, 100_000_000)?;
    let lesson = &arguments.lesson;
    let mut checkpoint = lesson.checkpoint()?;
    let task = load_task(arguments.task.as_deref(), &lesson.scene)?;
    let stop = stop_on_ctrl_c()?;
    let pool = lesson.pool()?;
    let recorded = pool.install(|| Recorded::open(&checkpoint, &lesson.data))?;
    let seed = Seed::new(lesson.seed).child("critic");
    let mut school = School::new(&checkpoint, &task, recorded, arguments)?;
    let (terms, weights): (Vec<String>, Vec<f32>) = school.weights().into_iter().unzip();
    let config = CriticConfig {
        latent_width: checkpoint.config.model.latent_width,
        hidden: HIDDEN,
        layers: LAYERS,
        members: arguments.members,
        discount: arguments.discount,
        scales: pool.install(|| school.scales(seed.child("scales")))?,
        terms,
        metric: task.metric,
        goal_saturation: task.goal_saturation,
    };
    let training = CriticTraining {
        steps: arguments.steps,
        batch: BATCH,
        expectile: arguments.expectile,
        weights: weights.clone(),
        follow: FOLLOW,
    };
    let kept_back = match arguments.beyond {
        Beyond::Critic => Vec::new(),
        Beyond::Steady => {
            let seed = seed.child("thought out");
            school.thought_out =
                pool.install(|| school.think_out(&school.learnt, arguments.lessons, seed.child("learnt")))?;
            let few = SITUATIONS.min(arguments.lessons);
            pool.install(|| school.think_out(&school.held_out, few, seed.child("kept back")))?
        }
    };
    let meter = Meter::new("critic", arguments.steps, "steps");
    let go_on = |step, loss: f64| {
        meter.set(step, || format!("loss {loss:.4}"));
        !stop.load(Ordering::Relaxed)
    };
    let draw = |critic: &CriticNetwork, count: usize, seed: Seed| school.draw(critic, count, seed);
    let Some((critic, loss)) = train_critic(config, &training, &draw, seed, lesson.threads, go_on)? else {
        bail!("stopped; nothing was written");
    };
    drop(meter);
    let (r2, r2_as_now) = pool.install(|| school.examine(&critic, &weights, seed.child("examine")))?;
    let of_plans = School::of_plans(&critic, &weights, &kept_back)?;
    let held_out_episodes = school.held_out.len();
    checkpoint.critic = Some(critic);
    checkpoint.save(&lesson.out)?;
    let report = CriticReport {
        path: lesson.out.clone(),
        steps: arguments.steps,
        loss,
        held_out_episodes,
        situations: SITUATIONS,
        r2,
        r2_as_now,
        r2_of_plans: of_plans.map(|(r2, _)| r2),
        error_of_plans: of_plans.map(|(_, error)| error),
    };
    if lesson.json {
        return print_json(&report);
    }
    println!("{}: a critic beside its model", lesson.out.display());
    println!("R2 of what it foresees in {} episodes that were kept back: {r2:.3}", report.held_out_episodes);
    println!("R2 of saying that all goes on costing what it costs now: {r2_as_now:.3}");
    if let Some((r2, error)) = of_plans {
        println!("R2 of what it foresees of plans that it has not seen: {r2:.3}, error {error:.4}");
    }
    Ok(())
}
