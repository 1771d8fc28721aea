//! A film of an agent with a learned world model: ticks of its episodes with what it imagines, decoded.

use std::path::Path;
use std::sync::Arc;

use mindseye_evaluation::{EpisodeResult, TickView};
use mindseye_world_model::Checkpoint;

use crate::{Film, Outcome, Result, Tick};

/// A film of an agent with a learned world model.
pub struct DemoFilm {
    checkpoint: Arc<Checkpoint>,
    film: Film,
}

/// Most decoded states of a plan.
const DECODED: usize = 8;

impl DemoFilm {
    /// A film called `title` of episodes with at most `budget_steps` control steps; the checkpoint's decoder draws what
    /// is imagined. Frames are shown as fast as the body moves.
    pub fn new(title: &str, checkpoint: Arc<Checkpoint>, budget_steps: usize, distance_unit: &str) -> Self {
        let step_hundredths = (100.0 * checkpoint.config.control_step_secs).round().clamp(2.0, 100.0);
        // The number is whole and between 2 and 100.
        let film = Film::new(title, budget_steps, step_hundredths as u16, distance_unit);
        Self { checkpoint, film }
    }

    /// Starts an episode called `name`.
    pub fn begin(&mut self, name: &str) {
        self.film.begin(name);
    }

    /// Adds a tick.
    ///
    /// # Errors
    /// When the decoder does not fit the model, or the images differ in size.
    pub fn tick(&mut self, view: &TickView<'_>) -> Result<()> {
        let imagined = match (&self.checkpoint.decoder, &view.report.expected) {
            (Some(decoder), Some(expected)) => {
                let chunks = expected.horizon().min(DECODED);
                let states: Vec<f32> =
                    (0..chunks).flat_map(|chunk| expected.state(0, 0, chunk).values().to_vec()).collect();
                decoder.draw(&states)?
            }
            _ => Vec::new(),
        };
        let cost = view.report.energies.first().map_or(0.0, |(_, energy)| f64::from(*energy));
        let tick = Tick {
            step: view.step,
            camera: view.image,
            goal: view.goal,
            imagined: &imagined,
            planning_ms: view.report.planning_ms,
            cost,
            distance: view.distance,
        };
        self.film.tick(&tick, self.checkpoint.config.model.action_chunk)
    }

    /// Ends an episode.
    ///
    /// # Errors
    /// When the images differ in size.
    pub fn end(&mut self, result: &EpisodeResult) -> Result<()> {
        let outcome = result.first_success_step.map_or(Outcome::Missed, |steps| Outcome::Reached { steps });
        let [_, _, last] = &result.images;
        self.film.end(result.steps, last, result.final_distance, outcome)
    }

    /// Writes the film as a GIF.
    ///
    /// # Errors
    /// When there is no frame, or the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        self.film.write(path)
    }
}
