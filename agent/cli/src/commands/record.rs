//! `mindseye record`: scripted episodes of a scene as a LeRobot data set.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use mindseye_episodes::{DatasetSpec, DatasetWriter, EpisodeData, PictureStorage, Recording, Sidecar, WriteMode};
use mindseye_interface::config::require_range;
use mindseye_interface::{Seed, Simulator};
use mindseye_sim::{SceneOptions, demonstrate, demonstrator, make};
use mindseye_world_model::Checkpoint;
use rayon::prelude::*;
use serde::Serialize;

use super::{SceneArguments, load_task, print_json};
use crate::assets;
use crate::practice::Practice;
use crate::progress::{Meter, stop_on_ctrl_c};

/// Record episodes of a scene, acted by its scripted demonstrators or by the agent itself, as a LeRobotDataset v3.0.
///
/// The data set opens in LeRobot's own tools. Equal seeds give equal bytes. What is recorded is durable file by file: Ctrl-C
/// writes out what there is, a crash loses at most the unfinished file, and --append goes on with the episodes that are missing
/// (the same as those of a recording that never stopped; files may be cut elsewhere).
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
    /// Who acts: mixture; in two_room and bridge also walker (through the door, over the river, with noise); in push_t through (pushes through random points of
    /// the block), poser (brings it into random poses), paced (the mixture with rests and slow phases) and prodder (from anywhere to
    /// anywhere on the block); in all explorer (smooth random), and agent: the agent with the model of --checkpoint pursues goals
    /// of its own, so that a next training sees what its plans really do.
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
    /// Record only one part of the episodes, for example 2/4, the second of four: on several machines at once. `mindseye data merge` of all parts
    /// in their order gives the same bytes as one recording.
    #[arg(long, value_parser = parse_shard)]
    shard: Option<Shard>,
    /// Episodes per data file: what a crash can lose.
    #[arg(long, default_value_t = 50)]
    episodes_per_file: usize,
    /// Keep pictures as AV1 videos instead of PNG: much smaller, with some loss, and slower to write and to read.
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
}

/// What was recorded.
#[derive(Debug, Serialize)]
struct RecordReport {
    path: PathBuf,
    episodes: usize,
    frames: usize,
    recorded_frames: usize,
    seconds: f64,
    finished: bool,
}

/// One part of a recording.
#[derive(Debug, Clone, Copy)]
struct Shard {
    /// From 1 on.
    number: usize,
    of: usize,
}

impl Shard {
    const WHOLE: Self = Self { number: 1, of: 1 };

    /// The episodes of this part, of so many in all.
    fn episodes(self, all: usize) -> Range<usize> {
        (self.number - 1) * all / self.of..self.number * all / self.of
    }
}

fn parse_shard(text: &str) -> std::result::Result<Shard, String> {
    let parsed = text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
    match parsed {
        Some((number, of)) if (1..=of).contains(&number) && of <= 1_000_000 => Ok(Shard { number, of }),
        _ => Err(format!("expected number/of, for example 2/4, got {text}")),
    }
}

/// Seed of recorded episode `index`.
pub fn episode_seed(root: Seed, index: u64) -> Seed {
    root.child("recorded").index(index)
}

/// Runs the command.
///
/// # Errors
/// When an argument makes no sense, the folder is taken, or the disk refuses. Nothing is written in the first two cases.
pub fn run(arguments: &RecordArguments) -> Result<()> {
    require_range("--episodes", arguments.episodes, 1, 10_000_000)?;
    require_range("--steps", arguments.steps, 1, 100_000)?;
    require_range("--threads", arguments.threads, 1, 1024)?;
    let options = arguments.scene.options()?;
    require_range(
        "--steps x --image-side squared x 3",
        arguments.steps * options.image_size.rgb_len(),
        1,
        EPISODE_BYTES,
    )?;
    let scene = arguments.scene.scene.as_str();
    let simulator = make(scene, &options)?;
    let actor = choose_actor(arguments, &options)?;
    let mode = match (arguments.overwrite, arguments.append) {
        (true, _) => WriteMode::Overwrite,
        (_, true) => WriteMode::Append,
        _ => WriteMode::Error,
    };
    let writer = DatasetWriter::create(&arguments.out, spec(arguments, &options, simulator.as_ref()), mode)?;
    let report = record_into(writer, arguments, &options, &actor, stop_on_ctrl_c()?)?;
    if arguments.json {
        return print_json(&report);
    }
    let RecordReport { episodes, frames, recorded_frames, seconds, .. } = report;
    let rate = recorded_frames as f64 / seconds.max(1e-9);
    println!("{}: {episodes} episodes, {frames} frames ({rate:.0} frames/s)", arguments.out.display());
    if !report.finished {
        println!("stopped at {episodes} of {} episodes; --append goes on", arguments.episodes);
    }
    Ok(())
}

fn record_into(
    mut writer: DatasetWriter,
    arguments: &RecordArguments,
    options: &SceneOptions,
    actor: &Recorded,
    stop: &AtomicBool,
) -> Result<RecordReport> {
    let started = Instant::now();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(arguments.threads).build().context("starting threads")?;
    let part = arguments.shard.unwrap_or(Shard::WHOLE).episodes(arguments.episodes);
    let meter = Meter::new("record", part.len(), "episodes");
    let (root, frames_before) = (Seed::new(arguments.seed), writer.frames());
    let together = episodes_in_memory(arguments, options);
    while writer.episodes() < part.len() && !stop.load(Ordering::Relaxed) {
        let first = writer.episodes();
        let last = part.len().min(first + together);
        let seed = |index: usize| episode_seed(root, (part.start + index) as u64);
        let episode = |index: usize| record_episode(arguments, options, actor, seed(index));
        let episodes: Vec<EpisodeData> =
            pool.install(|| (first..last).into_par_iter().map(episode).collect::<Result<_>>())?;
        pool.install(|| episodes.iter().try_for_each(|episode| writer.add_episode(episode)))?;
        meter.set(writer.episodes(), || format!("{} frames", writer.frames()));
    }
    let frames = writer.frames();
    let episodes = writer.finish()?;
    Ok(RecordReport {
        path: arguments.out.clone(),
        episodes,
        frames,
        recorded_frames: frames - frames_before,
        seconds: started.elapsed().as_secs_f64(),
        finished: episodes >= part.len(),
    })
}

/// Bytes of pictures in memory at the same time.
const MEMORY_BYTES: usize = 256 << 20;
/// Bytes of pictures of one episode: more is a mistake.
const EPISODE_BYTES: usize = 4 << 30;

fn episodes_in_memory(arguments: &RecordArguments, options: &SceneOptions) -> usize {
    let episode_bytes = arguments.steps * options.image_size.rgb_len();
    (MEMORY_BYTES / episode_bytes.max(1)).clamp(1, 8 * arguments.threads)
}

/// Who is recorded.
enum Recorded {
    /// A script.
    Demonstrator,
    /// The agent.
    Agent(Box<Practice>),
}

/// Name of the policy that records the agent itself.
const AGENT: &str = "agent";

fn choose_actor(arguments: &RecordArguments, options: &SceneOptions) -> Result<Recorded> {
    let scene = arguments.scene.scene.as_str();
    if arguments.policy != AGENT {
        if arguments.checkpoint.is_some() || arguments.task.is_some() {
            bail!("--checkpoint and --task: expected --policy {AGENT}, got --policy {}", arguments.policy);
        }
        demonstrator(scene, &arguments.policy, options)?;
        return Ok(Recorded::Demonstrator);
    }
    let folder = arguments.checkpoint.clone().map_or_else(|| assets::checkpoint(scene), Ok)?;
    let checkpoint = Arc::new(Checkpoint::load_for_scene(&folder, scene)?);
    let side = checkpoint.config.model.image_side;
    require_range("--image-side (the checkpoint's)", arguments.scene.image_side, side, side)?;
    Ok(Recorded::Agent(Box::new(Practice { checkpoint, task: load_task(arguments.task.as_deref(), scene)? })))
}

fn record_episode(
    arguments: &RecordArguments,
    options: &SceneOptions,
    actor: &Recorded,
    seed: Seed,
) -> Result<EpisodeData> {
    if let Recorded::Agent(practice) = actor {
        return practice.play(&arguments.scene.scene, options, seed, arguments.steps);
    }
    let mut simulator = make(&arguments.scene.scene, options)?;
    let mut demonstrator = demonstrator(&arguments.scene.scene, &arguments.policy, options)?;
    simulate_episode(simulator.as_mut(), demonstrator.as_mut(), seed, arguments.steps)
}

/// One demonstrated episode as it is recorded.
///
/// # Errors
/// The simulator's.
pub fn simulate_episode(
    simulator: &mut dyn Simulator,
    demonstrator: &mut dyn mindseye_sim::Demonstrator,
    seed: Seed,
    steps: usize,
) -> Result<EpisodeData> {
    let mut episode = EpisodeData::default();
    for moment in demonstrate(simulator, demonstrator, seed, steps, false)? {
        let observation = moment.observation.context("recording: expected an observation at every step, got none")?;
        episode.frames.push(observation.image.context("recording: expected a picture at every step, got none")?);
        episode.proprioception.push(observation.proprioception);
        episode.states.push(moment.state.iter().map(|&value| value as f32).collect());
        episode.actions.push(moment.action.values().to_vec());
    }
    Ok(episode)
}

/// Records scripted episodes of `scene` with square pictures: `episodes` of so many control steps each.
///
/// # Errors
/// When there is no such scene or the disk refuses.
pub fn record_scene(
    scene: &str,
    image_side: usize,
    (episodes, steps): (usize, usize),
    seed: Seed,
    out: &Path,
) -> Result<()> {
    let options = SceneOptions::with_side(image_side)?;
    let (mut simulator, mut demonstrator) = (make(scene, &options)?, demonstrator(scene, "mixture", &options)?);
    let mut writer = DatasetWriter::create(out, plain_spec(scene, &options, simulator.as_ref()), WriteMode::Error)?;
    for episode in 0..episodes as u64 {
        let seed = episode_seed(seed, episode);
        writer.add_episode(&simulate_episode(simulator.as_mut(), demonstrator.as_mut(), seed, steps)?)?;
    }
    writer.finish()?;
    Ok(())
}

fn spec(arguments: &RecordArguments, options: &SceneOptions, simulator: &dyn Simulator) -> DatasetSpec {
    let sidecar = Sidecar {
        scene: arguments.scene.scene.clone(),
        action_space: simulator.action_space().clone(),
        control_step_secs: simulator.control_step_secs(),
        recordings: vec![Recording {
            first_episode: 0,
            seed: Seed::new(arguments.seed),
            policy: arguments.policy.clone(),
            factors: options.factors.0.iter().map(|factor| factor.name().to_owned()).collect(),
            first_of_seed: arguments
                .shard
                .map(|shard| shard.episodes(arguments.episodes).start)
                .filter(|first| *first > 0),
        }],
    };
    DatasetSpec {
        pictures: if arguments.video { PictureStorage::Av1 } else { PictureStorage::Png },
        episodes_per_file: arguments.episodes_per_file,
        sidecar: Some(sidecar),
        ..plain_spec(&arguments.scene.scene, options, simulator)
    }
}

fn plain_spec(scene: &str, options: &SceneOptions, simulator: &dyn Simulator) -> DatasetSpec {
    DatasetSpec {
        frames_per_second: (1.0 / simulator.control_step_secs()).round() as u32,
        camera: "top".into(),
        image_size: options.image_size,
        pictures: PictureStorage::Png,
        proprioception_names: simulator.proprioception_names(),
        state_names: simulator.state_names(),
        action_names: simulator.action_space().names.clone(),
        task: format!("{scene} demonstrations"),
        robot: Some(scene.into()),
        episodes_per_file: 50,
        sidecar: None,
    }
}
