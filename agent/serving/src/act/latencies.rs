//! How old images are, and how long it takes from an image to what is done about it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mindseye_interface::Observation;

/// Times of a run that a [`super::CameraBody`] measures.
#[derive(Debug, Clone, Default)]
pub struct Latencies(Arc<Mutex<Measured>>);

#[derive(Debug, Default)]
struct Measured {
    to_action_ms: Vec<f64>,
    age_ms: Vec<f64>,
    /// When images of observations count from.
    started_secs: f64,
    /// When what was seen last was captured.
    captured_secs: f64,
    /// When the images of the newest plan were captured, until its first command is sent.
    planned_from_secs: Option<f64>,
}

impl Latencies {
    /// A plan was made from `observation`; the next command is the first that follows from it.
    pub fn planned(&self, observation: &Observation) {
        let mut measured = self.measured();
        let oldest = observation.frames.iter().map(|frame| frame.captured_secs).reduce(f64::min);
        measured.planned_from_secs =
            Some(oldest.map_or(measured.captured_secs, |captured| measured.started_secs + captured));
    }

    /// From the capture of an image to the first command that follows from it, of every plan, milliseconds.
    pub fn milliseconds(&self) -> Vec<f64> {
        self.measured().to_action_ms.clone()
    }

    /// Ages of the images at the end of every control step, milliseconds.
    pub fn ages_ms(&self) -> Vec<f64> {
        self.measured().age_ms.clone()
    }

    pub(super) fn starts(&self, now_secs: f64) {
        let mut measured = self.measured();
        (measured.started_secs, measured.captured_secs) = (now_secs, now_secs);
    }

    pub(super) fn started_secs(&self) -> f64 {
        self.measured().started_secs
    }

    /// Images that were captured at `captured_secs` are used at `now_secs`.
    pub(super) fn seen(&self, captured_secs: f64, now_secs: f64) {
        let mut measured = self.measured();
        measured.captured_secs = captured_secs;
        measured.age_ms.push(1e3 * (now_secs - captured_secs));
    }

    pub(super) fn sent(&self, now_secs: f64) {
        let mut measured = self.measured();
        if let Some(captured_secs) = measured.planned_from_secs.take() {
            measured.to_action_ms.push(1e3 * (now_secs - captured_secs));
        }
    }

    fn measured(&self) -> MutexGuard<'_, Measured> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
