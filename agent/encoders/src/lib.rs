//! Published encoders at work: tokens of images and clips, classes of clips, and parity with what their authors' code
//! computes. The models are those of [`mindseye_world_model::families::vit`].
//!
//! [`EncoderCommand`] has the arguments of `mindseye encode`, `mindseye classify` and `mindseye check-parity`;
//! [`Encoding`] and [`Classification`] are the work behind them, for programs.

mod classification;
mod command;
mod encoding;
mod error;
mod inputs;
mod output;

pub use classification::{ClassScore, Classification};
pub use command::EncoderCommand;
pub use encoding::{EncodedItem, Encoding, Pooling, Tokens};
pub use error::{Error, Result};
pub use inputs::{ClipOptions, Input, Sampling, inputs_at};
pub use output::write_tokens;
