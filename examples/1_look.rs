//! A scene: reset it, move, look.
//!
//! `cargo run --release --example 1_look` writes `look.png`: what the camera sees after a walk to the right.

use anyhow::{Context, Result};
use mindseye::pictures::write_png;
use mindseye_interface::{Action, Seed};
use mindseye_sim::{SceneOptions, make};

fn main() -> Result<()> {
    let mut room = make("two_room", &SceneOptions::with_side(224)?)?;
    room.reset(Seed::new(7))?;
    println!("state: {} = {:.3?}", room.state_names().join(", "), room.state());
    let right = Action::new(vec![1.0, 0.0])?;
    for _ in 0..10 {
        room.step_blind(&right)?; // no picture: 100,000 of these a second
    }
    let observation = room.step(&right)?.observation;
    println!("after {} steps of {} s: {:.3?}", observation.tick, room.control_step_secs(), room.state());
    write_png("look.png".as_ref(), &observation.image.context("a scene always has a picture")?)
}
