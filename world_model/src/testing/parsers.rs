//! The parsers of files from outside, on bytes: for fuzzing, and for tests that break files in many ways.

use mindseye_interface::MemoryLimit;
use mindseye_interface::config::parse;

use crate::families::jepa::CheckpointConfig;
use crate::families::jepa::training::TrainingConfig;
use crate::families::lewm::LewmConfig;
use crate::heads::critic::CriticNetwork;
use crate::heads::decoder::Decoder;
use crate::heads::ensemble::Ensemble;
use crate::heads::policy::Policy;
use crate::heads::state_probe::StateProbe;
use crate::heads::stochastic::StochasticPredictor;
use crate::heads::{Head, decode};
use crate::pickle;
use crate::weights_file;

/// Number of tensors in the pickled list of a PyTorch file.
///
/// # Errors
/// Why it is not read, on one line.
pub fn tensors_in_pickle(list: &[u8]) -> Result<usize, String> {
    Ok(pickle::tensors_of(list)?.len())
}

/// Reads a `config.json`, as that of a JEPA's checkpoint and as that of a LeWM.
///
/// # Errors
/// Why a JEPA's is not read.
pub fn checkpoint_config(text: &[u8]) -> Result<(), String> {
    if let Ok(config) = LewmConfig::parse(text) {
        crate::Lewm::shapes(&config).map_err(|error| error.to_string())?;
    }
    CheckpointConfig::parse(text).map(drop)
}

/// Reads the file of a head, as every kind of head.
///
/// # Errors
/// Why it is not read as a policy.
pub fn head_file(bytes: &[u8]) -> Result<(), String> {
    fn read<H: Head>(bytes: &[u8]) -> Result<(), String> {
        decode::<H>(weights_file::parse(bytes)?).map(drop)
    }
    let others =
        [read::<CriticNetwork>, read::<StateProbe>, read::<Decoder>, read::<StochasticPredictor>, read::<Ensemble>];
    others.iter().for_each(|read| drop(read(bytes)));
    read::<Policy>(bytes)
}

/// Reads a recipe, and sums up the memory that it needs.
///
/// # Errors
/// Why it is not read, or needs more than `limit`.
pub fn recipe(text: &str, limit: MemoryLimit) -> Result<(), String> {
    let recipe: TrainingConfig = parse(text).map_err(|error| error.to_string())?;
    recipe.require_memory(limit).map_err(|error| error.to_string())
}
