//! The learned world model: the fast rollout engine behind the seam.

use std::borrow::Cow;

use mindseye_world_model::predictor::Predictor;
use mindseye_world_model::{
    Actuation, Adaptation, AdaptationConfig, Adapter, Experience, Jepa, ModelConfig, PlanSlopes, Precision,
    RolloutEngine,
};

use super::{Judge, WorldModel};
use crate::Result;
use crate::latent::{Latent, Plans, Rollouts};

/// A JEPA's predictor, one future per plan.
#[derive(Debug, Clone)]
pub struct LearnedWorldModel {
    engine: RolloutEngine,
    slopes: PlanSlopes,
    adapter: Adapter,
    action_width: usize,
    /// What the body makes of actions, where that is not what it is told.
    actuation: Option<Actuation>,
    threads: usize,
}

impl LearnedWorldModel {
    /// The predictor of `model` with weights in `precision`, on `threads` threads of the current rayon pool. Slopes are always exact.
    ///
    /// # Errors
    /// When the weights cannot be read.
    pub fn new(model: &Jepa, precision: Precision, threads: usize) -> Result<Self> {
        Self::of_predictor(model.predictor(), model.config(), precision, threads)
    }

    /// As [`LearnedWorldModel::new`], of a predictor for a model shaped like `config` that is not its own: a member of an ensemble.
    ///
    /// # Errors
    /// When the weights cannot be read.
    pub fn of_predictor(
        predictor: &Predictor,
        config: &ModelConfig,
        precision: Precision,
        threads: usize,
    ) -> Result<Self> {
        let (latent_width, block_width) = (config.latent_width, config.block_width());
        Ok(Self {
            engine: RolloutEngine::of_predictor(predictor, latent_width, block_width, precision)?,
            slopes: PlanSlopes::of_predictor(predictor, latent_width, block_width)?,
            adapter: Adapter::new(predictor, latent_width, block_width)?,
            action_width: config.action_width,
            actuation: None,
            threads,
        })
    }
}

impl LearnedWorldModel {
    /// What is really done when `plans` are told.
    fn done<'a>(&self, plans: &'a Plans) -> Cow<'a, [f32]> {
        match &self.actuation {
            Some(actuation) => Cow::Owned(actuation.done(plans.values())),
            None => Cow::Borrowed(plans.values()),
        }
    }

    fn rollouts(&self, plans: &Plans, values: Vec<f32>) -> Result<Rollouts> {
        Rollouts::new([plans.count(), 1, plans.horizon(), 1, self.engine.latent_width()], values)
    }
}

impl WorldModel for LearnedWorldModel {
    fn imagine(&self, start: &Latent, plans: &Plans) -> Result<Rollouts> {
        let values = self.engine.rollout(start.values(), &self.done(plans), plans.horizon(), self.threads)?;
        self.rollouts(plans, values)
    }

    fn differentiate(&self, start: &Latent, plans: &Plans, judge: &mut Judge<'_>) -> Result<Vec<f32>> {
        let judge = |values| judge(&self.rollouts(plans, values)?);
        let slopes = self.slopes.of(start.values(), &self.done(plans), plans.horizon(), self.threads, judge)?;
        Ok(match &self.actuation {
            Some(actuation) => actuation.slopes_on_told(&slopes),
            None => slopes,
        })
    }

    fn adapt(&mut self, experience: &Experience, config: &AdaptationConfig) -> Result<Option<Adaptation>> {
        let (mut layer, mut found) = (self.adapter.trained(), None::<Adaptation>);
        self.actuation = None;
        let mut experience = Cow::Borrowed(experience);
        if config.actuation {
            let (actuation, adaptation) = self.adapter.actuation(&experience, self.action_width, config)?;
            if adaptation.adopted {
                experience.to_mut().blocks = actuation.done(&experience.blocks);
                self.actuation = Some(actuation);
            }
            found = Some(adaptation);
        }
        if config.last_layer {
            let (corrected, adaptation) = self.adapter.adapt(&experience, config)?;
            layer = corrected;
            found = Some(match found {
                Some(before) => Adaptation {
                    before: before.before,
                    after: if adaptation.adopted { adaptation.after } else { before.after },
                    adopted: before.adopted || adaptation.adopted,
                },
                None => adaptation,
            });
        }
        self.engine = self.engine.with_last_layer(&layer)?;
        self.slopes = self.slopes.with_last_layer(&layer)?;
        Ok(found)
    }
}
