//! The families of models: one folder and one entry of `FAMILIES` each.

pub mod jepa;
pub mod lewm;

use std::path::Path;
use std::sync::Arc;

use mindseye_interface::ActionSpace;
use serde::{Deserialize, Serialize};

use crate::model::Model;
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
static FAMILIES: [Family; 2] = [
    Family { name: "lewm", is_in: lewm::Lewm::is_in, load: lewm::folder::load },
    Family { name: "jepa", is_in: jepa::folder::is_in, load: jepa::folder::load },
];

/// The family that reads `folder`.
///
/// # Errors
/// [`Error::File`] when none recognises it.
pub(crate) fn family_of(folder: &Path) -> Result<&'static Family> {
    FAMILIES.iter().find(|family| (family.is_in)(folder)).ok_or_else(|| {
        let names: Vec<&str> = FAMILIES.iter().map(|family| family.name).collect();
        Error::file(&folder.join("config.json"), format!("expected a model of one of {}, got none", names.join(", ")))
    })
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
