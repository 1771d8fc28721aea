//! The heads of a checkpoint: read on first use, one file each.

use std::any::{Any, TypeId};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::critic::CriticNetwork;
use super::decoder::Decoder;
use super::ensemble::Ensemble;
use super::policy::Policy;
use super::state_probe::StateProbe;
use super::stochastic::StochasticPredictor;
use super::{FINGERPRINT, Head, read};
use crate::families::jepa::config::ModelConfig;
use crate::weights_file::copy_file;
use crate::{Error, Result};

/// Files of all heads.
const FILES: [&str; 6] =
    [Policy::FILE, CriticNetwork::FILE, StateProbe::FILE, Decoder::FILE, StochasticPredictor::FILE, Ensemble::FILE];
/// What else lies beside a model and belongs to it: the calibration of its surprise.
const CALIBRATION: &str = "surprise.json";
/// Files that had another name before.
const FORMER_NAMES: [(&str, &str); 2] =
    [(StateProbe::FILE, "readout.safetensors"), (StochasticPredictor::FILE, "futures.safetensors")];

/// The heads beside one model. A head of another model is refused.
#[derive(Debug)]
pub struct Heads {
    /// None for a model that was not read from a folder.
    folder: Option<PathBuf>,
    /// Shape of the model, where its family has one that heads are checked against.
    config: Option<ModelConfig>,
    fingerprint: String,
    read: Mutex<ReadHeads>,
}

/// What has been read so far.
#[derive(Debug, Default)]
struct ReadHeads {
    heads: BTreeMap<TypeId, Arc<dyn Any + Send + Sync>>,
    /// Files of heads without the fingerprint of a model.
    unbound: BTreeSet<PathBuf>,
}

impl Heads {
    /// The heads in `folder` for the model with this fingerprint and, where it is a JEPA, this shape.
    pub(crate) fn of(folder: Option<&Path>, config: Option<&ModelConfig>, fingerprint: String) -> Self {
        let folder = folder.map(Path::to_path_buf);
        Self { folder, config: config.cloned(), fingerprint, read: Mutex::default() }
    }

    /// Fingerprint of the model: SHA-256 of its weights, 64 hexadecimal digits.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The head of type `H`, if there is one. It is read once.
    ///
    /// # Errors
    /// [`Error::File`] when its file is broken or belongs to another model.
    pub fn head<H: Head + Send + Sync + 'static>(&self) -> Result<Option<Arc<H>>> {
        if let Some(known) = self.locked().heads.get(&TypeId::of::<H>()) {
            return Ok(known.clone().downcast::<H>().ok());
        }
        Ok(self.read::<H>()?.map(|head| self.insert(head)))
    }

    /// Keeps a head in memory, in place of one of its type. Its file, if any, stays as it is.
    pub fn insert<H: Head + Send + Sync + 'static>(&self, head: H) -> Arc<H> {
        let head = Arc::new(head);
        self.locked().heads.insert(TypeId::of::<H>(), head.clone());
        head
    }

    /// Reads a head from its file.
    ///
    /// # Errors
    /// As [`Heads::head`].
    pub(crate) fn read<H: Head>(&self) -> Result<Option<H>> {
        let Some(path) = self.folder.as_deref().and_then(|folder| file_of(folder, H::FILE)) else { return Ok(None) };
        let (head, fingerprint) = read::<H>(&path)?;
        let expected = &self.fingerprint;
        let refused = |got: &str| Error::file(&path, format!("{FINGERPRINT}: expected {expected}, got {got}"));
        match (fingerprint, &self.config) {
            (Some(fingerprint), _) if fingerprint != self.fingerprint => return Err(refused(&fingerprint)),
            (None, None) => return Err(refused("none")),
            (None, Some(_)) => drop(self.locked().unbound.insert(path.clone())),
            (Some(_), _) => {}
        }
        if let Some(config) = &self.config {
            head.require_fit(config).map_err(|error| Error::file(&path, error))?;
        }
        Ok(Some(head))
    }

    /// Why heads in the folder `folder` do not belong to this model, one error per file: it names the fingerprint, the
    /// size or the weight that differs. Empty where all of them fit.
    pub(crate) fn unfit(&self, folder: &Path) -> Vec<Error> {
        let there = Self::of(Some(folder), self.config.as_ref(), self.fingerprint.clone());
        let results = [
            there.read::<Policy>().err(),
            there.read::<CriticNetwork>().err(),
            there.read::<StateProbe>().err(),
            there.read::<Decoder>().err(),
            there.read::<StochasticPredictor>().err(),
            there.read::<Ensemble>().err(),
        ];
        results.into_iter().flatten().collect()
    }

    /// Files among those read so far without the fingerprint of a model: they were written before heads had one.
    pub fn unbound(&self) -> Vec<PathBuf> {
        self.locked().unbound.iter().cloned().collect()
    }

    /// Writes a head to its file in `folder`, bound to the model. Nothing else in the folder is written or deleted.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be written.
    pub fn save<H: Head>(&self, folder: &Path, head: &H) -> Result<()> {
        head.save_for(&folder.join(H::FILE), &self.fingerprint)
    }

    /// The folder that the model was read from; `None` for one that was made in memory.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Copies the files of all heads but that of type `H`, and the calibration, to the folder `to`, byte for byte.
    ///
    /// # Errors
    /// [`Error::File`] when a file cannot be read or written.
    pub(crate) fn copy_others<H: Head>(&self, to: &Path) -> Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let others = FILES.iter().chain([&CALIBRATION]).filter(|name| **name != H::FILE);
        others.filter_map(|name| file_of(folder, name)).try_for_each(|path| copy_file(&path, to))
    }

    /// Names of the files of heads that lie beside the model.
    pub(crate) fn files(&self) -> Vec<&'static str> {
        let Some(folder) = &self.folder else { return Vec::new() };
        FILES.into_iter().filter(|name| file_of(folder, name).is_some()).collect()
    }

    /// Names of the heads that lie beside the model: those of their files, as in `state_probe`.
    pub fn names(&self) -> Vec<&'static str> {
        self.files().into_iter().map(|file| file.trim_end_matches(".safetensors")).collect()
    }

    /// Whether the surprise of the model has been calibrated.
    pub fn has_calibration(&self) -> bool {
        self.folder.as_deref().is_some_and(|folder| folder.join(CALIBRATION).exists())
    }

    /// Copies the files of all heads, and the calibration, to the folder `to`, byte for byte, where it has none of that
    /// name.
    ///
    /// # Errors
    /// [`Error::File`] when a file cannot be read or written.
    pub(crate) fn copy_missing(&self, to: &Path) -> Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let missing = FILES.iter().chain([&CALIBRATION]).filter(|name| file_of(to, name).is_none());
        missing.filter_map(|name| file_of(folder, name)).try_for_each(|path| copy_file(&path, to))
    }

    /// A poisoned lock is harmless: entries are complete when they are inserted.
    fn locked(&self) -> MutexGuard<'_, ReadHeads> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The file called `name` in `folder`, or the one with its former name.
fn file_of(folder: &Path, name: &str) -> Option<PathBuf> {
    let former = FORMER_NAMES.iter().filter(|(new, _)| *new == name).map(|(_, former)| *former);
    std::iter::once(name).chain(former).map(|name| folder.join(name)).find(|path| path.exists())
}
