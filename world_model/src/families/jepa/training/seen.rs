//! Which episodes a run was trained on, so that its model can be judged on others.

use std::collections::HashSet;

use mindseye_episodes::{FrameCache, Split};
use mindseye_interface::{Error as InterfaceError, Result as InterfaceResult};
use serde::{Deserialize, Serialize};

use super::TrainingReport;
use crate::Result;

/// Hexadecimal digits of a fingerprint.
const DIGITS: usize = 8;

/// Fingerprints of the episodes of a run, eight hexadecimal digits each, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenEpisodes {
    /// Those that it was trained on.
    pub training: String,
    /// Those that it was validated on.
    pub held_out: String,
}

/// What a model knows of an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Familiar {
    /// It was trained on it.
    Trained,
    /// It was kept for validation in its training.
    HeldOut,
    /// It was no part of its training.
    New,
}

impl SeenEpisodes {
    pub(super) fn of(cache: &FrameCache, split: &Split, action_chunk: usize) -> Result<Self> {
        let all = |episodes: &[usize]| -> Result<String> {
            let one = |&episode: &usize| Ok(format!("{:08x}", fingerprint_of(cache, episode, action_chunk)?));
            episodes.iter().map(one).collect()
        };
        Ok(Self { training: all(&split.training)?, held_out: all(&split.validation)? })
    }

    /// Refuses what no run writes.
    pub(crate) fn require_valid(&self, field: &str) -> InterfaceResult<()> {
        for (name, text) in [("training", &self.training), ("held_out", &self.held_out)] {
            if !text.len().is_multiple_of(DIGITS) || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                let expected = format!("{DIGITS} hexadecimal digits per episode");
                let got = format!("{} characters", text.len());
                return Err(InterfaceError::Field { field: format!("{field}.{name}"), expected, got });
            }
        }
        Ok(())
    }
}

impl TrainingReport {
    /// What the model of this run knows of every episode of `cache`, whose actions are in chunks of `action_chunk`
    /// control steps: by this run, and by those that it started from. `None` where a run does not say so.
    ///
    /// # Errors
    /// [`crate::Error::Episodes`] when the file of decoded frames was changed or cut off.
    pub fn familiar(&self, cache: &FrameCache, action_chunk: usize) -> Result<Option<Vec<Familiar>>> {
        let (mut trained, mut held_out) = (HashSet::new(), HashSet::new());
        let mut run = Some(self);
        while let Some(report) = run {
            let Some(seen) = &report.seen else { return Ok(None) };
            trained.extend(fingerprints(&seen.training));
            held_out.extend(fingerprints(&seen.held_out));
            run = report.start.as_ref().map(|start| &start.training);
        }
        let of = |episode: usize| -> Result<Familiar> {
            let fingerprint = fingerprint_of(cache, episode, action_chunk)?;
            Ok(match (trained.contains(&fingerprint), held_out.contains(&fingerprint)) {
                (true, _) => Familiar::Trained,
                (false, true) => Familiar::HeldOut,
                (false, false) => Familiar::New,
            })
        };
        (0..cache.episodes().len()).map(of).collect::<Result<_>>().map(Some)
    }
}

fn fingerprints(text: &str) -> impl Iterator<Item = u32> + '_ {
    (0..text.len() / DIGITS).filter_map(|index| u32::from_str_radix(&text[index * DIGITS..][..DIGITS], 16).ok())
}

/// CRC-32C of an episode's length and of its first, middle and last image of those `action_chunk` timesteps apart:
/// the same whatever other images are kept, and however actions are normalised.
///
/// # Errors
/// [`crate::Error::Episodes`] when the file of decoded frames was changed or cut off.
pub fn fingerprint_of(cache: &FrameCache, episode: usize, action_chunk: usize) -> Result<u32> {
    let timesteps = cache.episodes()[episode].clone();
    let chunks = timesteps.len().saturating_sub(1) / action_chunk.max(1);
    let mut sum = crc32c::crc32c(&(timesteps.len() as u64).to_le_bytes());
    for chunk in [0, chunks / 2, chunks] {
        let frame = timesteps.start + chunk * action_chunk;
        if cache.has_image(frame) {
            sum = crc32c::crc32c_append(sum, &cache.image(frame)?);
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_that_no_run_writes_are_refused() {
        let seen = |training: &str| SeenEpisodes { training: training.into(), held_out: String::new() };
        assert!(seen("00ff00ffdeadbeef").require_valid("seen").is_ok());
        for wrong in ["00ff", "00ff00f ", "00ff00fé"] {
            assert!(seen(wrong).require_valid("seen").is_err(), "{wrong}");
        }
        assert_eq!(fingerprints("00ff00ffdeadbeef").collect::<Vec<_>>(), [0x00ff_00ff, 0xdead_beef]);
    }
}
