//! `mindseye train`: a world model from recorded episodes, a head on top of one, or dynamics on a frozen encoder.

mod critic;
mod decoder;
mod dynamics;
mod ensemble;
mod head;
mod model;
mod policy;
mod scaling;
mod state_probe;
mod stochastic;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use clap::{Args, Subcommand};
use mindseye_episodes::{DatasetMixture, Mapping};
use mindseye_interface::{FolderLock, MemoryLimit, Seed, config};
use mindseye_serving::watch::SurpriseArguments;
use mindseye_world_model::training::RunOptions;

use super::{default_threads, with_options};
use crate::progress::{TerminalProgress, stop_on_ctrl_c};
use crate::streams::say;

/// Train a world model from recorded episodes, or a head of a world model.
///
/// Without a head: writes to --out the checkpoint (config.json, model.safetensors, decoder.safetensors), the state of
/// the run (state.safetensors), metrics.jsonl, TensorBoard event files, and in the end verdict.json, imagination.png
/// and report.html (losses, predictions, every setting; one file, for any browser). With a head: reads the model in
/// --checkpoint, which does not change, and writes it with the head to --out. Ctrl-C saves the state; --resume
/// continues and gives the same bits as a run that was never stopped. Equal data, recipe and seed give equal weights,
/// with any number of threads.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Example: mindseye train --data data/two_room --out runs/two_room --seed 0"
)]
pub struct TrainArguments {
    #[command(subcommand)]
    head: Option<HeadCommand>,
    #[command(flatten)]
    model: model::ModelArguments,
}

/// The heads, and dynamics on an encoder.
#[derive(Debug, Subcommand)]
pub(super) enum HeadCommand {
    Policy(policy::PolicyArguments),
    Critic(critic::CriticArguments),
    #[command(aliases = ["readout", "state_probe"])]
    StateProbe(state_probe::StateProbeArguments),
    #[command(aliases = ["futures", "stochastic-predictor"])]
    Stochastic(stochastic::StochasticArguments),
    Ensemble(ensemble::EnsembleArguments),
    Decoder(decoder::DecoderArguments),
    Surprise(SurpriseArguments),
    Dynamics(dynamics::DynamicsArguments),
}

/// Runs the command.
///
/// # Errors
/// When an argument, recipe or data make no sense, a file cannot be written, or training diverges.
pub fn run(arguments: &TrainArguments) -> Result<()> {
    match &arguments.head {
        Some(head) => head.run(),
        None => model::run(&arguments.model),
    }
}

impl HeadCommand {
    pub(super) fn run(&self) -> Result<()> {
        match self {
            Self::Policy(arguments) => arguments.run(),
            Self::Critic(arguments) => arguments.run(),
            Self::StateProbe(arguments) => arguments.run(),
            Self::Stochastic(arguments) => arguments.run(),
            Self::Ensemble(arguments) => arguments.run(),
            Self::Decoder(arguments) => arguments.run(),
            Self::Dynamics(arguments) => arguments.run(),
            Self::Surprise(arguments) => {
                say!("{}", arguments.run(&TerminalProgress::stopped_by(stop_on_ctrl_c()?))?);
                Ok(())
            }
        }
    }

    /// The verb that trains this head.
    pub(super) fn verb(&self) -> &'static str {
        match self {
            Self::Policy(_) => "train policy",
            Self::Critic(_) => "train critic",
            Self::StateProbe(_) => "train state-probe",
            Self::Stochastic(_) => "train stochastic",
            Self::Ensemble(_) => "train ensemble",
            Self::Decoder(_) => "train decoder",
            Self::Surprise(_) => "train surprise",
            Self::Dynamics(_) => "train dynamics",
        }
    }
}

/// The recordings `data`, with their relative `weights`, read by the files `mappings`; `fps` where they do not say it.
///
/// # Errors
/// When a file is missing or broken; the advice names options.
fn open_sources(data: &[PathBuf], weights: &[f64], mappings: &[PathBuf], fps: Option<f64>) -> Result<DatasetMixture> {
    let mappings = mappings.iter().map(|path| config::load(path));
    let mut mappings: Vec<Mapping> = mappings.collect::<mindseye_interface::Result<_>>()?;
    mappings.resize_with(mappings.len().max(1), Mapping::default);
    let mappings: Vec<Mapping> = mappings.into_iter().map(|mapping| mapping.or_rate(fps)).collect();
    DatasetMixture::open(data, &mappings, weights).map_err(with_options)
}

/// Flags of every training.
#[derive(Debug, Args)]
struct TrainingFlags {
    /// Root of every random choice: weights, order of the data, directions of SIGReg.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads; the weights do not depend on it.
    #[arg(long, default_value_t = default_threads())]
    threads: usize,
    /// Continue the training in --out.
    #[arg(long)]
    resume: bool,
    /// Save and stop after this step; --resume continues.
    #[arg(long)]
    stop_after: Option<usize>,
    /// Most memory that frames kept in memory, or a step of the recipe, may ask for, GiB. By default three quarters of
    /// what this machine has left.
    #[arg(long, alias = "cache-memory-gib")]
    memory_gib: Option<f64>,
    /// Print one JSON document on stdout.
    #[arg(long)]
    json: bool,
}

impl TrainingFlags {
    /// Most memory that may be asked for.
    fn memory(&self) -> Result<MemoryLimit> {
        Ok(self.memory_gib.map_or(Ok(MemoryLimit::default()), MemoryLimit::from_gib)?)
    }

    /// The options of a training that saves its state in `folder` and stops when `progress` is asked to.
    ///
    /// # Errors
    /// When the memory limit makes no sense.
    fn options<'a>(
        &self,
        seed: Seed,
        folder: &'a FolderLock,
        stop: &'static AtomicBool,
        progress: &'a TerminalProgress,
    ) -> Result<RunOptions<'a>> {
        let (threads, resume, stop_after) = (self.threads, self.resume, self.stop_after);
        let (folder, memory) = (Some(folder), self.memory()?);
        Ok(RunOptions { threads, folder, resume, stop_after, stop, progress, memory, ..RunOptions::new(seed) })
    }
}
