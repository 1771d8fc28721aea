//! `mindseye evaluate`: success under the honest protocol.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use mindseye_interface::config::require_range;
use mindseye_interface::files;
use mindseye_world_model::{Checkpoint, Lewm};

use super::{Pairs, Protocol, SceneArguments, load_task, print_json};
use crate::assets;
use crate::evaluation::interval::Percentiles;
use crate::evaluation::{
    Disturbance, Evaluation, EvaluationReport, Foresight, Method, Rates, Violations, sheet, success_chart,
};
use crate::pictures::write_png;
use crate::progress::Meter;
use crate::published::PublishedLewm;

/// Measure a world model: success of the agent that plans with it, on held-out episodes, beside its baselines.
///
/// Starts and goals are states of the same held-out episode --goal-offset control steps apart (or, with --pairs cross, the
/// scene's hard pairs; with --pairs sequence, three goals to be reached in turn); pairs solved at the start are dropped; every method gets the same pairs. In scenes with a block only pairs
/// count in which it has to be moved (--pairs still has the others), and those in which it has to turn are reported apart. Moderate
/// success: the task's predicate at any step. Block: the same for the block alone. Strict: half the distance, held over the last 5
/// control steps. Where the task marks places to keep out of, pairs that start or end there are dropped, and how often the true state
/// was there is counted. Rates come with Wilson 95 % intervals.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: mindseye evaluate --scene two_room --checkpoint assets/checkpoints/two_room --episodes 100 --seeds 3 --json"
)]
pub struct EvaluateArguments {
    #[command(flatten)]
    scene: SceneArguments,
    /// Folder of the checkpoint, or of a LeWorldModel (config.json with weights.pt or model.safetensors); by default the shipped one. A
    /// LeWorldModel wants pictures of its own size (--image-side), and a task that judges plain distances of its embeddings.
    #[arg(long)]
    checkpoint: Option<PathBuf>,
    /// Task file (TOML): planner, costs, horizon; by default the shipped one of the scene.
    #[arg(long)]
    task: Option<PathBuf>,
    /// How starts and goals are chosen.
    #[arg(long, value_enum, default_value_t = Pairs::Offset)]
    pairs: Pairs,
    /// Control steps from start to goal.
    #[arg(long, default_value_t = 25)]
    goal_offset: usize,
    /// Control steps per episode; by default twice the offset (of every goal in turn), or 100 for cross.
    #[arg(long)]
    budget: Option<usize>,
    #[command(flatten)]
    protocol: Protocol,
    /// Diagnosis: the agent sees, judges and wants with the checkpoint, but imagines in the simulator. What still fails is not the
    /// dynamics' fault. Slow: every imagined state is rendered and encoded.
    #[arg(long)]
    true_dynamics: bool,
    /// For a LeWorldModel: mean of the normalised actions that it was trained on, one number or one for each of an action's, separated by
    /// commas. Its folder does not have it.
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true)]
    action_mean: Vec<f32>,
    /// For a LeWorldModel: their standard deviation.
    #[arg(long, value_delimiter = ',')]
    action_std: Vec<f32>,
    /// Share of the pictures that never reach the agent, drawn at random for each.
    #[arg(long, default_value_t = 0.0)]
    drop_frames: f64,
    /// For so many control steps, once in an episode, something is in front of what the task is about.
    #[arg(long, default_value_t = 0)]
    occlude: usize,
    /// Episodes that the agent lives through in the same world before each that counts, on other pairs and unjudged. It keeps what it learns there
    /// (tasks with [adaptation] learn).
    #[arg(long, default_value_t = 0)]
    lived: usize,
    /// Leave out the baselines.
    #[arg(long)]
    no_baselines: bool,
    /// Folder for evaluation.json, sheet.png (start, goal and end of episodes, failures first) and, in scenes with a block,
    /// success.png (success by how far it has to go and to turn).
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print the whole evaluation as one JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// When an argument makes no sense, the checkpoint is broken or of another scene, or an output cannot be written.
pub fn run(arguments: &EvaluateArguments) -> Result<()> {
    let protocol = &arguments.protocol;
    protocol.validate()?;
    require_range("--goal-offset", arguments.goal_offset, 1, 100_000)?;
    require_range("--lived", arguments.lived, 0, 10_000)?;
    require_range("--drop-frames", arguments.drop_frames, 0.0, 1.0)?;
    let scene = arguments.scene.scene.clone();
    let options = arguments.scene.options()?;
    mindseye_sim::make(&scene, &options)?;
    let task = load_task(arguments.task.as_deref(), &scene)?;
    let folder = arguments.checkpoint.clone().map_or_else(|| assets::checkpoint(&scene), Ok)?;
    let (model, side) = model(arguments, &folder)?;
    require_range("--image-side (the checkpoint's)", arguments.scene.image_side, side, side)?;
    let pairs = arguments.pairs.with_offset(arguments.goal_offset);
    let budget_steps = arguments.budget.unwrap_or(pairs.default_budget());
    require_range("--budget", budget_steps, 1, 1_000_000)?;
    let evaluation = Evaluation {
        scene,
        options,
        model,
        task,
        pairs,
        budget_steps,
        episodes: protocol.episodes,
        seeds: protocol.seeds(),
        threads: protocol.threads,
        lived: arguments.lived,
        baselines: !arguments.no_baselines,
        disturbance: Disturbance { drop_frames: arguments.drop_frames, occlude_steps: arguments.occlude },
    };
    if let Some(folder) = &arguments.out {
        std::fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?; // before the work, not after it
    }
    let methods = if evaluation.baselines { 4 } else { 1 };
    let meter = Meter::new("evaluate", methods * evaluation.seeds.len() * evaluation.episodes, "episodes");
    let (report, results) = evaluation.run(&|done, _| meter.set(done, String::new))?;
    drop(meter);
    if let Some(folder) = &arguments.out {
        let text = serde_json::to_vec_pretty(&report).context("evaluation.json")?;
        let path = folder.join("evaluation.json");
        files::write_whole(&path, &text).with_context(|| format!("{}", path.display()))?;
        write_png(&folder.join("sheet.png"), sheet(&report, &results)?.image())?;
        if let Some(chart) = success_chart(&report)? {
            write_png(&folder.join("success.png"), chart.image())?;
        }
    }
    if arguments.json { print_json(&report) } else { say(&report) }
}

/// Who is evaluated, and the side of the pictures it sees.
fn model(arguments: &EvaluateArguments, folder: &Path) -> Result<(Method, usize)> {
    let scene = arguments.scene.scene.as_str();
    if Lewm::is_in(folder) {
        if arguments.true_dynamics {
            bail!("--true-dynamics: expected a checkpoint of mindseye, got a LeWorldModel ({})", folder.display());
        }
        let simulator = mindseye_sim::make(scene, &arguments.scene.options()?)?;
        let width = simulator.action_space().width();
        let published = PublishedLewm::load(folder, width, &arguments.action_mean, &arguments.action_std)?;
        let side = published.model.config().vision.image_side;
        return Ok((Method::Lewm(Arc::new(published)), side));
    }
    if !arguments.action_mean.is_empty() || !arguments.action_std.is_empty() {
        bail!("--action-mean, --action-std: expected a LeWorldModel, got {}", folder.display());
    }
    let checkpoint = Arc::new(Checkpoint::load_for_scene(folder, scene)?);
    let side = checkpoint.config.model.image_side;
    let method = if arguments.true_dynamics { Method::TrueDynamics } else { Method::Model };
    Ok((method(checkpoint), side))
}

fn say(report: &EvaluationReport) -> Result<()> {
    let settings = &report.settings;
    println!("{}, {}, {} control steps each", settings.scene, settings.pairs, settings.budget_steps);
    println!("{} episodes x {} seeds\n", settings.episodes, settings.seeds.len());
    say_rates(&report.rates);
    if let Some(by_rotation) = &report.by_rotation {
        println!("\nthe block has to turn by more than 20 degrees ({}):", by_rotation.turned.model.moderate.episodes);
        say_rates(&by_rotation.turned);
        println!("\nit does not ({}):", by_rotation.others.model.moderate.episodes);
        say_rates(&by_rotation.others);
    }
    for (way, share) in &report.ways {
        println!("on the way {way}: {share} of the episodes");
    }
    let held = report.results.iter().filter(|pair| pair.error.is_some());
    if let Some(error) = held.clone().find_map(|pair| pair.error.as_ref()) {
        println!("\nWARNING: the agent held still in {} episodes, first because of: {error}", held.count());
    }
    let (planning, steps) = (report.planning_ms, report.steps_to_success);
    println!("\nsteps to success: {:.0} median, {:.0} at the 95th percentile", steps.p50, steps.p95);
    let Percentiles { p50, p95, p99, max } = planning;
    println!("planning: {p50:.1} ms median, {p95:.1} p95, {p99:.1} p99, {max:.1} max");
    let (misses, fallbacks, budget) = (report.deadline_misses, report.fallbacks, settings.task.budget_ms);
    println!("deadline misses: {misses} of {} ticks ({budget} ms); fallbacks: {fallbacks}", report.ticks);
    let Percentiles { p50, p95, p99, max } = report.surprise;
    println!("surprise: {p50:.3} median, {p95:.3} p95, {p99:.3} p99, {max:.3} max");
    if let Some(Foresight { r2, r2_as_now, .. }) = report.foresight {
        println!("the critic foresaw what came with an R2 of {r2:.3} (that all goes on as now: {r2_as_now:.3})");
    }
    if report.dropped_ticks + report.doubted_ticks > 0 {
        println!(
            "ticks without a picture: {}; with one that was not believed: {}",
            report.dropped_ticks, report.doubted_ticks
        );
    }
    if report.mode_1_ticks > 0 {
        println!("ticks that did at once what the policy proposed: {} of {}", report.mode_1_ticks, report.ticks);
    }
    println!("imagined states per episode: {:.0}", report.predictor_rows_per_episode);
    Ok(())
}

fn say_rates(rates: &Rates) {
    let with_block = rates.model.block.is_some();
    println!("{:<10} {:<22} {:<22} {}", "", "moderate", "strict", if with_block { "block" } else { "" });
    let baselines = rates.baselines.iter().flat_map(|baselines| {
        [("random", baselines.random), ("nothing", baselines.nothing), ("oracle", baselines.oracle)]
    });
    for (name, method) in std::iter::once(("model", rates.model)).chain(baselines) {
        let block = method.block.map_or(String::new(), |block| block.to_string());
        let region = method.region.map_or(String::new(), |region| format!("  region {region}"));
        let violations = method.violations.map_or(String::new(), |violations| {
            let Violations { steps, episodes } = violations;
            format!("  forbidden in {episodes} of the episodes, {:.2} % of the control steps", 100.0 * steps)
        });
        let (moderate, strict) = (method.moderate.to_string(), method.strict.to_string());
        println!("{name:<10} {moderate:<22} {strict:<22} {block}{region}{violations}");
    }
}
