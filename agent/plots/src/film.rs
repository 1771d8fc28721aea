//! A film of an agent at work: what it observes, its goal, what it imagines, and how its cost and distance fall.

use std::path::Path;

use mindseye_interface::Image;
use plotters::prelude::*;

use crate::charts::{Axis, Panel, axes, colour, draw, rounded_up, tick};
use crate::{Animation, BAD, CURVE, Canvas, FAINT, GOOD, INK, LETTER, MUTED, Result, Rgb};

/// What is shown of one tick.
#[derive(Debug, Clone, Copy)]
pub struct Tick<'a> {
    /// Control steps done.
    pub step: usize,
    /// What the camera shows.
    pub camera: &'a Image,
    /// The goal as an image.
    pub goal: &'a Image,
    /// Decoded states of the best plan, one per action chunk; the first eight are shown.
    pub imagined: &'a [Image],
    /// Where the robot is in these states, as shares of an image's width and height; empty where nothing reads it.
    pub imagined_robot: &'a [[f64; 2]],
    /// Planning time, milliseconds.
    pub planning_ms: f64,
    /// Cost of the goal term now, in latent units.
    pub cost: f64,
    /// True distance to the goal, in `distance_unit` of the film.
    pub distance: f64,
}

/// How an episode ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    /// The goal was reached after so many control steps.
    Reached {
        /// Control steps to the goal.
        steps: usize,
    },
    /// The goal was missed; the last distance says by how much.
    Missed,
}

/// A film being made.
#[derive(Debug)]
pub struct Film {
    animation: Animation,
    title: String,
    distance_unit: String,
    episode: String,
    budget_steps: usize,
    step_hundredths: u16,
    /// Places for imagined states.
    imagined: usize,
    costs: Vec<(usize, f64)>,
    distances: Vec<(usize, f64)>,
    last: Option<Shown>,
}

/// The images that stay in view until the next tick.
#[derive(Debug)]
struct Shown {
    goal: Image,
    imagined: Vec<Image>,
    imagined_robot: Vec<[f64; 2]>,
    planning_ms: f64,
}

/// Side of the large images, pixels.
const PANEL: usize = 224;
/// The same where few imagined states are shown.
const LARGE_PANEL: usize = 256;
const GAP: usize = 16;
/// So many imagined states are few.
const FEW: usize = 4;
/// Most imagined states shown.
const IMAGINED: usize = 8;
const TOP: usize = 78;
const CURVES: usize = 150;
/// Radius of the ring around an imagined robot, as a share of the image's side.
const RING: f64 = 0.05;
/// Time for which the end of an episode is shown, hundredths of a second.
const END_HUNDREDTHS: u16 = 150;

impl Film {
    /// A film called `title` of episodes with at most `budget_steps` control steps, each shown for `step_hundredths` of
    /// a second. Distances are in `distance_unit`.
    pub fn new(title: &str, budget_steps: usize, step_hundredths: u16, distance_unit: &str) -> Self {
        Self {
            animation: Animation::new(),
            title: title.to_owned(),
            distance_unit: distance_unit.to_owned(),
            episode: String::new(),
            budget_steps,
            step_hundredths,
            imagined: IMAGINED,
            costs: Vec::new(),
            distances: Vec::new(),
            last: None,
        }
    }

    /// The same with places for `states` imagined states of a tick, 1 to 8 (the default); fewer are drawn larger.
    #[must_use]
    pub fn imagining(self, states: usize) -> Self {
        Self { imagined: states.clamp(1, IMAGINED), ..self }
    }

    /// Starts an episode called `name`.
    pub fn begin(&mut self, name: &str) {
        self.episode = name.to_owned();
        self.costs.clear();
        self.distances.clear();
        self.last = None;
    }

    /// Adds a tick, shown for a control step: [`Film::step`] shows the others until the next tick.
    ///
    /// # Errors
    /// When the images are too large for a frame, or of another size than before.
    pub fn tick(&mut self, tick: &Tick<'_>) -> Result<()> {
        self.costs.push((tick.step, tick.cost));
        self.distances.push((tick.step, tick.distance));
        let imagined = tick.imagined.iter().take(self.imagined).cloned().collect();
        let (goal, imagined_robot) = (tick.goal.clone(), tick.imagined_robot.to_vec());
        self.last = Some(Shown { goal, imagined, imagined_robot, planning_ms: tick.planning_ms });
        let status = format!("step {}, planned in {:.1} ms", tick.step, tick.planning_ms);
        self.show(tick.camera, &status, INK, self.step_hundredths)
    }

    /// Adds a control step between two ticks.
    ///
    /// # Errors
    /// Those of [`Film::tick`].
    pub fn step(&mut self, step: usize, camera: &Image, distance: f64) -> Result<()> {
        self.distances.push((step, distance));
        let planning_ms = self.last.as_ref().map_or(0.0, |shown| shown.planning_ms);
        let status = format!("step {step}, planned in {planning_ms:.1} ms");
        self.show(camera, &status, INK, self.step_hundredths)
    }

    /// Ends an episode after `steps` control steps: its outcome stays in view for a while.
    ///
    /// # Errors
    /// Those of [`Film::tick`].
    pub fn end(&mut self, steps: usize, camera: &Image, distance: f64, outcome: Outcome) -> Result<()> {
        self.distances.push((steps, distance));
        let (status, rgb) = match outcome {
            Outcome::Reached { steps } => (format!("goal reached after {steps} steps"), GOOD),
            Outcome::Missed => (format!("goal missed by {distance:.3} {}", self.distance_unit), BAD),
        };
        self.show(camera, &status, rgb, END_HUNDREDTHS)
    }

    /// Number of different frames so far.
    pub fn len(&self) -> usize {
        self.animation.len()
    }

    /// Whether there is no frame.
    pub fn is_empty(&self) -> bool {
        self.animation.is_empty()
    }

    /// Writes the film as a GIF, whole or not at all.
    ///
    /// # Errors
    /// Those of [`Animation::write`].
    pub fn write(&self, path: &Path) -> Result<()> {
        self.animation.write(path)
    }

    fn show(&mut self, camera: &Image, status: &str, rgb: Rgb, hundredths: u16) -> Result<()> {
        let canvas = self.frame(camera, status, rgb)?;
        self.animation.push(&canvas, hundredths)
    }

    /// Draws a frame: three panels, and two curves under them.
    fn frame(&self, camera: &Image, status: &str, rgb: Rgb) -> Result<Canvas> {
        let side = camera.size().height().max(camera.size().width());
        // Up to four imagined states are in two rows of two, half as large as other images; more in two rows of four.
        let few = self.imagined <= FEW;
        let scale = (if few { LARGE_PANEL } else { PANEL } / side).max(1);
        let (across, small_scale) = if few { (2, (scale / 2).max(1)) } else { (4, (PANEL / 2 / side).max(1)) };
        let (panel, small) = (side * scale, side * small_scale);
        let strip_left = 3 * GAP + 2 * panel;
        let width = strip_left + across * (small + 2) + GAP;
        let curves_top = TOP + panel.max(2 * small + 2) + GAP;
        let mut canvas = Canvas::new(width, curves_top + CURVES + GAP / 2)?;
        canvas.heading(GAP, GAP - 4, &format!("{}: {}", self.title, self.episode), INK);
        canvas.heading(strip_left, GAP - 4, status, rgb);
        let captions = TOP - LETTER - 6;
        canvas.text(GAP, captions, "camera", MUTED);
        canvas.text(2 * GAP + panel, captions, "goal", MUTED);
        let marked = self.last.as_ref().is_some_and(|shown| !shown.imagined_robot.is_empty());
        let ring = if marked { "; ring: robot" } else { "" };
        canvas.text(strip_left, captions, &format!("best plan, imagined{ring}"), MUTED);
        canvas.draw_image(GAP, TOP, camera, scale, rgb);
        if let Some(shown) = &self.last {
            canvas.draw_image(2 * GAP + panel, TOP, &shown.goal, scale, FAINT);
            for (index, image) in shown.imagined.iter().enumerate() {
                let (row, column) = (index / across, index % across);
                let (left, top) = (strip_left + column * (small + 2), TOP + row * (small + 2));
                canvas.draw_image(left, top, image, small_scale, FAINT);
                if let Some([across, down]) = shown.imagined_robot.get(index) {
                    let (width, height) = (image.size().width() * small_scale, image.size().height() * small_scale);
                    let centre = (left as f64 + across * width as f64, top as f64 + down * height as f64);
                    canvas.ring(centre, RING * (small_scale * side) as f64, CURVE);
                }
            }
        }
        let half = (width - 2 * GAP) / 2;
        let distance = format!("true distance, {}", self.distance_unit);
        self.curve(&mut canvas, (GAP / 2, curves_top, half), "goal cost (latent)", &self.costs, CURVE)?;
        self.curve(&mut canvas, (GAP + half, curves_top, half), &distance, &self.distances, GOOD)?;
        Ok(canvas)
    }

    /// A curve over the control steps of the episode, from zero.
    fn curve(
        &self,
        canvas: &mut Canvas,
        (left, top, width): (usize, usize, usize),
        title: &str,
        points: &[(usize, f64)],
        rgb: Rgb,
    ) -> Result<()> {
        let highest = points.iter().map(|(_, value)| *value).filter(|value| value.is_finite()).fold(0.0, f64::max);
        let panel = Panel::new((left, top), (width, CURVES));
        panel.titles(canvas, "control steps", title);
        draw(canvas, "film", |area| {
            let across = Axis::new(0.0..self.budget_steps.max(1) as f64);
            let mut chart = panel.chart(area, across, Axis::new(0.0..rounded_up(highest)))?;
            axes(&mut chart, &tick, &tick)?;
            let points: Vec<(f64, f64)> = points.iter().map(|(step, value)| (*step as f64, *value)).collect();
            chart.draw_series(LineSeries::new(points.iter().copied(), colour(rgb).stroke_width(2)))?;
            chart.draw_series(points.last().map(|point| Circle::new(*point, 3, colour(rgb).filled())))?;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use mindseye_interface::ImageSize;

    use super::*;

    #[test]
    fn a_film_has_a_frame_for_every_step_and_shows_the_end_longer() {
        let image = |shade: u8| Image::filled(ImageSize::square(8).unwrap(), [shade, 80, 80]);
        let mut film = Film::new("two_room", 10, 10, "m");
        film.begin("episode 1 of 1");
        let (camera, goal) = (image(1), image(200));
        let imagined = [image(3), image(4)];
        let tick = Tick {
            step: 0,
            camera: &camera,
            goal: &goal,
            imagined: &imagined,
            imagined_robot: &[[0.5, 0.5]],
            planning_ms: 1.0,
            cost: 2.0,
            distance: 0.5,
        };
        film.tick(&tick).unwrap();
        film.step(1, &image(2), 0.4).unwrap();
        film.end(2, &image(3), 0.01, Outcome::Reached { steps: 2 }).unwrap();
        assert_eq!(film.len(), 3);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("film.gif");
        film.write(&path).unwrap();
        let mut decoder = gif::DecodeOptions::new().read_info(std::fs::File::open(&path).unwrap()).unwrap();
        let mut delays = Vec::new();
        while let Some(frame) = decoder.read_next_frame().unwrap() {
            delays.push(frame.delay);
        }
        assert_eq!(delays, [10, 10, END_HUNDREDTHS]);
    }
}
