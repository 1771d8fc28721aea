//! A tick of a run as entities. `docs/guides/rerun.md` lists them.

use anyhow::Result;
use mindseye_interface::Image;
use mindseye_interface::text::one_line;
use mindseye_runs::{InteractiveRun, TickRecord};
use mindseye_sim::Figure;
use rerun::archetypes::Clear;
use rerun::{BarChart, EntityPath, LineStrips3D, RecordingStream, Scalars, TextDocument, TextLog, TextLogLevel};

use crate::colours::{BEST, GOAL, SAMPLE, energy_colour, energy_shares};
use crate::latents::Latents;
use crate::parts::{encoded, film_strip, under};
use crate::solids::{log_bodies, log_outlines, log_static, position};

/// How high paths lie over the floor, metres: above walls and bodies, so that nothing hides them.
const PATH_M: f32 = 0.066;
/// Radius of the best plan's path, metres; of other paths a third.
const PATH_RADIUS_M: f32 = 0.0035;

/// Logs the ticks of one run.
pub struct TickLogger {
    stream: RecordingStream,
    figure: Figure,
    /// Place of every dimension of the scene's state among those that the state probe reads.
    probe_places: Option<Vec<usize>>,
    control_step_secs: f64,
    surprise_band: Option<f64>,
    /// The newest that was logged: it is logged when it changes.
    goal_image: Option<Image>,
    latents: Latents,
}

impl TickLogger {
    /// Logs what `run` is made of and what never changes in its scene.
    ///
    /// # Errors
    /// When something cannot be encoded.
    pub fn new(stream: RecordingStream, run: &InteractiveRun, figure: Figure) -> Result<Self> {
        let names = run.probe_names();
        let place = |name: &&str| names.iter().position(|known| known == name);
        let probe_places = figure.state_names.iter().map(place).collect::<Option<Vec<usize>>>();
        stream.log_static("about", &TextDocument::from_markdown(about(run)))?;
        log_static(&stream, &figure)?;
        let (control_step_secs, surprise_band) = (run.control_step_secs(), run.surprise_band());
        let latents = Latents::default();
        Ok(Self { stream, figure, probe_places, control_step_secs, surprise_band, goal_image: None, latents })
    }

    /// Logs `record` and its control steps.
    ///
    /// # Errors
    /// When something cannot be encoded.
    pub fn log(&mut self, record: &TickRecord) -> Result<()> {
        self.stream.set_time_sequence("tick", record.tick as i64);
        self.at_step(record.step);
        self.log_texts(record)?;
        self.log_images(record)?;
        self.log_scene(record)?;
        self.log_plans(record)?;
        self.log_numbers(record)?;
        self.latents.log(&self.stream, record)?;
        self.log_steps(record)
    }

    fn at_step(&self, step: u64) {
        self.stream.set_time_sequence("step", step as i64);
        self.stream.set_duration_secs("time", step as f64 * self.control_step_secs);
    }

    /// What was done, and why.
    fn log_texts(&self, record: &TickRecord) -> Result<()> {
        let report = &record.report;
        for command in &record.commands {
            let text = serde_json::to_string(command).unwrap_or_else(|_| format!("{command:?}"));
            self.stream.log("log", &TextLog::new(format!("command: {text}")).with_level(TextLogLevel::WARN))?;
        }
        let done = if record.followed_recording { "; recorded actions were executed in its place" } else { "" };
        let text = format!(
            "{}: {}; {} states predicted in {:.1} ms{done}",
            report.mode, report.mode_reason, report.predicted_states, report.planning_ms
        );
        self.stream.log("log", &TextLog::new(text).with_level(TextLogLevel::INFO))?;
        if let Some(fallback) = report.fallback {
            let text = format!("no result of a search: {fallback:?} instead");
            self.stream.log("log", &TextLog::new(text).with_level(TextLogLevel::WARN))?;
        }
        if let Some(error) = &report.error {
            self.stream.log("log", &TextLog::new(one_line(error)).with_level(TextLogLevel::ERROR))?;
        }
        Ok(())
    }

    fn log_images(&mut self, record: &TickRecord) -> Result<()> {
        if record.camera_hidden {
            self.stream.log("camera/image", &Clear::flat())?;
        }
        if let Some(image) = &record.image {
            self.stream.log("camera/image", &encoded(image)?)?;
        }
        if record.goal_image.is_some() && record.goal_image != self.goal_image {
            self.goal_image.clone_from(&record.goal_image);
            if let Some(image) = &record.goal_image {
                self.stream.log("camera/goal", &encoded(image)?)?;
            }
        }
        if let Some(strip) = film_strip(&record.strip)? {
            self.stream.log("camera/plan", &encoded(&strip)?)?;
        }
        Ok(())
    }

    /// The bodies as they truly are, and as the goal has them.
    fn log_scene(&self, record: &TickRecord) -> Result<()> {
        log_bodies(&self.stream, &self.figure, &record.state)?;
        if let Some(state) = &record.goal_state {
            log_outlines(&self.stream, "world/goal", &self.figure, std::slice::from_ref(state), GOAL)?;
        }
        Ok(())
    }

    /// What the state probe reads from predicted latents: paths of all bodies, and the best plan's bodies. Without a
    /// probe of the scene's state there is nothing.
    fn log_plans(&self, record: &TickRecord) -> Result<()> {
        if self.probe_places.is_none() {
            return Ok(());
        }
        let start = record.read_state.as_deref().and_then(|read| self.state_of_probe(read));
        let thin = PATH_RADIUS_M / 3.0;
        let mut candidates = Paths::default();
        for (plan, share) in record.candidates.iter().zip(energy_shares(&record.candidates)) {
            candidates.add(&self.figure, start.iter().chain(&self.states_of(&plan.states)), energy_colour(share));
        }
        self.stream.log("world/plans/candidates", &candidates.strips(thin))?;
        let mut samples = Paths::default();
        for sample in &record.samples {
            samples.add(&self.figure, start.iter().chain(&self.states_of(sample)), SAMPLE);
        }
        self.stream.log("world/plans/samples", &samples.strips(thin))?;
        let states = record.best.as_ref().map(|best| self.states_of(&best.states)).unwrap_or_default();
        let mut best = Paths::default();
        best.add(&self.figure, start.iter().chain(&states), BEST);
        self.stream.log("world/plans/best", &best.strips(PATH_RADIUS_M))?;
        log_outlines(&self.stream, "world/plans/best_bodies", &self.figure, &states, BEST)
    }

    fn log_numbers(&self, record: &TickRecord) -> Result<()> {
        let report = &record.report;
        for (name, energy) in &report.energies {
            let weight = report.directive.weight(name).unwrap_or(0.0);
            if weight != 0.0 {
                self.scalar(under("energy", name), f64::from(*energy) * f64::from(weight))?;
            }
        }
        let numbers = [
            ("critic/predicted_value", report.predicted_value.map(f64::from)),
            ("planning/best_energy", report.planning_energies.last().copied().map(f64::from)),
            ("planning/ms", Some(report.planning_ms)),
            ("planning/predicted_states", Some(report.predicted_states as f64)),
            ("planning/spread", record.spread.last().copied().map(f64::from)),
            ("surprise/score", record.surprise),
            ("surprise/band", self.surprise_band),
            ("surprise_raw/error", report.surprise.map(f64::from)),
            ("memory/kernel_density", report.kernel_density.map(f64::from)),
        ];
        for (path, value) in numbers {
            if let Some(value) = value {
                self.scalar(path.into(), value)?;
            }
        }
        if !report.planning_energies.is_empty() {
            self.stream.log("planning/rounds", &BarChart::new(report.planning_energies.as_slice()))?;
        }
        Ok(())
    }

    /// Control steps. What the agent saw stays what it saw on the timeline of ticks; numbers are on all of them.
    fn log_steps(&self, record: &TickRecord) -> Result<()> {
        for (index, step) in (1..).zip(&record.steps) {
            self.stream.set_time_sequence("tick", record.tick as i64);
            self.at_step(record.step + index);
            self.scalar("goal/distance".into(), step.distance)?;
            self.scalar("goal/moderate".into(), f64::from(u8::from(step.moderate)))?;
            self.scalar("goal/strict".into(), f64::from(u8::from(step.strict)))?;
            self.stream.log("action", &Scalars::new(step.action.iter().map(|value| f64::from(*value))))?;
            self.stream.disable_timeline("tick");
            log_bodies(&self.stream, &self.figure, &step.state)?;
            if let Some(image) = &step.image {
                self.stream.log("camera/image", &encoded(image)?)?;
            }
        }
        Ok(())
    }

    fn scalar(&self, path: EntityPath, value: f64) -> Result<()> {
        if value.is_finite() {
            self.stream.log(path, &Scalars::new([value]))?;
        }
        Ok(())
    }

    /// The scene's state `[K]` in what the state probe reads of a latent, `[K']`.
    fn state_of_probe(&self, read: &[f32]) -> Option<Vec<f64>> {
        let places = self.probe_places.as_ref()?;
        places.iter().map(|&place| read.get(place).map(|value| f64::from(*value))).collect()
    }

    fn states_of(&self, reads: &[Vec<f32>]) -> Vec<Vec<f64>> {
        reads.iter().filter_map(|read| self.state_of_probe(read)).collect()
    }
}

/// Paths of bodies over the floor.
#[derive(Default)]
struct Paths {
    points: Vec<Vec<[f32; 3]>>,
    colours: Vec<[u8; 4]>,
}

impl Paths {
    /// Adds a path for every body through `states [..][K]`.
    fn add<'a>(&mut self, figure: &Figure, states: impl Iterator<Item = &'a Vec<f64>>, rgba: [u8; 4]) {
        let poses: Vec<_> = states.map(|state| figure.poses(state)).collect();
        if poses.len() < 2 {
            return;
        }
        for body in 0..figure.bodies.len() {
            let places = poses.iter().filter_map(|poses| poses.get(body)).map(position);
            self.points.push(places.map(|[x, y, _]| [x, y, figure.floor_z_m - PATH_M]).collect());
            self.colours.push(rgba);
        }
    }

    fn strips(self, radius_m: f32) -> LineStrips3D {
        LineStrips3D::new(self.points).with_colors(self.colours).with_radii([radius_m])
    }
}

/// What the recording is of.
fn about(run: &InteractiveRun) -> String {
    let setup = run.setup();
    let model = setup.source.fingerprint().unwrap_or("without a fingerprint");
    format!(
        "# {}\n\n- model: `{model}`\n- task: {}, planner {}, horizon {} action chunks\n- control step: {} s\n\
         - mindseye {}\n",
        run.title(),
        setup.task.name,
        setup.task.planner.name(),
        setup.task.horizon_chunks,
        run.control_step_secs(),
        env!("CARGO_PKG_VERSION"),
    )
}
