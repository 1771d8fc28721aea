//! `mindseye teach`: what is learnt on top of a world model that stays as it is; one part of the agent per file.

pub mod critic;
pub mod ensemble;
pub mod futures;
mod led;
pub mod policy;
pub mod readout;
mod recorded;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use mindseye_interface::config::require_range;
use mindseye_world_model::Checkpoint;
use mindseye_world_model::calibration::Calibration;

pub use recorded::Recorded;

/// Teach a part of the agent that works with a world model: the model stays as it is, the part is written beside it.
#[derive(Debug, Args)]
pub struct TeachArguments {
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    Critic(critic::CriticArguments),
    Policy(policy::PolicyArguments),
    Readout(readout::ReadoutArguments),
    Futures(futures::FuturesArguments),
    Ensemble(ensemble::EnsembleArguments),
}

/// Runs the command.
///
/// # Errors
/// Those of the part.
pub fn run(arguments: &TeachArguments) -> Result<()> {
    match &arguments.part {
        Part::Critic(arguments) => critic::run(arguments),
        Part::Policy(arguments) => policy::run(arguments),
        Part::Readout(arguments) => readout::run(arguments),
        Part::Futures(arguments) => futures::run(arguments),
        Part::Ensemble(arguments) => ensemble::run(arguments),
    }
}

/// What every lesson needs.
#[derive(Debug, Args)]
pub struct Lesson {
    /// Name of the scene (or what the checkpoint's data are of).
    #[arg(long)]
    pub scene: String,
    /// Folder of the checkpoint.
    #[arg(long)]
    pub checkpoint: PathBuf,
    /// Data sets to learn from.
    #[arg(long, required = true)]
    pub data: Vec<PathBuf>,
    /// Folder for the checkpoint with what was learnt; may be that of the checkpoint itself.
    #[arg(long)]
    pub out: PathBuf,
    /// Root of every random choice.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Threads; what is learnt does not depend on it.
    #[arg(long, default_value_t = super::default_threads())]
    pub threads: usize,
    /// Print one JSON document on stdout.
    #[arg(long)]
    pub json: bool,
}

impl Lesson {
    /// The checkpoint to begin with, once it is sure that the result can be written.
    ///
    /// # Errors
    /// When an argument makes no sense, the checkpoint is broken, or another one is where the result is to be.
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        require_range("--threads", self.threads, 1, 1024)?;
        if self.out.join("config.json").exists() && self.out != self.checkpoint {
            bail!("{}: expected a folder without a checkpoint, got one with", self.out.display());
        }
        Ok(Checkpoint::load_for_scene(&self.checkpoint, &self.scene)?)
    }

    /// The threads of the lesson.
    ///
    /// # Errors
    /// When they cannot be started.
    pub fn pool(&self) -> Result<rayon::ThreadPool> {
        rayon::ThreadPoolBuilder::new().num_threads(self.threads).build().context("starting threads")
    }
}

/// Every so many-th episode teaches nothing: reports are made on it.
const HELD_OUT_EVERY: usize = 10;

/// Prints whether futures differ where they err.
fn say_calibration(calibration: &[Calibration]) {
    for Calibration { blocks, starts, spearman, spread, error } in calibration {
        println!(
            "after {blocks} blocks: spread {spread:.4}, error {error:.4}, rank correlation {spearman:.2} ({starts} starts)"
        );
    }
}
