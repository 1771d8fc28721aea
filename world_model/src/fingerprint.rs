//! Fingerprint of a model: a head belongs to exactly one.

use std::path::Path;

use mindseye_interface::inputs;
use sha2::{Digest, Sha256};

use crate::ops::with_values;
use crate::parameters::Weights;
use crate::{Error, Result};

/// Values hashed at a time.
const BATCH: usize = 4096;

/// SHA-256 of names, shapes and values (little-endian `f32`) of all weights in the order of their names, 64 hexadecimal
/// digits. It does not depend on the kind of file that the weights were read from.
///
/// # Errors
/// When a weight is not on the CPU.
pub(crate) fn of_weights(weights: &Weights) -> Result<String> {
    let mut hasher = Sha256::new();
    let number = |hasher: &mut Sha256, number: usize| hasher.update((number as u64).to_le_bytes());
    for (name, weight) in weights {
        number(&mut hasher, name.len());
        hasher.update(name);
        number(&mut hasher, weight.rank());
        weight.dims().iter().for_each(|&dim| number(&mut hasher, dim));
        with_values(weight, |values| {
            let mut bytes = Vec::with_capacity(4 * BATCH);
            for values in values.chunks(BATCH) {
                bytes.clear();
                bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
                hasher.update(&bytes);
            }
        })?;
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// SHA-256 of the content of files, one after another, 64 hexadecimal digits.
///
/// # Errors
/// [`Error::File`] when one cannot be read.
pub(crate) fn of_files<'a>(paths: impl Iterator<Item = &'a Path>) -> Result<String> {
    let mut hasher = Sha256::new();
    for path in paths {
        let mut file = inputs::open(path, u64::MAX).map_err(|error| Error::file(path, error))?;
        std::io::copy(&mut file, &mut hasher).map_err(|error| Error::file(path, error))?;
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
