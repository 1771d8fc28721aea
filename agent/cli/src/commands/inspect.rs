//! `mindseye inspect`: what is in a folder.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use mindseye_assets as assets;
use mindseye_episodes::{DatasetSummary, Mapping, is_recording, open_with};
use mindseye_plots::model_report::{self, CheckpointSummary};
use mindseye_world_model::families::frozen::{FrozenRecord, FrozenWorldModel};
use mindseye_world_model::surprise::SurpriseCalibration;
use mindseye_world_model::training::STATE_FILE;
use mindseye_world_model::{AnyCheckpoint, Checkpoint, Lewm, LewmConfig};
use serde::Serialize;

use super::{load_mapping, load_task, print_json};
use crate::progress::TerminalProgress;
use crate::streams::say;

/// Describe a data set or a checkpoint: what it holds, where it comes from, how good it is. Everything in it is read
/// and checked.
///
/// With --data, a checkpoint's model is measured and judged on a data set, on episodes that it was not trained on where
/// there are any: errors of predictions, whether actions matter, whether plans agree with what was done, linear probes
/// of the true state where there is one, and a verdict. With --out as well, two images: probes.png (read from the
/// latent, against the truth or proprioception) and imagination.png (predicted, under what the camera recorded).
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
    /// Plans of the planning check.
    #[arg(long, default_value_t = 200, requires = "data")]
    plans: usize,
    /// Task file (TOML) of these plans; by default the shipped one of the scene, or assets/tasks/recorded.toml.
    #[arg(long, requires = "data")]
    task: Option<PathBuf>,
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
    Frozen(Box<FrozenSummary>),
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

/// A world model on a frozen encoder.
#[derive(Debug, Serialize)]
struct FrozenSummary {
    path: PathBuf,
    /// What the encoder is, in words.
    encoder: String,
    /// Tokens of a state and their width.
    tokens: [usize; 2],
    fingerprint: String,
    #[serde(flatten)]
    record: FrozenRecord,
}

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
        Finding::Checkpoint(summary) => say!("{summary}"),
        Finding::Lewm(summary) => print_lewm(&summary),
        Finding::Frozen(summary) => print_frozen(&summary),
    }
    Ok(())
}

fn find(arguments: &InspectArguments) -> Result<Finding> {
    let path = &assets::resolve(&arguments.path);
    let mapping = load_mapping(arguments.mapping.as_deref())?;
    if is_recording(path) && !path.join("config.json").exists() && !Lewm::is_in(path) {
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
    if FrozenWorldModel::is_in(path) {
        if arguments.data.is_some() {
            bail!("{}: expected a checkpoint of `train` beside --data, got one of `train dynamics`", path.display());
        }
        return Ok(Finding::Frozen(Box::new(frozen(path)?)));
    }
    if path.join("config.json").exists() || path.join(STATE_FILE).exists() {
        let checkpoint = Checkpoint::load(path)?;
        SurpriseCalibration::load(path, checkpoint.fingerprint())?;
        let mut summary = CheckpointSummary::of(path, &checkpoint);
        if let Some(data) = &arguments.data {
            let task = load_task(arguments.task.as_deref(), &checkpoint.config.scene)?;
            let (plans, out, progress) = (arguments.plans, arguments.out.as_deref(), &TerminalProgress::default());
            let settings = model_report::Settings { task: &task, plans, out, command: "", progress };
            summary.on_data = Some(model_report::report(checkpoint, data, &mapping, &settings)?);
        }
        return Ok(Finding::Checkpoint(Box::new(summary)));
    }
    // Of a name of the hub, the error says how to download it.
    if let Err(error @ mindseye_episodes::Error::Content { .. }) = open_with(path, &mapping)
        && !path.exists()
    {
        return Err(error.into());
    }
    if !path.exists() {
        bail!("{}: expected a data set or a checkpoint, got nothing: there is no such file or folder", path.display());
    }
    bail!(
        "{}: expected a data set (meta/info.json, ep_len.npz) or a checkpoint (config.json), got neither",
        path.display()
    )
}

fn print_dataset(DatasetFinding { summary, mapping }: &DatasetFinding) {
    say!("{summary}");
    say!("  read as (a --mapping file with such lines says otherwise):");
    let Mapping { cameras, action, proprioception, state, .. } = mapping;
    let columns = [("cameras", cameras), ("action", action), ("proprioception", proprioception), ("state", state)];
    for (field, columns) in columns {
        say!("    {field} = {:?}", columns.as_deref().unwrap_or_default());
    }
}

fn print_lewm(summary: &LewmSummary) {
    say!("LeWorldModel {}", summary.path.display());
    say!("  {} weights, {}", summary.parameters, summary.config);
}

fn frozen(path: &Path) -> Result<FrozenSummary> {
    let checkpoint = AnyCheckpoint::load(path)?;
    let model = checkpoint.model.as_any().downcast_ref::<FrozenWorldModel>();
    let tokens = checkpoint.spec().latent;
    Ok(FrozenSummary {
        path: path.to_path_buf(),
        encoder: model.map(|model| model.tokens().encoder().vit().to_string()).unwrap_or_default(),
        tokens: [tokens.tokens, tokens.width],
        fingerprint: checkpoint.fingerprint().to_owned(),
        record: FrozenRecord::read(path)?,
    })
}

fn print_frozen(summary: &FrozenSummary) {
    let FrozenSummary { path, encoder, tokens: [tokens, width], record, .. } = summary;
    let (training, origin, predictor) = (&record.training, &record.origin, &record.recipe.predictor);
    say!("world model on a frozen encoder {}", path.display());
    say!("  encoder: {encoder}");
    say!(
        "  states of {tokens} tokens of {width} values; of {}, {} s a control step",
        origin.scene,
        origin.control_step_secs
    );
    say!(
        "  predictor: {} weights, {} layers of {} heads, width {}, {} control steps at a time",
        training.parameters,
        predictor.layers,
        predictor.heads,
        predictor.width,
        record.recipe.action_chunk
    );
    say!(
        "  trained {} steps on {} episodes in {:.1} minutes",
        training.steps,
        training.training_episodes,
        training.minutes
    );
    training.validation.iter().for_each(|validation| say!("  held-out {validation}"));
}
