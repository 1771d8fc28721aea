//! What may stand between the world and the eye: dropped frames, and something in front of the camera.

use mindseye_interface::{Image, Rng, Seed, Simulator};
use rand::Rng as _;
use serde::Serialize;

/// How seeing is disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Disturbance {
    /// Share of the pictures that never arrive (the first one does).
    pub drop_frames: f64,
    /// For so many control steps, once in an episode, a grey board hides what the task is about.
    pub occlude_steps: usize,
}

/// Side of the board, as a share of the picture's: it hides push_t's block whole.
const BOARD: f64 = 0.45;
const BOARD_RGB: [u8; 3] = [110, 110, 110];

impl Disturbance {
    /// Whether there is any.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// The disturbance of one episode.
pub struct Disturber {
    disturbance: Disturbance,
    rng: Rng,
    /// Control step from which on the board is there.
    occluded_from: usize,
}

impl Disturber {
    /// The disturbance of the episode of `seed`, at most `budget_steps` long: the board comes at any time in its first half.
    pub fn new(disturbance: Disturbance, seed: Seed, budget_steps: usize) -> Self {
        let mut rng = seed.child("disturbance").rng();
        let occluded_from = rng.random_range(1..=(budget_steps / 2).max(1));
        Self { disturbance, rng, occluded_from }
    }

    /// What arrives of `picture`, taken after control step `step`.
    pub fn pass(&mut self, picture: Option<Image>, simulator: &dyn Simulator, step: usize) -> Option<Image> {
        let dropped = self.rng.random_bool(self.disturbance.drop_frames);
        let mut picture = picture.filter(|_| !dropped)?;
        let hidden = self.occluded_from..self.occluded_from + self.disturbance.occlude_steps;
        if let (true, Some(subject)) = (hidden.contains(&step), simulator.subject()) {
            picture = covered(&picture, subject);
        }
        Some(picture)
    }
}

/// `picture` with the board in front of `middle` (row, column; shares of its height and width).
fn covered(picture: &Image, middle: [f64; 2]) -> Image {
    let size = picture.size();
    let reach = |middle: f64, side: usize| {
        let (from, to) = ((middle - BOARD / 2.0) * side as f64, (middle + BOARD / 2.0) * side as f64);
        from.max(0.0) as usize..(to.max(0.0) as usize).min(side)
    };
    let mut pixels = picture.pixels().to_vec();
    for row in reach(middle[0], size.height()) {
        for column in reach(middle[1], size.width()) {
            pixels[3 * (row * size.width() + column)..][..3].copy_from_slice(&BOARD_RGB);
        }
    }
    Image::new(size, pixels).unwrap_or_else(|_| picture.clone())
}
