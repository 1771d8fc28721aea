//! Which dynamics a task asks a checkpoint for.

use std::sync::Arc;

use mindseye_world_model::{InferenceOptions, OnlineCorrection, SampleSource as ModelSamples};

use crate::configurator::{SampleSource, Task};
use crate::model_source::ModelSource;
use crate::world_model::ModelDynamics;
use crate::{Error, Result};

/// The world model of `source` with as many samples per plan as `task` asks for, on `threads` threads of the current
/// rayon pool.
///
/// # Errors
/// [`Error::Task`] when the checkpoint has no head for these samples.
pub fn world_model(source: impl Into<ModelSource>, task: &Task, threads: usize) -> Result<ModelDynamics> {
    let source = source.into();
    let (samples, missing) = match &task.samples {
        None => (ModelSamples::One, None),
        Some(samples) => match samples.kind {
            SampleSource::Latent => {
                let missing = ("latent", "a stochastic predictor (mindseye train stochastic makes one)");
                (ModelSamples::Stochastic { samples: samples.count }, Some(missing))
            }
            SampleSource::Ensemble => {
                (ModelSamples::Ensemble, Some(("ensemble", "an ensemble (mindseye train ensemble makes one)")))
            }
        },
    };
    let options = InferenceOptions { precision: task.precision, threads, samples };
    let dynamics = source.dynamics(&options).map_err(|error| match (error, missing) {
        (Error::Model(mindseye_world_model::Error::MissingHead { .. }), Some((kind, head))) => {
            Error::task(format!("samples.kind {kind}"), format!("a checkpoint with {head}"), "none")
        }
        (error, _) => error,
    })?;
    let spec = source.model().spec();
    let world_model = ModelDynamics::new(dynamics, spec);
    if task.adaptation.is_none() || task.samples.is_some() {
        return Ok(world_model); // several samples are not corrected
    }
    let exact = source.dynamics(&InferenceOptions::default())?;
    let correction = OnlineCorrection::of_dynamics(Arc::from(exact), spec.latent, spec.chunk_width());
    Ok(world_model.with_correction(correction))
}
