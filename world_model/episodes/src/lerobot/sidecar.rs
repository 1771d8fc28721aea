//! `meta/mindseye.json`: what LeRobot has no place for.

use std::path::{Path, PathBuf};

use mindseye_interface::{ActionSpace, Seed};
use serde::{Deserialize, Serialize};

use super::info::write_json;
use crate::{Error, Result};

/// How the episodes came about. Names of state, proprioception and action elements are in LeRobot's own `info.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sidecar {
    /// Name of the scene, for example `two_room`, or of the robot's workplace.
    pub scene: String,
    /// Physical meaning of the normalised actions.
    pub action_space: ActionSpace,
    /// Duration of one control step, seconds (`fps` in `info.json` is a whole number, this is exact).
    pub control_step_secs: f64,
    /// One entry per recording session, in order; appending adds one.
    pub recordings: Vec<Recording>,
}

/// One session of recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// Index of the first episode of this session.
    pub first_episode: usize,
    /// Top of the seed tree.
    pub seed: Seed,
    /// Who acted, for example `scripted` or `random`.
    pub policy: String,
    /// Factors of variation that were on, for example `lighting`; empty for none.
    pub factors: Vec<String>,
    /// Which of the seed's episodes the first one is; `None` where it is number `first_episode`. Set in a part of a recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_of_seed: Option<usize>,
}

impl Recording {
    /// Which of the seed's episodes the first one is.
    fn begins_at(&self) -> usize {
        self.first_of_seed.unwrap_or(self.first_episode)
    }

    /// Whether `next`, recorded right after this one, merely goes on with it.
    fn goes_on_in(&self, next: &Self) -> bool {
        let same = (self.seed, &self.policy, &self.factors) == (next.seed, &next.policy, &next.factors);
        same && next.begins_at() == self.begins_at() + (next.first_episode - self.first_episode)
    }
}

impl Sidecar {
    pub(crate) fn path(root: &Path) -> PathBuf {
        root.join("meta").join("mindseye.json")
    }

    /// Reads the file of the data set in `root`; data sets of other tools have none.
    pub(crate) fn read(root: &Path, action_width: usize) -> Result<Option<Self>> {
        let path = Self::path(root);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file(&path, "reading", error)),
        };
        let sidecar: Self =
            serde_json::from_str(&text).map_err(|error| Error::content(&path, "sidecar", "valid fields", error))?;
        sidecar.check(&path, action_width)?;
        Ok(Some(sidecar))
    }

    /// Refuses bounds that do not fit actions of `action_width`, and a step that is no duration.
    pub(crate) fn check(&self, path: &Path, action_width: usize) -> Result<()> {
        let space = &self.action_space;
        let widths = [space.names.len(), space.units.len(), space.low.len(), space.high.len()];
        if widths != [action_width; 4] {
            let got = format!("{widths:?} names, units, low, high");
            return Err(Error::content(path, "action_space", format!("{action_width} of each"), got));
        }
        let bounds = space.low.iter().zip(&space.high);
        if let Some((low, high)) = bounds.into_iter().find(|(low, high)| !(low.is_finite() && high.is_finite())) {
            return Err(Error::content(path, "action_space", "finite bounds", format!("{low} to {high}")));
        }
        if !(self.control_step_secs.is_finite() && self.control_step_secs > 0.0) {
            return Err(Error::content(path, "control_step_secs", "above 0", self.control_step_secs));
        }
        Ok(())
    }

    pub(crate) fn write(&self, root: &Path) -> Result<()> {
        write_json(&Self::path(root), self)
    }

    /// The sidecar after `other` recorded on top of `self` from episode `first_episode` on; a session that merely goes on (same
    /// seed, policy and factors) is not listed again.
    ///
    /// # Errors
    /// [`Error::Content`] about the file at `path` when scene, actions or control step differ.
    pub(crate) fn continued(self, other: &Self, first_episode: usize, path: &Path) -> Result<Self> {
        let moved = |recording: &Recording| Recording {
            first_episode: first_episode + recording.first_episode,
            first_of_seed: recording.first_of_seed.map(|first| first_episode + first),
            ..recording.clone()
        };
        self.with(other, other.recordings.iter().map(moved), path)
    }

    /// The sidecar of a data set with the episodes of `self`, and from `first_episode` on those of another data set, described by `other`.
    ///
    /// # Errors
    /// [`Error::Content`] about the data set at `path`, the other one, when scene, actions or control step differ.
    pub fn joined(self, other: &Self, first_episode: usize, path: &Path) -> Result<Self> {
        let moved = |recording: &Recording| {
            let place = first_episode + recording.first_episode;
            let first_of_seed = Some(recording.begins_at()).filter(|first| *first != place);
            Recording { first_episode: place, first_of_seed, ..recording.clone() }
        };
        self.with(other, other.recordings.iter().map(moved), path)
    }

    fn with(mut self, other: &Self, recordings: impl Iterator<Item = Recording>, path: &Path) -> Result<Self> {
        let same = |a: &Self, b: &Self| {
            a.scene == b.scene && a.action_space == b.action_space && a.control_step_secs == b.control_step_secs
        };
        if !same(&self, other) {
            let expected = format!("scene {} with the same action space and control step", self.scene);
            return Err(Error::content(path, "sidecar", expected, format!("scene {}", other.scene)));
        }
        for next in recordings {
            if !self.recordings.last().is_some_and(|last| last.goes_on_in(&next)) {
                self.recordings.push(next);
            }
        }
        Ok(self)
    }
}
