//! Arguments of all commands that take a world instead of a scene.

use std::path::PathBuf;

use clap::Args;
use mindseye_interface::config::require_range;
use mindseye_interface::{Benchmark, Error, Result};

use crate::{Abilities, Launch, WorldBenchmark, serve};

/// A world of another program instead of a scene.
#[derive(Debug, Clone, Args)]
pub struct WorldArguments {
    /// A world of another program instead of a scene: a command that answers requests in JSON, line by line, for
    /// example "python assets/worlds/pusht_env.py" (docs/your_robot.md).
    #[arg(long, value_name = "COMMAND", conflicts_with = "scene")]
    pub world: Option<String>,
    /// Recordings of this world: goals of --policy agent are theirs, and starts and goals of an evaluation are states
    /// of those episodes that the model was not trained on. Without it an evaluation uses episodes that the world's own
    /// demonstrator plays, with seeds that no recording has. May be given several times.
    #[arg(long, value_name = "DIR", requires = "world")]
    pub data: Vec<PathBuf>,
    /// Longest time for an answer of the world, seconds.
    #[arg(long, default_value_t = 60.0, requires = "world")]
    pub world_timeout: f64,
}

impl WorldArguments {
    /// Starts the world with images of `image_side` pixels a side; none where a scene is asked for.
    ///
    /// # Errors
    /// When an argument makes no sense, the world does not start, or the recordings are not of this world.
    pub fn start(&self, image_side: usize) -> Result<Option<WorldBenchmark>> {
        let Some(command) = &self.world else { return Ok(None) };
        require_range("--world-timeout", self.world_timeout, 0.01, 86_400.0)?;
        let launch = Launch { command: command.clone(), image_side, timeout_secs: self.world_timeout };
        WorldBenchmark::start(launch)?.with_recordings(&self.data).map(Some)
    }
}

/// What a scene that is served as a world can do.
#[derive(Debug, Args)]
pub struct AbilityArguments {
    /// Abilities that it does without, separated by commas: set_state, check_goal, act, snapshot.
    #[arg(long, value_delimiter = ',')]
    without: Vec<String>,
}

impl AbilityArguments {
    /// Answers the requests on stdin with an environment of `benchmark`, until there are no more.
    ///
    /// # Errors
    /// When there is no such ability, or requests cannot be read.
    pub fn serve(&self, benchmark: &dyn Benchmark) -> Result<()> {
        let (mut world, mut script) = (benchmark.environment()?, benchmark.scripts("mixture")?.script()?);
        let (can, input, output) = (self.abilities()?, std::io::stdin().lock(), std::io::stdout().lock());
        let failed = |error: std::io::Error| Error::Environment { operation: "world", reason: error.to_string() };
        serve(world.as_mut(), script.as_mut(), can, input, output).map_err(failed)
    }

    fn abilities(&self) -> Result<Abilities> {
        let mut can = Abilities { set_state: true, check_goal: true, act: true, snapshot: true };
        for name in &self.without {
            match name.as_str() {
                "set_state" => can.set_state = false,
                "check_goal" => can.check_goal = false,
                "act" => can.act = false,
                "snapshot" => can.snapshot = false,
                other => return Err(Error::field("--without", "set_state, check_goal, act or snapshot", other)),
            }
        }
        Ok(can)
    }
}
