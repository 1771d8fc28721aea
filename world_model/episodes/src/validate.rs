//! Validation of a data set: every episode is read, and the broken ones are listed.

use std::path::PathBuf;

use mindseye_interface::Progress;
use serde::Serialize;

use crate::source::EpisodeSource;
use crate::{Error, Result};

/// The result of [`validate`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ValidationReport {
    /// The folder or file.
    pub path: PathBuf,
    /// Name of the format, with its version.
    pub format: String,
    /// Number of episodes.
    pub episodes: usize,
    /// Number of timesteps of all episodes.
    pub frames: usize,
    /// The episodes that cannot be read.
    pub broken: Vec<BrokenEpisode>,
}

/// An episode that cannot be read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BrokenEpisode {
    /// Index of the episode.
    pub episode: usize,
    /// The error, on one line.
    pub reason: String,
}

impl ValidationReport {
    /// Indices of the episodes that can be read, ascending.
    pub fn readable(&self) -> Vec<usize> {
        let is_broken = |episode: &usize| self.broken.iter().any(|broken| broken.episode == *episode);
        (0..self.episodes).filter(|episode| !is_broken(episode)).collect()
    }
}

/// Reads every episode of `source`.
///
/// # Errors
/// [`Error::Stopped`] when `progress` asks to stop. Broken episodes are no errors but part of the report.
pub fn validate(source: &dyn EpisodeSource, progress: &dyn Progress) -> Result<ValidationReport> {
    progress.begin("validate", source.len(), "episodes");
    let mut broken = Vec::new();
    let mut stopped = false;
    for episode in 0..source.len() {
        if let Err(error) = source.read_episode(episode) {
            broken.push(BrokenEpisode { episode, reason: error.to_string() });
        }
        if !progress.advance(episode + 1, "") && episode + 1 < source.len() {
            stopped = true;
            break;
        }
    }
    progress.end();
    if stopped {
        return Err(Error::Stopped { operation: "validating" });
    }
    Ok(ValidationReport {
        path: source.path().to_path_buf(),
        format: source.format(),
        episodes: source.len(),
        frames: source.frames(),
        broken,
    })
}
