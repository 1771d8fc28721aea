//! `mindseye evaluate branches`: where the world has several outcomes, does the world model predict all of them?

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use mindseye_evaluation::branches::{BranchSearch, BranchesReport};
use mindseye_evaluation::{Method, MethodIdentity};
use mindseye_interface::Seed;
use mindseye_interface::config::require_range;

use super::resumable::ResumableStudy;
use super::{SceneArguments, pool, print_json};
use crate::streams::say;

/// Measure whether a world model predicts every outcome of plans that have several, on held-out episodes.
///
/// At every action chunk of scripted episodes, the script's next chunks are executed in 16 worlds that look the same
/// and differ in what nothing shows. Where they end more than a typical step apart, the plan has several branches. A
/// branch is found if a predicted outcome of the same plan is within a third of the distance from it to the nearest
/// other branch: one prediction in the middle finds none.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: mindseye evaluate branches --scene bridge --checkpoint assets/checkpoints/bridge --json"
)]
pub struct BranchesArguments {
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
    /// Action chunks of a plan.
    #[arg(long, alias = "blocks", default_value_t = 2)]
    horizon: usize,
    /// Threads; the results do not depend on it.
    #[arg(long, default_value_t = super::default_threads())]
    threads: usize,
    /// Print one JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// When an argument makes no sense, the checkpoint is broken or of another scene, or no plan of the scene has several
/// outcomes.
pub fn run(arguments: &BranchesArguments) -> Result<()> {
    require_range("--episodes", arguments.episodes, 1, 1_000_000)?;
    require_range("--horizon", arguments.horizon, 1, 100)?;
    require_range("--threads", arguments.threads, 1, 1024)?;
    let scene = arguments.scene.open()?;
    let agent = scene.agent(arguments.checkpoint.as_deref())?;
    let checkpoint = agent.checkpoint()?;
    let pool = pool(arguments.threads)?;
    let study = ResumableStudy::begin("evaluate branches", None)?;
    let scripts = scene.benchmark.scripts("mixture")?;
    let search = BranchSearch {
        benchmark: scene.benchmark.as_ref(),
        factors: scene.options.factors.names(),
        scripts: scripts.as_ref(),
        checkpoint,
        horizon_chunks: arguments.horizon,
        root: Seed::new(arguments.seed),
        journal: study.journal(),
    };
    let found = pool.install(|| search.run(0..arguments.episodes as u64, &study.progress));
    let found = found.map_err(|error| study.failed(error))?;
    if found.points.is_empty() {
        bail!(
            "{}: expected plans with more ends than one (--scene bridge has some), got none from {} starts",
            scene.name,
            found.starts
        );
    }
    let report = BranchesReport {
        version: env!("CARGO_PKG_VERSION"),
        method: MethodIdentity::of(&agent as &dyn Method),
        benchmark: scene.name.clone(),
        factors: scene.options.factors.names(),
        image_side: arguments.scene.image_side,
        episodes: arguments.episodes,
        seed: arguments.seed,
        horizon_chunks: arguments.horizon,
        starts: found.starts,
        branch_points: found.points.len(),
        branches: found.branches(),
        coverage: pool.install(|| found.coverage_by_predictor(checkpoint))?,
    };
    if arguments.json {
        print_json(&report)?;
    } else {
        say!("{report}");
    }
    study.finish()
}
