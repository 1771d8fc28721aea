//! `mindseye compare`: planners side by side, on the same pairs, at the same cost.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use mindseye_agent::assembly::Overrides;
use mindseye_agent::configurator::PlannerConfig;
use mindseye_assets as assets;
use mindseye_evaluation::comparison::compare_planners;
use mindseye_evaluation::{Evaluation, GoalArguments, Perturbation, ProtocolArguments};
use mindseye_interface::config::{self, require_range};
use mindseye_plots::report::{FILE, command_line, write_comparison};

use super::resumable::ResumableStudy;
use super::{SceneArguments, load_task, print_json, write_json};
use crate::streams::say;

/// Compare planners: success and planning time of each, at several numbers of plans per tick, on the same held-out
/// pairs.
///
/// Everything but the planner is the task's; no policy proposes plans. Every planner is scaled to each number of
/// plans by its number of samples; a plan with gradients counts three times.
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
    /// Plans per tick, separated by commas.
    #[arg(long, value_delimiter = ',', default_value = "64,128,256,512")]
    plans: Vec<usize>,
    #[command(flatten)]
    goals: GoalArguments,
    #[command(flatten)]
    protocol: ProtocolArguments,
    /// Folder for compare.json, compare.png (success against milliseconds, a curve per planner) and report.html (the
    /// chart, rates with paired differences, every setting).
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print one JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// When an argument makes no sense, a file is broken, or an output cannot be written.
pub fn run(arguments: &CompareArguments) -> Result<()> {
    arguments.protocol.validate()?;
    let goals = arguments.goals.kind()?;
    for &plans in &arguments.plans {
        require_range("--plans", plans, 2, 1_000_000)?;
    }
    let mut scene = arguments.scene.open()?;
    let task = load_task(arguments.task.as_deref(), &scene.name)?;
    let agent = scene.tested_agent(arguments.checkpoint.as_deref(), &arguments.scene.world.data)?;
    let planners = planners(&arguments.planners)?;
    let study = ResumableStudy::begin("compare", arguments.out.as_deref())?;
    let searching = agent.without("learned_agent", Overrides { ignore_proposals: true, ..Overrides::default() });
    let evaluation = Evaluation {
        benchmark: scene.benchmark.as_ref(),
        factors: scene.options.factors.names(),
        task: &task,
        protocol: arguments.protocol.with_goals(goals),
        perturbation: Perturbation::default(),
        journal: study.journal(),
    };
    let comparison = compare_planners(&evaluation, &searching, &planners, &arguments.plans, &study.progress);
    let comparison = comparison.map_err(|error| study.failed(error))?;
    if let Some(folder) = &arguments.out {
        write_json(&folder.join("compare.json"), &comparison)?;
        write_comparison(folder, &comparison, &command_line())?;
    }
    study.finish()?;
    if arguments.json {
        return print_json(&comparison);
    }
    say!("{comparison}");
    arguments.out.iter().for_each(|folder| say!("report: {}", folder.join(FILE).display()));
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
