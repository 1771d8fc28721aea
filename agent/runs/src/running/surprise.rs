//! How surprising what is seen is, by the calibration of the checkpoint.

use mindseye_agent::directive::StateSource;
use mindseye_agent::perception::ModelPerception;
use mindseye_agent::{Latent, ModelSource};
use mindseye_interface::{ActionSpace, Observation};
use mindseye_world_model::surprise::{SurpriseCalibration, SurpriseMeter};

use crate::Result;

/// A meter with the calibration of its model.
pub(super) struct SurpriseWatch {
    meter: SurpriseMeter,
    calibration: SurpriseCalibration,
    perception: ModelPerception,
}

impl SurpriseWatch {
    /// That of the model of `source`, whose robot has actions of `space`; `None` for a model without a calibration, of
    /// another family than the JEPA, or that takes proprioception, which the meter does not know.
    pub fn of(source: &ModelSource, space: &ActionSpace) -> Result<Option<Self>> {
        let ModelSource::Jepa(checkpoint) = source else { return Ok(None) };
        let Some(folder) = checkpoint.heads().folder() else { return Ok(None) };
        if checkpoint.config.model.proprioception_width > 0 {
            return Ok(None);
        }
        let calibration = SurpriseCalibration::load(folder, checkpoint.fingerprint())?;
        let Some(calibration) = calibration else { return Ok(None) };
        let idle = space.hold(&[]).map_or_else(|_| vec![0.0; space.width()], |action| action.values().to_vec());
        let meter = SurpriseMeter::new(checkpoint, &calibration, idle)?;
        Ok(Some(Self { meter, calibration, perception: ModelPerception::new(source).adapting() }))
    }

    /// Score above which a tick is surprising.
    pub fn band(&self) -> f64 {
        self.calibration.rule.band
    }

    /// From `at_secs` on this normalised action `[A]` is commanded. Wind is not part of it: it surprises.
    pub fn act(&mut self, at_secs: f64, action: &[f32]) {
        self.meter.act(at_secs, action.to_vec());
    }

    /// The score of what is seen at `at_secs`: of `latent` where that is what was observed, and of `observation` itself
    /// where the agent rejected it. `None` where nothing is seen.
    pub fn observe(
        &mut self,
        at_secs: f64,
        state_source: StateSource,
        latent: &Latent,
        observation: &Observation,
    ) -> Result<Option<f64>> {
        let rejected = match state_source {
            StateSource::Imputed => return Ok(None),
            StateSource::Observed => None,
            StateSource::Rejected => self.perception.encode(observation)?,
        };
        let measured = self.meter.observe(at_secs, rejected.as_ref().unwrap_or(latent).values())?;
        Ok(Some(self.calibration.score(&measured.raw)))
    }
}
