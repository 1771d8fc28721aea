//! JEPA: a model of this project's own, trained end to end from pixels and actions (LeCun 2022, section 4.4). One
//! global latent per state.

pub(crate) mod checkpoint_config;
pub(crate) mod config;
mod dynamics;
mod encoder;
pub(crate) mod encoding;
pub(crate) mod folder;
mod guesses;
pub(crate) mod losses;
mod model;
mod network;
mod overrides;
mod plan_gradient;
mod predictor;
mod recorded;
mod rollout;
pub mod training;

pub use checkpoint_config::{CheckpointConfig, FORMAT};
pub use config::{EncoderConfig, KeypointConfig, ModelConfig, PatchConfig, PredictorConfig};
pub use dynamics::JepaDynamics;
pub use encoder::SensorBatch;
pub use encoding::encode_batch;
pub use guesses::{Guesses, secs_per_step};
pub use losses::LossConfig;
pub use network::Jepa;
pub use overrides::Overrides;
pub use plan_gradient::{PlanGradient, PlanRecording};
pub use predictor::Predictor;
pub use recorded::{TakenFor, fit_to_episodes, normalise, usual_frames};
pub use rollout::RolloutEngine;
