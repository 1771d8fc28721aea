//! A scene: reset it, move the agent, look at the camera's image.
//!
//! `cargo run --release --example 1_look` writes `look.png`: the image after 11 control steps to the right.

use std::path::Path;

use anyhow::{Context, Result};
use mindseye_interface::{Action, Seed};
use mindseye_plots::write_png;
use mindseye_sim::{SceneOptions, make};

fn main() -> Result<()> {
    let mut room = make("two_room", &SceneOptions::with_side(224)?)?;
    room.reset(Seed::new(7))?;
    println!("state: {} = {:.3?}", room.state_names().join(", "), room.state());
    let right = Action::new(vec![1.0, 0.0])?; // normalised: 1 is the upper bound of the action space
    println!("action: {} = {:.4?}", room.action_space().names.join(", "), room.action_space().denormalise(&right)?);
    for _ in 0..10 {
        room.step_blind(&right)?; // renders no image, for fast rollouts
    }
    let observation = room.step(&right)?.observation;
    println!("after {} steps of {} s: {:.3?}", observation.tick, room.control_step_secs(), room.state());
    let image = observation.image().context("observation: expected an image, got none")?;
    Ok(write_png(Path::new("look.png"), image)?)
}
