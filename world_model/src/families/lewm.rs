//! LeWorldModel as published (arXiv 2603.19312): a vision transformer, projectors with batch norm, and a causal
//! predictor over three frames conditioned on actions by AdaLN-zero. Reads the folders that its authors' library writes
//! (`config.json` with `weights.pt` or `model.safetensors`) and those that people's own training leaves.
//!
//! Letters: `B` batch, `T` frames, `D` width of an embedding, `A` width of an action chunk.

mod config;
mod dynamics;
mod engine;
mod engine_weights;
pub(crate) mod folder;
mod layers;
mod names;
mod network;
pub(super) mod parity;
mod published;
mod trainer;
mod training;
pub(crate) mod weights;

pub use config::{ActionConfig, LewmConfig, TransformerConfig, VisionConfig};
pub use dynamics::LewmDynamics;
pub use engine::LewmEngine;
pub use network::Lewm;
pub use published::{ActionStatistics, PublishedLewm};
pub use trainer::{LewmLosses, LewmTrainer};
pub use training::LewmPass;

use network::normalised;
