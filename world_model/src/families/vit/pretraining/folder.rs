//! The folder of a pretrained encoder: names and fields as published encoders have them, and a record of the run.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::Tensor;
use mindseye_interface::{files, inputs};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::config::PretrainingConfig;
use super::network::{Networks, stored};
use super::report::PretrainingReport;
use crate::families::vit::preprocessing::Preprocessing;
use crate::ops::{tensor, with_values};
use crate::{Error, Result, weights_file};

/// File of the training state in the folder of a run.
pub const STATE_FILE: &str = "pretraining.state.safetensors";
const RECORD_FILE: &str = "pretraining.json";
const WEIGHTS_FILE: &str = "model.safetensors";
const CONFIG_FILE: &str = "config.json";
const PREPROCESSING_FILE: &str = "preprocessor_config.json";

/// What a folder was pretrained with, and how that went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PretrainingRecord {
    /// The recipe.
    pub config: PretrainingConfig,
    /// The run.
    pub report: PretrainingReport,
}

impl PretrainingRecord {
    /// The record in `folder`; none of encoders that were trained elsewhere.
    ///
    /// # Errors
    /// [`Error::File`] when it is broken.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(RECORD_FILE);
        let text =
            inputs::read_if_present(&path, inputs::MAX_CONFIG_BYTES).map_err(|error| Error::file(&path, error))?;
        let record = text.map(|text| serde_json::from_slice(&text)).transpose();
        record.map_err(|error| Error::file(&path, error))
    }

    /// Whether `folder` has a finished encoder, or a run that can be resumed.
    pub fn is_taken(folder: &Path) -> bool {
        [RECORD_FILE, WEIGHTS_FILE, CONFIG_FILE, STATE_FILE].iter().any(|file| folder.join(file).exists())
    }

    /// Writes the folder; the config last, by which it is recognised.
    pub(super) fn save(&self, folder: &Path, networks: &Networks) -> Result<()> {
        let average = networks.average.is_some();
        let mut tensors: BTreeMap<String, Tensor> = BTreeMap::new();
        for (name, var) in &networks.weights {
            let tensor = var.as_detached_tensor();
            match name.split_once('.') {
                Some(("target_encoder", rest)) => drop(tensors.insert(format!("encoder.{rest}"), tensor)),
                Some(("encoder", _)) if !average => drop(tensors.insert(name.clone(), tensor)),
                Some(("predictor", rest)) if self.config.objective.is_latent() => {
                    // The authors' mask tokens are [1, 1, width].
                    let tensor = if rest.starts_with("mask_tokens") { tensor.reshape((1, 1, ()))? } else { tensor };
                    tensors.insert(name.clone(), tensor);
                }
                _ => (),
            }
        }
        let write = |name: &str, value: Value| -> Result<()> {
            let path = folder.join(name);
            let bytes = serde_json::to_vec_pretty(&value).map_err(|error| Error::file(&path, error))?;
            files::write_whole(&path, &bytes).map_err(|error| Error::file(&path, error))
        };
        let record = serde_json::to_value(self).map_err(|error| Error::file(&folder.join(RECORD_FILE), error))?;
        write(RECORD_FILE, record)?;
        write(PREPROCESSING_FILE, self.preprocessing())?;
        weights_file::write(&folder.join(WEIGHTS_FILE), &tensors, None)?;
        write(CONFIG_FILE, self.fields())
    }

    /// The fields of `config.json`.
    fn fields(&self) -> Value {
        let (sizes, predictor) = (&self.config.encoder, &self.config.predictor);
        let mut fields = json!({
            "model_type": self.config.kind().name(),
            "hidden_size": sizes.width,
            "num_hidden_layers": sizes.layers,
            "num_attention_heads": sizes.heads,
            "mlp_ratio": 4.0,
            "hidden_act": "gelu",
            "layer_norm_eps": 1e-6,
            "in_chans": 3,
            "patch_size": sizes.patch,
            "crop_size": sizes.image_side,
        });
        let mut set = |name: &str, value: Value| drop(fields.as_object_mut().map(|all| all.insert(name.into(), value)));
        if self.config.kind().takes_clips() {
            set("tubelet_size", sizes.tubelet.into());
            set("frames_per_clip", sizes.frames.into());
            set("uniform_power", true.into());
        }
        if self.config.objective.is_latent() {
            set("pred_hidden_size", predictor.width.into());
            set("pred_num_hidden_layers", predictor.layers.into());
            set("pred_num_attention_heads", predictor.heads.into());
            set("pred_num_mask_tokens", self.config.mask_tokens().into());
        }
        fields
    }

    /// Images are scaled to the encoder's squares, as its training data were.
    fn preprocessing(&self) -> Value {
        let side = self.config.encoder.image_side;
        let usual = Preprocessing::usual(self.config.kind(), [side; 2], false);
        json!({
            "do_resize": true,
            "size": { "height": side, "width": side },
            "resample": 2,
            "do_center_crop": false,
            "do_normalize": true,
            "image_mean": usual.mean,
            "image_std": usual.std,
        })
    }
}

/// What the networks of training compute with the weights in `folder`: tokens `[kept, D]` of one clip, tubelets
/// `[N, I]` of which only the numbers `kept` are seen, and predictions `[M, D]` of the tokens `hidden`.
///
/// # Errors
/// When the folder was not pretrained here on tokens.
pub fn trained_forward(folder: &Path, tubelets: &[f32], kept: &[u32], hidden: &[u32]) -> Result<(Vec<f32>, Vec<f32>)> {
    let refused = || Error::file(&folder.join(RECORD_FILE), "expected a record of pretraining, got none");
    let config = PretrainingRecord::read(folder)?.ok_or_else(refused)?.config;
    let (mut tensors, _) = weights_file::read(&folder.join(WEIGHTS_FILE))?;
    for (name, tensor) in &mut tensors {
        if name.contains("mask_tokens") {
            *tensor = tensor.flatten_all()?;
        }
    }
    let (encoder, predictor) = stored(&config, tensors)?;
    let values = config.encoder.tubelet_values();
    let rows = kept.iter().flat_map(|&number| &tubelets[number as usize * values..(number as usize + 1) * values]);
    let (kept, hidden) = ([kept.to_vec()], [hidden.to_vec()]);
    let tokens = encoder.forward(&tensor(rows.copied().collect(), (kept[0].len(), values))?, &kept)?;
    let (predicted, _) = predictor.forward(&tokens, &kept, &hidden, 0)?;
    let of = |tensor: &Tensor| with_values(tensor, <[f32]>::to_vec);
    Ok((of(&tokens)?, of(&predicted)?))
}
