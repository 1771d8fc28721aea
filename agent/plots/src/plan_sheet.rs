//! A plan from an image to a goal: what is observed, what is imagined, what is wanted.

use mindseye_agent::session::{PlanningSession, SessionPlan};
use mindseye_interface::Image;
use mindseye_world_model::AnyCheckpoint;
use mindseye_world_model::heads::decoder::Decoder;

use crate::{CURVE, Canvas, GOOD, INK, LETTER, MUTED, Result};

/// The images of a plan.
#[derive(Debug, Clone)]
pub struct PlanSheet {
    /// What the camera shows now, as the model takes it.
    pub now: Image,
    /// Decoded states of the plan, one per action chunk.
    pub imagined: Vec<Image>,
    /// The goal, as the model takes it.
    pub goal: Image,
    /// Duration of an action chunk, seconds, where it is known.
    pub chunk_secs: Option<f64>,
    /// Distances to the goal: now, and predicted after every chunk.
    pub distances: Vec<f32>,
}

/// Side of an image on the sheet, pixels; smaller images are enlarged by whole factors.
const SIDE: usize = 128;
const GAP: usize = 16;
/// Most imagined states shown.
const IMAGINED: usize = 8;
const TOP: usize = 78;

impl PlanSheet {
    /// Why there is no sheet of a checkpoint without a decoder.
    pub const WITHOUT_DECODER: &'static str =
        "not drawn, since the checkpoint has no decoder (mindseye train decoder adds one to a model of mindseye)";

    /// The images of `plan`, which `session` has just made with the model of `checkpoint`; `None` where no decoder
    /// is beside that model.
    ///
    /// # Errors
    /// When the decoder is broken or belongs to another model.
    pub fn of(checkpoint: &AnyCheckpoint, session: &PlanningSession, plan: &SessionPlan) -> Result<Option<Self>> {
        let (Some(decoder), Some((now, goal))) = (checkpoint.head::<Decoder>()?, session.images()) else {
            return Ok(None);
        };
        let states = plan.imagined.iter().take(IMAGINED).flatten().copied().collect::<Vec<f32>>();
        let imagined = if states.is_empty() { Vec::new() } else { decoder.draw(&states)? };
        let chunk = plan.actions.action_chunk as f64;
        let distance = &plan.actions.distance;
        Ok(Some(Self {
            now: now.clone(),
            imagined,
            goal: goal.clone(),
            chunk_secs: plan.actions.step_secs.map(|secs| secs * chunk),
            distances: std::iter::once(distance.now).chain(distance.planned.iter().copied()).collect(),
        }))
    }

    /// Draws the sheet: now, the imagined states in their order, the goal; under each its distance to the goal.
    ///
    /// # Errors
    /// When the sheet is too large for an image.
    pub fn draw(&self) -> Result<Canvas> {
        let size = self.now.size();
        let scale = (SIDE / size.height().max(size.width())).max(1);
        let cell = size.width() * scale + GAP / 2;
        let columns = self.imagined.len() + 2;
        let height = TOP + size.height() * scale + LETTER + 2 * GAP;
        let mut canvas = Canvas::new((2 * GAP + columns * cell).max(640), height)?;
        canvas.heading(GAP, GAP, "what is imagined of the plan, on the way to the goal", INK);
        let after = |chunk: usize| match self.chunk_secs {
            Some(secs) => format!("+{:.1} s", secs * chunk as f64),
            None => format!("+{chunk} chunks"),
        };
        for column in 0..columns {
            let (label, image, frame, colour) = match column {
                0 => ("now".to_owned(), &self.now, INK, INK),
                column if column + 1 == columns => ("goal".to_owned(), &self.goal, GOOD, GOOD),
                column => (after(column), &self.imagined[column - 1], CURVE, MUTED),
            };
            let left = GAP + column * cell;
            canvas.text(left, TOP - LETTER - 6, &label, colour);
            canvas.draw_image(left, TOP, image, scale, frame);
            if let Some(distance) = self.distances.get(column).filter(|_| column + 1 < columns) {
                canvas.text(left, TOP + size.height() * scale + GAP / 2, &format!("distance {distance:.2}"), MUTED);
            }
        }
        Ok(canvas)
    }
}
