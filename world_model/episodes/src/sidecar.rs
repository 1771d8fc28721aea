//! What mindseye records beside the columns of a data set: scene, action space, control step, seeds.

use std::path::Path;

use mindseye_interface::{ActionSpace, Seed, recorded_episode};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Origin of the episodes. LeRobot folders keep it in `meta/mindseye.json`, HDF5 files in an attribute. The names of
/// the elements of state, proprioception and action are in the format's own description.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sidecar {
    /// Name of the scene, for example `two_room`, or of the robot's workspace.
    pub scene: String,
    /// Physical meaning of the normalised actions.
    pub action_space: ActionSpace,
    /// Duration of one control step, seconds. It is exact, while LeRobot's `fps` is a whole number.
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
    /// Policy that acted, for example `scripted` or `random`.
    pub policy: String,
    /// Factors of variation that were on, for example `lighting`; empty for none.
    pub factors: Vec<String>,
    /// Index of the first episode among those of the seed; `None` where it equals `first_episode`. Set in a shard of a
    /// recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_of_seed: Option<usize>,
}

impl Recording {
    /// Index of the first episode among those of the seed.
    fn first_index(&self) -> usize {
        self.first_of_seed.unwrap_or(self.first_episode)
    }

    /// Index among those of the seed of this session's episode `index`.
    fn index_of_seed(&self, index: usize) -> usize {
        self.first_index().saturating_add(index.saturating_sub(self.first_episode))
    }

    /// The same session, with its first episode at `place` and number `index` of the seed.
    fn moved(&self, place: usize, index: usize) -> Self {
        Self { first_episode: place, first_of_seed: Some(index).filter(|index| *index != place), ..self.clone() }
    }

    /// Whether `next`, recorded right after this session, continues it with the same seed, policy and factors.
    fn is_continued_by(&self, next: &Self) -> bool {
        let same = (self.seed, &self.policy, &self.factors) == (next.seed, &next.policy, &next.factors);
        same && next.first_index() == self.index_of_seed(next.first_episode)
    }
}

impl Sidecar {
    /// The session that recorded episode `index`, and the seed of its scene's world.
    pub fn recording_of(&self, index: usize) -> Option<(&Recording, Seed)> {
        let recording = self.session_of(index)?;
        Some((recording, recorded_episode(recording.seed, recording.index_of_seed(index) as u64)))
    }

    fn session_of(&self, index: usize) -> Option<&Recording> {
        self.recordings.iter().rev().find(|recording| recording.first_episode <= index)
    }

    /// Index under `seed` behind those of all that are among the first `episodes` episodes.
    fn next_of_seed(&self, seed: Seed, episodes: usize) -> usize {
        let ends = self.recordings.iter().skip(1).map(|next| next.first_episode).chain([episodes]);
        let of_seed = self.recordings.iter().zip(ends).filter(|(recording, _)| recording.seed == seed);
        of_seed.map(|(recording, end)| recording.index_of_seed(end)).max().unwrap_or(0)
    }

    /// Refuses an action space that does not fit actions of `action_width`, and a control step that is not positive.
    ///
    /// # Errors
    /// [`Error::Content`] about the file at `path`.
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
        if !(space.neutral.is_empty() || space.neutral.len() == action_width) {
            let expected = format!("{action_width} neutral values or none");
            return Err(Error::content(path, "action_space", expected, space.neutral.len()));
        }
        if !(self.control_step_secs.is_finite() && self.control_step_secs > 0.0) {
            return Err(Error::content(path, "control_step_secs", "above 0", self.control_step_secs));
        }
        Ok(())
    }

    /// The sidecar after a session described by `other` appended episodes from `first_episode` on. A session that
    /// continues the last one (same seed, policy and factors) is not listed again.
    ///
    /// # Errors
    /// [`Error::Content`] about the file at `path` when scene, actions or control step differ.
    pub(crate) fn continued(self, other: &Self, first_episode: usize, path: &Path) -> Result<Self> {
        let own = self.clone();
        let moved = |recording: &Recording| {
            // Behind what this data set has of the seed already: of a part of a recording that may be more than its
            // place says.
            let index = own.next_of_seed(recording.seed, first_episode).max(first_episode + recording.first_index());
            recording.moved(first_episode + recording.first_episode, index)
        };
        self.with_recordings(other, other.recordings.iter().map(moved), path)
    }

    /// The sidecar of a data set with the episodes of `self`, and from `first_episode` on those of another data set,
    /// which `other` describes.
    ///
    /// # Errors
    /// [`Error::Content`] about the data set at `path`, the other one, when scene, actions or control step differ.
    pub(crate) fn joined(self, other: &Self, first_episode: usize, path: &Path) -> Result<Self> {
        let moved =
            |recording: &Recording| recording.moved(first_episode + recording.first_episode, recording.first_index());
        self.with_recordings(other, other.recordings.iter().map(moved), path)
    }

    fn with_recordings(
        mut self,
        other: &Self,
        recordings: impl Iterator<Item = Recording>,
        path: &Path,
    ) -> Result<Self> {
        let same = |a: &Self, b: &Self| {
            a.scene == b.scene && a.action_space == b.action_space && a.control_step_secs == b.control_step_secs
        };
        if !same(&self, other) {
            let expected = format!("scene {} with the same action space and control step", self.scene);
            return Err(Error::content(path, "sidecar", expected, format!("scene {}", other.scene)));
        }
        for next in recordings {
            if !self.recordings.last().is_some_and(|last| last.is_continued_by(&next)) {
                self.recordings.push(next);
            }
        }
        Ok(self)
    }

    /// How much further under its seed the episode at `place`, which `appended` is about to record, is than its place
    /// says.
    pub(crate) fn shift(&self, place: usize, appended: &Self) -> usize {
        let index = self.session_of(place).map_or(place, |recording| recording.index_of_seed(place));
        let first = appended.recordings.first().map_or(0, Recording::first_index);
        index.saturating_sub(place.saturating_add(first))
    }

    /// The sidecar of the episodes `chosen`, ascending, when they are numbered from 0. Each stays the one of its seed
    /// that it is.
    pub(crate) fn of_episodes(&self, chosen: &[usize]) -> Self {
        let mut recordings: Vec<Recording> = Vec::new();
        for (place, episode) in chosen.iter().enumerate() {
            let Some((recording, _)) = self.recording_of(*episode) else { continue };
            let next = recording.moved(place, recording.index_of_seed(*episode));
            if !recordings.last().is_some_and(|last| last.is_continued_by(&next)) {
                recordings.push(next);
            }
        }
        Self { recordings, ..self.clone() }
    }
}
