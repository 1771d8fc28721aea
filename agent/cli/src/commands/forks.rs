//! `mindseye forks`: where the world may go more ways than one, does imagination know them all?

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, bail};
use clap::Args;
use mindseye_agent::world_model::{BranchingWorldModel, LearnedWorldModel, WorldModel};
use mindseye_interface::Seed;
use mindseye_interface::config::require_range;
use mindseye_world_model::{Checkpoint, Precision};
use rayon::prelude::*;
use serde::Serialize;

use super::{SceneArguments, print_json};
use crate::assets;
use crate::evaluation::interval::SuccessRate;
use crate::forks::{Fork, Known, find_forks};
use crate::imagining;
use crate::progress::Meter;

/// Measure whether imagination finds every branch of the world's forks, on held-out episodes.
///
/// Scripted episodes are played; at every block what the script does next is done in 16 worlds that look the same and differ in what nobody sees. Where they
/// end more than a typical step apart, there is a fork. A branch is found if a future of the same plan ends in the nearer third of the way from it to the
/// nearest other branch. One answer in the middle finds none.
#[derive(Debug, Args)]
#[command(after_help = "Example: mindseye forks --scene bridge --checkpoint assets/checkpoints/bridge --json")]
pub struct ForksArguments {
    #[command(flatten)]
    scene: SceneArguments,
    /// Folder of the checkpoint; by default the shipped one.
    #[arg(long)]
    checkpoint: Option<PathBuf>,
    /// Held-out episodes.
    #[arg(long, default_value_t = 100)]
    episodes: usize,
    /// Root seed of the episodes.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Blocks of a plan.
    #[arg(long, default_value_t = 2)]
    blocks: usize,
    /// Threads; the results do not depend on it.
    #[arg(long, default_value_t = super::default_threads())]
    threads: usize,
    /// Print one JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Debug, Serialize)]
struct ForksReport {
    scene: String,
    checkpoint: PathBuf,
    episodes: usize,
    seed: u64,
    /// Blocks of a plan.
    blocks: usize,
    /// Starts whose plans were played.
    starts: usize,
    /// Of which so many have more ends than one.
    forks: usize,
    /// Ends of all forks.
    branches: usize,
    /// The model's own predictor, with one answer.
    model: Finding,
    /// With codes, if the checkpoint has them: of so many futures.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    futures: Vec<Sampled>,
    /// The ensemble, if the checkpoint has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    ensemble: Option<Finding>,
}

/// How much of the forks a world model knows.
#[derive(Debug, Serialize)]
struct Finding {
    /// Share of the branches that a future ends near.
    recall: SuccessRate,
    /// Share of the forks of which every branch is found.
    all_branches: SuccessRate,
    /// Share of the futures that end near a branch.
    precision: f64,
    /// How far the share of the futures near a branch is from its share of the worlds, on average over branches.
    share_error: f64,
}

#[derive(Debug, Serialize)]
struct Sampled {
    /// Futures per plan.
    samples: usize,
    #[serde(flatten)]
    finding: Finding,
}

/// Numbers of futures that are reported.
const SAMPLES: [usize; 5] = [1, 2, 4, 8, 16];

/// Runs the command.
///
/// # Errors
/// When an argument makes no sense, the checkpoint is broken or of another scene, or the scene has no forks.
pub fn run(arguments: &ForksArguments) -> Result<()> {
    require_range("--episodes", arguments.episodes, 1, 1_000_000)?;
    require_range("--blocks", arguments.blocks, 1, 100)?;
    require_range("--threads", arguments.threads, 1, 1024)?;
    let scene = arguments.scene.scene.clone();
    let options = arguments.scene.options()?;
    let folder = arguments.checkpoint.clone().map_or_else(|| assets::checkpoint(&scene), Ok)?;
    let checkpoint = Arc::new(Checkpoint::load_for_scene(&folder, &scene)?);
    let side = checkpoint.config.model.image_side;
    require_range("--image-side (the checkpoint's)", arguments.scene.image_side, side, side)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(arguments.threads).build()?;
    let meter = Meter::new("forks", arguments.episodes, "episodes");
    let done = AtomicUsize::new(0);
    let root = Seed::new(arguments.seed);
    let of_episode = |index: usize| -> Result<(usize, Vec<Fork>)> {
        let found = find_forks(&scene, &options, &checkpoint, arguments.blocks, root, index as u64);
        meter.set(done.fetch_add(1, Ordering::Relaxed) + 1, String::new);
        found
    };
    let found: Vec<(usize, Vec<Fork>)> =
        pool.install(|| (0..arguments.episodes).into_par_iter().map(of_episode).collect::<Result<_>>())?;
    drop(meter);
    let starts = found.iter().map(|(starts, _)| starts).sum();
    let forks: Vec<Fork> = found.into_iter().flat_map(|(_, forks)| forks).collect();
    if forks.is_empty() {
        bail!("{scene}: expected plans with more ends than one, got none from {starts} starts");
    }
    let measure = |world: &dyn WorldModel| -> Result<Finding> { pool.install(|| measured(world, &forks)) };
    let mut sampled = Vec::new();
    if let Some(futures) = &checkpoint.futures {
        for samples in SAMPLES {
            let world = BranchingWorldModel::new(futures, Precision::F32, samples, 1)?;
            sampled.push(Sampled { samples, finding: measure(&world)? });
        }
    }
    let ensemble = match &checkpoint.ensemble {
        Some(_) => Some(measure(&imagining::ensemble(&checkpoint, Precision::F32, 1)?)?),
        None => None,
    };
    let report = ForksReport {
        scene,
        checkpoint: folder,
        episodes: arguments.episodes,
        seed: arguments.seed,
        blocks: arguments.blocks,
        starts,
        forks: forks.len(),
        branches: forks.iter().map(|fork| fork.branches.len()).sum(),
        model: measure(&LearnedWorldModel::new(&checkpoint.model, Precision::F32, 1)?)?,
        futures: sampled,
        ensemble,
    };
    if arguments.json {
        return print_json(&report);
    }
    println!("{}: {} forks with {} branches, of {starts} starts", report.scene, report.forks, report.branches);
    println!("{:<16} {:<22} {:<22} precision", "", "branches found", "all of a fork");
    let codes = report.futures.iter().map(|sampled| (format!("{} futures", sampled.samples), &sampled.finding));
    let ensemble = report.ensemble.iter().map(|finding| ("ensemble".to_owned(), finding));
    for (name, finding) in std::iter::once(("one answer".to_owned(), &report.model)).chain(codes).chain(ensemble) {
        let (recall, all) = (finding.recall.to_string(), finding.all_branches.to_string());
        println!("{name:<16} {recall:<22} {all:<22} {:.1} %", 100.0 * finding.precision);
    }
    Ok(())
}

/// What `world` knows of all forks.
fn measured(world: &dyn WorldModel, forks: &[Fork]) -> Result<Finding> {
    let known: Vec<Known> = forks.par_iter().map(|fork| fork.known_to(world)).collect::<Result<_>>()?;
    let branches = || known.iter().flat_map(|known| &known.branches);
    let found = branches().filter(|(share, _)| *share > 0.0).count();
    let all = known.iter().filter(|known| known.branches.iter().all(|(share, _)| *share > 0.0)).count();
    let near: f64 = known.iter().map(|known| known.branches.iter().map(|(share, _)| share).sum::<f64>()).sum();
    let share_error: f64 = branches().map(|(share, truth)| (share - truth).abs()).sum();
    Ok(Finding {
        recall: SuccessRate::of(found, branches().count()),
        all_branches: SuccessRate::of(all, known.len()),
        precision: near / known.len() as f64,
        share_error: share_error / branches().count() as f64,
    })
}
