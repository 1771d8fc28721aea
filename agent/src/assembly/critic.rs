//! The critic of a checkpoint, and whether it predicts what a task weighs.

use mindseye_world_model::Head;

use crate::configurator::Task;
use crate::cost::LearnedCritic;
use crate::directive::{Reduction, terms};
use crate::model_source::ModelSource;
use crate::{Error, Result};

/// The critic of `source`, if `task` weighs one.
///
/// # Errors
/// [`Error::Task`] when the checkpoint has none, or one that predicts something else than the task weighs.
pub(super) fn critic(source: &ModelSource, task: &Task) -> Result<Option<LearnedCritic>> {
    if !task.weights.contains_key(terms::CRITIC) {
        return Ok(None);
    }
    let field = "weights.critic";
    let Some(network) = source.critic()? else {
        return Err(Error::task(field, "a checkpoint with a critic (mindseye train critic makes one)", "none"));
    };
    let config = network.config();
    if (config.metric, config.goal_saturation) != (task.metric, task.goal_saturation) {
        let (metric, saturation) = (config.metric, config.goal_saturation);
        let expected =
            format!("the metric {metric:?} and goal_saturation {saturation:?} that the critic was trained with");
        return Err(Error::task(field, expected, format!("{:?} and {:?}", task.metric, task.goal_saturation)));
    }
    if let Some(name) = config.terms.iter().find(|term| !task.weights.contains_key(*term)) {
        return Err(Error::task(field, format!("a weight for {name}, which the critic predicts"), "none"));
    }
    if let Reduction::Discounted { discount } = task.reduction
        && discount != config.discount
    {
        return Err(Error::task("reduction.discount", format!("the critic's {}", config.discount), discount));
    }
    Ok(Some(LearnedCritic::new(network.engine()?)))
}
