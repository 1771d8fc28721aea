//! A world as a benchmark.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;

use mindseye_interface::{
    Benchmark, GoalSource, ImageSize, PairSearch, Result, ScriptSource, Simulator, StartGoal, inputs,
};

use crate::connection::Launch;
use crate::description::Description;
use crate::goals::RecordedGoals;
use crate::pairs::Search;
use crate::recordings::Recordings;
use crate::worlds::Worlds;

/// Most bytes of a file that the identity of a world is read from.
const MOST_FILE_BYTES: u64 = 64 << 20;

/// A world of another program, as a benchmark: one process per episode that runs at the same time.
pub struct WorldBenchmark(Worlds);

impl WorldBenchmark {
    /// Starts the world.
    ///
    /// # Errors
    /// When it cannot be started, does not describe itself in time, or speaks another protocol.
    pub fn start(launch: Launch) -> Result<Self> {
        Worlds::start(launch).map(Self)
    }

    /// The same with the episodes recorded in `folders`: goals of an agent's own collection are taken from them, and
    /// starts and goals of pairs from those of them that [`Benchmark::keep_recorded`] keeps.
    ///
    /// # Errors
    /// When a data set cannot be read or is not of this world.
    pub fn with_recordings(mut self, folders: &[PathBuf]) -> Result<Self> {
        if !folders.is_empty() {
            let recordings = Recordings::open(folders, self.description())?;
            self.0.held_out = (0..recordings.episodes.len()).collect();
            self.0.recordings = Some(recordings);
        }
        Ok(self)
    }

    /// What the world says of itself.
    pub fn description(&self) -> &Description {
        self.0.description()
    }
}

impl Benchmark for WorldBenchmark {
    fn name(&self) -> &str {
        &self.description().name
    }

    /// The command, the contents of files that it names, and what the world says of itself.
    fn identity(&self) -> String {
        let launch = self.0.pool.launch();
        let mut hash = DefaultHasher::new();
        format!("{launch:?} {:?}", self.description()).hash(&mut hash);
        for word in launch.command.split_whitespace() {
            if let Ok(bytes) = inputs::read(word.trim_matches(['"', '\'']).as_ref(), MOST_FILE_BYTES) {
                bytes.hash(&mut hash);
            }
        }
        format!("world {} {:016x}", self.name(), hash.finish())
    }

    fn environment(&self) -> Result<Box<dyn Simulator>> {
        Ok(Box::new(self.0.simulator()?))
    }

    fn start_goal_pairs(&self, search: &PairSearch<'_>) -> Result<Vec<StartGoal>> {
        Search { worlds: &self.0, wanted: *search }.run()
    }

    fn keep_recorded(&mut self, episodes: Vec<usize>) {
        self.0.held_out = episodes;
    }

    fn scripts(&self, policy: &str) -> Result<Box<dyn ScriptSource + '_>> {
        self.0.script(policy)?;
        let policy = policy.to_owned();
        Ok(Box::new(move || self.0.script(&policy)))
    }

    fn recorded_goals(&self) -> Option<Box<dyn GoalSource + '_>> {
        let side = ImageSize::square(self.0.pool.launch().image_side).ok()?;
        let camera = self.description().cameras.first()?;
        let goals = RecordedGoals::new(self.0.recordings.as_ref()?, side, &camera.name, &self.description().state);
        Some(Box::new(goals))
    }
}
