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
    pub(crate) fn continued(mut self, other: &Self, first_episode: usize, path: &Path) -> Result<Self> {
        let same = |a: &Self, b: &Self| {
            a.scene == b.scene && a.action_space == b.action_space && a.control_step_secs == b.control_step_secs
        };
        if !same(&self, other) {
            let expected = format!("scene {} with the same action space and control step", self.scene);
            return Err(Error::content(path, "sidecar", expected, format!("scene {}", other.scene)));
        }
        for recording in &other.recordings {
            let first_episode = first_episode + recording.first_episode;
            let fresh = Recording { first_episode, ..recording.clone() };
            let goes_on = self.recordings.last().is_some_and(|last| {
                (last.seed, &last.policy, &last.factors) == (fresh.seed, &fresh.policy, &fresh.factors)
            });
            if !goes_on {
                self.recordings.push(fresh);
            }
        }
        Ok(self)
    }
}
