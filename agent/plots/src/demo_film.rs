//! A film of an agent with a learned world model: ticks of its episodes with what it imagines, decoded.

use std::path::Path;
use std::sync::Arc;

use mindseye_agent::cost::{LearnedEstimator, StateEstimator};
use mindseye_evaluation::{EpisodeResult, StepView, TickView};
use mindseye_world_model::Checkpoint;

use crate::{Film, Outcome, Result, Tick};

/// A film of an agent with a learned world model.
pub struct DemoFilm {
    checkpoint: Arc<Checkpoint>,
    film: Film,
    robot: Option<RobotReader>,
}

/// Reads where the robot is in a latent state, by the state probe.
struct RobotReader {
    probe: LearnedEstimator,
    /// Places of x and y among what it reads.
    places: [usize; 2],
    /// Side of the square floor that the camera shows, metres.
    floor_side_m: f64,
}

impl RobotReader {
    /// The reader of the checkpoint's state probe, if it has one that reads the robot's position.
    fn of(checkpoint: &Checkpoint, floor_side_m: f64) -> Result<Option<Self>> {
        let Some(probe) = checkpoint.state_probe.as_ref().map(LearnedEstimator::new).transpose()? else {
            return Ok(None);
        };
        let place = |wanted: &str| probe.names().iter().position(|name| name == wanted);
        let places = place("agent_x_m").zip(place("agent_y_m"));
        Ok(places.map(|(x, y)| Self { probe, places: [x, y], floor_side_m }))
    }

    /// Positions in `states [M, D]`, as shares of the floor's side.
    fn read(&self, states: &[f32]) -> Result<Vec<[f64; 2]>> {
        let width = self.probe.names().len();
        let read = self.probe.read(states)?;
        let share = |values: &[f32]| self.places.map(|place| f64::from(values[place]) / self.floor_side_m);
        Ok(read.chunks_exact(width.max(1)).map(share).collect())
    }
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
        Self { checkpoint, film, robot: None }
    }

    /// The same with rings where the checkpoint's state probe reads the robot in imagined states: a decoder blurs small
    /// things. The camera shows a square floor of `floor_side_m`.
    ///
    /// # Errors
    /// When the state probe's weights cannot be read.
    pub fn marking(self, floor_side_m: f64) -> Result<Self> {
        Ok(Self { robot: RobotReader::of(&self.checkpoint, floor_side_m)?, ..self })
    }

    /// The same for plans of `chunks` action chunks: of few of them, images are larger.
    #[must_use]
    pub fn imagining(self, chunks: usize) -> Self {
        Self { film: self.film.imagining(chunks.min(DECODED)), ..self }
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
        let (imagined, imagined_robot) = match (&self.checkpoint.decoder, &view.report.expected) {
            (Some(decoder), Some(expected)) => {
                let chunks = expected.horizon().min(DECODED);
                let states: Vec<f32> =
                    (0..chunks).flat_map(|chunk| expected.state(0, 0, chunk).values().to_vec()).collect();
                let robot = self.robot.as_ref().map(|robot| robot.read(&states)).transpose()?;
                (decoder.draw(&states)?, robot.unwrap_or_default())
            }
            _ => Default::default(),
        };
        let cost = view.report.energies.first().map_or(0.0, |(_, energy)| f64::from(*energy));
        let tick = Tick {
            step: view.step,
            camera: view.image,
            goal: view.goal,
            imagined: &imagined,
            imagined_robot: &imagined_robot,
            planning_ms: view.report.planning_ms,
            cost,
            distance: view.distance,
        };
        self.film.tick(&tick)
    }

    /// Adds a control step between two ticks.
    ///
    /// # Errors
    /// When the images differ in size.
    pub fn step(&mut self, view: &StepView<'_>) -> Result<()> {
        self.film.step(view.step, view.image, view.distance)
    }

    /// Whether there is no frame.
    pub fn is_empty(&self) -> bool {
        self.film.is_empty()
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
