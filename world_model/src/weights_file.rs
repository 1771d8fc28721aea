//! Weights on disk: safetensors, written whole, checked when read; and copies of what lies beside them.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::Tensor;
use mindseye_interface::inputs::MAX_CONFIG_BYTES;
use mindseye_interface::{MemoryLimit, files, inputs};

use crate::ops::with_values;
use crate::{Error, Result};

/// Key of the header in the file's metadata.
const HEADER: &str = "mindseye";

/// Writes `tensors` (`f32`) and a `header` (JSON) to `path`; equal content gives equal bytes. The folder must exist:
/// one that was moved away while a training runs is not made anew for a part of its output.
pub(crate) fn write(path: &Path, tensors: &BTreeMap<String, Tensor>, header: Option<String>) -> Result<()> {
    let mut data = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let bytes =
            with_values(tensor, |values| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())?;
        data.push((name.clone(), tensor.dims().to_vec(), bytes));
    }
    let mut views = Vec::with_capacity(data.len());
    for (name, shape, bytes) in &data {
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes);
        views.push((name.as_str(), view.map_err(|error| Error::file(path, error))?));
    }
    let bytes = safetensors::serialize(views, header.map(|header| HashMap::from([(HEADER.to_owned(), header)])))
        .map_err(|error| Error::file(path, error))?;
    files::write_whole(path, &bytes).map_err(|error| Error::file(path, error))
}

/// Tensors by name, and the header.
pub(crate) type Content = (BTreeMap<String, Tensor>, Option<String>);

/// Reads what [`write`] wrote: tensors and header. Every value must be finite.
pub(crate) fn read(path: &Path) -> Result<Content> {
    // The file and the values read from it are in memory at once.
    let most = MemoryLimit::default().bytes() / 2;
    let bytes = inputs::read(path, most).map_err(|error| Error::file(path, error))?;
    parse(&bytes).map_err(|reason| Error::file(path, reason))
}

/// Reads the bytes of such a file.
pub(crate) fn parse(bytes: &[u8]) -> std::result::Result<Content, String> {
    let stored = safetensors::SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let (_, metadata) = safetensors::SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let header = metadata.metadata().as_ref().and_then(|entries| entries.get(HEADER).cloned());
    if let Some(length) = header.as_ref().map(|header| header.len() as u64).filter(|length| *length > MAX_CONFIG_BYTES)
    {
        return Err(format!("header: expected at most {MAX_CONFIG_BYTES} bytes, got {length}"));
    }
    let mut tensors = BTreeMap::new();
    for (name, view) in stored.iter() {
        if view.dtype() != safetensors::Dtype::F32 {
            return Err(format!("{name}: expected F32, got {:?}", view.dtype()));
        }
        let values: Vec<f32> = view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        if values.iter().any(|value| !value.is_finite()) {
            return Err(format!("{name}: expected finite weights, got NaN or infinity"));
        }
        let tensor = crate::ops::tensor(values, view.shape().to_vec());
        tensors.insert(name.to_owned(), tensor.map_err(|error| format!("{name}: {error}"))?);
    }
    Ok((tensors, header))
}

/// Copies a file into `folder` under its own name.
///
/// # Errors
/// [`Error::File`] when it cannot be read or written.
pub(crate) fn copy_file(path: &Path, folder: &Path) -> Result<()> {
    let most = MemoryLimit::default().bytes();
    let bytes = inputs::read(path, most).map_err(|error| Error::file(path, error))?;
    let copy = folder.join(path.file_name().unwrap_or_default());
    files::write_whole(&copy, &bytes).map_err(|error| Error::file(&copy, error))
}
