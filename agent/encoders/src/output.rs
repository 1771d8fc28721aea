//! Tokens as a file: safetensors, or NumPy's npy.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use mindseye_interface::files;
use npyz::WriterBuilder as _;
use safetensors::tensor::TensorView;

use crate::encoding::{Pooling, Tokens};
use crate::inputs::inputs_at;
use crate::{Error, Result};

/// Writes `tokens` to `path`, whole or not at all: as the tensor `tokens` of a safetensors file, whose metadata `items`
/// names the files, or as an array of an `.npy` file.
///
/// # Errors
/// [`Error::File`] for another ending, or when it cannot be written.
pub fn write_tokens(path: &Path, tokens: &Tokens, pooling: Pooling) -> Result<()> {
    let shape = tokens.shape(pooling);
    let bytes = match Format::of(path)? {
        Format::Safetensors => safetensors_of(path, tokens, shape)?,
        Format::Npy => npy_of(tokens, &shape).map_err(|error| Error::file(path, error))?,
    };
    files::write_whole_with_folders(path, &bytes).map_err(|error| Error::file(path, error))
}

/// How tokens are written.
enum Format {
    Safetensors,
    Npy,
}

impl Format {
    /// That of the ending of `path`.
    fn of(path: &Path) -> Result<Self> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("safetensors") => Ok(Self::Safetensors),
            Some("npy") => Ok(Self::Npy),
            _ => Err(Error::file(path, "expected a name that ends with .safetensors or .npy")),
        }
    }
}

/// Refuses a file for tokens that would take the place of what they are made from: the model at `weights` (a folder or
/// a file), or one of `inputs`. Links are followed.
pub(crate) fn require_own_place(out: &Path, weights: &Path, inputs: &[PathBuf]) -> Result<()> {
    Format::of(out)?;
    let place = place_of(out).map_err(|error| Error::file(out, error))?;
    let is_of_model = std::fs::canonicalize(weights).is_ok_and(|weights| place.starts_with(weights));
    if is_of_model {
        let got = if weights.is_dir() { "a file in the folder of the model" } else { "the weights of the model" };
        return Err(Error::file(out, format!("expected a file of its own for the tokens, got {got}")));
    }
    if !place.exists() {
        return Ok(());
    }
    // Inputs that cannot be read are named when they are.
    let all = inputs.iter().flat_map(|path| inputs_at(path).unwrap_or_default());
    let mut all = all.map(|input| input.path().to_path_buf());
    match all.find(|input| std::fs::canonicalize(input).is_ok_and(|input| input == place)) {
        Some(input) => {
            let got = format!("the input {}", input.display());
            Err(Error::file(out, format!("expected a file of its own for the tokens, got {got}")))
        }
        None => Ok(()),
    }
}

/// Where a file is, or would be: without links, as far as there is something.
fn place_of(path: &Path) -> std::io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    for known in path.ancestors() {
        let Ok(mut place) = std::fs::canonicalize(known) else { continue };
        for part in path.strip_prefix(known).unwrap_or(Path::new("")).components() {
            match part {
                Component::ParentDir => {
                    place.pop();
                }
                part => place.push(part),
            }
        }
        return Ok(place);
    }
    Ok(path)
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
