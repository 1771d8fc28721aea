use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};
use mindseye_agent::assembly::train_critic;
use mindseye_agent::cost::critic_training::CriticRegressionConfig;
use mindseye_interface::config::require_range;
use mindseye_world_model::heads::critic::CriticTrainingConfig;

use super::head::{HeadArguments, Names};
use crate::commands::load_task;

/// Train a critic of the energy still to come beyond the horizon of a plan.
///
/// Its targets are the discounted energies of the best plans of the checkpoint's policy, from recorded states and from
/// those that the policy leads to, to goals in the same episodes and in others. A task whose weights have `critic`
/// (assets/tasks/push_t_critic.toml) adds its prediction to the energy of a plan, so that a short horizon suffices.
#[derive(Debug, Args)]
#[command(after_help = "Example: mindseye train critic --scene push_t \
                  --checkpoint runs/policy --data data/push_t --horizon 4 --out runs/critic")]
pub struct CriticArguments {
    #[command(flatten)]
    head: HeadArguments,
    /// Task file (TOML): the costs; by default the shipped one of the scene, or assets/tasks/recorded.toml.
    #[arg(long)]
    task: Option<PathBuf>,
    /// Discount of energies per action chunk.
    #[arg(long, default_value_t = 0.9)]
    discount: f32,
    /// Length of the policy rollouts, action chunks.
    #[arg(long, alias = "blocks", default_value_t = 2)]
    horizon: usize,
    /// Number of targets, computed once.
    #[arg(long, alias = "lessons", default_value_t = 50_000)]
    targets: usize,
    /// Networks trained on the same targets; the largest prediction counts.
    #[arg(long, alias = "members", default_value_t = 2)]
    ensemble_size: usize,
    /// Optimiser steps, of 256 targets each.
    #[arg(long, default_value_t = CriticTrainingConfig::default().steps)]
    steps: usize,
    // Choices of before that are the only ones now, so that commands of before still run.
    #[arg(long, alias = "by", value_enum, hide = true)]
    rollouts: Option<OnlyPolicy>,
    #[arg(long, alias = "beyond", value_enum, hide = true)]
    terminal_value: Option<OnlyHoldLast>,
    #[arg(long, alias = "imagined", hide = true)]
    model_rollout_fraction: Option<f64>,
    #[arg(long, hide = true)]
    expectile: Option<f64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OnlyPolicy {
    Policy,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OnlyHoldLast {
    #[value(alias = "steady")]
    HoldLast,
}

impl CriticArguments {
    pub fn run(&self) -> Result<()> {
        require_range("--discount", self.discount, 0.0, 0.999)?;
        require_range("--targets", self.targets, 1, 10_000_000)?;
        require_range("--ensemble-size", self.ensemble_size, 1, 64)?;
        require_range("--model-rollout-fraction", self.model_rollout_fraction.unwrap_or(1.0), 1.0, 1.0)?;
        require_range("--expectile", self.expectile.unwrap_or(0.5), 0.5, 0.5)?;
        let task = load_task(self.task.as_deref(), &self.head.scene)?;
        let (steps, micro_batches) = (self.steps, self.head.micro_batches);
        let config = CriticRegressionConfig {
            training: CriticTrainingConfig { steps, micro_batches, ..CriticTrainingConfig::default() },
            ensemble_size: self.ensemble_size,
            discount: self.discount,
            horizon: self.horizon,
            targets: self.targets,
        };
        self.head.run(&Names { state: "critic", seed: "critic" }, self.steps, |inputs| {
            Ok(train_critic(inputs.checkpoint, &task, &inputs.dataset()?, &config, &inputs.options)?)
        })
    }
}
