//! `mindseye ablate`: what each of the six modules is worth.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use clap::Args;
use mindseye_interface::config::require_range;
use mindseye_interface::files;
use mindseye_world_model::Checkpoint;
use serde::Serialize;

use super::{Protocol, SceneArguments, load_task, print_json};
use crate::assets;
use crate::evaluation::{AblationRow, ablation_chart, comparisons};
use crate::pictures::write_png;
use crate::progress::Meter;

/// What is lost without each module? The same episodes are played with it, and with something in its place that does nothing.
///
/// For every module the score is named that is to fall, and under what conditions (thirty per cent of the pictures lost, goals far away, a short
/// horizon). What is lost counts when the 95 % intervals of both rates lie apart. Parts that the checkpoint lacks (policy, critic) have no row.
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
    protocol: Protocol,
    /// Folder for ablation.json and ablation.png.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print one JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// The table.
#[derive(Debug, Serialize)]
struct AblationReport {
    scene: String,
    episodes: usize,
    seeds: Vec<u64>,
    rows: Vec<AblationRow>,
}

/// Runs the command.
///
/// # Errors
/// When an argument makes no sense, the checkpoint is broken or of another scene, or an output cannot be written.
pub fn run(arguments: &AblateArguments) -> Result<()> {
    let protocol = &arguments.protocol;
    protocol.validate()?;
    let scene = arguments.scene.scene.clone();
    let options = arguments.scene.options()?;
    mindseye_sim::make(&scene, &options)?;
    let task = load_task(arguments.task.as_deref(), &scene)?;
    let folder = arguments.checkpoint.clone().map_or_else(|| assets::checkpoint(&scene), Ok)?;
    let checkpoint = Arc::new(Checkpoint::load_for_scene(&folder, &scene)?);
    let side = checkpoint.config.model.image_side;
    require_range("--image-side (the checkpoint's)", arguments.scene.image_side, side, side)?;
    if let Some(folder) = &arguments.out {
        std::fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?; // before the work, not after it
    }
    let seeds = protocol.seeds();
    let comparisons = comparisons(&scene, &checkpoint, &task);
    let meter = Meter::new("ablate", 2 * comparisons.len() * seeds.len() * protocol.episodes, "episodes");
    let done = AtomicUsize::new(0);
    let progress = |_, _| meter.set(done.fetch_add(1, Ordering::Relaxed) + 1, String::new);
    let rows = comparisons
        .iter()
        .map(|comparison| comparison.run(&scene, &options, (protocol.episodes, &seeds), protocol.threads, &progress))
        .collect::<Result<Vec<_>>>()?;
    drop(meter);
    let report = AblationReport { scene, episodes: protocol.episodes, seeds, rows };
    if let Some(folder) = &arguments.out {
        let text = serde_json::to_vec_pretty(&report).context("ablation.json")?;
        let path = folder.join("ablation.json");
        files::write_whole(&path, &text).with_context(|| format!("{}", path.display()))?;
        write_png(&folder.join("ablation.png"), ablation_chart(&report.scene, &report.rows)?.image())?;
    }
    if arguments.json { print_json(&report) } else { say(&report) }
}

fn say(report: &AblationReport) -> Result<()> {
    println!("{}, {} episodes x {} seeds\n", report.scene, report.episodes, report.seeds.len());
    for row in &report.rows {
        let verdict = if row.lost { "lost" } else { "within chance" };
        println!("{}, without {} ({})", row.module, row.off, row.under);
        println!("  with {}   without {}   {verdict}", row.with, row.without);
    }
    Ok(())
}
