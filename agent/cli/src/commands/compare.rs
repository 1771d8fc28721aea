//! `mindseye compare`: planners side by side, on the same pairs, at the same cost.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use mindseye_agent::Task;
use mindseye_agent::configurator::PlannerConfig;
use mindseye_interface::config::require_range;
use mindseye_interface::{config, files};
use mindseye_world_model::Checkpoint;
use serde::Serialize;

use super::{Pairs, Protocol, SceneArguments, load_task, print_json};
use crate::assets;
use crate::evaluation::interval::{Percentiles, SuccessRate};
use crate::evaluation::{Disturbance, Evaluation, Method, PairKind, planner_chart};
use crate::pictures::write_png;
use crate::progress::Meter;

/// Compare planners: success and planning time of each, at several numbers of imagined plans a tick, on the same held-out pairs.
///
/// Everything but the planner is the task's; no policy proposes anything. Every planner is scaled to each number of plans by its number of samples; a plan that slopes
/// are carried back from counts three times.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: mindseye compare --scene push_t --plans 128,512 --episodes 100 --seeds 3 --out runs/compare"
)]
pub struct CompareArguments {
    #[command(flatten)]
    scene: SceneArguments,
    /// Folder of the checkpoint; by default the shipped one.
    #[arg(long)]
    checkpoint: Option<PathBuf>,
    /// Task file (TOML): costs, horizon; by default the shipped one of the scene.
    #[arg(long)]
    task: Option<PathBuf>,
    /// Planner files (TOML), separated by commas; by default those in assets/planners.
    #[arg(long, value_delimiter = ',')]
    planners: Vec<PathBuf>,
    /// Plans imagined per tick, separated by commas.
    #[arg(long, value_delimiter = ',', default_value = "64,128,256,512")]
    plans: Vec<usize>,
    /// How starts and goals are chosen.
    #[arg(long, value_enum, default_value_t = Pairs::Offset)]
    pairs: Pairs,
    /// Control steps from start to goal.
    #[arg(long, default_value_t = 25)]
    goal_offset: usize,
    #[command(flatten)]
    protocol: Protocol,
    /// Folder for compare.json and compare.png (success against milliseconds, a curve per planner).
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print one JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// A planner with a number of plans, and what came of it.
#[derive(Debug, Clone, Serialize)]
pub struct PlannerRow {
    /// Name of its file.
    pub name: String,
    /// Plans that it was scaled to.
    pub plans: usize,
    /// Its settings.
    pub planner: PlannerConfig,
    /// States imagined per tick.
    pub rows_per_tick: f64,
    /// Planning time of a tick on one thread, with as many episodes side by side as there were threads.
    pub planning_ms: Percentiles,
    /// The task's predicate at some step.
    pub moderate: SuccessRate,
    /// The tighter predicate at the end.
    pub strict: SuccessRate,
    /// The block alone, where there is one.
    pub block: Option<SuccessRate>,
}

/// Everything that was compared.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// Name of the scene.
    pub scene: String,
    /// How starts and goals were chosen.
    pub pairs: PairKind,
    /// Episodes per seed.
    pub episodes: usize,
    /// Root seeds of the held-out episodes.
    pub seeds: Vec<u64>,
    /// Episodes played at the same time.
    pub threads: usize,
    /// The task; its planner is replaced by each of the rows'.
    pub task: Task,
    /// Planner by planner, from few plans to many.
    pub rows: Vec<PlannerRow>,
}

/// Runs the command.
///
/// # Errors
/// When an argument makes no sense, a file is broken, or an output cannot be written.
pub fn run(arguments: &CompareArguments) -> Result<()> {
    let protocol = &arguments.protocol;
    protocol.validate()?;
    require_range("--goal-offset", arguments.goal_offset, 1, 100_000)?;
    for &plans in &arguments.plans {
        require_range("--plans", plans, 2, 1_000_000)?;
    }
    let scene = arguments.scene.scene.clone();
    let options = arguments.scene.options()?;
    mindseye_sim::make(&scene, &options)?;
    let task = load_task(arguments.task.as_deref(), &scene)?;
    let folder = arguments.checkpoint.clone().map_or_else(|| assets::checkpoint(&scene), Ok)?;
    let checkpoint = Arc::new(Checkpoint::load_for_scene(&folder, &scene)?);
    let planners = planners(&arguments.planners)?;
    let pairs = arguments.pairs.with_offset(arguments.goal_offset);
    let seeds = protocol.seeds();
    if let Some(folder) = &arguments.out {
        std::fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?; // before the work, not after it
    }
    let each = seeds.len() * protocol.episodes;
    let meter = Meter::new("compare", planners.len() * arguments.plans.len() * each, "episodes");
    let mut rows = Vec::new();
    for (name, planner) in &planners {
        for &plans in &arguments.plans {
            let planner = planner.scaled_to(plans);
            let evaluation = Evaluation {
                scene: scene.clone(),
                options: options.clone(),
                model: Method::Model(checkpoint.clone()),
                task: Task { planner: planner.clone(), with_policy: None, proposals: false, ..task.clone() },
                pairs,
                budget_steps: pairs.default_budget(),
                episodes: protocol.episodes,
                seeds: seeds.clone(),
                threads: protocol.threads,
                lived: 0,
                baselines: false,
                disturbance: Disturbance::default(),
            };
            let before = rows.len() * each;
            let (report, _) = evaluation.run(&|done, _| meter.set(before + done, || format!("{name} {plans}")))?;
            if let Some(error) = report.results.iter().find_map(|pair| pair.error.as_ref()) {
                anyhow::bail!("{name}, {plans} plans: {error}");
            }
            rows.push(PlannerRow {
                name: name.clone(),
                plans,
                planner,
                rows_per_tick: report.predictor_rows_per_episode * report.results.len() as f64 / report.ticks as f64,
                planning_ms: report.planning_ms,
                moderate: report.rates.model.moderate,
                strict: report.rates.model.strict,
                block: report.rates.model.block,
            });
        }
    }
    drop(meter);
    let (episodes, threads) = (protocol.episodes, protocol.threads);
    let comparison = Comparison { scene, pairs, episodes, seeds, threads, task, rows };
    if let Some(folder) = &arguments.out {
        let path = folder.join("compare.json");
        let text = serde_json::to_vec_pretty(&comparison).context("compare.json")?;
        files::write_whole(&path, &text).with_context(|| format!("{}", path.display()))?;
        write_png(&folder.join("compare.png"), planner_chart(&comparison)?.image())?;
    }
    if arguments.json {
        return print_json(&comparison);
    }
    say(&comparison);
    Ok(())
}

/// The planners in `paths`, or those that are shipped, by the names of their files.
fn planners(paths: &[PathBuf]) -> Result<Vec<(String, PlannerConfig)>> {
    let mut paths = paths.to_vec();
    if paths.is_empty() {
        let folder = assets::find("planners")?;
        for entry in std::fs::read_dir(&folder).with_context(|| format!("{}", folder.display()))? {
            paths.push(entry.with_context(|| format!("{}", folder.display()))?.path());
        }
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        paths.sort();
    }
    let named = |path: &PathBuf| -> Result<(String, PlannerConfig)> {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok((name, config::load(path)?))
    };
    paths.iter().map(named).collect()
}

fn say(comparison: &Comparison) {
    let Comparison { scene, pairs, episodes, seeds, .. } = comparison;
    println!("{scene}, {pairs}, {episodes} episodes x {} seeds\n", seeds.len());
    println!(
        "{:<20} {:>6} {:>9} {:>8} {:>8}  {:<22} {:<22} block",
        "planner", "plans", "rows/tick", "p50 ms", "p95 ms", "moderate", "strict"
    );
    for row in &comparison.rows {
        println!(
            "{:<20} {:>6} {:>9.0} {:>8.2} {:>8.2}  {:<22} {:<22} {}",
            row.name,
            row.plans,
            row.rows_per_tick,
            row.planning_ms.p50,
            row.planning_ms.p95,
            row.moderate.to_string(),
            row.strict.to_string(),
            row.block.map_or(String::new(), |block| block.to_string())
        );
    }
}
