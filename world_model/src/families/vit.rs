//! Vision transformers for images and clips, as others published them: I-JEPA (arXiv 2301.08243), V-JEPA (2404.08471),
//! V-JEPA 2 and 2-AC (2506.09985), V-JEPA 2.1, DINOv2 (2304.07193). Reads the folders that Hugging Face's library
//! writes and the files of the authors' own repositories, and runs encoders, predictors, attentive classifiers and
//! action-conditioned predictors on plain slices, without automatic differentiation.
//!
//! Inside, tensors have one set of names, near to the authors' (`names`); a config is compared with the shapes of the
//! weights (`describe`) and every tensor is accounted for (`folder`) before any value is read.
//!
//! Letters: `N` tokens, `D` width of a token, `T` frames, `C` channels, `H`, `W` pixels.

mod account;
mod action_predictor;
pub(super) mod blocks;
mod classifier;
mod config;
mod describe;
mod describe_heads;
mod encoder;
mod expectation;
mod fields;
mod folder;
mod fresh;
mod measured;
mod model;
mod names;
pub(super) mod parameters;
pub(super) mod parity;
mod parity_inputs;
mod predictor;
mod preprocessing;
pub mod pretraining;
mod resampling;
mod rotation;
mod shapes;
mod sincos;
pub(super) mod trainable;

pub use action_predictor::{ActionContext, ActionPredictor};
pub use classifier::AttentiveClassifier;
pub use config::{
    ActionPredictorConfig, BlocksConfig, ClassifierConfig, EncoderConfig, Norms, Positions, PredictorConfig, Rotary,
    VitConfig, VitKind,
};
pub use encoder::{Clip, Grid, Stage, VitEncoder};
pub use expectation::Expectation;
pub use folder::{Vit, VitOptions};
pub use model::FrozenEncoder;
pub use predictor::{Masked, Predicted, VitPredictor};
pub use preprocessing::{Prepared, Preprocessing, Scaling};
pub use sincos::{SinCos, sincos};
