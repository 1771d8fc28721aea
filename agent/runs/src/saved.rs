//! A run as a file: all that it follows from, and digests of its ticks.

use std::path::Path;
use std::sync::Arc;

use mindseye_agent::{ModelSource, Task};
use mindseye_interface::{Benchmark, Seed, StartGoal, files, inputs};
use serde::{Deserialize, Serialize};

use crate::{Command, Detail, Error, RecordedActions, Result, RunSetup};

/// Version of the file.
const FORMAT: u32 = 1;
/// Most bytes of the file: some 100,000 ticks.
const MAX_BYTES: u64 = 64 << 20;

/// A saved run, in JSON. Field names are stable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedRun {
    /// Version of the file.
    pub format: u32,
    /// Version of the program that wrote it.
    pub version: String,
    /// Name of the benchmark.
    pub scene: String,
    /// What the world is, beyond its name: [`Benchmark::identity`].
    pub world: String,
    /// SHA-256 of the model's weights; none for a model that comes from no checkpoint.
    pub model_fingerprint: Option<String>,
    /// The task.
    pub task: Task,
    /// Start and goals.
    pub pair: SavedPair,
    /// Actions of a recorded episode that the run follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<RecordedActions>,
    /// Commands, oldest first.
    pub commands: Vec<SavedCommand>,
    /// Number of ticks.
    pub ticks: u64,
    /// [`TickRecord::digest`](crate::TickRecord::digest) of every tick.
    pub digests: Vec<String>,
}

/// A command and when it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedCommand {
    /// Number of the tick before which it came.
    pub tick: u64,
    /// The command.
    pub command: Command,
}

/// Start and goals of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedPair {
    /// Root seed.
    pub seed: u64,
    /// Number of the pair under this seed.
    pub index: usize,
    /// Seed of the episode.
    pub episode: Seed,
    /// The true state at the start `[K]`.
    pub start: Vec<f64>,
    /// Goals before the last one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<Vec<f64>>,
    /// The last goal, the true state `[K]`.
    pub goal: Vec<f64>,
}

impl From<&StartGoal> for SavedPair {
    fn from(pair: &StartGoal) -> Self {
        let StartGoal { seed, index, episode, start, via, goal, metrics: _ } = pair.clone();
        Self { seed, index, episode, start, via, goal }
    }
}

impl From<&SavedPair> for StartGoal {
    /// The pair without its metrics, on which no run depends.
    fn from(pair: &SavedPair) -> Self {
        let SavedPair { seed, index, episode, start, via, goal } = pair.clone();
        Self { seed, index, episode, start, via, goal, metrics: std::collections::BTreeMap::new() }
    }
}

impl SavedRun {
    pub(crate) fn of(setup: &RunSetup, commands: Vec<SavedCommand>, digests: Vec<String>) -> Self {
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            scene: setup.benchmark.name().to_owned(),
            world: setup.benchmark.identity(),
            model_fingerprint: setup.source.fingerprint().map(str::to_owned),
            task: setup.task.clone(),
            pair: SavedPair::from(&setup.pair),
            recorded: setup.recorded.as_deref().cloned(),
            commands,
            ticks: digests.len() as u64,
            digests,
        }
    }

    /// The setup of this run in the world of `benchmark` with the model of `source`.
    pub fn setup(
        &self,
        benchmark: Arc<dyn Benchmark + Send + Sync>,
        source: ModelSource,
        threads: usize,
        detail: Detail,
    ) -> RunSetup {
        RunSetup {
            benchmark,
            source,
            task: self.task.clone(),
            pair: StartGoal::from(&self.pair),
            recorded: self.recorded.clone().map(Arc::new),
            threads,
            detail,
        }
    }

    /// Reads a file that [`InteractiveRun::save`](crate::InteractiveRun::save) wrote, and repeats nothing.
    ///
    /// # Errors
    /// [`Error::File`] naming the field.
    pub fn load(path: &Path) -> Result<Self> {
        let text = inputs::read(path, MAX_BYTES).map_err(|error| Error::file(path, error))?;
        let read: Self = serde_json::from_slice(&text).map_err(|error| Error::file(path, error))?;
        let refuse = |field: &str, expected: String, got: String| {
            Err(Error::file(path, format!("{field}: expected {expected}, got {got}")))
        };
        if read.format != FORMAT {
            return refuse("format", FORMAT.to_string(), read.format.to_string());
        }
        if read.ticks != read.digests.len() as u64 {
            return refuse("digests", read.ticks.to_string(), read.digests.len().to_string());
        }
        let out_of_order = read.commands.windows(2).any(|pair| pair[0].tick > pair[1].tick);
        if out_of_order || read.commands.last().is_some_and(|last| last.tick > read.ticks) {
            return refuse("commands", format!("ticks from 0 to {} in their order", read.ticks), "others".to_owned());
        }
        Ok(read)
    }

    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(self).map_err(|error| Error::file(path, error))?;
        text.push(b'\n');
        files::write_whole_with_folders(path, &text).map_err(|error| Error::file(path, error))
    }

    /// Refuses a setup of another run.
    pub(crate) fn require(&self, setup: &RunSetup) -> Result<()> {
        let other = Self::of(setup, Vec::new(), Vec::new());
        let named = |name: &Option<String>| name.clone().unwrap_or_else(|| "none".to_owned());
        let texts = [
            ("the run's model", named(&self.model_fingerprint), named(&other.model_fingerprint)),
            ("the run's scene", self.scene.clone(), other.scene),
            ("the run's world", self.world.clone(), other.world),
        ];
        for (what, expected, got) in texts {
            if expected != got {
                return Err(Error::value(what, expected, got));
            }
        }
        if self.task != other.task {
            return Err(Error::value("the run's task", format!("{} as saved", self.task.name), "another"));
        }
        if self.recorded != other.recorded {
            let named = |recorded: &Option<RecordedActions>| {
                recorded.as_ref().map_or_else(|| "none".to_owned(), |recorded| recorded.name.clone())
            };
            let got = format!("others: {}", named(&other.recorded));
            return Err(Error::value("the run's recorded actions", named(&self.recorded), got));
        }
        if self.pair != other.pair {
            let pair = |pair: &SavedPair| format!("number {} of seed {} as saved", pair.index, pair.seed);
            return Err(Error::value("the run's pair", pair(&self.pair), "another"));
        }
        Ok(())
    }
}
