//! `mindseye inspect`: what is in a folder.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use mindseye_episodes::{DatasetSummary, Mapping, open_with};
use mindseye_plots::model_report::{self, ModelReport};
use mindseye_world_model::checkpoint::CheckpointConfig;
use mindseye_world_model::{Checkpoint, Head, Lewm, LewmConfig};
use serde::Serialize;

use super::{load_mapping, print_json};
use crate::assets;

/// Describe a data set or a checkpoint: what it holds, where it comes from, how good it is. Everything in it is read
/// and checked.
///
/// With --data, a checkpoint's model is measured on a data set: linear probes of the true state (fitted to three
/// quarters of its episodes, checked on the rest), rollout errors, standard deviations of the latent. With --out as
/// well, two images: probes.png (read from the latent, against the truth; of data without a true state, against
/// proprioception) and imagination.png (decoded rollouts, under what the camera recorded).
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    mindseye inspect assets/checkpoints/two_room\n  \
    mindseye inspect assets/checkpoints/push_t --data data/fresh --out images")]
pub struct InspectArguments {
    /// A data set (a LeRobot folder, v3.0 or v2.1; an HDF5 file or folder of stable-worldmodel; an HDF5 file of
    /// robomimic), or the folder of a checkpoint or a LeWorldModel.
    path: PathBuf,
    /// Data set to measure the checkpoint's model on; record a fresh one with another --seed for episodes that it was
    /// not trained on.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Which columns of a data set are what (TOML, see docs/recordings.md); what it leaves out is guessed.
    #[arg(long)]
    mapping: Option<PathBuf>,
    /// Folder for the images.
    #[arg(long, requires = "data")]
    out: Option<PathBuf>,
    /// Print one JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// What a folder turned out to be.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Finding {
    Dataset(Box<DatasetFinding>),
    Checkpoint(Box<CheckpointSummary>),
    Lewm(Box<LewmSummary>),
}

#[derive(Debug, Serialize)]
struct DatasetFinding {
    #[serde(flatten)]
    summary: DatasetSummary,
    /// Which columns are what, guesses included.
    mapping: Mapping,
}

#[derive(Debug, Serialize)]
struct LewmSummary {
    path: PathBuf,
    parameters: usize,
    config: LewmConfig,
}

#[derive(Debug, Serialize)]
struct CheckpointSummary {
    path: PathBuf,
    parameters: usize,
    decoder: bool,
    policy: bool,
    /// Names of what the state probe reads; none without one.
    state_probe: Vec<String>,
    #[serde(flatten)]
    config: CheckpointConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_data: Option<ModelReport>,
}

/// A file that a training run writes before its checkpoint.
const UNFINISHED: &str = "state.safetensors";

/// Runs the command.
///
/// # Errors
/// When the folder is neither, or something in it is broken.
pub fn run(arguments: &InspectArguments) -> Result<()> {
    let finding = find(arguments)?;
    if arguments.json {
        return print_json(&finding);
    }
    match finding {
        Finding::Dataset(finding) => print_dataset(&finding),
        Finding::Checkpoint(summary) => print_checkpoint(&summary),
        Finding::Lewm(summary) => print_lewm(&summary),
    }
    Ok(())
}

fn find(arguments: &InspectArguments) -> Result<Finding> {
    let path = &assets::resolve(&arguments.path);
    let mapping = load_mapping(arguments.mapping.as_deref())?;
    if path.is_file() || ["meta/info.json", "ep_len.npz"].iter().any(|file| path.join(file).exists()) {
        if arguments.data.is_some() {
            bail!("{}: expected a checkpoint beside --data, got a data set", path.display());
        }
        let dataset = open_with(path, &mapping)?;
        for index in 0..dataset.len() {
            dataset.read_episode(index)?;
        }
        let (summary, mapping) = (dataset.summary()?, dataset.mapping());
        return Ok(Finding::Dataset(Box::new(DatasetFinding { summary, mapping })));
    }
    if Lewm::is_in(path) {
        if arguments.data.is_some() {
            bail!("{}: expected a checkpoint of mindseye beside --data, got a LeWorldModel", path.display());
        }
        let model = Lewm::load(path)?;
        return Ok(Finding::Lewm(Box::new(LewmSummary {
            path: path.to_path_buf(),
            parameters: model.parameters(),
            config: model.config().clone(),
        })));
    }
    if path.join("config.json").exists() {
        let checkpoint = Checkpoint::load(path)?;
        let measure = |data: &PathBuf| model_report::report(&checkpoint, data, &mapping, arguments.out.as_deref());
        let on_data = arguments.data.as_ref().map(measure).transpose()?;
        return Ok(Finding::Checkpoint(Box::new(CheckpointSummary {
            path: path.to_path_buf(),
            parameters: checkpoint.model.parameters(),
            decoder: checkpoint.decoder.is_some(),
            policy: checkpoint.policy.is_some(),
            state_probe: checkpoint
                .state_probe
                .as_ref()
                .map_or_else(Vec::new, |state_probe| state_probe.config().state_names.clone()),
            config: checkpoint.config,
            on_data,
        })));
    }
    if path.join(UNFINISHED).exists() {
        bail!(
            "{}: expected a checkpoint, got a training run that is not finished: train --resume ends it",
            path.display()
        );
    }
    bail!(
        "{}: expected a data set (meta/info.json, ep_len.npz) or a checkpoint (config.json), got neither",
        path.display()
    )
}

fn print_dataset(DatasetFinding { summary, mapping }: &DatasetFinding) {
    let [shortest, longest] = summary.episode_frames;
    println!("data set {} ({})", summary.path.display(), summary.format);
    println!("  {} episodes of {shortest} to {longest} frames, {} in all", summary.episodes, summary.frames);
    let rate = summary.frames_per_second.map_or("an unknown number of".into(), |rate| rate.to_string());
    println!("  {rate} frames per second, {:.1} MiB", summary.bytes_on_disk as f64 / f64::from(1 << 20));
    if !summary.tasks.is_empty() {
        println!("  tasks: {}", summary.tasks.join("; "));
    }
    for feature in &summary.features {
        let names = feature.element_names.join(", ");
        println!("  {:<26} {:<8} {:?} {names}", feature.name, feature.dtype, feature.shape);
    }
    println!("  read as (a --mapping file with such lines says otherwise):");
    let Mapping { cameras, action, proprioception, state, .. } = mapping;
    let columns = [("cameras", cameras), ("action", action), ("proprioception", proprioception), ("state", state)];
    for (field, columns) in columns {
        println!("    {field} = {:?}", columns.as_deref().unwrap_or_default());
    }
    if let Some(action) = &summary.action {
        println!("  action mean {:.2?}, std {:.2?}", action.mean, action.std);
    }
    for recording in summary.sidecar.iter().flat_map(|sidecar| &sidecar.recordings) {
        let factors = if recording.factors.is_empty() { "none".into() } else { recording.factors.join(", ") };
        let (first, seed) = (recording.first_episode, recording.seed.value());
        println!("  from episode {first}: policy {}, seed {seed}, factors {factors}", recording.policy);
    }
    if let Some(sidecar) = &summary.sidecar {
        println!("  scene {}, control step {} s", sidecar.scene, sidecar.control_step_secs);
    }
}

fn print_lewm(summary: &LewmSummary) {
    let LewmConfig { vision, action, predictor, .. } = &summary.config;
    println!("LeWorldModel {}", summary.path.display());
    println!("  {} weights, embeddings of {}", summary.parameters, vision.width);
    println!(
        "  encoder: images of {0}x{0} in patches of {1}, {2} layers of {3} heads",
        vision.image_side, vision.patch, vision.layers, vision.heads
    );
    println!(
        "  predictor: {} layers of {} heads over {} frames, action chunks of {} numbers",
        predictor.layers, predictor.heads, predictor.history, action.chunk_width
    );
}

fn print_checkpoint(summary: &CheckpointSummary) {
    let CheckpointConfig { model, training, data, scene, .. } = &summary.config;
    let side = model.image_side;
    println!("checkpoint {} (scene {scene})", summary.path.display());
    println!(
        "  {} weights, latent of {}, images of {side}x{side}, chunks of {} control steps with {} actions",
        summary.parameters, model.latent_width, model.action_chunk, model.action_width
    );
    println!("  trained {} steps in {:.1} minutes, seed {}", training.steps, training.minutes, training.seed);
    println!(
        "  data: {} episodes, {} frames ({} for training)",
        data.episodes, data.frames, training.training_episodes
    );
    let yes = |is: bool| if is { "yes" } else { "no" };
    println!("  decoder: {}, policy: {}", yes(summary.decoder), yes(summary.policy));
    println!(
        "  state probe: {}",
        if summary.state_probe.is_empty() { "no".into() } else { summary.state_probe.join(", ") }
    );
    training.validation.iter().for_each(|validation| println!("  {validation}"));
    if let Some(report) = &summary.on_data {
        println!("{report}");
    }
}
