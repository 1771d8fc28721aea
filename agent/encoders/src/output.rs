//! Tokens as a file: safetensors, or NumPy's npy.

use std::collections::HashMap;
use std::path::Path;

use mindseye_interface::files;
use npyz::WriterBuilder as _;
use safetensors::tensor::TensorView;

use crate::encoding::{Pooling, Tokens};
use crate::{Error, Result};

/// Writes `tokens` to `path`, whole or not at all: as the tensor `tokens` of a safetensors file, whose metadata `items`
/// names the files, or as an array of an `.npy` file.
///
/// # Errors
/// [`Error::File`] for another ending, or when it cannot be written.
pub fn write_tokens(path: &Path, tokens: &Tokens, pooling: Pooling) -> Result<()> {
    let shape = tokens.shape(pooling);
    let bytes = match path.extension().and_then(|ending| ending.to_str()) {
        Some("safetensors") => safetensors_of(path, tokens, shape)?,
        Some("npy") => npy_of(tokens, &shape).map_err(|error| Error::file(path, error))?,
        _ => return Err(Error::file(path, "expected a name that ends with .safetensors or .npy")),
    };
    files::write_whole_with_folders(path, &bytes).map_err(|error| Error::file(path, error))
}

fn safetensors_of(path: &Path, tokens: &Tokens, shape: Vec<usize>) -> Result<Vec<u8>> {
    let refused = |error: safetensors::SafeTensorError| Error::file(path, error);
    let bytes: Vec<u8> = tokens.values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let view = TensorView::new(safetensors::Dtype::F32, shape, &bytes).map_err(refused)?;
    let metadata = HashMap::from([("items".to_owned(), serde_json::to_string(&tokens.items)?)]);
    safetensors::serialize([("tokens", view)], Some(metadata)).map_err(refused)
}

fn npy_of(tokens: &Tokens, shape: &[usize]) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let shape: Vec<u64> = shape.iter().map(|size| *size as u64).collect();
    let mut writer = npyz::WriteOptions::new().default_dtype().shape(&shape).writer(&mut bytes).begin_nd()?;
    writer.extend(tokens.values.iter().copied())?;
    writer.finish()?;
    Ok(bytes)
}
