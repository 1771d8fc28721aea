//! The seam between world models and their users: [`Model`] encodes observations and makes [`Dynamics`], which predict.
//!
//! Letters: `P` tokens per state, `D` width of a token, `N` plans, `S` samples per plan, `H` horizon in action chunks,
//! `A` width of an action chunk. A family of models (a folder of [`crate::families`]) implements both traits; a
//! simulator can implement [`Dynamics`] too.

use std::any::Any;
use std::fmt::Debug;

use mindseye_interface::{Frame, Observation};
use serde::{Deserialize, Serialize};

use crate::cancel::Cancel;
use crate::latent::{Latent, LatentShape, Plans, Rollouts};
use crate::ops::Precision;
use crate::{Error, Result};

/// One camera whose images a model takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CameraSpec {
    /// Name of the camera. Empty: frames are taken by their position in the observation.
    pub name: String,
    /// Height of its images, pixels.
    pub height: usize,
    /// Width of its images, pixels.
    pub width: usize,
}

/// The observations that one state is encoded from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClipSpec {
    /// Observations per state.
    pub frames: usize,
    /// Control steps between them.
    pub stride: usize,
}

impl ClipSpec {
    /// One image per state.
    pub const SINGLE: Self = Self { frames: 1, stride: 1 };
}

/// What a model takes and gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelSpec {
    /// Cameras, in the order of the model's inputs.
    pub cameras: Vec<CameraSpec>,
    /// Observations per state.
    pub clip: ClipSpec,
    /// Numbers of proprioception that the model takes; 0: images alone.
    pub proprioception: usize,
    /// Numbers per action (one control step).
    pub action_width: usize,
    /// Control steps per action chunk: the model's time step.
    pub action_chunk: usize,
    /// Shape of a state.
    pub latent: LatentShape,
    /// Most states that a prediction depends on. More may be given in a [`Context`]; the oldest are ignored.
    pub context: usize,
}

impl ModelSpec {
    /// Width `A` of an action chunk.
    pub fn chunk_width(&self) -> usize {
        self.action_width * self.action_chunk
    }

    /// The frames of the model's cameras in `observation`, in the order of the cameras: by name, or by position where a
    /// camera has no name.
    ///
    /// # Errors
    /// [`Error::Shape`] when a frame is missing or of another size.
    pub fn frames<'a>(&self, operation: &'static str, observation: &'a Observation) -> Result<Vec<&'a Frame>> {
        let frame = |(index, camera): (usize, &CameraSpec)| {
            let frame = match camera.name.as_str() {
                "" => observation.frames.get(index),
                name => observation.frame(name),
            };
            let called = if camera.name.is_empty() { format!("number {index}") } else { camera.name.clone() };
            let expected = || format!("{}x{} pixels of camera {called}", camera.height, camera.width);
            let frame =
                frame.ok_or_else(|| Error::Shape { operation, expected: expected(), got: "no frame".into() })?;
            let (height, width) = (frame.image.size().height(), frame.image.size().width());
            if (height, width) == (camera.height, camera.width) {
                return Ok(frame);
            }
            Err(Error::Shape { operation, expected: expected(), got: format!("{height}x{width}") })
        };
        self.cameras.iter().enumerate().map(frame).collect()
    }
}

/// Input of a rollout, oldest first.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// States one action chunk apart, `T` of them; the last one is the current state.
    pub latents: &'a [Latent],
    /// Normalised action chunks that were executed between them, `[T - 1, A]`.
    pub actions: &'a [f32],
    /// Proprioception at the current state, in the units of the recordings; empty for models that take none.
    pub proprioception: &'a [f32],
    /// Whether the rollout is still wanted: dynamics ask between the chunks of a plan.
    pub cancel: Cancel<'a>,
}

impl<'a> Context<'a> {
    /// A context that consists of the current state.
    pub fn of(latent: &'a Latent) -> Self {
        Self::after(std::slice::from_ref(latent), &[])
    }

    /// A context of `latents`, between which the chunks `actions` were executed, without proprioception.
    pub fn after(latents: &'a [Latent], actions: &'a [f32]) -> Self {
        Self { latents, actions, proprioception: &[], cancel: Cancel::never() }
    }

    /// The current state.
    ///
    /// # Errors
    /// [`Error::Shape`] without a state, when a state has another shape than `shape`, or unless there are `(T - 1) *
    /// chunk_width` values of actions.
    pub fn current(&self, operation: &'static str, shape: LatentShape, chunk_width: usize) -> Result<&'a Latent> {
        let count = self.latents.len();
        let fits = self.latents.iter().all(|latent| latent.shape() == shape);
        match self.latents.last() {
            Some(current) if fits && self.actions.len() == (count - 1) * chunk_width => Ok(current),
            _ => Err(Error::Shape {
                operation,
                expected: format!("1 state or more of {shape} values, chunks of {chunk_width} values between them"),
                got: format!("{}, {} values of chunks", described(self.latents), self.actions.len()),
            }),
        }
    }

    /// The same without all but the newest `states` states.
    #[must_use]
    pub fn newest(&self, states: usize, chunk_width: usize) -> Self {
        let dropped = self.latents.len().saturating_sub(states.max(1));
        Self { latents: &self.latents[dropped..], actions: &self.actions[dropped * chunk_width..], ..*self }
    }
}

/// Number and shapes of states, for errors.
fn described(latents: &[Latent]) -> String {
    match latents.first() {
        None => "no state".into(),
        Some(first) => match latents.iter().find(|latent| latent.shape() != first.shape()) {
            None => format!("{} of {}", latents.len(), first.shape()),
            Some(other) => format!("states of {} and {}", first.shape(), other.shape()),
        },
    }
}

/// Where the samples of a plan come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum SampleSource {
    /// The model's own predictor: one sample.
    #[default]
    One,
    /// A predictor with a discrete latent variable: samples differ by the outcome (aleatoric uncertainty).
    Stochastic {
        /// Samples per plan `S`. More show rare outcomes, and cost time where outcomes differ.
        samples: usize,
    },
    /// The model's own predictor and the ensemble beside it, one sample each: samples differ by
    /// the weights (epistemic uncertainty).
    Ensemble,
}

/// How a model predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InferenceOptions {
    /// How the large weights are kept. Gradients always use exact weights.
    pub precision: Precision,
    /// Threads of the current rayon pool that share the plans, 1 or more. The result does not depend on it.
    pub threads: usize,
    /// Where samples come from.
    pub samples: SampleSource,
}

impl Default for InferenceOptions {
    fn default() -> Self {
        Self { precision: Precision::F32, threads: 1, samples: SampleSource::One }
    }
}

/// A world model: encodes observations to states, and makes dynamics that predict states.
pub trait Model: Debug + Send + Sync {
    /// Its inputs and outputs.
    fn spec(&self) -> &ModelSpec;

    /// One state `[P, D]` per clip of `clip.frames` observations, `observations` holding clip after clip, oldest first.
    /// A state has the same bits beside any other states.
    ///
    /// # Errors
    /// [`Error::Shape`] when a frame is missing or of another size, or proprioception has another width.
    fn encode(&self, observations: &[Observation]) -> Result<Vec<Latent>>;

    /// Its dynamics. Those with heads (see [`SampleSource`]) come from a checkpoint, which has the heads.
    ///
    /// # Errors
    /// [`Error::Shape`] for a sample source that needs a head.
    fn dynamics(&self, options: &InferenceOptions) -> Result<Box<dyn Dynamics>>;

    /// The concrete model, for code that knows its family.
    fn as_any(&self) -> &dyn Any;
}

/// Predicts states.
pub trait Dynamics: Debug + Send + Sync {
    /// Rollouts of `plans [N, H, A]`, `[N, S, H, P, D]`. Equal arguments give equal bits, on any number
    /// of threads; a plan has the same bits beside any other plans.
    ///
    /// # Errors
    /// [`Error::Shape`] when the shapes do not fit the model; [`Error::Cancelled`] where the context says so.
    fn rollout(&self, context: &Context<'_>, plans: &Plans) -> Result<Rollouts>;

    /// Predicts one plan from each of `contexts`, `[N, S, H, P, D]`.
    ///
    /// # Errors
    /// As [`Dynamics::rollout`], and unless there are as many contexts as plans.
    fn rollout_each(&self, contexts: &[Context<'_>], plans: &Plans) -> Result<Rollouts> {
        require_one_each(contexts, plans)?;
        let (mut shape, mut values) = ([0; 5], Vec::new());
        for (index, context) in contexts.iter().enumerate() {
            let rollouts = self.rollout(context, &Plans::from(&plans.plan(index)))?;
            shape = rollouts.shape();
            values.extend_from_slice(rollouts.values());
        }
        shape[0] = contexts.len();
        Rollouts::new(shape, values)
    }

    /// As [`Dynamics::rollout`], with a recording of what [`Dynamics::vjp`] needs.
    ///
    /// # Errors
    /// [`Error::NotDifferentiable`] where a model can only be sampled; else as [`Dynamics::rollout`].
    fn rollout_recorded(&self, _context: &Context<'_>, _plans: &Plans) -> Result<(Rollouts, Recording)> {
        Err(Error::NotDifferentiable { part: "world model" })
    }

    /// Vector-Jacobian product: from gradients of an energy on the predicted states, `upstream [N, S, H, P, D]`, to
    /// those on the plans, `[N, H, A]`; as long as they are wanted.
    ///
    /// # Errors [`Error::Cancelled`] where `cancel` says so; [`Error::Shape`] when `upstream` has another size;
    /// [`Error::NotDifferentiable`] for a recording of other dynamics.
    fn vjp(&self, _recording: Recording, _upstream: &[f32], _cancel: Cancel<'_>) -> Result<Vec<f32>> {
        Err(Error::NotDifferentiable { part: "world model" })
    }
}

/// Refuses another number of contexts than of plans.
pub(crate) fn require_one_each(contexts: &[Context<'_>], plans: &Plans) -> Result<()> {
    if contexts.len() == plans.count() && !contexts.is_empty() {
        return Ok(());
    }
    Err(Error::Shape {
        operation: "rollout of one plan per context",
        expected: format!("a context for each of {} plans", plans.count()),
        got: contexts.len().to_string(),
    })
}

/// Refuses plans of another chunk width, or without a chunk.
pub(crate) fn require_plans(operation: &'static str, plans: &Plans, chunk_width: usize) -> Result<()> {
    if plans.chunk_width() == chunk_width && plans.horizon() > 0 {
        return Ok(());
    }
    Err(Error::Shape {
        operation,
        expected: format!("plans of 1 chunk or more of {chunk_width} values"),
        got: format!("{} chunks of {} values", plans.horizon(), plans.chunk_width()),
    })
}

/// Activations of a rollout, for its gradients. Opaque: only the dynamics that made it can read it.
#[derive(Debug)]
pub struct Recording(Box<dyn Any + Send>);

impl Recording {
    /// Wraps the activations that [`Dynamics::vjp`] needs.
    pub fn new<T: Any + Send>(kept: T) -> Self {
        Self(Box::new(kept))
    }

    /// What was wrapped.
    ///
    /// # Errors
    /// [`Error::NotDifferentiable`] when it is of another type: a recording of other dynamics.
    pub fn open<T: Any>(self) -> Result<T> {
        let foreign = |_| Error::NotDifferentiable { part: "a recording of other dynamics" };
        Ok(*self.0.downcast::<T>().map_err(foreign)?)
    }
}
