//! What is special about agents with a LeWorldModel.

use mindseye_world_model::{LatentMetric, PublishedLewm};

use crate::configurator::{GoalConfig, ModeConfig, Task};
use crate::model_source::ModelSource;
use crate::{Error, Result};

/// Refuses fields of a task that a LeWorldModel would ignore; other models accept them. Distances are Euclidean in its
/// embeddings, as its authors plan.
///
/// # Errors
/// [`Error::Task`] naming the field.
pub(super) fn require_known_fields(source: &ModelSource, task: &Task) -> Result<()> {
    if source.model().as_any().downcast_ref::<PublishedLewm>().is_none() {
        return Ok(());
    }
    let ignored = [
        ("goal.kind", matches!(task.goal, GoalConfig::KeyFrames { .. }), "image", "key_frames"),
        ("mode", task.mode != ModeConfig::Mode2, "mode_2 (it has no policy)", "another mode"),
        ("metric", task.metric != LatentMetric::Euclidean, "none (its distance is Euclidean)", "one"),
        ("planner_with_policy", task.planner_with_policy.is_some(), "none (it has no policy)", "one"),
        ("adapt_background", task.adapt_background, "false (its training images are not known)", "true"),
        ("samples", task.samples.is_some(), "none (its predictor has one sample per plan)", "some"),
        ("adaptation", task.adaptation.is_some(), "none (it cannot be corrected online)", "one"),
    ];
    match ignored.into_iter().find(|(_, is_set, ..)| *is_set) {
        None => Ok(()),
        Some((field, _, expected, got)) => Err(Error::task(field, format!("{expected} for a LeWorldModel"), got)),
    }
}
