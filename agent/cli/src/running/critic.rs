//! The critic of a checkpoint, and whether it foresees what a task weighs.

use anyhow::{Result, bail};
use mindseye_agent::Task;
use mindseye_agent::cost::{CRITIC, LearnedCritic, Reduction};
use mindseye_world_model::{Checkpoint, Part};

/// The critic of `checkpoint`, if `task` weighs one.
///
/// # Errors
/// When the checkpoint has none, or one that foresees something else than the task weighs.
pub fn critic(checkpoint: &Checkpoint, task: &Task) -> Result<Option<LearnedCritic>> {
    if !task.weights.contains_key(CRITIC) {
        return Ok(None);
    }
    let Some(network) = &checkpoint.critic else {
        bail!("weights.critic: expected a checkpoint with a critic (mindseye teach critic makes one), got none");
    };
    let config = network.config();
    if (config.metric, config.goal_saturation) != (task.metric, task.goal_saturation) {
        let (metric, saturation) = (config.metric, config.goal_saturation);
        bail!(
            "weights.critic: expected a task with the metric {metric:?} and goal_saturation {saturation:?} that the critic was taught, got {:?} and {:?}",
            task.metric,
            task.goal_saturation
        );
    }
    if let Some(name) = config.terms.iter().find(|term| !task.weights.contains_key(*term)) {
        bail!("weights.critic: expected a weight for {name}, which the critic foresees, got none");
    }
    if let Reduction::Discounted { discount } = task.reduction
        && discount != config.discount
    {
        bail!("reduction.discount: expected the critic's {}, got {discount}", config.discount);
    }
    Ok(Some(LearnedCritic::new(network.engine()?)))
}
