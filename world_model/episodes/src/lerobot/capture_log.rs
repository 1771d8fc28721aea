//! `meta/mindseye.json` of a recording from live cameras: what was asked of the cameras, what they granted, when each
//! image was captured, and what was missed.
//!
//! It is no [`crate::Sidecar`]: such a recording has no scene, and its actions, where there are any, are as a driver
//! gave them. It is read as data of other tools are.

use std::path::Path;

use mindseye_interface::{files, inputs};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::info::{MAX_BYTES, sidecar_path};
use crate::{Error, Result};

/// What is known of the capture of a whole data set.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptureLog {
    /// Each camera with its settings and what it granted, as its library describes them; one list per session of
    /// recording.
    pub cameras: Vec<Vec<Value>>,
    /// The episodes, in their order.
    pub episodes: Vec<EpisodeCapture>,
}

/// The capture of one episode.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpisodeCapture {
    /// Number of its session.
    pub session: usize,
    /// Time of day of its first image, seconds since 1970.
    pub started_unix_secs: f64,
    /// Capture time of every image since the start of the episode, seconds to the millisecond: by camera, by timestep.
    pub captured_secs: Vec<Vec<f64>>,
    /// Timesteps whose image of some camera is the same capture as the timestep before: the camera gave no newer one.
    pub repeated: usize,
    /// Timesteps at which the recorder was late by more than half a timestep.
    pub late: usize,
    /// Captures between two timesteps that were not recorded, of all cameras: they ran faster than the recording.
    pub passed_over: u64,
    /// Why the episode ends before its time, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<String>,
}

/// Only what tells this file from a [`crate::Sidecar`].
#[derive(Deserialize)]
struct Kind {
    #[serde(default)]
    cameras: Option<serde::de::IgnoredAny>,
}

impl CaptureLog {
    /// Whether `text`, the content of a `mindseye.json`, is of live cameras.
    pub(super) fn is_in(text: &str) -> bool {
        serde_json::from_str::<Kind>(text).is_ok_and(|kind| kind.cameras.is_some())
    }

    /// Reads that of the LeRobot folder `root`; `None` where its episodes are of no live cameras.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read, [`Error::Content`] when a field is not valid.
    pub fn read(root: &Path) -> Result<Option<Self>> {
        let path = sidecar_path(root);
        let text = match inputs::read_text(&path, MAX_BYTES) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file(&path, "reading", error)),
        };
        if !Self::is_in(&text) {
            return Ok(None);
        }
        let refused = |error| Error::content(&path, "capture log", "valid fields", error);
        serde_json::from_str(&text).map_err(refused).map(Some)
    }

    /// Whether the LeRobot folder `root` has one.
    pub(super) fn is_at(root: &Path) -> bool {
        inputs::read_text(&sidecar_path(root), MAX_BYTES).is_ok_and(|text| Self::is_in(&text))
    }

    /// Writes it into the LeRobot folder `root`, whole.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be written.
    pub fn write(&self, root: &Path) -> Result<()> {
        let path = sidecar_path(root);
        let text = serde_json::to_vec(self).map_err(|error| Error::file(&path, "writing", error))?;
        files::write_whole(&path, &text).map_err(|error| Error::file(&path, "writing", error))
    }
}
