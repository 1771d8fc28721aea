//! World models: families of models behind one seam, their heads, training, checkpoints, probes, and fast inference
//! engines.
//!
//! A model encodes observations to latent states and predicts the states that follow from action chunks; it never
//! predicts pixels. The way in is [`AnyCheckpoint`], which has a [`Model`] of any family (see [`families`]);
//! [`Model::dynamics`] gives [`Dynamics`], which predict.
//!
//! Letters used in shapes: `B` batch, `T` frames of a window, `P` tokens per state, `D` latent width, `A` width of an
//! action chunk (control steps times action width), `N` plans, `S` samples per plan, `H` horizon in chunks, `K` width
//! of the true state.

mod adaptation;
mod bootstrap;
mod calibration;
mod cancel;
pub mod checkpoint;
mod covariance;
pub mod encoded_dataset;
mod error;
pub mod families;
mod fingerprint;
pub mod frozen_evaluation;
pub mod heads;
mod inference_mlp;
mod latent;
mod layers;
mod linear_probe;
mod mlp_backward;
mod model;
mod ops;
mod optimiser;
mod parameters;
mod parity;
mod pickle;
mod scratch;
mod statistics;
mod step_units;
pub mod surprise;
mod tensor_files;
#[doc(hidden)]
pub mod testing;
mod trainer;
mod weights_file;

pub use adaptation::{Adaptation, AdaptationConfig, AffineActionMap, CorrectedDynamics, OnlineCorrection, Transitions};
pub use bootstrap::bootstrap;
pub use calibration::Calibration;
pub use cancel::Cancel;
pub use checkpoint::{AnyCheckpoint, Checkpoint, CheckpointConfig, LoadOptions, Origin};
pub use encoded_dataset::EncodedDataset;
pub use error::{Error, Result};
pub use families::jepa::{
    EncoderConfig, Jepa, KeypointConfig, ModelConfig, PatchConfig, PlanGradient, PlanRecording, Predictor,
    PredictorConfig, RolloutEngine, SensorBatch,
};
pub use families::lewm::{ActionStatistics, Lewm, LewmConfig, PublishedLewm};
pub use heads::critic::{CriticEngine, CriticNetwork};
pub use heads::decoder::Decoder;
pub use heads::ensemble::Ensemble;
pub use heads::policy::Policy;
pub use heads::state_probe::{StateProbe, StateProbeEngine};
pub use heads::stochastic::StochasticPredictor;
pub use heads::{Head, Heads};
pub use latent::{Latent, LatentShape, Plan, Plans, Rollouts};
pub use model::{CameraSpec, ClipSpec, Context, Dynamics, InferenceOptions, Model, ModelSpec, Recording, SampleSource};
pub use ops::Precision;
pub use ops::matmul::{Matrix, matmul};
pub use optimiser::OptimiserConfig;
pub use parameters::{WeightSource, Weights, values_of};
pub use parity::{OutputParity, ParityReport};
pub use statistics::{LatentMetric, LatentStatistics};

/// Training of models and heads: the loop of all, and the training of a JEPA.
pub mod training {
    pub use crate::families::jepa::training::{
        Batch, DataConfig, DataStatistics, Familiar, LatentSpread, PredictorFinetuning, RolloutError, STATE_FILE,
        SeenEpisodes, Start, StartingPoint, TrainedModel, TrainingConfig, TrainingData, TrainingReport, Validation,
        fingerprint_of, train, validate,
    };
    pub use crate::families::jepa::{
        Guesses, LossConfig, Overrides, TakenFor, encode_batch, fit_to_episodes, normalise, secs_per_step, usual_frames,
    };
    pub use crate::linear_probe::{Probe, ProbeErrors};
    pub use crate::trainer::{
        Collective, Objective, PartialGradients, Run, RunOptions, SingleWorker, ThreadWorker, Trainer, each_part, fit,
        range_of_part, state_file,
    };
}
