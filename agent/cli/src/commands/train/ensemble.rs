use anyhow::Result;
use clap::Args;
use mindseye_interface::config::require_range;
use mindseye_world_model::heads::ensemble::{EnsembleTrainingConfig, fit_ensemble};

use super::head::{HeadArguments, Names};

/// Train further predictors, each on a bootstrap sample of the episodes: where they disagree, the model is uncertain.
///
/// A task file with a section `samples` of kind "ensemble" plans with them. A tenth of the episodes is held out for the
/// report.
#[derive(Debug, Args)]
#[command(after_help = "Example: mindseye train ensemble --scene bridge \
                  --checkpoint runs/bridge --data data/bridge --out runs/ensemble")]
pub struct EnsembleArguments {
    #[command(flatten)]
    head: HeadArguments,
    /// Predictors beside the model's own.
    #[arg(long, alias = "members", default_value_t = 3)]
    ensemble_size: usize,
    /// Optimiser steps of each, of 256 windows.
    #[arg(long, default_value_t = EnsembleTrainingConfig::default().steps)]
    steps: usize,
    /// Action chunks per window, over which predictors are unrolled.
    #[arg(long, alias = "blocks", default_value_t = EnsembleTrainingConfig::default().horizon)]
    horizon: usize,
}

impl EnsembleArguments {
    pub fn run(&self) -> Result<()> {
        require_range("--ensemble-size", self.ensemble_size, 1, 64)?;
        require_range("--horizon", self.horizon, 1, 1000)?;
        let (steps, horizon, micro_batches) = (self.steps, self.horizon, self.head.micro_batches);
        let training = EnsembleTrainingConfig { steps, horizon, micro_batches, ..EnsembleTrainingConfig::default() };
        self.head.run(&Names { state: "ensemble", seed: "ensemble" }, steps, |inputs| {
            let model = &inputs.checkpoint.model;
            Ok(fit_ensemble(model, &inputs.dataset()?, self.ensemble_size, &training, &inputs.options)?)
        })
    }
}
