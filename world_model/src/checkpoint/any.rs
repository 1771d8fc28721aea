//! A checkpoint with a model of any family.

use std::path::Path;
use std::sync::Arc;

use crate::families::jepa::{CheckpointConfig, Jepa, JepaDynamics};
use crate::families::lewm::weights::folder_of;
use crate::families::{LoadOptions, ModelFolder, Origin, family_of};
use crate::heads::ensemble::{Ensemble, EnsembleDynamics};
use crate::heads::stochastic::{StochasticDynamics, StochasticPredictor};
use crate::heads::{Head, Heads};
use crate::model::{Dynamics, InferenceOptions, Model, ModelSpec, SampleSource};
use crate::statistics::LatentStatistics;
use crate::{Error, Result};

/// A model of any family, with what lies beside it in its folder. Heads are read when they are asked for.
#[derive(Debug)]
pub struct AnyCheckpoint {
    /// The model.
    pub model: Arc<dyn Model>,
    /// Where the model's episodes come from; none of folders that do not say so.
    pub origin: Option<Origin>,
    /// Statistics of the latent space; none of models that were trained elsewhere.
    pub statistics: Option<LatentStatistics>,
    /// The record of the training; none of models that were trained elsewhere.
    pub config: Option<CheckpointConfig>,
    heads: Heads,
}

impl AnyCheckpoint {
    /// Reads a folder of any family, or the weights of a LeWorldModel in a file of their own.
    ///
    /// # Errors
    /// [`Error::File`] naming the file and its problem; also when no family recognises the folder.
    pub fn load(folder: &Path) -> Result<Self> {
        Self::load_with(folder, &LoadOptions::default())
    }

    /// As [`AnyCheckpoint::load`], with settings that the folder lacks.
    ///
    /// # Errors
    /// As [`AnyCheckpoint::load`].
    pub fn load_with(folder: &Path, options: &LoadOptions) -> Result<Self> {
        let read = family_of(folder)?.load;
        let ModelFolder { model, fingerprint, origin, statistics, config } = read(folder, options)?;
        let heads = Heads::of(Some(&folder_of(folder)), config.as_ref().map(|config| &config.model), fingerprint);
        Ok(Self { model, origin, statistics, config, heads })
    }

    /// What the model takes and gives.
    pub fn spec(&self) -> &ModelSpec {
        self.model.spec()
    }

    /// SHA-256 of the model's weights, 64 hexadecimal digits.
    pub fn fingerprint(&self) -> &str {
        self.heads.fingerprint()
    }

    /// The heads beside the model.
    pub fn heads(&self) -> &Heads {
        &self.heads
    }

    /// The head of type `H`, if there is one. It is read once.
    ///
    /// # Errors
    /// [`Error::File`] when its file is broken or belongs to another model.
    pub fn head<H: Head + Send + Sync + 'static>(&self) -> Result<Option<Arc<H>>> {
        self.heads.head()
    }

    /// Writes a head of this model to its file in `folder`. Nothing else in the folder is written or deleted.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be written.
    pub fn save_head<H: Head>(&self, folder: &Path, head: &H) -> Result<()> {
        self.heads.save(folder, head)
    }

    /// The model as a JEPA, for what only this family can do.
    ///
    /// # Errors
    /// [`Error::Shape`] for a model of another family.
    pub fn jepa(&self) -> Result<&Jepa> {
        self.model.as_any().downcast_ref().ok_or_else(|| Error::Shape {
            operation: "a model's family",
            expected: "jepa".into(),
            got: "another family".into(),
        })
    }

    /// Dynamics of the model, with the heads that `options.samples` asks for.
    ///
    /// # Errors
    /// [`Error::MissingHead`] without such a head, and its file's errors.
    pub fn dynamics(&self, options: &InferenceOptions) -> Result<Box<dyn Dynamics>> {
        dynamics(&*self.model, &self.heads, options)
    }
}

/// Dynamics of `model` with its `heads`.
pub(super) fn dynamics(model: &dyn Model, heads: &Heads, options: &InferenceOptions) -> Result<Box<dyn Dynamics>> {
    match options.samples {
        SampleSource::One => model.dynamics(options),
        SampleSource::Stochastic { samples } => {
            let predictor = required::<StochasticPredictor>(heads)?;
            Ok(Box::new(StochasticDynamics::new(&predictor, samples, options)?))
        }
        SampleSource::Ensemble => {
            let ensemble = required::<Ensemble>(heads)?;
            let (width, chunk_width) = (model.spec().latent.width, model.spec().chunk_width());
            let mut members = vec![model.dynamics(&InferenceOptions { samples: SampleSource::One, ..*options })?];
            for member in ensemble.members() {
                members.push(Box::new(JepaDynamics::of_predictor(member, width, chunk_width, options)?));
            }
            Ok(Box::new(EnsembleDynamics::new(members)?))
        }
    }
}

fn required<H: Head + Send + Sync + 'static>(heads: &Heads) -> Result<Arc<H>> {
    heads.head()?.ok_or(Error::MissingHead { file: H::FILE })
}
