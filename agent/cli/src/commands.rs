//! The verbs of the binary, one file each.

pub mod ablate;
pub mod bench;
pub mod branches;
pub mod cameras;
pub mod compare;
pub mod data;
pub mod demo;
pub mod evaluate;
mod former;
pub mod inspect;
pub mod plan;
pub mod record;
mod resumable;
mod serving;
mod shell;
pub mod train;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, CommandFactory, Parser, Subcommand};
use mindseye_agent::Task;
use mindseye_assets as assets;
use mindseye_episodes::Mapping;
use mindseye_evaluation::{LearnedAgent, hold_out};
use mindseye_interface::config::require_range;
use mindseye_interface::{Benchmark, FolderLock, ImageSize, config, files};
use mindseye_sim::{Factor, Factors, SceneOptions};
use mindseye_worlds::{AbilityArguments, WorldArguments};
use serde::Serialize;

use crate::streams::{note, say};

/// A robot that looks before it leaps: records episodes, learns a world model from them, and acts by imagining what its
/// actions would lead to.
#[derive(Debug, Parser)]
#[command(
    name = "mindseye",
    version,
    after_help = "From nothing to a working agent:\n  \
    mindseye demo two_room\n  \
    mindseye record --scene two_room --out data/two_room\n  \
    mindseye train --data data/two_room --out runs/two_room\n  \
    mindseye evaluate --scene two_room --checkpoint runs/two_room\n\n\
    Models, tasks, planners and recipes come with the program; MINDSEYE_ASSETS names a folder with others."
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(demo::DemoArguments),
    Record(record::RecordArguments),
    Train(Box<train::TrainArguments>),
    #[command(name = "teach", hide = true)] // the old name of `train HEAD`
    Former(former::FormerArguments),
    Evaluate(Box<evaluate::EvaluateArguments>),
    Plan(plan::PlanArguments),
    Compare(compare::CompareArguments),
    Ablate(ablate::AblateArguments),
    /// The name of `evaluate branches` before.
    #[command(name = "forks", hide = true)]
    Branches(branches::BranchesArguments),
    Inspect(inspect::InspectArguments),
    Data(data::DataArguments),
    Cameras(mindseye_cameras::CamerasArguments),
    Serve(mindseye_serving::ServeArguments),
    Act(mindseye_serving::ActArguments),
    Arm(mindseye_serving::ArmArguments),
    Watch(mindseye_serving::watch::WatchArguments),
    Live(mindseye_serving::LiveArguments),
    Bench(bench::BenchArguments),
    SurpriseSuite(bench::SurpriseSuiteArguments),
    /// Be a world as programs of yours can be (docs/your_robot.md): answer requests in JSON on stdin with a scene.
    #[command(after_help = "Example: mindseye world --scene push_t < requests.jsonl")]
    World {
        #[command(flatten)]
        scene: SceneArguments,
        #[command(flatten)]
        abilities: AbilityArguments,
    },
    #[command(flatten)]
    Encoders(mindseye_encoders::EncoderCommand),
    Completions(shell::CompletionsArguments),
    Man(shell::ManArguments),
}

impl Command {
    /// Whether it ends by itself, so that being stopped is to end too soon. (Servers and recordings of a camera are
    /// meant to be stopped.)
    pub fn has_an_end(&self) -> bool {
        match self {
            Self::Train(_) | Self::Former(_) | Self::Encoders(_) => true,
            Self::Record(arguments) => !arguments.is_of_cameras(),
            _ => false,
        }
    }

    /// Runs the verb.
    ///
    /// # Errors
    /// Those of the verb.
    pub fn run(&self) -> Result<()> {
        match self {
            Self::Demo(arguments) => demo::run(arguments),
            Self::Record(arguments) => record::run(arguments),
            Self::Train(arguments) => train::run(arguments),
            Self::Former(arguments) => former::run(arguments),
            Self::Evaluate(arguments) => evaluate::run(arguments),
            Self::Plan(arguments) => plan::run(arguments),
            Self::Compare(arguments) => compare::run(arguments),
            Self::Ablate(arguments) => ablate::run(arguments),
            Self::Branches(arguments) => branches::run(arguments),
            Self::Inspect(arguments) => inspect::run(arguments),
            Self::Data(arguments) => data::run(arguments),
            Self::Cameras(arguments) => cameras::run(arguments),
            Self::Serve(arguments) => Ok(arguments.run(&serving::program()?)?),
            Self::Act(arguments) => Ok(arguments.run(&serving::program()?)?),
            Self::Arm(arguments) => Ok(serving::program()?.arm(arguments)?),
            Self::Watch(arguments) => cameras::watch(arguments),
            Self::Live(arguments) => Ok(arguments.run(&serving::program()?)?),
            Self::Bench(arguments) => bench::run(arguments),
            Self::SurpriseSuite(arguments) => bench::surprise_suite(arguments),
            Self::World { scene, abilities } => Ok(abilities.serve(scene.open()?.benchmark.as_ref())?),
            Self::Encoders(command) => serving::encoders(command),
            Self::Completions(arguments) => shell::completions(arguments, Arguments::command()),
            Self::Man(arguments) => shell::man(arguments, Arguments::command()),
        }
    }
}

/// Which scene, with which camera, varying in what.
#[derive(Debug, Args)]
pub struct SceneArguments {
    /// Name of the scene: two_room, push_t or bridge.
    #[arg(long, default_value = "two_room")]
    pub scene: String,
    /// Side of the camera's square images, pixels.
    #[arg(long, default_value_t = 64)]
    pub image_side: usize,
    /// What varies from episode to episode, separated by commas: agent_color, wall_color, floor_color, agent_radius,
    /// agent_speed, friction; in two_room also door_position, wall_position, wall_thickness, rotated_actions; in push_t
    /// also block_color, block_size, block_shape, and (the same in every episode: a world that has changed)
    /// doubled_friction, tripled_friction, doubled_mass, halved_action_gain, recoloured_floor,
    /// rotated_actions.
    #[arg(long, value_delimiter = ',')]
    pub factors: Vec<String>,
    #[command(flatten)]
    pub world: WorldArguments,
}

/// A scene, or a world of another program.
pub struct Opened {
    /// Its environments, pairs, scripts and goals.
    pub benchmark: Box<dyn Benchmark>,
    /// Of its name checkpoints and tasks are.
    pub name: String,
    /// What it is built with.
    pub options: SceneOptions,
}

impl SceneArguments {
    /// The options that scenes are built with.
    ///
    /// # Errors
    /// When the image size or a factor makes no sense.
    pub fn options(&self) -> Result<SceneOptions> {
        let image_size = ImageSize::square(self.image_side).context("--image-side")?;
        let factors = self.factors.iter().map(|name| Factor::from_str(name)).collect::<mindseye_interface::Result<_>>();
        Ok(SceneOptions { image_size, factors: Factors(factors.context("--factors")?) })
    }

    /// The scene, or the world.
    ///
    /// # Errors
    /// When the options make no sense, there is no such scene, or the world does not start.
    pub fn open(&self) -> Result<Opened> {
        let options = self.options()?;
        let command = self.world.world.as_deref().map(assets::resolve_words);
        let world = WorldArguments { world: command, ..self.world.clone() };
        let benchmark: Box<dyn Benchmark> = match world.start(self.image_side)? {
            Some(_) if !self.factors.is_empty() => bail!("--factors: expected a scene, got a world"),
            Some(world) => Box::new(world),
            None => Box::new(mindseye_sim::benchmark(&self.scene, &options)?),
        };
        Ok(Opened { name: benchmark.name().to_owned(), benchmark, options })
    }
}

impl Opened {
    /// The agent with the model in `folder`, by default the shipped one of the scene.
    ///
    /// # Errors
    /// When the checkpoint is broken, of another scene, or for images of another size.
    pub fn agent(&self, folder: Option<&Path>) -> Result<LearnedAgent> {
        let agent = LearnedAgent::load(&assets::checkpoint_or(folder, &self.name)?, &self.name)?;
        let side = agent.image_side();
        require_range("--image-side (the checkpoint's)", self.options.image_size.width(), side, side)?;
        Ok(agent)
    }

    /// The same, with starts and goals in recordings of a world that the agent's model was not trained on.
    pub fn tested_agent(&mut self, folder: Option<&Path>, data: &[PathBuf]) -> Result<LearnedAgent> {
        let agent = self.agent(folder)?;
        hold_out(self.benchmark.as_mut(), &agent, data)?;
        Ok(agent)
    }
}

/// The task in `path`, or the one that comes with `scene`.
///
/// # Errors
/// As [`assets::load_task`].
pub fn load_task(path: Option<&Path>, scene: &str) -> Result<Task> {
    assets::load_task(path, scene, mindseye_sim::scene(scene).is_ok())
}

/// The mapping in `path`, or an empty one: every column is guessed.
///
/// # Errors
/// When the file is broken.
pub fn load_mapping(path: Option<&Path>) -> Result<Mapping> {
    Ok(path.map(config::load).transpose()?.unwrap_or_default())
}

/// So many threads of their own.
///
/// # Errors
/// When the system has none.
pub fn pool(threads: usize) -> Result<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().context("starting threads")
}

/// Locks the folder for outputs of the command `verb` until the lock is dropped; a missing one is made before the work,
/// so that a wrong one does not cost its result.
///
/// # Errors
/// When another process writes to it, or it cannot be made.
pub fn lock_folder(out: &Path, verb: &str) -> Result<FolderLock> {
    let lock = FolderLock::acquire(out, verb)?;
    lock.note().iter().for_each(|note| note!("{note}"));
    Ok(lock)
}

/// Refuses a folder for outputs inside one of the `data` sets, which are never written to.
///
/// # Errors
/// Naming both.
pub fn require_outside(out: &Path, data: &[PathBuf]) -> Result<()> {
    match data.iter().find(|data| files::is_within(out, data)) {
        Some(data) => bail!("--out {}: expected a folder outside the data {}", out.display(), data.display()),
        None => Ok(()),
    }
}

/// Writes `document` as JSON to `path`, whole or not at all, into a folder that is there (see [`lock_folder`]).
///
/// # Errors
/// When it cannot be written.
pub fn write_json(path: &Path, document: &impl Serialize) -> Result<()> {
    let context = || format!("{}", path.display());
    files::write_whole(path, &serde_json::to_vec_pretty(document).with_context(context)?).with_context(context)
}

/// An error of the episodes library in the words of the command line: arguments are options.
pub fn with_options(error: mindseye_episodes::Error) -> anyhow::Error {
    match error {
        mindseye_episodes::Error::Argument { .. } => anyhow!("--{error}"),
        mindseye_episodes::Error::UnknownRate { path } => {
            anyhow!("{}: expected --fps, since the data do not record a rate, got none", path.display())
        }
        other => other.into(),
    }
}

/// Threads used by default: as many as there are cores.
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Prints one JSON document on stdout.
///
/// # Errors
/// When the document has no JSON.
pub fn print_json(document: &impl Serialize) -> Result<()> {
    say!("{}", serde_json::to_string_pretty(document).context("writing JSON")?);
    Ok(())
}
