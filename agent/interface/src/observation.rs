//! What the body tells the mind at one moment.

use crate::Image;

/// One moment as the agent senses it. Nothing here is privileged: the true state of a simulator is not an observation.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The camera's picture; `None` when the frame was dropped.
    pub image: Option<Image>,
    /// The body's own sense of itself (for example its position), SI units; may be empty.
    pub proprioception: Vec<f32>,
    /// Control steps since the reset.
    pub tick: u64,
    /// Seconds since the reset.
    pub time_secs: f64,
}
