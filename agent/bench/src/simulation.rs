//! Physics and camera.

use std::hint::black_box;
use std::time::Instant;

use mindseye_interface::{Seed, recorded_episode};
use mindseye_sim::{SceneOptions, demonstrate, demonstrator, make};
use serde::{Deserialize, Serialize};

use crate::timing::require_rounds;
use crate::{Result, STEPS_PER_EPISODE};

/// Physics and camera on one core: scripted episodes of a scene.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulationBench {
    /// Name of the scene.
    pub scene: String,
    /// The best of so many rounds counts; at least 1.
    pub rounds: usize,
    /// Root of every random choice.
    pub seed: Seed,
}

/// How fast a scene is simulated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SimulationSpeed {
    /// Name of the scene.
    pub scene: String,
    /// Control steps per second without a camera.
    pub physics_steps_per_sec: f64,
    /// The same with cameras of several sizes.
    pub with_camera: Vec<CameraSpeed>,
}

/// How fast a scene is simulated with a camera.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CameraSpeed {
    /// Side of the square images, pixels.
    pub image_side: usize,
    /// Control steps per second, one image each.
    pub control_steps_per_sec: f64,
}

/// Sides of the camera, pixels, and episodes per round.
const CAMERAS: [(usize, u64); 2] = [(64, 50), (224, 20)];
/// Episodes per round without a camera.
const EPISODES: u64 = 100;

impl SimulationBench {
    /// Runs the measurement.
    ///
    /// # Errors
    /// When the scene does not exist, there is no round, or the simulator fails.
    pub fn measure(&self) -> Result<SimulationSpeed> {
        require_rounds(self.rounds)?;
        let camera = |(image_side, episodes)| {
            let control_steps_per_sec = self.rate(image_side, true, episodes)?;
            Ok(CameraSpeed { image_side, control_steps_per_sec })
        };
        Ok(SimulationSpeed {
            scene: self.scene.clone(),
            physics_steps_per_sec: self.rate(CAMERAS[0].0, false, EPISODES)?,
            with_camera: CAMERAS.into_iter().map(camera).collect::<Result<_>>()?,
        })
    }

    fn rate(&self, side: usize, camera: bool, episodes: u64) -> Result<f64> {
        let options = SceneOptions::with_side(side)?;
        let mut simulator = make(&self.scene, &options)?;
        let mut demonstrator = demonstrator(&self.scene, "mixture", &options)?;
        let mut best: f64 = 0.0;
        for round in 0..self.rounds as u64 {
            let started = Instant::now();
            for episode in 0..episodes {
                let seed = recorded_episode(self.seed, round * episodes + episode);
                let demonstrator = demonstrator.as_mut();
                black_box(demonstrate(simulator.as_mut(), demonstrator, seed, STEPS_PER_EPISODE, !camera)?);
            }
            best = best.max((episodes as usize * STEPS_PER_EPISODE) as f64 / started.elapsed().as_secs_f64());
        }
        Ok(best)
    }
}
