//! Where an episode of a LeRobot folder is stored.

use std::collections::BTreeMap;

use super::info::FilePlace;

/// The place of an episode.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct EpisodeRow {
    pub length: usize,
    pub tasks: Vec<String>,
    pub data: FilePlace,
    /// Index of the first timestep over the whole data set.
    pub first_frame: usize,
    /// Place of the images of each camera with video files.
    pub videos: BTreeMap<String, VideoPlace>,
}

/// The start of an episode in a video file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct VideoPlace {
    pub file: FilePlace,
    /// Seconds from the start of the file.
    pub from_secs: f64,
}
