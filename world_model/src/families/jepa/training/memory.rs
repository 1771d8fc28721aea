//! The memory that a recipe asks for, summed up before any of it is allocated.
//!
//! The sums are estimates from below: what a step certainly holds at once. A recipe that they refuse cannot be trained
//! in the memory given; one that they let pass may still need somewhat more.

use mindseye_interface::MemoryLimit;
use mindseye_interface::config::Validate as _;
use mindseye_interface::memory::{product, sum};

use super::config::TrainingConfig;
use super::joint::WHITENING_WINDOWS;
use crate::Result;
use crate::families::jepa::config::{EncoderConfig, ModelConfig};
use crate::families::jepa::losses::LossHeads;
use crate::families::jepa::network::Jepa;
use crate::parameters::{Shapes, shapes_of, values_in};

/// Bytes of a value in tensors.
const F32: usize = 4;
/// Copies of every trained value besides the gradients: the weight, its two moments, and the same three once more while
/// a state is written.
const COPIES: usize = 6;

impl TrainingConfig {
    /// Refuses a recipe that needs more memory than `limit`, by the field that asks for most of it. Frames of the data
    /// set are not counted: they have a limit of their own.
    ///
    /// # Errors
    /// [`mindseye_interface::Error::Field`] with both sizes, or a field outside its range.
    pub fn require_memory(&self, limit: MemoryLimit) -> Result<()> {
        self.validate()?;
        let parts = self.memory_needed()?;
        let all: Vec<u128> = parts.iter().map(|(_, bytes)| *bytes).collect();
        let largest = parts.iter().max_by_key(|(_, bytes)| *bytes).map_or("recipe", |(field, _)| *field);
        Ok(limit.require(largest, sum(&all))?)
    }

    /// Bytes that a step needs, by the field that they follow from.
    fn memory_needed(&self) -> Result<Vec<(&'static str, u128)>> {
        let (model, data, finetuning) = (&self.model, &self.data, &self.finetuning);
        let networks = Jepa::shapes(model)?;
        let heads = shapes_of(|source| LossHeads::new(source, model.latent_width, model.chunk_width()))?;
        // Every micro batch has gradients of its own, until they are added.
        let copies = (COPIES + 1 + self.micro_batches) * F32;
        let trained = |values: u128| values.saturating_mul(copies as u128);
        let (predictor, encoder): (Shapes, Shapes) =
            networks.into_iter().partition(|(name, _)| name.starts_with("predictor."));
        let images = data.batch.saturating_mul(data.frames).saturating_mul(model.cameras);
        let pixels = product(&[images, model.image_side, model.image_side, 3]);
        // Bytes, then numbers for the encoder.
        let of_images = pixels.saturating_mul(1 + F32 as u128);
        let activations = product(&[images, encoder_values(model), F32]);
        // The predictor is unrolled from every frame to the window's end.
        let unrolled = |batch: usize, frames: usize| {
            product(&[batch, frames, frames.saturating_sub(1), predictor_values(model), F32]) / 2
        };
        let joint = if self.loss.prediction > 0.0 { unrolled(data.batch, data.frames) } else { 0 };
        let projections = product(&[data.batch, data.frames, self.loss.sigreg_directions, F32]);
        // Constants of the whitening are measured on windows of two frames.
        let sample = product(&[2 * WHITENING_WINDOWS, model.image_bytes()]);
        Ok(vec![
            ("model.predictor.hidden x model.predictor.layers", trained(values_in(&predictor))),
            ("model.encoder", trained(values_in(&encoder))),
            ("model.latent_width", trained(values_in(&heads))),
            ("data.batch", sum(&[of_images, activations, joint])),
            ("loss.sigreg_directions", if self.loss.sigreg > 0.0 { projections } else { 0 }),
            ("model.image_side x model.cameras", if model.whitening { sample } else { 0 }),
            ("finetuning.batch", if finetuning.steps > 0 { unrolled(finetuning.batch, finetuning.frames) } else { 0 }),
        ])
    }
}

/// Values that the gradients of one image's encoder pass need at least: every map once.
fn encoder_values(model: &ModelConfig) -> usize {
    match &model.encoder {
        EncoderConfig::Patch(config) => {
            let grid = (model.image_side / config.patch.max(1)).pow(2);
            grid * (config.channels * (1 + 2 * config.blocks) + config.bottleneck) + config.hidden
        }
        EncoderConfig::Keypoint(config) => {
            let (half, quarter) = ((model.image_side / 2).pow(2), (model.image_side / 4).pow(2));
            (half + 4 * 2 * quarter) * config.channels + config.hidden
        }
    }
}

/// Values that the gradients of one prediction need at least: every hidden layer once, twice where it is gated.
fn predictor_values(model: &ModelConfig) -> usize {
    let predictor = &model.predictor;
    predictor.hidden * (predictor.layers + 1) * if predictor.gated { 2 } else { 1 } + model.latent_width
}

#[cfg(test)]
mod tests {
    use mindseye_interface::config::parse;

    use super::*;

    fn recipe(change: impl FnOnce(&mut TrainingConfig)) -> TrainingConfig {
        let mut recipe = parse(
            "steps = 4\nmicro_batches = 2\nreport_every = 10\nvalidate_every = 4\nsave_every = 10\ndecoder_steps = 0\n\
             [model]\nimage_side = 64\naction_width = 2\naction_chunk = 5\nlatent_width = 32\nwhitening = false\n\
             [model.encoder]\nkind = \"patch\"\npatch = 8\nchannels = 32\nblocks = 2\nbottleneck = 16\nhidden = 256\n\
             [model.predictor]\nhidden = 256\nlayers = 2\n[data]\nbatch = 64\nframes = 4\nvalidation_fraction = 0.1",
        )
        .unwrap();
        change(&mut recipe);
        recipe
    }

    /// Symptom: a batch of a million windows, and a predictor of 64 layers of 8192, ended the process, or took the
    /// machine's memory.
    /// Cause: every field has a range, their products had none.
    /// Fix: what a recipe asks for is summed up before anything is allocated.
    #[test]
    fn a_recipe_beyond_the_memory_is_refused_by_its_field() {
        type Change = fn(&mut TrainingConfig);
        let limit = MemoryLimit::from_bytes(1 << 30);
        recipe(|_| ()).require_memory(limit).unwrap();
        let changes: [(Change, &str); 8] = [
            (|recipe| recipe.data.batch = 1_000_000, "data.batch"),
            (|recipe| recipe.data.frames = 1000, "data.batch"),
            (|recipe| (recipe.model.predictor.layers, recipe.model.predictor.hidden) = (64, 8192), "model.predictor"),
            (|recipe| recipe.loss.sigreg_directions = 65_536, "loss.sigreg_directions"),
            (|recipe| (recipe.finetuning.steps, recipe.finetuning.batch) = (1, 1_000_000), "finetuning.batch"),
            (|recipe| (recipe.model.cameras, recipe.model.image_side) = (16, 512), "data.batch"),
            (
                |recipe| (recipe.model.whitening, recipe.model.image_side, recipe.data.batch) = (true, 512, 2),
                "model.image",
            ),
            (
                |recipe| {
                    let EncoderConfig::Patch(encoder) = &mut recipe.model.encoder else { unreachable!() };
                    (encoder.patch, encoder.bottleneck, encoder.hidden) = (1, 1024, 8192);
                },
                "model.encoder",
            ),
        ];
        for (index, (change, field)) in changes.into_iter().enumerate() {
            let limit = if index == 3 { MemoryLimit::from_bytes(80 << 20) } else { limit };
            let refused = recipe(change).require_memory(limit).unwrap_err().to_string();
            assert!(refused.starts_with(field) && refused.contains("of memory"), "{refused}");
            assert!(!refused.contains('\n'), "{refused}");
        }
    }
}
