//! The shipped model: encode an image, roll two plans out, compare the predictions with what really happens.
//!
//! `cargo run --release --example 4_imagine` writes `imagine.png`: for each plan what the camera records, and below it
//! what the model predicts.

use std::path::Path;

use anyhow::{Context as _, Result};
use mindseye_examples::asset;
use mindseye_interface::{Action, Image, Observation, Seed};
use mindseye_plots::{ImaginationSheet, ImaginedWindow, write_png};
use mindseye_sim::{SceneOptions, make};
use mindseye_world_model::{AnyCheckpoint, Context, Decoder, InferenceOptions, Plans};

/// Action chunks of a plan.
const HORIZON: usize = 4;
/// Where both plans start, metres.
const START: [f64; 2] = [0.3, 0.5];

fn main() -> Result<()> {
    let checkpoint = AnyCheckpoint::load(&asset("checkpoints/two_room"))?;
    let spec = checkpoint.spec();
    let camera = spec.cameras.first().context("model: expected a camera, got none")?;
    let mut room = make("two_room", &SceneOptions::with_side(camera.height)?)?;
    room.reset(Seed::new(0))?;
    let start = room.set_state(&START)?;

    // One plan goes right and up, the other straight into the wall.
    let straight = |action: [f32; 2]| action.repeat(HORIZON * spec.action_chunk);
    let actions = [straight([0.4, -1.0]), straight([1.0, 0.0])];
    let plans = Plans::new(actions.len(), HORIZON, spec.chunk_width(), actions.concat())?;

    let latents = checkpoint.model.encode(std::slice::from_ref(&start))?;
    let context = Context { proprioception: &start.proprioception, ..Context::after(&latents, &[]) };
    let rollouts = checkpoint.dynamics(&InferenceOptions::default())?.rollout(&context, &plans)?;

    let decoder = checkpoint.head::<Decoder>()?.context("checkpoint: expected a decoder, got none")?;
    let mut windows = Vec::new();
    for (plan, actions) in actions.iter().enumerate() {
        let mut observed = vec![image(&room.set_state(&START)?)?];
        let mut predicted = latents.clone();
        for (chunk, values) in actions.chunks_exact(spec.chunk_width()).enumerate() {
            for action in values.chunks_exact(spec.action_width) {
                room.step_blind(&Action::new(action.to_vec())?)?;
            }
            observed.push(room.render());
            predicted.push(rollouts.state(plan, 0, chunk));
        }
        // Images are for people only: planning compares latents.
        let values: Vec<f32> = predicted.iter().flat_map(|latent| latent.values().iter().copied()).collect();
        windows.push(ImaginedWindow { observed, imagined: decoder.draw(&values)? });
    }
    let chunk_secs = spec.action_chunk as f64 * room.control_step_secs();
    let sheet = ImaginationSheet { title: "two plans from one start".into(), chunk_secs, windows };
    Ok(write_png(Path::new("imagine.png"), sheet.draw()?.image())?)
}

fn image(observation: &Observation) -> Result<Image> {
    observation.image().cloned().context("observation: expected an image, got none")
}
