//! Pretraining of an encoder from clips without labels or actions: tokens that are hidden are predicted from those that
//! are seen, in an abstract space (V-JEPA, arXiv 2404.08471; I-JEPA, 2301.08243; without an averaged encoder by SIGReg,
//! as LeJEPA, 2511.08544), or, for comparison alone, as pixels (`pixel_twin`).
//!
//! A run is a pure function of (config, clips, seed), on any number of threads, and however often it is stopped and
//! resumed. Its folder is read by [`super::Vit`] like any published encoder.
//!
//! Letters: `B` clips, `N` tokens of a clip, `M` of them hidden, `D` width of a token, `I` values of a tubelet.

mod clips;
mod config;
mod crops;
mod diagnostics;
mod folder;
mod masks;
mod network;
mod objective;
mod pixel_twin;
mod regularisers;
mod report;
mod run;
mod target;

pub use clips::ClipData;
pub use config::{ClipConfig, EncoderSizes, MomentumConfig, PredictorSizes, PretrainingConfig, PretrainingLoss};
pub use diagnostics::PretrainingValidation;
#[doc(hidden)]
pub use folder::trained_forward;
pub use folder::{PretrainingRecord, STATE_FILE};
pub use masks::{MaskConfig, MaskKind, MaskSet, draw_masks};
pub use report::PretrainingReport;
pub use run::pretrain;
pub use target::PretrainingObjective;
