//! `mindseye ablate`: what each of the six modules contributes.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use mindseye_evaluation::ablation::{AblatedAgents, AblationReport, ablations, run_ablations};
use mindseye_evaluation::{MethodIdentity, ProtocolArguments};
use mindseye_plots::report::{FILE, command_line, write_ablation};

use super::resumable::ResumableStudy;
use super::{SceneArguments, load_task, print_json, write_json};
use crate::streams::say;

/// What does each module contribute? The same episodes are run with it, and with a part in its place that does
/// nothing.
///
/// Each row names the score that is to fall, and the conditions (thirty per cent of the images lost, far goals, a
/// short horizon). A loss is significant when the 95 % intervals of both rates lie apart. Parts that the checkpoint
/// lacks (policy, critic) have no row.
#[derive(Debug, Args)]
#[command(after_help = "Example: mindseye ablate --scene two_room --episodes 100 --seeds 3 --out runs/ablation")]
pub struct AblateArguments {
    #[command(flatten)]
    scene: SceneArguments,
    /// Folder of the checkpoint; by default the shipped one.
    #[arg(long)]
    checkpoint: Option<PathBuf>,
    /// Task file (TOML); by default the shipped one of the scene.
    #[arg(long)]
    task: Option<PathBuf>,
    #[command(flatten)]
    protocol: ProtocolArguments,
    /// Folder for ablation.json, ablation.png and report.html (the chart, all rates, every setting).
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print one JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// When an argument makes no sense, the checkpoint is broken or of another scene, or an output cannot be written.
pub fn run(arguments: &AblateArguments) -> Result<()> {
    let protocol = &arguments.protocol;
    protocol.validate()?;
    let mut scene = arguments.scene.open()?;
    let task = load_task(arguments.task.as_deref(), &scene.name)?;
    let agent = scene.tested_agent(arguments.checkpoint.as_deref(), &arguments.scene.world.data)?;
    let benchmark = scene.benchmark.as_ref();
    let study = ResumableStudy::begin("ablate", arguments.out.as_deref())?;
    let ablations = ablations(benchmark, &AblatedAgents::of(&agent), &task);
    let seeds = protocol.seeds();
    let (episodes, threads) = (protocol.episodes, protocol.threads);
    let rows = run_ablations(benchmark, &ablations, (episodes, &seeds), threads, study.journal(), &study.progress);
    let rows = rows.map_err(|error| study.failed(error))?;
    let report = AblationReport {
        version: env!("CARGO_PKG_VERSION"),
        method: MethodIdentity::of(&agent),
        benchmark: scene.name.clone(),
        factors: scene.options.factors.names(),
        image_side: arguments.scene.image_side,
        episodes,
        seeds,
        task,
        rows,
    };
    if let Some(folder) = &arguments.out {
        write_json(&folder.join("ablation.json"), &report)?;
        write_ablation(folder, &report, &command_line())?;
    }
    study.finish()?;
    if arguments.json {
        return print_json(&report);
    }
    say!("{report}");
    arguments.out.iter().for_each(|folder| say!("report: {}", folder.join(FILE).display()));
    Ok(())
}
