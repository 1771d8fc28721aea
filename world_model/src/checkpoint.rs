//! A trained model as a folder: `config.json`, `model.safetensors`, and the heads beside it, one file each
//! (`decoder.safetensors`, `policy.safetensors`, `critic.safetensors`, `state_probe.safetensors`,
//! `stochastic.safetensors`, `ensemble.safetensors`).
//!
//! [`AnyCheckpoint`] has a model of any family and reads heads when they are asked for. [`Checkpoint`] is that of a
//! JEPA, with all heads in memory.

mod any;

use std::path::Path;
use std::sync::Arc;

use mindseye_interface::config::Validate as _;
use mindseye_interface::{Seed, files};

pub use any::AnyCheckpoint;

pub use crate::families::jepa::training::DataStatistics;
pub use crate::families::jepa::{CheckpointConfig, FORMAT};
pub use crate::families::{LoadOptions, Origin};

use crate::families::jepa::checkpoint_config::CONFIG_FILE;
use crate::families::jepa::training::{TrainingConfig, TrainingData, TrainingReport};
use crate::families::jepa::{Jepa, encode_batch, folder as jepa_folder};
use crate::heads::critic::CriticNetwork;
use crate::heads::decoder::Decoder;
use crate::heads::ensemble::Ensemble;
use crate::heads::policy::Policy;
use crate::heads::state_probe::StateProbe;
use crate::heads::stochastic::StochasticPredictor;
use crate::heads::{Head, Heads};
use crate::latent::LatentShape;
use crate::model::{Dynamics, InferenceOptions};
use crate::statistics::LatentStatistics;
use crate::weights_file::copy_file;
use crate::{Error, Result, fingerprint};

/// A JEPA with all that is needed to plan with it.
#[derive(Debug)]
pub struct Checkpoint {
    /// What the model is and where it comes from.
    pub config: CheckpointConfig,
    /// The model.
    pub model: Jepa,
    /// Statistics of its latent space.
    pub statistics: LatentStatistics,
    /// Draws latents as images, for display.
    pub decoder: Option<Decoder>,
    /// Proposes plans without a planner.
    pub policy: Option<Policy>,
    /// Predicts the cost beyond the horizon.
    pub critic: Option<CriticNetwork>,
    /// Reads named states from latents, for costs about them.
    pub state_probe: Option<StateProbe>,
    /// Predicts several samples per plan.
    pub stochastic: Option<StochasticPredictor>,
    /// Further predictors of the same latents.
    pub ensemble: Option<Ensemble>,
    heads: Heads,
}

/// Pairs of states from which the statistics of the latent space are measured.
const STATISTICS_WINDOWS: usize = 4000;

impl Checkpoint {
    /// The result of a finished run: the model with the statistics of its latent space, without heads.
    ///
    /// # Errors
    /// When the data do not fit the model, or `origin` makes no sense: such a checkpoint would not be read again.
    pub fn of_run(
        model: Jepa,
        training: TrainingReport,
        recipe: TrainingConfig,
        data: &TrainingData,
        origin: Origin,
    ) -> Result<Self> {
        let seed = Seed::new(training.seed).child("statistics");
        let pairs = encode_batch(&model, &data.training_sample(STATISTICS_WINDOWS, 2, seed)?)?;
        let statistics = LatentStatistics::of_pairs(&pairs, LatentShape::global(model.config().latent_width))?;
        // The frames of a single camera are taken whatever it is called; of several, each is found by its name.
        let camera_names = data.camera_names().to_vec();
        let camera_names = if camera_names.len() > 1 { camera_names } else { Vec::new() };
        let model = if camera_names.is_empty() { model } else { model.with_camera_names(&camera_names)? };
        let config = CheckpointConfig {
            format: FORMAT,
            scene: origin.scene,
            control_step_secs: origin.control_step_secs,
            action_space: origin.action_space,
            state_names: origin.state_names,
            camera_names,
            model: model.config().clone(),
            data: data.statistics()?,
            recipe,
            training,
        };
        config.validate()?;
        let heads = Heads::of(None, Some(&config.model), fingerprint::of_weights(model.weights())?);
        Ok(Self::with_heads(config, model, statistics, heads).0)
    }

    /// The checkpoint with those heads that belong to the model and can be read, and why the others do not.
    fn with_heads(
        config: CheckpointConfig,
        model: Jepa,
        statistics: LatentStatistics,
        heads: Heads,
    ) -> (Self, Vec<Error>) {
        let mut unfit = Vec::new();
        let checkpoint = Self {
            config,
            model,
            statistics,
            decoder: fitting(heads.read(), &mut unfit),
            policy: fitting(heads.read(), &mut unfit),
            critic: fitting(heads.read(), &mut unfit),
            state_probe: fitting(heads.read(), &mut unfit),
            stochastic: fitting(heads.read(), &mut unfit),
            ensemble: fitting(heads.read(), &mut unfit),
            heads,
        };
        (checkpoint, unfit)
    }

    /// Writes the model, the heads in memory, and `config.json` last, into a folder that exists. Files of other heads
    /// stay: one of another model is refused when it is read. See [`Checkpoint::save_head`] for writing one head only.
    ///
    /// # Errors
    /// [`Error::File`] when a file cannot be written, or there is no such folder.
    pub fn save(&self, folder: &Path) -> Result<()> {
        self.save_model_and_heads(folder)?;
        self.save_config(folder)
    }

    fn save_model_and_heads(&self, folder: &Path) -> Result<()> {
        jepa_folder::write(folder, &self.model, &self.statistics)?;
        self.decoder.as_ref().map_or(Ok(()), |head| self.save_head(folder, head))?;
        self.policy.as_ref().map_or(Ok(()), |head| self.save_head(folder, head))?;
        self.critic.as_ref().map_or(Ok(()), |head| self.save_head(folder, head))?;
        self.state_probe.as_ref().map_or(Ok(()), |head| self.save_head(folder, head))?;
        self.stochastic.as_ref().map_or(Ok(()), |head| self.save_head(folder, head))?;
        self.ensemble.as_ref().map_or(Ok(()), |head| self.save_head(folder, head))
    }

    fn save_config(&self, folder: &Path) -> Result<()> {
        let path = folder.join(CONFIG_FILE);
        let mut config = serde_json::to_vec_pretty(&self.config).map_err(|error| Error::file(&path, error))?;
        config.push(b'\n');
        files::write_whole(&path, &config).map_err(|error| Error::file(&path, error))
    }

    /// Writes one head of this model to its file in `folder`, which exists. In the checkpoint's own folder nothing else
    /// is written. Another folder gets copies of the model and of the other heads too, byte for byte, and `config.json`
    /// last: before that it is no checkpoint.
    ///
    /// # Errors
    /// [`Error::File`] when a file cannot be read or written.
    pub fn save_with_head<H: Head>(&self, folder: &Path, head: &H) -> Result<()> {
        match self.heads.folder() {
            None => {
                self.save_model_and_heads(folder)?;
                self.save_head(folder, head)?;
                self.save_config(folder)
            }
            Some(own) if is_same_folder(own, folder) => self.save_head(folder, head),
            Some(own) => {
                let (expected, found) = (self.fingerprint(), Self::load(own)?);
                if found.fingerprint() != expected {
                    let got = format!("expected the model that was read from it ({expected}), got another");
                    return Err(Error::file(&own.join(jepa_folder::MODEL_FILE), got));
                }
                copy_file(&own.join(jepa_folder::MODEL_FILE), folder)?;
                self.heads.copy_others::<H>(folder)?;
                self.save_head(folder, head)?;
                copy_file(&own.join(CONFIG_FILE), folder)
            }
        }
    }

    /// Copies the files of the heads beside this model to `folder`, of `other`, where both models have equal weights.
    /// Where they do not, nothing is copied, and the names of the heads' files come back. Files that are there stay.
    ///
    /// # Errors
    /// [`Error::File`] when a file cannot be read or written.
    pub fn give_heads_to(&self, other: &Self, folder: &Path) -> Result<Vec<&'static str>> {
        if self.fingerprint() != other.fingerprint() {
            return Ok(self.heads.files());
        }
        self.heads.copy_missing(folder)?;
        Ok(Vec::new())
    }

    /// Writes one head of this model to its file in `folder`. Nothing else in the folder is written or deleted.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be written.
    pub fn save_head<H: Head>(&self, folder: &Path, head: &H) -> Result<()> {
        self.heads.save(folder, head)
    }

    /// The head of type `H` in the checkpoint's folder, if there is one. It is read once.
    ///
    /// # Errors
    /// [`Error::File`] when its file is broken or belongs to another model.
    pub fn head<H: Head + Send + Sync + 'static>(&self) -> Result<Option<Arc<H>>> {
        self.heads.head()
    }

    /// Why heads in `folder` do not belong to this model, one error per file that names the file and what differs (the
    /// fingerprint, after the model was trained again). Saving a model deletes no head: those that no longer fit stay,
    /// and are refused when they are read.
    pub fn unfit_heads(&self, folder: &Path) -> Vec<Error> {
        self.heads.unfit(folder)
    }

    /// Whether `folder` has a head of type `H` that belongs to this model.
    pub fn has_head_in<H: Head>(&self, folder: &Path) -> bool {
        let there = Heads::of(Some(folder), Some(&self.config.model), self.fingerprint().to_owned());
        there.read::<H>().is_ok_and(|head| head.is_some()) && there.unbound().is_empty()
    }

    /// The heads beside the model.
    pub fn heads(&self) -> &Heads {
        &self.heads
    }

    /// SHA-256 of the model's weights, 64 hexadecimal digits.
    pub fn fingerprint(&self) -> &str {
        self.heads.fingerprint()
    }

    /// Dynamics of the model, with the heads that `options.samples` asks for.
    ///
    /// # Errors
    /// [`Error::MissingHead`] without such a head, and its file's errors.
    pub fn dynamics(&self, options: &InferenceOptions) -> Result<Box<dyn Dynamics>> {
        any::dynamics(&self.model, &self.heads, options)
    }

    /// Reads a folder that [`Checkpoint::save`] wrote.
    ///
    /// # Errors
    /// [`Error::File`] naming the file and its problem.
    pub fn load(folder: &Path) -> Result<Self> {
        let (checkpoint, unfit) = Self::read(folder)?;
        unfit.into_iter().next().map_or(Ok(checkpoint), Err)
    }

    fn read(folder: &Path) -> Result<(Self, Vec<Error>)> {
        crate::families::require_world_model(folder)?;
        let config = CheckpointConfig::load(folder)?;
        let (model, statistics) = jepa_folder::read(folder, &config)?;
        let heads = Heads::of(Some(folder), Some(&config.model), fingerprint::of_weights(model.weights())?);
        Ok(Self::with_heads(config, model, statistics, heads))
    }

    /// Reads a folder as [`Checkpoint::load_for_scene`] does, but without the heads that do not belong to its model or
    /// are broken: for training them anew. Why each was left out comes with it.
    ///
    /// # Errors
    /// As [`Checkpoint::load_for_scene`], of the model.
    pub fn load_without_unfit_heads(folder: &Path, scene: &str) -> Result<(Self, Vec<Error>)> {
        Self::require_scene(folder, scene)?;
        Self::read(folder)
    }

    /// Reads `config.json` only.
    ///
    /// # Errors
    /// [`Error::File`] naming the field.
    pub fn load_config(folder: &Path) -> Result<CheckpointConfig> {
        CheckpointConfig::load(folder)
    }

    /// Reads a folder and refuses a model of another scene.
    ///
    /// # Errors
    /// [`Error::File`] naming the file and the field `scene`.
    pub fn load_for_scene(folder: &Path, scene: &str) -> Result<Self> {
        Self::require_scene(folder, scene)?;
        Self::load(folder)
    }

    fn require_scene(folder: &Path, scene: &str) -> Result<()> {
        let config = Self::load_config(folder)?;
        if config.scene != scene {
            return Err(Error::file(
                &folder.join(CONFIG_FILE),
                format!("scene: expected {scene}, got {}", config.scene),
            ));
        }
        Ok(())
    }
}

/// The head that was read, or none, and why, among `unfit`.
fn fitting<H>(read: Result<Option<H>>, unfit: &mut Vec<Error>) -> Option<H> {
    read.unwrap_or_else(|error| {
        unfit.push(error);
        None
    })
}

/// Whether two paths lead to the same folder; a folder that does not exist is no other's.
fn is_same_folder(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}
