//! `mindseye record`: episodes of a scene as a LeRobot data set.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use mindseye_episodes::{DatasetSpec, DatasetWriter, EpisodeData, ImageStorage, Recording, Sidecar, WriteMode};
use mindseye_evaluation::collection::{
    OnPolicyCollection, RecordingPlan, RecordingReport, ScriptedGoals, Shard, dataset_spec, record, scripted_episode,
};
use mindseye_evaluation::{Error, LearnedAgent};
use mindseye_interface::config::require_range;
use mindseye_interface::memory::product;
use mindseye_interface::text::printable_path;
use mindseye_interface::{MemoryLimit, Seed, Simulator};
use mindseye_serving::LiveRecordingArguments;
use serde::Serialize;

use super::cameras::sources;
use super::{Opened, SceneArguments, load_task, pool, print_json};
use crate::progress::{TerminalProgress, stop_on_ctrl_c};
use crate::streams::{note, say};

/// Record episodes of a scene, by its scripted demonstrators or by the agent itself, as a LeRobotDataset v3.0.
///
/// The data set opens in LeRobot's own tools. Equal seeds give equal bytes. What is recorded is durable file by file:
/// Ctrl-C writes out what there is, a crash loses at most the unfinished file, and --append goes on with the episodes
/// that are missing (the same as those of a recording that never stopped; files may be cut elsewhere).
#[derive(Debug, Args)]
#[command(after_help = "Example: mindseye record --scene two_room --episodes 1000 --out data/two_room")]
pub struct RecordArguments {
    #[command(flatten)]
    scene: SceneArguments,
    /// Folder of the data set.
    #[arg(long)]
    out: PathBuf,
    /// Episodes to record; with --append, episodes to have in all.
    #[arg(long, default_value_t = 1000)]
    episodes: usize,
    /// Control steps per episode.
    #[arg(long, default_value_t = 100)]
    steps: usize,
    /// What acts: mixture; in two_room and bridge also walker (through the door, over the river, with noise); in
    /// push_t random_point (pushes through random points of the block), goal_pose (brings it into random poses),
    /// variable_speed (the mixture with rests and slow phases) and random_contact (from anywhere to anywhere on the
    /// block); in all explorer (smooth random actions), and agent: the agent with the model of --checkpoint pursues
    /// goals of its own, so that a next training sees what its plans really do.
    #[arg(long, default_value = "mixture")]
    policy: String,
    /// Model of the agent, for --policy agent; by default the shipped one of the scene.
    #[arg(long)]
    checkpoint: Option<PathBuf>,
    /// How the agent plans (task file, TOML), for --policy agent; by default the shipped one of the scene.
    #[arg(long)]
    task: Option<PathBuf>,
    /// Root of every random choice.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Record only one part of the episodes, for example 2/4, the second of four: on several machines at once.
    /// `mindseye data convert` of all parts in their order gives the same bytes as one recording.
    #[arg(long)]
    shard: Option<Shard>,
    /// Episodes per data file: what a crash can lose.
    #[arg(long, default_value_t = 50)]
    episodes_per_file: usize,
    /// Keep images as AV1 videos instead of PNG: much smaller, with some loss, and slower to write and to read.
    #[arg(long)]
    video: bool,
    /// Replace the data set that is there.
    #[arg(long, conflicts_with = "append")]
    overwrite: bool,
    /// Go on with the data set that is there.
    #[arg(long)]
    append: bool,
    /// Threads; the data set does not depend on it.
    #[arg(long, default_value_t = super::default_threads())]
    threads: usize,
    /// Print one JSON document about the data set on stdout.
    #[arg(long)]
    json: bool,
    // Last, since its heading is that of all that follows.
    #[command(flatten)]
    live: LiveRecordingArguments,
}

/// What was recorded.
#[derive(Debug, Serialize)]
struct RecordReport<'a> {
    path: &'a PathBuf,
    #[serde(flatten)]
    recording: RecordingReport,
}

/// Bytes of images of one episode: more is a mistake.
const EPISODE_BYTES: usize = 4 << 30;
/// An image is in memory as it is and encoded, and once more while its file is written.
const COPIES: usize = 3;
/// Name of the policy that records the agent itself.
const AGENT: &str = "agent";

impl RecordArguments {
    /// Whether cameras are recorded, which nobody knows the end of.
    pub fn is_of_cameras(&self) -> bool {
        self.live.is_asked_for()
    }
}

/// Runs the command.
///
/// # Errors
/// When an argument makes no sense, the folder is taken, or the disk refuses. Nothing is written in the first two
/// cases.
pub fn run(arguments: &RecordArguments) -> Result<()> {
    require_range("--episodes", arguments.episodes, 1, 10_000_000)?;
    require_range("--steps", arguments.steps, 1, 100_000)?;
    require_range("--threads", arguments.threads, 1, 1024)?;
    let mode = WriteMode::of(arguments.overwrite, arguments.append);
    if arguments.live.is_asked_for() {
        let (data, tell) = ((&*arguments.out, mode, arguments.video), &mut |line: &str| note!("{line}"));
        let report = arguments.live.run(&sources(), data, arguments.episodes, stop_on_ctrl_c()?, tell)?;
        if arguments.json {
            return print_json(&report);
        }
        say!("{report}");
        return Ok(());
    }
    let options = arguments.scene.options()?;
    let episode_bytes = arguments.steps * options.image_size.rgb_len();
    require_range("--steps x --image-side squared x 3", episode_bytes, 1, EPISODE_BYTES)?;
    let batch = RecordingPlan::batch(episode_bytes, arguments.threads);
    let asked = product(&[COPIES, batch, episode_bytes]);
    MemoryLimit::of_this_machine().require("--steps x --image-side squared x 3, of some episodes at a time", asked)?;
    let scene = arguments.scene.open()?;
    let benchmark = scene.benchmark.as_ref();
    let simulator = benchmark.environment()?;
    if arguments.policy != AGENT && (arguments.checkpoint.is_some() || arguments.task.is_some()) {
        bail!("--checkpoint and --task: expected --policy {AGENT}, got --policy {}", arguments.policy);
    }
    let agent = if arguments.policy == AGENT { Some(agent(arguments, &scene)?) } else { None };
    // The agent's goals are states that the demonstrators reach, unless there are recordings.
    let policy = if agent.is_some() { "mixture" } else { &arguments.policy };
    let scripts = benchmark.scripts(policy)?;
    let recorded = benchmark.recorded_goals();
    let scripted = ScriptedGoals(scripts.as_ref());
    let goals = recorded.as_deref().unwrap_or(&scripted);
    let episode = |seed: Seed| -> std::result::Result<EpisodeData, Error> {
        match &agent {
            Some((method, task)) => {
                OnPolicyCollection { benchmark, goals, method, task }.episode(seed, arguments.steps)
            }
            None => {
                let (mut world, mut script) = (benchmark.environment()?, scripts.script()?);
                scripted_episode(world.as_mut(), script.as_mut(), seed, arguments.steps)
            }
        }
    };
    let (pool, stop) = (pool(arguments.threads)?, stop_on_ctrl_c()?); // what may fail comes before the folder
    let writer = DatasetWriter::create(&arguments.out, spec(arguments, &scene, simulator.as_ref()), mode)?;
    let part = arguments.shard.unwrap_or(Shard::WHOLE).episodes(arguments.episodes);
    let plan = RecordingPlan { root: Seed::new(arguments.seed), episodes: part.start as u64..part.end as u64, batch };
    let progress = TerminalProgress::stopped_by(stop);
    if let Some(note) = writer.note() {
        progress.note(&note);
    }
    let recording = pool.install(|| record(writer, &plan, &episode, &progress))?;
    if arguments.json {
        return print_json(&RecordReport { path: &arguments.out, recording });
    }
    let RecordingReport { episodes, frames, recorded_frames, seconds, finished } = recording;
    let rate = recorded_frames as f64 / seconds.max(1e-9);
    let out = printable_path(&arguments.out);
    if arguments.overwrite && episodes == 0 {
        say!("{out}: nothing was recorded; what was there is as it was");
        return Ok(());
    }
    say!("{out}: {episodes} episodes, {frames} frames ({rate:.0} frames/s)");
    if !finished {
        say!("stopped at {episodes} of {} episodes; --append goes on", arguments.episodes);
    }
    Ok(())
}

/// The agent that records itself, and how it plans.
fn agent(arguments: &RecordArguments, scene: &Opened) -> Result<(LearnedAgent, mindseye_agent::Task)> {
    let agent = scene.agent(arguments.checkpoint.as_deref())?;
    Ok((agent, load_task(arguments.task.as_deref(), &scene.name)?))
}

/// The data set with what the recording is of.
fn spec(arguments: &RecordArguments, scene: &Opened, simulator: &dyn Simulator) -> DatasetSpec {
    let first_of_seed = arguments.shard.map(|shard| shard.episodes(arguments.episodes).start);
    let sidecar = Sidecar {
        scene: scene.name.clone(),
        action_space: simulator.action_space().clone(),
        control_step_secs: simulator.control_step_secs(),
        recordings: vec![Recording {
            first_episode: 0,
            seed: Seed::new(arguments.seed),
            policy: arguments.policy.clone(),
            factors: scene.options.factors.names(),
            first_of_seed: first_of_seed.filter(|first| *first > 0),
        }],
    };
    DatasetSpec {
        image_storage: if arguments.video { ImageStorage::Av1 } else { ImageStorage::Png },
        episodes_per_file: arguments.episodes_per_file,
        sidecar: Some(sidecar),
        ..dataset_spec(&scene.name, scene.options.image_size, simulator)
    }
}
