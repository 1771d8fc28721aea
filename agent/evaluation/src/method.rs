//! The seam of the evaluator: who acts.

use std::fs::File;
use std::path::{Path, PathBuf};

use mindseye_agent::{Task, TickReport};
use mindseye_interface::{Clock, Observation, Seed, Simulator};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Result;
use crate::goals::GoalSequence;

/// Something that can be evaluated: a learned agent, an ablated one, a baseline.
pub trait Method: Sync {
    /// Its name in reports, for example `oracle`.
    fn name(&self) -> &str;

    /// Control steps per action chunk.
    fn action_chunk(&self) -> usize;

    /// The learned model behind it; none for a baseline.
    fn model(&self) -> Option<&ModelIdentity> {
        None
    }

    /// A text that is equal for methods that do the same, and for them alone: results in a [`Journal`](crate::Journal)
    /// are found by it. `None` (the default) where that is not known; its results are not kept then.
    fn fingerprint(&self) -> Option<String> {
        None
    }

    /// The discount per action chunk that its critic was trained with, where it has a critic.
    fn critic_discount(&self) -> Option<f32> {
        None
    }

    /// Refuses a task that the method cannot run, before the first episode.
    ///
    /// # Errors
    /// [`Error::UnsupportedTask`](crate::Error::UnsupportedTask) naming the field.
    fn check_task(&self, _task: &Task) -> Result<()> {
        Ok(())
    }

    /// A controller for one episode (and the warm-up episodes before it) in a world like `world`.
    ///
    /// # Errors
    /// When the method, the task, the goals and the world do not fit together.
    fn begin(&self, world: &dyn Simulator, start: &EpisodeStart<'_>) -> Result<Box<dyn Controller>>;
}

/// What a method is given at the start of an episode.
#[derive(Debug, Clone, Copy)]
pub struct EpisodeStart<'a> {
    /// What is to be done, and how to plan.
    pub task: &'a Task,
    /// The goals that are pursued first.
    pub goals: &'a GoalSequence,
    /// Root of the method's random choices.
    pub seed: Seed,
    /// Threads for planning.
    pub threads: usize,
}

/// A method at work in one episode.
pub trait Controller {
    /// From the next tick on `goals` are pursued, the first of them first. Memory and adaptation stay.
    ///
    /// # Errors
    /// When the goals do not fit.
    fn set_goals(&mut self, goals: &GoalSequence) -> Result<()>;

    /// The world was set to another state: what comes next does not follow from what was before.
    fn start_episode(&mut self);

    /// One tick: from an observation to an action chunk. `world` is for methods that know the true state; learned
    /// agents do not read it.
    ///
    /// # Errors
    /// When the method cannot copy the world. An agent's own errors are in its report.
    fn tick(&mut self, world: &dyn Simulator, observation: &Observation, clock: &dyn Clock) -> Result<TickReport>;

    /// Only the first `steps` control steps of the last chunk were executed: the next tick comes within the chunk.
    /// Methods that do not plan ahead have nothing to do.
    fn report_executed(&mut self, _steps: usize) {}
}

/// Which learned model a method has: what a report is evidence of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelIdentity {
    /// Folder of the checkpoint.
    pub checkpoint: PathBuf,
    /// SHA-256 of the file with the model's weights, 64 hexadecimal digits.
    pub fingerprint: String,
    /// Seed that the model was trained with, where it is known.
    pub training_seed: Option<u64>,
}

impl ModelIdentity {
    /// The model whose weights are in the file called `weights` in the folder `checkpoint`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(checkpoint: &Path, weights: &str, training_seed: Option<u64>) -> Result<Self> {
        let path = checkpoint.join(weights);
        let file_error =
            |error: std::io::Error| mindseye_interface::Error::File { path: path.clone(), reason: error.to_string() };
        let mut hash = Sha256::new();
        std::io::copy(&mut File::open(&path).map_err(file_error)?, &mut hash).map_err(file_error)?;
        let fingerprint = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { checkpoint: checkpoint.to_path_buf(), fingerprint, training_seed })
    }
}

/// What a report says of a method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MethodIdentity {
    /// Its name.
    pub name: String,
    /// Control steps per action chunk.
    pub action_chunk: usize,
    /// The learned model behind it; none for a baseline.
    pub model: Option<ModelIdentity>,
}

impl MethodIdentity {
    /// The identity of `method`.
    pub fn of(method: &dyn Method) -> Self {
        Self { name: method.name().to_owned(), action_chunk: method.action_chunk(), model: method.model().cloned() }
    }
}
