//! Progress of long work, reported to a progress bar, a notebook or nothing.

/// Receives the progress of long work. Calls may come from several threads.
pub trait Progress: Send + Sync {
    /// A stage begins: `total` units called `unit`, for example 300 episodes.
    fn begin(&self, stage: &str, total: usize, unit: &str);

    /// `done` units of the stage are done; `note` is a short text with the newest figures. Returning `false` asks the
    /// work to stop at the next point at which nothing is lost.
    fn advance(&self, done: usize, note: &str) -> bool;

    /// The stage has ended.
    fn end(&self);
}

/// Shows nothing and never asks to stop.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn begin(&self, _stage: &str, _total: usize, _unit: &str) {}

    fn advance(&self, _done: usize, _note: &str) -> bool {
        true
    }

    fn end(&self) {}
}
