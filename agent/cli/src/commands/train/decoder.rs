use std::fmt;

use anyhow::Result;
use clap::Args;
use mindseye_world_model::heads::decoder::{DecoderTrainingConfig, train_decoder};
use mindseye_world_model::training::TrainingData;
use serde::Serialize;

use super::head::{HeadArguments, Names};

/// Train a decoder that draws latents as images, for people; planning never reads it.
#[derive(Debug, Args)]
#[command(after_help = "Example: mindseye train decoder --scene push_t \
                  --checkpoint runs/push_t --data data/push_t --out runs/decoder")]
pub struct DecoderArguments {
    #[command(flatten)]
    head: HeadArguments,
    /// Optimiser steps, of 64 images each.
    #[arg(long, default_value_t = 3000)]
    steps: usize,
}

#[derive(Serialize)]
struct DecoderReport {}

impl fmt::Display for DecoderReport {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str("a decoder")
    }
}

impl DecoderArguments {
    pub fn run(&self) -> Result<()> {
        let training = DecoderTrainingConfig { steps: self.steps, micro_batches: self.head.micro_batches };
        self.head.run(&Names { state: "decoder", seed: "decoder" }, self.steps, |inputs| {
            let recipe = &inputs.checkpoint.config.recipe;
            let data = TrainingData::new(inputs.frames(recipe.data.frame_stride)?, recipe)?;
            let decoder = train_decoder(&inputs.checkpoint.model, &data, &training, &inputs.options)?;
            Ok(decoder.map(|decoder| (decoder, DecoderReport {})))
        })
    }
}
