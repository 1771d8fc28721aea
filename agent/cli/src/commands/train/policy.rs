use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use mindseye_agent::actor::distillation::DistillationConfig;
use mindseye_agent::assembly::train_policy;
use mindseye_interface::config::require_range;
use mindseye_world_model::heads::policy::PolicyTrainingConfig;

use super::head::{HeadArguments, Names};
use crate::commands::load_task;

/// Train a policy that proposes plans without a rollout.
///
/// States and goals are drawn from recorded episodes; half of the states are those that the policy itself leads to in
/// the model. The policy's plans are rolled out, and the gradients of their energy by the task's costs train it.
/// Planners start from its proposals; alone it is Mode-1.
#[derive(Debug, Args)]
#[command(after_help = "Example: mindseye train policy --scene push_t \
                  --checkpoint runs/push_t --data data/push_t --out runs/policy")]
pub struct PolicyArguments {
    #[command(flatten)]
    head: HeadArguments,
    /// Task file (TOML): the costs; by default the shipped one of the scene, or assets/tasks/recorded.toml.
    #[arg(long)]
    task: Option<PathBuf>,
    /// Largest distance of a goal, action chunks.
    #[arg(long, aliases = ["goal-blocks", "max-goal-chunks"], default_value_t = 10)]
    max_goal_distance: usize,
    /// Plans that the policy proposes per pair of state and goal.
    #[arg(long, alias = "guesses", default_value_t = 4)]
    proposals: usize,
    /// Optimiser steps, of 64 pairs each.
    #[arg(long, default_value_t = PolicyTrainingConfig::default().steps)]
    steps: usize,
}

impl PolicyArguments {
    pub fn run(&self) -> Result<()> {
        require_range("--max-goal-distance", self.max_goal_distance, 1, 10_000)?;
        let task = load_task(self.task.as_deref(), &self.head.scene)?;
        let (steps, micro_batches) = (self.steps, self.head.micro_batches);
        let training = PolicyTrainingConfig { steps, micro_batches, ..PolicyTrainingConfig::default() };
        let (proposals, max_goal_distance) = (self.proposals, self.max_goal_distance);
        let config = DistillationConfig { training, proposals, max_goal_distance };
        self.head.run(&Names { state: "policy", seed: "distill" }, self.steps, |inputs| {
            Ok(train_policy(inputs.checkpoint, &task, &inputs.dataset()?, &config, &inputs.options)?)
        })
    }
}
