use anyhow::Result;
use clap::Args;
use mindseye_world_model::heads::state_probe::{StateProbeTrainingConfig, fit_state_probe};

use super::head::{HeadArguments, Names};

/// Train a state probe, a small network from latents to named states (positions, angles), for costs about them.
///
/// It is trained on the true states that were recorded beside the images (a simulator's, or a tracker's), or, without
/// any, on proprioception; every fifth episode is held out for the report. Tasks can then have a pose or region as
/// goal, and keep-out boxes.
#[derive(Debug, Args)]
#[command(after_help = "Example: mindseye train state-probe --scene push_t \
                  --checkpoint runs/push_t --data data/push_t --out runs/probe")]
pub struct StateProbeArguments {
    #[command(flatten)]
    head: HeadArguments,
    /// Optimiser steps, of 1024 latents each.
    #[arg(long, default_value_t = StateProbeTrainingConfig::default().steps)]
    steps: usize,
}

impl StateProbeArguments {
    pub fn run(&self) -> Result<()> {
        let (steps, micro_batches) = (self.steps, self.head.micro_batches);
        let training = StateProbeTrainingConfig { steps, micro_batches, ..StateProbeTrainingConfig::default() };
        self.head.run(
            &Names { state: "state_probe", seed: "readout" }, // the stream keeps its old name
            steps,
            |inputs| {
                let model = &inputs.checkpoint.config.model;
                Ok(fit_state_probe(model, &inputs.dataset_with_states()?, &training, &inputs.options)?)
            },
        )
    }
}
