//! What models of other families than ours cannot do for a task.

use mindseye_world_model::families::frozen::FrozenWorldModel;
use mindseye_world_model::{LatentMetric, PublishedLewm};

use crate::configurator::{GoalConfig, ModeConfig, PlannerConfig, Task};
use crate::model_source::ModelSource;
use crate::{Error, Result};

/// Refuses what a task asks of models that cannot do it: planners along gradients of dynamics without any, and fields
/// that a LeWorldModel would ignore. Distances are Euclidean in its embeddings, as its authors plan.
///
/// # Errors
/// [`Error::Task`] naming the field.
pub(super) fn require_known_fields(source: &ModelSource, task: &Task) -> Result<()> {
    let model = source.model().as_any();
    let (is_lewm, is_frozen) = (model.is::<PublishedLewm>(), model.is::<FrozenWorldModel>());
    let needs_gradients = matches!(task.planner, PlannerConfig::Gradient(_) | PlannerConfig::Hybrid(_));
    if (is_lewm || is_frozen) && needs_gradients {
        let expected = "one that samples, as icem, for a model whose dynamics have no gradients";
        return Err(Error::task("planner.kind", expected, "one along gradients (task `frozen` or `plain_distances`?)"));
    }
    if !is_lewm {
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
