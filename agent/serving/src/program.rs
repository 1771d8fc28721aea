//! What a program supplies to the commands of this crate, which know neither scenes nor shipped files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mindseye_agent::{ModelSource, Task};
use mindseye_arms::ArmArguments;
use mindseye_cameras::Sources;
use mindseye_interface::{Environment, Seed, inputs};
use mindseye_runs::{SharedBenchmark, Shipped, Supplied, TopView};
use mindseye_world_model::AnyCheckpoint;

use crate::{Error, Result};

/// Files, scenes and cameras of a program, and how it talks to people.
pub struct Program {
    /// The task in the file that a person named, or that of a scene.
    pub task: fn(Option<&Path>, &str) -> Supplied<Task>,
    /// Where a named checkpoint is.
    pub resolve: fn(&Path) -> PathBuf,
    /// The checkpoint that a person named, or that of a scene.
    pub checkpoint: fn(Option<&Path>, &str) -> Supplied<PathBuf>,
    /// A scene of the simulator, as a body.
    pub scene: fn(&str) -> Supplied<Box<dyn Environment>>,
    /// A scene with images of so many pixels a side.
    pub world: fn(&str, usize) -> Supplied<SharedBenchmark>,
    /// An episode of a scene from above.
    pub top_view: fn(&str, Seed) -> Supplied<TopView>,
    /// The kinds of cameras.
    pub sources: Sources,
    /// Becomes true when the command is to end in order.
    pub stop: &'static AtomicBool,
    /// Prints a result.
    pub say: fn(&str),
    /// Prints a remark.
    pub note: fn(&str),
}

/// Most bytes of a file with a token.
const MAX_TOKEN_BYTES: u64 = 4096;
/// Fewest characters of a token.
const LEAST_TOKEN: usize = 8;

impl Shipped for Program {
    fn world(&self, scene: &str, image_side: usize) -> Supplied<SharedBenchmark> {
        (self.world)(scene, image_side)
    }

    fn checkpoint(&self, named: Option<&Path>, scene: &str) -> Supplied<PathBuf> {
        (self.checkpoint)(named, scene)
    }

    fn task(&self, named: Option<&Path>, scene: &str) -> Supplied<Task> {
        (self.task)(named, scene)
    }
}

impl Program {
    /// Runs `mindseye arm`.
    ///
    /// # Errors
    /// As [`ArmArguments::run`].
    pub fn arm(&self, arguments: &ArmArguments) -> Result<()> {
        Ok(arguments.run(&self.say, &self.note, self.stop)?)
    }

    /// The checkpoint in `folder` and the task that fits it, with another budget where `deadline_ms` says one.
    pub(crate) fn model(
        &self,
        folder: &Path,
        task: Option<&Path>,
        deadline_ms: Option<f64>,
    ) -> Result<(Arc<AnyCheckpoint>, Task)> {
        let checkpoint = AnyCheckpoint::load(&(self.resolve)(folder)).map_err(|error| Error::Supplied(error.into()))?;
        let checkpoint = Arc::new(checkpoint);
        let source = ModelSource::from(&checkpoint);
        let mut task = (self.task)(task, source.task_scene(task.is_some())).map_err(Error::Supplied)?;
        if let Some(deadline_ms) = deadline_ms {
            mindseye_interface::config::require_range("--deadline-ms", deadline_ms, 0.1, 1e6)?;
            task.budget_ms = deadline_ms;
        }
        Ok((checkpoint, task))
    }
}

/// The token in the file at `path`: its text without spaces around it.
pub(crate) fn token(path: Option<&Path>) -> Result<Option<String>> {
    let Some(path) = path else { return Ok(None) };
    let text = inputs::read_text(path, MAX_TOKEN_BYTES);
    let text = text.map_err(|error| Error::connection(path.display().to_string(), error))?;
    let token = text.trim();
    if token.len() < LEAST_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        let expected =
            format!("at least {LEAST_TOKEN} letters, digits and signs of ASCII, as openssl rand -hex 16 gives");
        return Err(Error::field(path.display().to_string(), expected, format!("{} bytes", token.len())));
    }
    Ok(Some(token.to_owned()))
}
