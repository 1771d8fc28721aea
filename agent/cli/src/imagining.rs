//! Which world model a task asks a checkpoint for.

use anyhow::{Result, bail};
use mindseye_agent::Task;
use mindseye_agent::configurator::FutureKind;
use mindseye_agent::world_model::{BranchingWorldModel, Ensemble, LearnedWorldModel, WorldModel};
use mindseye_world_model::{Checkpoint, Precision};

/// The world model of `checkpoint` with as many futures per plan as `task` wants, on `threads` threads of the current rayon pool.
///
/// # Errors
/// When the checkpoint has no such futures.
pub fn world_model(checkpoint: &Checkpoint, task: &Task, threads: usize) -> Result<Box<dyn WorldModel>> {
    let Some(wanted) = &task.futures else {
        return Ok(Box::new(LearnedWorldModel::new(&checkpoint.model, task.precision, threads)?));
    };
    match wanted.kind {
        FutureKind::Latent => match &checkpoint.futures {
            Some(futures) => Ok(Box::new(BranchingWorldModel::new(futures, task.precision, wanted.samples, threads)?)),
            None => bail!("futures.kind latent: expected a checkpoint with futures (mindseye teach futures), got none"),
        },
        FutureKind::Ensemble => Ok(Box::new(ensemble(checkpoint, task.precision, threads)?)),
    }
}

/// The model's own predictor and the further ones of its checkpoint.
///
/// # Errors
/// When there are none.
pub fn ensemble(checkpoint: &Checkpoint, precision: Precision, threads: usize) -> Result<Ensemble> {
    let Some(further) = &checkpoint.ensemble else {
        bail!("futures.kind ensemble: expected a checkpoint with an ensemble (mindseye teach ensemble), got none");
    };
    let config = &checkpoint.config.model;
    let predictors = std::iter::once(checkpoint.model.predictor()).chain(further.members());
    let members = predictors.map(|predictor| -> Result<Box<dyn WorldModel>> {
        Ok(Box::new(LearnedWorldModel::of_predictor(predictor, config, precision, threads)?))
    });
    Ok(Ensemble::new(members.collect::<Result<_>>()?)?)
}
