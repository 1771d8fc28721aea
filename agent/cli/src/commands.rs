//! The verbs of the binary, one file each.

pub mod ablate;
pub mod bench;
pub mod compare;
pub mod data;
pub mod demo;
pub mod evaluate;
pub mod forks;
pub mod inspect;
pub mod record;
pub mod teach;
pub mod train;

use std::io::Write;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use mindseye_agent::Task;
use mindseye_episodes::Mapping;
use mindseye_interface::config::require_range;
use mindseye_interface::{ImageSize, config};
use mindseye_sim::{Factor, Factors, SceneOptions};
use serde::Serialize;

use crate::assets;
use crate::evaluation::PairKind;
use crate::running::cost_terms;

/// Which scene, seen how, varying in what.
#[derive(Debug, Args)]
pub struct SceneArguments {
    /// Name of the scene: two_room, push_t or bridge.
    #[arg(long, default_value = "two_room")]
    pub scene: String,
    /// Side of the camera's square pictures, pixels.
    #[arg(long, default_value_t = 64)]
    pub image_side: usize,
    /// What varies from episode to episode, separated by commas: agent_color, wall_color, floor_color, agent_radius,
    /// agent_speed, friction; in two_room also door_position, wall_position, wall_thickness, turned_axes; in push_t also block_color, block_size,
    /// block_shape, and doubled_friction, doubled_mass, halved_reach, turned_axes, tinted_floor (the same in every episode: a world that has changed). Nothing by default.
    #[arg(long, value_delimiter = ',')]
    pub factors: Vec<String>,
}

impl SceneArguments {
    /// The options that scenes are built with.
    ///
    /// # Errors
    /// When the picture size or a factor makes no sense.
    pub fn options(&self) -> Result<SceneOptions> {
        let image_size = ImageSize::square(self.image_side).context("--image-side")?;
        let factors = self.factors.iter().map(|name| Factor::from_str(name)).collect::<mindseye_interface::Result<_>>();
        Ok(SceneOptions { image_size, factors: Factors(factors.context("--factors")?) })
    }
}

/// How many held-out episodes are played, and which.
#[derive(Debug, Args)]
pub struct Protocol {
    /// Episodes per seed.
    #[arg(long, default_value_t = 100)]
    pub episodes: usize,
    /// Number of seeds.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// First root seed; the others follow it.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Episodes played at the same time; the results do not depend on it.
    #[arg(long, default_value_t = default_threads())]
    pub threads: usize,
}

impl Protocol {
    /// Refuses numbers that make no sense.
    ///
    /// # Errors
    /// Naming the argument.
    pub fn validate(&self) -> Result<()> {
        require_range("--episodes", self.episodes, 1, 1_000_000)?;
        require_range("--seeds", self.seeds, 1, 1000)?;
        require_range("--seed", self.seed, 0, u64::MAX - 1000)?;
        Ok(require_range("--threads", self.threads, 1, 1024)?)
    }

    /// The root seeds.
    pub fn seeds(&self) -> Vec<u64> {
        (self.seed..self.seed + self.seeds).collect()
    }
}

/// How starts and goals are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Pairs {
    /// States of the same held-out episode; the block (if any) has to be moved.
    Offset,
    /// States of the same held-out episode between which the block need not be moved.
    Still,
    /// The scene's hard pairs: in two_room any start, any goal in the other room; in bridge from the left of the river to the right.
    Cross,
    /// Three states of the same held-out episode, to be reached one after the other.
    Sequence,
}

impl Pairs {
    /// The same, with starts and goals `goal_offset` control steps apart (where they are of the same episode).
    pub fn with_offset(self, goal_offset: usize) -> PairKind {
        match self {
            Self::Offset => PairKind::Offset { goal_offset },
            Self::Still => PairKind::Still { goal_offset },
            Self::Cross => PairKind::Cross,
            Self::Sequence => PairKind::Sequence { goal_offset },
        }
    }
}

/// The task in `path`, or the one that is shipped for `scene`.
///
/// # Errors
/// When the file is broken, or weighs a cost term that does not exist.
pub fn load_task(path: Option<&Path>, scene: &str) -> Result<Task> {
    let path = path.map_or_else(|| assets::task(scene), |path| Ok(path.to_path_buf()))?;
    let task: Task = config::load(&path)?;
    let terms = cost_terms();
    if let Some(name) = task.weights.keys().find(|name| !terms.contains(&name.as_str())) {
        bail!("{}: weights: expected terms of {}, got {name}", path.display(), terms.join(", "));
    }
    Ok(task)
}

/// The mapping in `path`, or none: everything is guessed.
///
/// # Errors
/// When the file is broken.
pub fn load_mapping(path: Option<&Path>) -> Result<Mapping> {
    Ok(path.map(config::load).transpose()?.unwrap_or_default())
}

/// Threads used unless told otherwise: as many as there are cores.
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Prints one JSON document on stdout.
///
/// # Errors
/// When stdout is closed.
pub fn print_json(document: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(document).context("writing JSON")?;
    writeln!(std::io::stdout().lock(), "{text}").context("writing to stdout")
}
