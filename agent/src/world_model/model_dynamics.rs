//! Dynamics of a learned model of any family, with their online correction.

use std::sync::Arc;

use mindseye_world_model::{
    Adaptation, AdaptationConfig, Cancel, Context, CorrectedDynamics, Dynamics, ModelSpec, OnlineCorrection, Plans,
    Recording, Rollouts, Transitions,
};

use super::WorldModel;
use crate::Result;

/// A model's dynamics. Where a correction is in use, commanded actions are mapped to applied ones first.
#[derive(Debug)]
pub struct ModelDynamics {
    dynamics: Arc<dyn Dynamics>,
    corrected: Option<CorrectedDynamics>,
    correction: Option<OnlineCorrection>,
    action_width: usize,
    context_states: usize,
    proprioception: usize,
}

impl ModelDynamics {
    /// `dynamics` of a model that takes and gives what `spec` says.
    pub fn new(dynamics: Box<dyn Dynamics>, spec: &ModelSpec) -> Self {
        Self {
            dynamics: Arc::from(dynamics),
            corrected: None,
            correction: None,
            action_width: spec.action_width,
            context_states: spec.context.max(1),
            proprioception: spec.proprioception,
        }
    }

    /// The same with online adaptation by `correction`.
    #[must_use]
    pub fn with_correction(self, correction: OnlineCorrection) -> Self {
        Self { correction: Some(correction), ..self }
    }

    fn current(&self) -> &dyn Dynamics {
        match &self.corrected {
            Some(corrected) => corrected,
            None => &*self.dynamics,
        }
    }
}

type Predicted<T> = mindseye_world_model::Result<T>;

impl Dynamics for ModelDynamics {
    fn rollout(&self, context: &Context<'_>, plans: &Plans) -> Predicted<Rollouts> {
        self.current().rollout(context, plans)
    }

    fn rollout_each(&self, contexts: &[Context<'_>], plans: &Plans) -> Predicted<Rollouts> {
        self.current().rollout_each(contexts, plans)
    }

    fn rollout_recorded(&self, context: &Context<'_>, plans: &Plans) -> Predicted<(Rollouts, Recording)> {
        self.current().rollout_recorded(context, plans)
    }

    fn vjp(&self, recording: Recording, upstream: &[f32], cancel: Cancel<'_>) -> Predicted<Vec<f32>> {
        self.current().vjp(recording, upstream, cancel)
    }
}

impl WorldModel for ModelDynamics {
    fn context_states(&self) -> usize {
        self.context_states
    }

    fn proprioception(&self) -> usize {
        self.proprioception
    }

    fn adapt(&mut self, transitions: &Transitions, config: &AdaptationConfig) -> Result<Option<Adaptation>> {
        let Some(correction) = &self.correction else { return Ok(None) };
        self.corrected = None;
        if !config.affine_action_map {
            return Ok(None);
        }
        let (map, adaptation) = correction.affine_action_map(transitions, self.action_width, config)?;
        self.corrected = adaptation.adopted.then(|| CorrectedDynamics::new(self.dynamics.clone(), map));
        Ok(Some(adaptation))
    }
}
