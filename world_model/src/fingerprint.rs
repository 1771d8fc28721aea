//! Fingerprint of a model: a head belongs to exactly one.

use sha2::{Digest, Sha256};

use crate::Result;
use crate::ops::with_values;
use crate::parameters::Weights;

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
