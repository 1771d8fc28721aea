//! The parts of the `mindseye` binary that others may want too: the honest evaluator, recording, and pictures.

pub mod assets;
pub mod commands;
pub mod evaluation;
pub mod filming;
pub mod forks;
pub mod imagining;
pub mod model_report;
pub mod pictures;
pub mod practice;
pub mod progress;
pub mod published;
pub mod running;
pub mod sources;
