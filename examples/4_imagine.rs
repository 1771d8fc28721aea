//! The shipped model: see a picture, imagine two futures, compare them with what really happens.
//!
//! `cargo run --release --example 4_imagine` writes `imagine.png`: above what is imagined, below what happens.

use anyhow::{Context, Result};
use mindseye::pictures::{Canvas, FAINT, INK, write_png};
use mindseye::{assets, running::execute};
use mindseye_interface::Seed;
use mindseye_sim::{SceneOptions, make};
use mindseye_world_model::{Checkpoint, RolloutEngine};

fn main() -> Result<()> {
    let checkpoint = Checkpoint::load_for_scene(&assets::checkpoint("two_room")?, "two_room")?;
    let model = &checkpoint.config.model;
    let mut room = make("two_room", &SceneOptions::with_side(model.image_side)?)?;
    room.reset(Seed::new(0))?;
    let seen = room.set_state(&[0.3, 0.5])?.image.context("a scene always has a picture")?;

    // Two plans of 4 blocks: up and to the right, and straight into the wall.
    let (horizon, steps) = (4, model.action_block);
    let plan = |action: [f32; 2]| action.repeat(horizon * steps);
    let plans = [plan([0.4, -1.0]), plan([1.0, 0.0])];
    let latent = checkpoint.model.encode_image(&seen)?;
    let imagined = RolloutEngine::new(&checkpoint.model)?.rollout(&latent, &plans.concat(), horizon, 1)?;
    let decoder = checkpoint.decoder.as_ref().context("decoder.safetensors: expected it, got none")?;
    let drawn = decoder.draw(&imagined)?; // for our eyes only: planning compares latents

    let (scale, step) = (2, 2 * model.image_side + 8);
    let mut canvas = Canvas::new(horizon * step + 16, 4 * (step + 16) + 8)?;
    for (which, plan) in plans.iter().enumerate() {
        room.set_state(&[0.3, 0.5])?;
        let (top, below) = (2 * which * (step + 16) + 20, (2 * which + 1) * (step + 16) + 20);
        canvas.text(8, top - 12, "imagined", INK);
        canvas.text(8, below - 12, "happens", INK);
        for (index, block) in plan.chunks_exact(2 * steps).enumerate() {
            let happens = execute(room.as_mut(), block, steps, |_| ())?.image.context("a picture")?;
            canvas.picture(8 + index * step, top, &drawn[which * horizon + index], scale, FAINT);
            canvas.picture(8 + index * step, below, &happens, scale, FAINT);
        }
    }
    write_png("imagine.png".as_ref(), canvas.image())
}
