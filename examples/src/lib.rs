//! Runnable examples in reading order: `cargo run --release --example 1_look`, then the others by their number.
//!
//! | example | shows |
//! |---|---|
//! | `1_look` | a scene, its actions, its camera |
//! | `2_plan_in_the_true_world` | an agent whose world model is the simulator itself |
//! | `3_record_and_read` | episodes on disk, and windows of them for training |
//! | `4_imagine` | a learned model: encode, roll plans out, compare with what happens |
//! | `5_plan_from_a_recording` | a plan from two timesteps of a recording, without a simulator or a robot |
//! | `6_drive_your_own_environment` | an agent that drives an environment that is no simulator |
//! | `7_evaluate_from_the_library` | success rates of an agent and its baselines on held-out pairs |
//!
//! This library has what the examples need beside the libraries: [`asset`], [`demonstrated_episode`],
//! [`recorded_frames`] and [`ToyRobot`].

mod toy_robot;

use std::path::{Path, PathBuf};

use mindseye_episodes::{EpisodeData, image_codec::resized};
use mindseye_evaluation::collection::scripted_episode;
use mindseye_interface::{Frame, Image, ImageSize, Result, Seed};
use mindseye_sim::{SceneOptions, demonstrator, make};
use mindseye_world_model::CameraSpec;

pub use toy_robot::ToyRobot;

/// Side of the images of [`demonstrated_episode`], pixels: that of the shipped models.
pub const IMAGE_SIDE: usize = 64;

/// Path of the file or folder `path` among the assets of the repository, for example `tasks/two_room.toml`.
pub fn asset(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets").join(path)
}

/// The episode of `seed` in `two_room`: `steps` control steps of the scripted walker, with images of [`IMAGE_SIDE`]
/// pixels and normalised actions.
///
/// # Errors
/// The simulator's.
pub fn demonstrated_episode(seed: Seed, steps: usize) -> mindseye_evaluation::Result<EpisodeData> {
    let options = SceneOptions::with_side(IMAGE_SIDE)?;
    let mut room = make("two_room", &options)?;
    let mut walker = demonstrator("two_room", "walker", &options)?;
    scripted_episode(room.as_mut(), walker.as_mut(), seed, steps)
}

/// The frames of a model's `cameras` in a recorded `image`, which is the vertical stack of the images of all cameras.
/// They are scaled to the size of the model's images, which is the same for all cameras.
///
/// # Errors
/// When the size is not that of an image.
pub fn recorded_frames(image: &Image, cameras: &[CameraSpec]) -> Result<Vec<Frame>> {
    let Some(CameraSpec { height, width, .. }) = cameras.first() else { return Ok(Vec::new()) };
    let size = ImageSize::new(*height, *width)?;
    let stack = resized(image, ImageSize::new(cameras.len() * height, *width)?);
    let frame = |(camera, pixels): (&CameraSpec, &[u8])| -> Result<Frame> {
        Ok(Frame::new(&camera.name.as_str().into(), Image::new(size, pixels.to_vec())?, 0.0))
    };
    cameras.iter().zip(stack.chunks_exact(size.rgb_len())).map(frame).collect()
}
