//! The world model behind the seam of [`crate::Model`].

use std::any::Any;
use std::sync::Arc;

use mindseye_interface::Observation;

use super::engine::{Sequence, TokenEngine};
use super::network::PredictorShape;
use super::tokens::FrozenTokens;
use crate::latent::{Latent, Plans, Rollouts};
use crate::model::{
    CameraSpec, ClipSpec, Context, Dynamics, InferenceOptions, Model, ModelSpec, SampleSource, require_plans,
};
use crate::parameters::Weights;
use crate::{Error, Result};

/// A frozen encoder and a predictor of its tokens.
#[derive(Debug, Clone)]
pub struct FrozenWorldModel {
    tokens: FrozenTokens,
    shape: PredictorShape,
    weights: Arc<Weights>,
    spec: ModelSpec,
}

impl FrozenWorldModel {
    /// `camera` is the name of the camera that it was trained with; `action_width` divides the width of a chunk.
    pub(super) fn new(
        tokens: FrozenTokens,
        shape: PredictorShape,
        weights: Weights,
        camera: &str,
        action_width: usize,
    ) -> Self {
        let [height, width] = tokens.image_size();
        let spec = ModelSpec {
            cameras: vec![CameraSpec { name: camera.to_owned(), height, width }],
            clip: ClipSpec::SINGLE,
            proprioception: 0,
            action_width,
            action_chunk: shape.chunk_width / action_width.max(1),
            latent: tokens.shape(),
            context: shape.config.context,
        };
        Self { tokens, shape, weights: Arc::new(weights), spec }
    }

    /// The encoder, and how its tokens become states.
    pub fn tokens(&self) -> &FrozenTokens {
        &self.tokens
    }

    /// Trained values: those of the predictor.
    pub fn parameters(&self) -> usize {
        self.weights.values().map(|weight| weight.elem_count()).sum()
    }

    pub(super) fn weights(&self) -> &Weights {
        &self.weights
    }
}

impl Model for FrozenWorldModel {
    fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    fn encode(&self, observations: &[Observation]) -> Result<Vec<Latent>> {
        let encode = |observation: &Observation| {
            let frames = self.spec.frames("encoding an observation", observation)?;
            let Some(frame) = frames.first() else {
                let (expected, got) = ("a frame".into(), "none".into());
                return Err(Error::Shape { operation: "encoding an observation", expected, got });
            };
            let state = self.tokens.state(frame.image.as_ref().clone())?;
            Latent::new(self.spec.latent.tokens, self.spec.latent.width, state)
        };
        observations.iter().map(encode).collect()
    }

    fn dynamics(&self, options: &InferenceOptions) -> Result<Box<dyn Dynamics>> {
        if options.samples != SampleSource::One {
            let (expected, got) = ("one sample per plan".into(), format!("{:?}", options.samples));
            return Err(Error::Shape { operation: "dynamics on a frozen encoder", expected, got });
        }
        let engine = TokenEngine::new(&self.shape, &self.weights, options.precision)?;
        Ok(Box::new(TokenDynamics { engine, spec: self.spec.clone(), threads: options.threads }))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The predictor of a [`FrozenWorldModel`]: it uses the newest states of a context, at most as many as it was trained
/// with. Planners that sample use it; it has no gradients.
#[derive(Debug, Clone)]
pub struct TokenDynamics {
    engine: TokenEngine,
    spec: ModelSpec,
    threads: usize,
}

impl Dynamics for TokenDynamics {
    fn rollout(&self, context: &Context<'_>, plans: &Plans) -> Result<Rollouts> {
        const OPERATION: &str = "rollout";
        let (shape, chunk_width) = (self.spec.latent, self.spec.chunk_width());
        require_plans(OPERATION, plans, chunk_width)?;
        context.current(OPERATION, shape, chunk_width)?;
        let context = context.newest(self.spec.context, chunk_width);
        let frames: Vec<f32> = context.latents.iter().flat_map(|latent| latent.values()).copied().collect();
        let sequence = Sequence { frames: &frames, chunks: context.actions };
        let plan_len = plans.horizon() * chunk_width;
        let values = self.engine.rollouts(sequence, plans.values(), plan_len, self.threads, context.cancel)?;
        Rollouts::new([plans.count(), 1, plans.horizon(), shape.tokens, shape.width], values)
    }
}
