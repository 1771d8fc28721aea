//! The tensors of a PyTorch file (`weights.pt`: a zip archive with a pickled state dict and one entry per storage).
//!
//! A pickle is a program. This reader runs none: it knows the few names that a state dict is made of, refuses every
//! other by name, and builds nothing but a list of tensors. What it keeps is bounded by the length of the list, which
//! is bounded itself; values refer to each other by index, so that neither nesting nor recalling a value costs more
//! than a few bytes, and nothing is recursive.

mod archive;
mod machine;
mod tensors;
mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use mindseye_interface::MemoryLimit;
use mindseye_interface::memory::{product, sum};

use archive::Archive;
pub(crate) use tensors::{StoredTensor, tensors_in_tree, tensors_of};

use crate::{Error, Result};

/// What to do about a file with something else than a state dict.
pub(crate) fn pickled_object(got: &str) -> String {
    format!(
        "expected weights, got {got}, which is a program and is not run; in Python, \
         torch.save(model.state_dict(), \"weights.pt\") writes its weights"
    )
}

/// A PyTorch file whose list of tensors has been read, but none of their values.
#[derive(Debug)]
pub(crate) struct PickledWeights {
    path: PathBuf,
    archive: Archive,
    tensors: Vec<StoredTensor>,
}

impl PickledWeights {
    /// Reads the list of tensors.
    ///
    /// # Errors
    /// [`Error::File`], with the name of a tensor whose description makes no sense.
    pub fn open(path: &Path, max_bytes: u64) -> Result<Self> {
        let refused = |reason: String| Error::file(path, reason);
        let mut archive = Archive::open(path, max_bytes).map_err(refused)?;
        let tensors = tensors_of(&archive.list().map_err(refused)?).map_err(refused)?;
        Ok(Self { path: path.to_path_buf(), archive, tensors })
    }

    /// As [`PickledWeights::open`], of a dict of state dicts: each tensor is named by the keys that lead to it, joined
    /// by dots. Of the root's entries only those are read whose key `enter` accepts.
    ///
    /// # Errors
    /// As [`PickledWeights::open`].
    pub fn open_tree(path: &Path, max_bytes: u64, enter: &dyn Fn(&str) -> bool) -> Result<Self> {
        let refused = |reason: String| Error::file(path, reason);
        let mut archive = Archive::open(path, max_bytes).map_err(refused)?;
        let tensors = tensors_in_tree(&archive.list().map_err(refused)?, enter).map_err(refused)?;
        Ok(Self { path: path.to_path_buf(), archive, tensors })
    }

    /// The values of tensor `index`, as they are stored.
    ///
    /// # Errors
    /// As [`PickledWeights::read`].
    pub fn tensor(&mut self, index: usize, memory: MemoryLimit) -> Result<Tensor> {
        let path = self.path.as_path();
        let Some(tensor) = self.tensors.get(index).cloned() else {
            return Err(Error::file(path, format!("expected at most {} tensors, got {index}", self.tensors.len())));
        };
        let named = |reason: String| Error::file(path, format!("{}: {reason}", tensor.name));
        let bytes = tensors::storage_bytes(&[&tensor]).map_err(named)?;
        self.archive.require_plausible(bytes).map_err(named)?;
        let needed = product(&tensor.shape).saturating_mul(8).saturating_add(u128::from(bytes));
        memory.require(&format!("{}: {}", path.display(), tensor.name), needed)?;
        let storage = self.archive.storage(&tensor.storage, bytes).map_err(named)?;
        let cut = tensor.cut(&storage).map_err(named)?;
        Tensor::from_raw_buffer(&cut, tensor.dtype, &tensor.shape, &Device::Cpu)
            .map_err(|error| named(error.to_string()))
    }

    /// Names and shapes.
    pub fn tensors(&self) -> &[StoredTensor] {
        &self.tensors
    }

    /// The values of the tensors that `wanted` names, each as `finish` makes it. Every storage is read once, however
    /// many tensors are views of it.
    ///
    /// # Errors
    /// [`Error::File`] naming tensor or storage; also when what is read at a time is beyond `memory`.
    pub fn read(
        mut self,
        memory: MemoryLimit,
        wanted: impl Fn(&str) -> bool,
        finish: impl Fn(&str, Tensor) -> Result<Tensor>,
    ) -> Result<BTreeMap<String, Tensor>> {
        let path = self.path.as_path();
        let refused = |reason: String| Error::file(path, reason);
        let mut storages: BTreeMap<&str, Vec<&StoredTensor>> = BTreeMap::new();
        for tensor in self.tensors.iter().filter(|tensor| wanted(&tensor.name)) {
            storages.entry(&tensor.storage).or_default().push(tensor);
        }
        let mut sizes = Vec::with_capacity(storages.len());
        for views in storages.values() {
            sizes.push(tensors::storage_bytes(views).map_err(refused)?);
        }
        let total = sizes.iter().fold(0, |sum: u64, &bytes| sum.saturating_add(bytes));
        self.archive.require_plausible(total).map_err(refused)?;
        let largest = sizes.iter().max().map_or(0, |&bytes| u128::from(bytes));
        let values = storages.values().flatten().map(|tensor| product(&tensor.shape).saturating_mul(4));
        let needed: Vec<u128> = values.chain([2 * largest]).collect();
        memory.require(&format!("{}: tensors", path.display()), sum(&needed))?;
        let mut read = BTreeMap::new();
        for ((key, views), bytes) in storages.into_iter().zip(sizes) {
            let storage = self.archive.storage(key, bytes).map_err(refused)?;
            for view in views {
                let named = |reason: String| Error::file(path, format!("{}: {reason}", view.name));
                let cut = view.cut(&storage).map_err(named)?;
                let tensor = Tensor::from_raw_buffer(&cut, view.dtype, &view.shape, &Device::Cpu)
                    .map_err(|error| named(error.to_string()))?;
                read.insert(view.name.clone(), finish(&view.name, tensor)?);
            }
        }
        Ok(read)
    }
}
