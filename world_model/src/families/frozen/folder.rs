//! The folder of a world model on a frozen encoder: the encoder's own files in `encoder/`, the predictor with the mean
//! of the tokens and the statistics of states in `model.safetensors`, and `config.json`, which is written last.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::Tensor;
use mindseye_interface::config::Validate;
use mindseye_interface::{files, inputs};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::config::FrozenRecipe;
use super::model::FrozenWorldModel;
use super::network::{PredictorNetwork, PredictorShape};
use super::tokens::FrozenTokens;
use super::training::FrozenTrainingReport;
use crate::families::vit::{Vit, VitOptions};
use crate::families::{LoadOptions, ModelFolder, Origin, config_in};
use crate::ops::{tensor, with_values};
use crate::statistics::LatentStatistics;
use crate::tensor_files::TensorFiles;
use crate::weights_file::copy_file;
use crate::{Error, Result, fingerprint, weights_file};

const CONFIG_FILE: &str = "config.json";
const WEIGHTS_FILE: &str = "model.safetensors";
/// The folder with the encoder.
const ENCODER: &str = "encoder";
/// What an encoder has beside its weights.
const ENCODER_FILES: [&str; 3] = ["config.json", "preprocessor_config.json", "pretraining.json"];
/// Value of the field `family`, by which such a folder is known.
const FAMILY: &str = "frozen";
/// Names of the tokens' mean and scale.
const MEAN: &str = "tokens.mean";
const SCALE: &str = "tokens.scale";

/// Content of `config.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrozenRecord {
    family: String,
    /// The recipe.
    pub recipe: FrozenRecipe,
    /// How the training went.
    pub training: FrozenTrainingReport,
    /// Where the episodes come from.
    pub origin: Origin,
    /// The camera of the training images; empty where it had no name.
    pub camera: String,
    /// SHA-256 of the encoder's weights.
    pub encoder_sha256: String,
}

impl FrozenRecord {
    /// The record in `folder`.
    ///
    /// # Errors
    /// [`Error::File`] when it is missing, broken, or does not make sense.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(CONFIG_FILE);
        let failed = |reason: String| Error::file(&path, reason);
        let text = inputs::read(&path, inputs::MAX_CONFIG_BYTES).map_err(|error| failed(error.to_string()))?;
        let record: Self = serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))?;
        record.recipe.validate().map_err(|error| failed(format!("recipe.{error}")))?;
        let width = record.origin.action_space.width();
        record.origin.validate(width).map_err(|error| failed(format!("origin.{error}")))?;
        Ok(record)
    }
}

impl FrozenWorldModel {
    /// Whether `folder` holds such a model, by its config.
    pub fn is_in(folder: &Path) -> bool {
        config_in(folder)["family"].as_str() == Some(FAMILY)
    }

    /// Writes the model to `folder`, which exists and has no model, with the files of the encoder at `encoder` that it
    /// was trained on.
    ///
    /// # Errors
    /// [`Error::File`] when a file cannot be read or written.
    pub fn save(
        &self,
        folder: &Path,
        encoder: &Path,
        statistics: &LatentStatistics,
        (recipe, training, origin): (&FrozenRecipe, &FrozenTrainingReport, &Origin),
    ) -> Result<()> {
        let place = folder.join(ENCODER);
        std::fs::create_dir(&place)
            .or_else(|error| if place.is_dir() { Ok(()) } else { Err(error) })
            .map_err(|error| Error::file(&place, error))?;
        let beside = if encoder.is_dir() { encoder } else { encoder.parent().unwrap_or(Path::new(".")) };
        let weights = TensorFiles::open(encoder, Default::default())?;
        for file in weights.paths() {
            copy_file(file, &place)?;
        }
        for name in ENCODER_FILES {
            let file = beside.join(name);
            if file.exists() {
                copy_file(&file, &place)?;
            }
        }
        let mut tensors: BTreeMap<String, Tensor> =
            self.weights().iter().map(|(name, weight)| (name.clone(), weight.as_tensor().clone())).collect();
        let (tokens, shape) = (self.tokens(), self.tokens().shape());
        tensors.insert(MEAN.to_owned(), tensor(tokens.mean.clone(), (shape.tokens, shape.width))?);
        tensors.insert(SCALE.to_owned(), tensor(vec![tokens.scale], 1)?);
        statistics.store(&mut tensors)?;
        weights_file::write(&folder.join(WEIGHTS_FILE), &tensors, None)?;
        let record = FrozenRecord {
            family: FAMILY.to_owned(),
            recipe: recipe.clone(),
            training: training.clone(),
            origin: origin.clone(),
            camera: crate::Model::spec(self).cameras.first().map(|camera| camera.name.clone()).unwrap_or_default(),
            encoder_sha256: of_encoder(&place)?,
        };
        let path = folder.join(CONFIG_FILE);
        let mut text = serde_json::to_vec_pretty(&record).map_err(|error| Error::file(&path, error))?;
        text.push(b'\n');
        files::write_whole(&path, &text).map_err(|error| Error::file(&path, error))
    }
}

/// SHA-256 of the encoder's weights in `folder`, file by file.
fn of_encoder(folder: &Path) -> Result<String> {
    fingerprint::of_files(TensorFiles::open(folder, Default::default())?.paths())
}

/// See [`crate::families::Family`].
pub(crate) fn load(folder: &Path, _options: &LoadOptions) -> Result<ModelFolder> {
    let record = FrozenRecord::read(folder)?;
    let place = folder.join(ENCODER);
    let sha256 = of_encoder(&place)?;
    if sha256 != record.encoder_sha256 {
        let reason =
            format!("expected the encoder of the training ({}), got another ({sha256})", record.encoder_sha256);
        return Err(Error::file(&place, reason));
    }
    let vit = Arc::new(Vit::load(&place, &VitOptions::default())?);
    let path = folder.join(WEIGHTS_FILE);
    let failed = |reason: String| Error::file(&path, reason);
    let mut tokens = FrozenTokens::new(vit, record.recipe.pool).map_err(|error| Error::file(&place, error))?;
    let (mut tensors, _) = weights_file::read(&path)?;
    let statistics = LatentStatistics::take(&mut tensors, tokens.shape()).map_err(failed)?;
    let mut take = |name: &str, length: usize| -> Result<Vec<f32>> {
        let stored = tensors.remove(name).ok_or_else(|| failed(format!("{name}: expected it, got none")))?;
        let values = with_values(&stored, <[f32]>::to_vec)?;
        match values.len() == length {
            true => Ok(values),
            false => Err(failed(format!("{name}: expected {length} values, got {}", values.len()))),
        }
    };
    (tokens.mean, tokens.scale) = (take(MEAN, tokens.mean.len())?, take(SCALE, 1)?[0]);
    if tokens.scale <= 0.0 {
        return Err(failed(format!("{SCALE}: expected a number above 0, got {}", tokens.scale)));
    }
    let action_width = record.origin.action_space.width();
    let shape = PredictorShape {
        config: record.recipe.predictor.clone(),
        grid: tokens.grid(),
        width: tokens.shape().width,
        chunk_width: action_width * record.recipe.action_chunk,
    };
    let network = PredictorNetwork::stored(&shape, tensors).map_err(|error| Error::file(&path, error))?;
    let mut own = Sha256::new();
    own.update(fingerprint::of_weights(&network.weights)?);
    tokens.mean.iter().chain([&tokens.scale]).for_each(|value| own.update(value.to_le_bytes()));
    own.update(&sha256);
    let fingerprint = own.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let model = FrozenWorldModel::new(tokens, shape, network.weights, &record.camera, action_width);
    let (origin, statistics) = (Some(record.origin), Some(statistics));
    Ok(ModelFolder { model: Arc::new(model), fingerprint, origin, statistics, config: None })
}
