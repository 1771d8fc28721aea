//! Perturbed observations: dropped frames, and an object in front of the camera.

use std::sync::Arc;

use mindseye_interface::{Image, Observation, Rng, Seed, Simulator};
use rand::Rng as _;
use serde::{Deserialize, Serialize};

/// How observations are perturbed.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Perturbation {
    /// Share of the images that never reach the agent (the first one does), 0 to 1.
    pub drop_frames: f64,
    /// For this many control steps, once in an episode, a grey square covers the object of the task.
    pub occlude_steps: usize,
}

/// Side of the square, as a share of the image's: it covers push_t's block whole.
const SQUARE_SIDE: f64 = 0.45;
const SQUARE_RGB: [u8; 3] = [110, 110, 110];

impl Perturbation {
    /// Whether observations stay as they are.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// The perturbation of one episode.
pub(crate) struct Perturber {
    perturbation: Perturbation,
    rng: Rng,
    /// Control step at which the square appears.
    occluded_from: usize,
}

impl Perturber {
    /// The perturbation of the episode of `seed`, at most `budget_steps` long: the square appears in its first half.
    pub fn new(perturbation: Perturbation, seed: Seed, budget_steps: usize) -> Self {
        let mut rng = seed.child("disturbance").rng();
        let occluded_from = rng.random_range(1..=(budget_steps / 2).max(1));
        Self { perturbation, rng, occluded_from }
    }

    /// Drops or covers the frames of `observation`, made after control step `step`.
    pub fn apply(&mut self, observation: &mut Observation, simulator: &dyn Simulator, step: usize) {
        if self.rng.random_bool(self.perturbation.drop_frames) {
            observation.frames.clear();
        }
        let occluded = self.occluded_from..self.occluded_from + self.perturbation.occlude_steps;
        if let (true, Some(target)) = (occluded.contains(&step), simulator.occlusion_target()) {
            for frame in &mut observation.frames {
                frame.image = Arc::new(covered(&frame.image, target));
            }
        }
    }
}

/// `image` with the square around `centre` (row, column; shares of its height and width).
fn covered(image: &Image, centre: [f64; 2]) -> Image {
    let size = image.size();
    let range = |centre: f64, side: usize| {
        let from = (centre - SQUARE_SIDE / 2.0) * side as f64;
        let to = (centre + SQUARE_SIDE / 2.0) * side as f64;
        from.max(0.0) as usize..(to.max(0.0) as usize).min(side)
    };
    let mut pixels = image.pixels().to_vec();
    for row in range(centre[0], size.height()) {
        for column in range(centre[1], size.width()) {
            pixels[3 * (row * size.width() + column)..][..3].copy_from_slice(&SQUARE_RGB);
        }
    }
    Image::new(size, pixels).unwrap_or_else(|_| image.clone())
}

#[cfg(test)]
mod tests {
    use mindseye_interface::ImageSize;

    use super::*;

    #[test]
    fn the_square_covers_its_centre_and_stays_inside_the_image() {
        let image = Image::filled(ImageSize::square(20).unwrap(), [0; 3]);
        for (centre, count) in [([0.5, 0.5], 81), ([0.0, 0.0], 16), ([1.0, 1.0], 25)] {
            let covered = covered(&image, centre);
            let grey = covered.pixels().chunks_exact(3).filter(|pixel| *pixel == SQUARE_RGB).count();
            assert_eq!(grey, count, "{centre:?}");
        }
    }
}
