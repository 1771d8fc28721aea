//! Whether images are like those that the model was trained on.

use std::path::Path;

use mindseye_interface::Observation;
use mindseye_world_model::surprise::{RawScores, SurpriseCalibration, SurpriseMetric};

use crate::Result;
use crate::model_source::ModelSource;

/// Tells images that lie outside of what a model was trained on, by its calibration of surprise.
pub(super) struct Novelty {
    metric: SurpriseMetric,
    calibration: SurpriseCalibration,
}

impl Novelty {
    /// By the calibration in the checkpoint's `folder`; `None` where there is none.
    ///
    /// # Errors
    /// When that file is broken, or of another model.
    pub fn of(source: &ModelSource, folder: &Path) -> Result<Option<Self>> {
        let (Some(fingerprint), Some(statistics)) = (source.fingerprint(), source.statistics()) else {
            return Ok(None);
        };
        let Some(calibration) = SurpriseCalibration::load(folder, fingerprint)? else { return Ok(None) };
        let metric = SurpriseMetric::new(statistics, &calibration.error_factor)?;
        Ok(Some(Self { metric, calibration }))
    }

    /// What to say of `observation`, the `name` (image or goal) of a plan; `None` where it is like the training data,
    /// or where a state takes more than one observation.
    ///
    /// # Errors
    /// When the observation does not fit the model.
    pub fn of_image(&self, source: &ModelSource, observation: &Observation, name: &str) -> Result<Option<String>> {
        let model = source.model();
        if observation.frames.is_empty() || model.spec().clip.frames != 1 {
            return Ok(None);
        }
        let states = model.encode(std::slice::from_ref(observation))?;
        let Some(state) = states.first() else { return Ok(None) };
        let radius = self.metric.radius(state.values());
        let raw = RawScores { radius, ..RawScores::default() };
        let score = self.calibration.score(&raw);
        Ok((score > self.calibration.rule.band).then(|| {
            format!(
                "{name}: CAUTION, unlike the images that the model was trained on: its latent is {radius:.2} standard \
                 deviations from their mean, where {:.2} is usual ({score:.1} times what 99 % of them keep to)",
                self.calibration.radius
            )
        }))
    }
}
