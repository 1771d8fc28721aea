//! World models on a frozen encoder: the state is all of its patch tokens, and only the predictor is trained, from
//! recorded episodes (DINO-WM, arXiv 2411.04983; V-JEPA 2-AC, arXiv 2506.09985). The encoder is one that
//! [`super::vit::pretraining`] trained without actions, or a published one; no gradient reaches it.
//!
//! Letters: `B` batch, `T` frames of a context, `P` patch tokens of a frame, `D` width of a token, `A` width of an
//! action chunk, `W` width of the predictor.

mod config;
mod engine;
pub(crate) mod folder;
mod model;
mod network;
mod tokens;
mod training;
mod validation;

pub use config::{Conditioning, FrozenDataConfig, FrozenRecipe, TokenError, TokenPredictorConfig};
pub use folder::FrozenRecord;
pub use model::{FrozenWorldModel, TokenDynamics};
pub use tokens::FrozenTokens;
pub use training::{FrozenTrainingReport, STATE_FILE, train_on_frozen};
pub use validation::FrozenValidation;
