//! JEPA world models: encoders, predictors, losses, training, checkpoints, probes, and the fast rollout engine.
//!
//! A model is trained end to end from recorded pixels and actions to predict the *representation* of the next picture, never its
//! pixels. Letters used in shapes: `B` batch, `T` frames of a window, `D` latent width, `A` width of an action block (control
//! steps times action width), `N` plans, `H` horizon in blocks, `K` width of the true state.

pub mod adaptation;
pub mod calibration;
pub mod checkpoint;
pub mod critic;
pub mod decoder;
pub mod encoder;
pub mod ensemble;
pub mod error;
mod fitting;
pub mod futures;
pub mod jepa;
pub mod latent_episodes;
pub mod layers;
pub mod lewm;
pub mod losses;
mod network;
pub mod ops;
pub mod optimiser;
pub mod parameters;
pub mod part;
mod plan_slopes;
pub mod policy;
pub mod predictor;
pub mod readout;
pub mod rollout;
mod scratch;
pub mod statistics;
pub mod training;
mod trunk_slopes;
mod weights_file;

pub use adaptation::{Actuation, Adaptation, AdaptationConfig, Adapter, Experience};
pub use checkpoint::Checkpoint;
pub use critic::{CriticEngine, CriticNetwork};
pub use decoder::Decoder;
pub use error::{Error, Result};
pub use futures::Futures;
pub use jepa::{Jepa, ModelConfig};
pub use latent_episodes::LatentEpisodes;
pub use lewm::{Lewm, LewmConfig};
pub use ops::Precision;
pub use part::Part;
pub use plan_slopes::PlanSlopes;
pub use policy::Policy;
pub use readout::{Readout, ReadoutEngine};
pub use rollout::RolloutEngine;
pub use statistics::{LatentMetric, LatentStatistics};
