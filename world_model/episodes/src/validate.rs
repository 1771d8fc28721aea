//! Validation of a data set: every episode is read, the broken ones are listed, and what is of little use is said.

use std::path::PathBuf;

use mindseye_interface::Progress;
use rayon::prelude::*;
use serde::Serialize;

use crate::source::EpisodeSource;
use crate::warnings::{Observed, Warning, warnings};
use crate::{Error, Result};

/// The result of [`validate`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ValidationReport {
    /// The folder or file.
    #[serde(serialize_with = "mindseye_interface::text::serialize_path")]
    pub path: PathBuf,
    /// Name of the format, with its version.
    pub format: String,
    /// Number of episodes.
    pub episodes: usize,
    /// Number of timesteps of all episodes.
    pub frames: usize,
    /// The episodes that cannot be read.
    pub broken: Vec<BrokenEpisode>,
    /// What is readable and of little or no use to a training.
    pub warnings: Vec<Warning>,
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

/// Reads every episode of `source` on the current rayon pool: as many at once as it has threads, with images scaled to
/// 64 pixels. Every image is decoded once.
///
/// # Errors
/// [`Error::Stopped`] when `progress` asks to stop. Broken episodes are no errors but part of the report.
pub fn validate(source: &dyn EpisodeSource, progress: &dyn Progress) -> Result<ValidationReport> {
    let count = source.len();
    progress.begin("validate", count, "episodes");
    let (mut broken, mut observed) = (Vec::new(), Vec::new());
    let mut stopped = false;
    let at_once = rayon::current_num_threads().max(1);
    for first in (0..count).step_by(at_once) {
        let group = first..count.min(first + at_once);
        let read: Vec<Result<Observed>> =
            group.clone().into_par_iter().map(|episode| Observed::read(source, episode)).collect();
        for (episode, read) in group.clone().zip(read) {
            match read {
                Ok(episode) => observed.push(episode),
                Err(error) => broken.push(BrokenEpisode { episode, reason: error.to_string() }),
            }
        }
        if !progress.advance(group.end, "") && group.end < count {
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
        episodes: count,
        frames: source.frames(),
        broken,
        warnings: warnings(source, &observed),
    })
}
