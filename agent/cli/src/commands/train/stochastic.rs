use anyhow::Result;
use clap::Args;
use mindseye_interface::config::require_range;
use mindseye_world_model::heads::stochastic::{StochasticTrainingConfig, fit_stochastic};

use super::head::{HeadArguments, Names};

/// Train a stochastic predictor, with a discrete latent: where one plan may have several outcomes, it samples each.
///
/// It starts from the weights of the model's own predictor. A tenth of the episodes is held out for the report. A task
/// file with a section `samples` plans with its samples; mindseye evaluate branches measures whether both branches of a
/// fork are found.
#[derive(Debug, Args)]
#[command(after_help = "Example: mindseye train stochastic --scene bridge \
                  --checkpoint runs/bridge --data data/bridge --out runs/stochastic")]
pub struct StochasticArguments {
    #[command(flatten)]
    head: HeadArguments,
    /// Codes: the largest number of outcomes of an action chunk.
    #[arg(long, alias = "codes", default_value_t = 4)]
    latent_codes: usize,
    /// Weight of the KL rate: the cost of a nat in mean squared errors in units of typical steps.
    #[arg(long, alias = "rate", default_value_t = StochasticTrainingConfig::default().kl_weight)]
    kl_weight: f64,
    /// Optimiser steps, of 256 windows each.
    #[arg(long, default_value_t = StochasticTrainingConfig::default().steps)]
    steps: usize,
    /// Action chunks per window, over which the predictor is unrolled.
    #[arg(long, alias = "blocks", default_value_t = StochasticTrainingConfig::default().horizon)]
    horizon: usize,
}

impl StochasticArguments {
    pub fn run(&self) -> Result<()> {
        require_range("--latent-codes", self.latent_codes, 2, 256)?;
        require_range("--kl-weight", self.kl_weight, 0.0, 1e6)?;
        require_range("--horizon", self.horizon, 1, 1000)?;
        let training = StochasticTrainingConfig {
            steps: self.steps,
            horizon: self.horizon,
            kl_weight: self.kl_weight,
            micro_batches: self.head.micro_batches,
            ..StochasticTrainingConfig::default()
        };
        self.head.run(
            &Names { state: "stochastic", seed: "futures" }, // the stream keeps its old name
            self.steps,
            |inputs| {
                let model = &inputs.checkpoint.model;
                Ok(fit_stochastic(model, &inputs.dataset()?, self.latent_codes, &training, &inputs.options)?)
            },
        )
    }
}
