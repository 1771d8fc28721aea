//! A model for tests: four tokens per state, exact arithmetic that a reader can follow, exact gradients.

mod parsers;

use std::any::Any;

use mindseye_interface::Observation;

pub use crate::ops::{Convolution, InferenceLinear, RoundedRows, convolve, product, sigreg};

pub use crate::families::vit::pretraining::trained_forward;

pub use parsers::{checkpoint_config, head_file, recipe, tensors_in_pickle};

use crate::cancel::Cancel;
use crate::latent::{Latent, LatentShape, Plans, Rollouts};
use crate::model::{
    CameraSpec, ClipSpec, Context, Dynamics, InferenceOptions, Model, ModelSpec, Recording, require_plans,
};
use crate::{Error, Result};

/// Side of the images, pixels.
const SIDE: usize = 8;
/// Tokens `P`: the four quadrants of an image, row by row.
const TOKENS: usize = 4;
/// Width `D` of a token: mean red, green and blue, 0 to 1.
const WIDTH: usize = 3;
/// Width `A` of a chunk: two control steps of one action each of two numbers.
const CHUNK: usize = 4;
/// Share of a token's values that moves on to the next token in one chunk.
const MIXED: f32 = 0.25;

/// Encodes an image by the mean colours of its quadrants, and predicts linearly: `z'_p = (1 - m) z_p + m z_(p - 1) +
/// b_p(a)`.
#[derive(Debug, Clone)]
pub struct TokenModel {
    spec: ModelSpec,
}

impl Default for TokenModel {
    fn default() -> Self {
        let spec = ModelSpec {
            cameras: vec![CameraSpec { name: "top".into(), height: SIDE, width: SIDE }],
            clip: ClipSpec::SINGLE,
            proprioception: 0,
            action_width: 2,
            action_chunk: CHUNK / 2,
            latent: LatentShape { tokens: TOKENS, width: WIDTH },
            context: 1,
        };
        Self { spec }
    }
}

impl TokenModel {
    /// The change of token `token`'s value `index` per unit of each of a chunk's numbers, `[A]`.
    fn effect(token: usize, index: usize) -> [f32; CHUNK] {
        std::array::from_fn(|number| 0.1 * ((token + 1) as f32) * if number % WIDTH == index { 1.0 } else { -0.5 })
    }

    /// The state after one chunk.
    fn next(state: &[f32], chunk: &[f32]) -> Vec<f32> {
        let value = |place: usize| {
            let (token, index) = (place / WIDTH, place % WIDTH);
            let before = state[(token + TOKENS - 1) % TOKENS * WIDTH + index];
            let moved: f32 = Self::effect(token, index).iter().zip(chunk).map(|(effect, number)| effect * number).sum();
            (1.0 - MIXED) * state[place] + MIXED * before + moved
        };
        (0..TOKENS * WIDTH).map(value).collect()
    }

    /// Gradients on the state before a chunk, and on the chunk, from those on the state after it.
    fn back(on_next: &[f32]) -> (Vec<f32>, [f32; CHUNK]) {
        let (mut on_state, mut on_chunk) = (vec![0.0; TOKENS * WIDTH], [0.0; CHUNK]);
        for (place, &gradient) in on_next.iter().enumerate() {
            let (token, index) = (place / WIDTH, place % WIDTH);
            on_state[place] += (1.0 - MIXED) * gradient;
            on_state[(token + TOKENS - 1) % TOKENS * WIDTH + index] += MIXED * gradient;
            for (sum, effect) in on_chunk.iter_mut().zip(Self::effect(token, index)) {
                *sum += effect * gradient;
            }
        }
        (on_state, on_chunk)
    }
}

impl Model for TokenModel {
    fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    fn encode(&self, observations: &[Observation]) -> Result<Vec<Latent>> {
        let encode = |observation: &Observation| -> Result<Latent> {
            let mut values = vec![0.0; TOKENS * WIDTH];
            for frame in self.spec.frames("encoding an observation", observation)? {
                for (row, column) in (0..SIDE).flat_map(|row| (0..SIDE).map(move |column| (row, column))) {
                    let token = row / (SIDE / 2) * 2 + column / (SIDE / 2);
                    let colour = frame.image.rgb(row, column);
                    for (value, channel) in values[token * WIDTH..(token + 1) * WIDTH].iter_mut().zip(colour) {
                        *value += f32::from(channel) / 255.0 / (SIDE * SIDE / TOKENS) as f32;
                    }
                }
            }
            Latent::new(TOKENS, WIDTH, values)
        };
        observations.iter().map(encode).collect()
    }

    fn dynamics(&self, _options: &InferenceOptions) -> Result<Box<dyn Dynamics>> {
        Ok(Box::new(self.clone()))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Number of plans and their horizon.
struct TokenRecording(usize, usize);

impl Dynamics for TokenModel {
    fn rollout(&self, context: &Context<'_>, plans: &Plans) -> Result<Rollouts> {
        const OPERATION: &str = "rollout";
        require_plans(OPERATION, plans, CHUNK)?;
        let start = context.current(OPERATION, self.spec.latent, CHUNK)?;
        let mut values = Vec::with_capacity(plans.count() * plans.horizon() * TOKENS * WIDTH);
        for plan in plans.values().chunks_exact(plans.horizon() * CHUNK) {
            let mut state = start.values().to_vec();
            for chunk in plan.chunks_exact(CHUNK) {
                state = Self::next(&state, chunk);
                values.extend_from_slice(&state);
            }
        }
        Rollouts::new([plans.count(), 1, plans.horizon(), TOKENS, WIDTH], values)
    }

    fn rollout_recorded(&self, context: &Context<'_>, plans: &Plans) -> Result<(Rollouts, Recording)> {
        let recording = TokenRecording(plans.count(), plans.horizon());
        Ok((self.rollout(context, plans)?, Recording::new(recording)))
    }

    fn vjp(&self, recording: Recording, upstream: &[f32], _cancel: Cancel<'_>) -> Result<Vec<f32>> {
        let TokenRecording(plans, horizon) = recording.open()?;
        let state_len = TOKENS * WIDTH;
        if upstream.len() != plans * horizon * state_len {
            let expected = format!("{} gradients", plans * horizon * state_len);
            return Err(Error::Shape { operation: "gradients of plans", expected, got: upstream.len().to_string() });
        }
        let mut gradients = vec![0.0; plans * horizon * CHUNK];
        for plan in 0..plans {
            let mut on_state = vec![0.0; state_len];
            for chunk in (0..horizon).rev() {
                let at = plan * horizon + chunk;
                let direct = &upstream[at * state_len..(at + 1) * state_len];
                on_state.iter_mut().zip(direct).for_each(|(sum, gradient)| *sum += gradient);
                let (on_before, on_chunk) = Self::back(&on_state);
                gradients[at * CHUNK..(at + 1) * CHUNK].copy_from_slice(&on_chunk);
                on_state = on_before;
            }
        }
        Ok(gradients)
    }
}
