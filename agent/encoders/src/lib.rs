//! Encoders at work: tokens of images and clips, classes of clips, parity with what their authors' code computes,
//! pretraining from unlabelled clips, and frozen evaluation. The models are those of
//! [`mindseye_world_model::families::vit`].
//!
//! [`EncoderCommand`] has the arguments of `mindseye encode`, `classify`, `check-parity`, `pretrain` and `probe`;
//! [`Encoding`] and [`Classification`] are work behind them, for programs; that of the last two is in
//! [`mindseye_world_model`].

mod classification;
mod command;
mod encoding;
mod error;
mod inputs;
mod output;
mod pretraining;
mod probing;
mod recordings;
mod surroundings;

pub use classification::{ClassScore, Classification};
pub use command::EncoderCommand;
pub use encoding::{EncodedItem, Encoding, Pooling, Tokens};
pub use error::{Error, Result};
pub use inputs::{ClipOptions, Input, Sampling, inputs_at};
pub use output::write_tokens;
pub use surroundings::{Found, Surroundings};
