//! A part of an agent that lies beside its model in a checkpoint, in a file of its own: weights, and its config in the header.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::Tensor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::jepa::ModelConfig;
use crate::parameters::{Source, Weights};
use crate::{Error, Result, weights_file};

/// A network that works with a model and is stored beside it.
pub trait Part: Sized {
    /// What its shape follows from.
    type Config: Serialize + DeserializeOwned;

    /// Name of its file.
    const FILE: &'static str;

    /// Builds it, its weights from `source`.
    ///
    /// # Errors
    /// When the config makes no sense, or stored weights do not fit.
    fn build(config: Self::Config, source: Source) -> Result<Self>;

    /// Its shape.
    fn config(&self) -> &Self::Config;

    /// Its weights by name.
    fn weights(&self) -> &Weights;

    /// Refuses a model that it is not for.
    ///
    /// # Errors
    /// [`Error::Shape`] saying in what they differ.
    fn require_fit(&self, model: &ModelConfig) -> Result<()>;

    /// Reads what [`Part::save`] wrote.
    ///
    /// # Errors
    /// [`Error::File`] when the file is missing or broken.
    fn load(path: &Path) -> Result<Self> {
        let (tensors, header) = weights_file::read(path)?;
        let header = header.ok_or_else(|| Error::file(path, "header: expected a config, got none"))?;
        let config = serde_json::from_str(&header).map_err(|error| Error::file(path, error))?;
        Self::build(config, Source::stored(tensors)).map_err(|error| Error::file(path, error))
    }

    /// Writes weights and config to one file.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be written.
    fn save(&self, path: &Path) -> Result<()> {
        let header = serde_json::to_string(self.config()).map_err(|error| Error::file(path, error))?;
        let tensors: BTreeMap<String, Tensor> =
            self.weights().iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
        weights_file::write(path, &tensors, Some(header))
    }
}

/// The part of the checkpoint in `folder`, if it has one.
pub(crate) fn load_from<P: Part>(folder: &Path, model: &ModelConfig) -> Result<Option<P>> {
    let path = folder.join(P::FILE);
    if !path.exists() {
        return Ok(None);
    }
    let part = P::load(&path)?;
    part.require_fit(model).map_err(|error| Error::file(&path, error))?;
    Ok(Some(part))
}

/// Writes the part of the checkpoint in `folder`; one of an earlier model would do nonsense with this one, and goes.
pub(crate) fn save_to<P: Part>(folder: &Path, part: Option<&P>) -> Result<()> {
    let path = folder.join(P::FILE);
    match part {
        Some(part) => part.save(&path),
        None => match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file(&path, error)),
            _ => Ok(()),
        },
    }
}

/// Refuses sizes that differ from the model's, by name.
pub(crate) fn require_sizes(operation: &'static str, sizes: &[(&str, usize, usize)]) -> Result<()> {
    match sizes.iter().find(|(_, own, model)| own != model) {
        None => Ok(()),
        Some((name, own, model)) => Err(Error::Shape {
            operation,
            expected: format!("a model with {name} {own}"),
            got: format!("{name} {model}"),
        }),
    }
}
