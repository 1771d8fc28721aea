//! The families of models: one folder and one entry of `FAMILIES` each.

pub mod frozen;
pub mod jepa;
pub mod lewm;
pub mod vit;

use std::path::Path;
use std::sync::Arc;

use mindseye_episodes::is_recording;
use mindseye_interface::config::{Validate, require_count, require_names, require_range};
use mindseye_interface::{ActionSpace, inputs};
use serde::{Deserialize, Serialize};

use crate::families::jepa::training::STATE_FILE;
use crate::model::Model;
use crate::parity::ParityReport;
use crate::statistics::LatentStatistics;
use crate::{Error, Result};

/// How a family reads its folders.
pub(crate) struct Family {
    /// Name of the family.
    name: &'static str,
    /// Whether a folder holds a model of this family.
    is_in: fn(&Path) -> bool,
    /// Reads the folder.
    pub load: fn(&Path, &LoadOptions) -> Result<ModelFolder>,
}

/// All families. The first one that recognises a folder reads it.
static FAMILIES: [Family; 3] = [
    Family { name: "lewm", is_in: lewm::Lewm::is_in, load: lewm::folder::load },
    Family { name: "frozen", is_in: frozen::FrozenWorldModel::is_in, load: frozen::folder::load },
    JEPA,
];

/// The models that are trained here.
const JEPA: Family = Family { name: "jepa", is_in: jepa::folder::is_in, load: jepa::folder::load };

/// The family that reads `folder`.
///
/// # Errors
/// [`Error::File`] when none recognises it; it says what the folder is instead.
pub(crate) fn family_of(folder: &Path) -> Result<&'static Family> {
    require_world_model(folder)?;
    if let Some(family) = FAMILIES.iter().find(|family| (family.is_in)(folder)) {
        return Ok(family);
    }
    let unfinished = folder.join(STATE_FILE).exists();
    let is_config = config_in(folder).is_object();
    if unfinished || folder.join("config.json").exists() && !is_config {
        return Ok(&JEPA); // its reader says what is wrong with a run without an end, or a config that is no JSON
    }
    let names: Vec<&str> = FAMILIES.iter().map(|family| family.name).collect();
    let got = match () {
        () if !folder.exists() => "nothing: there is no such folder",
        () if is_recording(folder) => "a data set",
        () if is_config => "a config.json of another kind",
        () => "none",
    };
    Err(Error::file(folder, format!("expected a model of one of {}, got {got}", names.join(", "))))
}

/// Refuses a published encoder, which predicts nothing, by name.
///
/// # Errors
/// [`Error::File`] for one.
pub(crate) fn require_world_model(folder: &Path) -> Result<()> {
    if !vit::Vit::is_in(folder) {
        return Ok(());
    }
    let reason = "expected a world model, got an encoder, which `mindseye encode` and `check-parity` read";
    Err(Error::file(&folder.join("config.json"), reason))
}

/// Refuses a LeWorldModel, whose encoder is a part of it, by name: published encoders are read with [`vit::Vit::load`].
///
/// # Errors
/// [`Error::File`] for one, a folder or one of its files.
pub fn require_encoder(path: &Path) -> Result<()> {
    let folder = lewm::weights::folder_of(path);
    if !lewm::Lewm::has_config_in(&folder) {
        return Ok(());
    }
    let reason = "expected a published encoder, got a LeWorldModel, which is no encoder here";
    Err(Error::file(&folder.join("config.json"), reason))
}

/// Compares the model in `folder` with what another implementation computed: the file `io.safetensors` beside it has
/// inputs (`in.NAME`) and expected outputs (`out.NAME`).
///
/// # Errors
/// [`Error::File`] when the folder has no such file, or no model that is read here; not when outputs differ.
pub fn check_parity(folder: &Path, options: &vit::VitOptions) -> Result<ParityReport> {
    match lewm::Lewm::has_config_in(folder) {
        true => lewm::parity::check(folder, options.memory.unwrap_or_default()),
        false => vit::parity::check(folder, options),
    }
}

/// The `config.json` in `folder`; null where there is none that can be read.
pub(crate) fn config_in(folder: &Path) -> serde_json::Value {
    let text = inputs::read(&folder.join("config.json"), inputs::MAX_CONFIG_BYTES).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Settings that folders written by other tools lack. A value given here replaces that of the folder.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LoadOptions {
    /// Numbers per action.
    pub action_width: Option<usize>,
    /// Statistics of normalised actions in the model's training data, by which the model expects actions to be
    /// standardised.
    pub action_statistics: Option<lewm::ActionStatistics>,
}

/// Content of a model's folder, without its heads.
#[derive(Debug)]
pub(crate) struct ModelFolder {
    pub model: Arc<dyn Model>,
    /// SHA-256 of the model's weights.
    pub fingerprint: String,
    /// Where the model's episodes come from, if the folder says so.
    pub origin: Option<Origin>,
    /// Statistics of the latent space, if they were measured.
    pub statistics: Option<LatentStatistics>,
    /// The record of the training, of models that this crate trained.
    pub config: Option<jepa::CheckpointConfig>,
}

/// Shortest control step, seconds.
const SHORTEST_STEP_SECS: f64 = 1e-6;
/// Longest control step, seconds.
const LONGEST_STEP_SECS: f64 = 3600.0;
/// Most dimensions of a true state.
const MAX_STATE: usize = 65_536;

/// Where a model's episodes come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Scene or robot.
    pub scene: String,
    /// Duration of one control step, seconds.
    pub control_step_secs: f64,
    /// Meaning of the actions.
    pub action_space: ActionSpace,
    /// Names of the true state's dimensions; empty without a true state.
    #[serde(default)]
    pub state_names: Vec<String>,
}

impl Origin {
    /// Checks every field against each other and against the model, whose actions have `action_width` numbers.
    ///
    /// # Errors
    /// [`mindseye_interface::Error::Field`] with the name and value of the first field that makes no sense.
    pub(crate) fn validate(&self, action_width: usize) -> mindseye_interface::Result<()> {
        require_names("scene", std::slice::from_ref(&self.scene))?;
        require_range("control_step_secs", self.control_step_secs, SHORTEST_STEP_SECS, LONGEST_STEP_SECS)?;
        require_count("action_space", self.action_space.width(), action_width)?;
        self.action_space.validate()?;
        require_range("state_names (number of them)", self.state_names.len(), 0, MAX_STATE)?;
        require_names("state_names", &self.state_names)
    }
}
