//! Warnings of [`crate::validate`]: what can be read, and is of little or no use to a training.
//!
//! Images are looked at once, at most [`observed::SIDE`] pixels wide and high; of each episode only its numbers and how
//! much its images change are kept.

mod amount;
mod lag;
mod numbers;
mod observed;
mod repeats;
mod wording;

use mindseye_interface::text::printable;
use serde::Serialize;

pub(crate) use self::observed::Observed;
use self::observed::Ranges;
use crate::source::EpisodeSource;

/// What a [`Warning`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WarningKind {
    /// The images of a camera never change in an episode, or by no more than noise does.
    FrozenCamera,
    /// Images are repeated while something moves: a camera that stalls, or is slower than the recording.
    RepeatedImages,
    /// Images come later or earlier than the motion, or than the actions that cause it.
    ImageLag,
    /// There are no actions.
    NoActions,
    /// All actions of an episode are 0.
    ZeroActions,
    /// No dimension of the actions ever changes.
    ConstantActions,
    /// Some dimensions of the actions never change.
    ConstantActionDimensions,
    /// Single values of the actions are far from all others.
    OutlierAction,
    /// Single values of the true state are far from all others.
    OutlierState,
    /// Single values of proprioception are far from all others.
    OutlierProprioception,
    /// There are few episodes.
    FewEpisodes,
    /// There are few timesteps.
    FewTimesteps,
    /// Episodes are too short for a training window.
    ShortEpisodes,
    /// Episodes run at different rates.
    SeveralRates,
}

/// Something about a readable data set that makes it useless, or less useful than it could be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Warning {
    /// What it is about.
    pub kind: WarningKind,
    /// The warning, on one line; it says where.
    pub message: String,
    /// Indices of the episodes, ascending; empty where it is about all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub episodes: Vec<usize>,
    /// The camera.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub camera: Option<String>,
    /// Names of the dimensions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dimensions: Vec<String>,
    /// By how many frames the images come late; below 0 where they come early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_frames: Option<i64>,
}

impl Warning {
    fn new(kind: WarningKind, message: String) -> Self {
        let message = printable(&message).into_owned(); // names come from files
        Self { kind, message, episodes: Vec::new(), camera: None, dimensions: Vec::new(), lag_frames: None }
    }

    fn in_episodes(self, episodes: Vec<usize>) -> Self {
        Self { episodes, ..self }
    }

    fn of_camera(self, camera: &str) -> Self {
        Self { camera: Some(camera.into()), ..self }
    }
}

/// The warnings about the episodes of `source` that could be read, ordered by kind.
pub(crate) fn warnings(source: &dyn EpisodeSource, episodes: &[Observed]) -> Vec<Warning> {
    let ranges = Ranges::of(episodes, source.shape());
    let mut warnings = Vec::new();
    for (index, camera) in source.camera_names().iter().enumerate() {
        warnings.extend(repeats::frozen(episodes, index, camera));
        let lag = lag::warnings(episodes, &ranges, (index, camera), source.frames_per_second());
        if lag.is_empty() {
            // Images that come late rest while something moves already.
            warnings.extend(repeats::repeated(episodes, &ranges, index, camera));
        }
        warnings.extend(lag);
    }
    warnings.extend(numbers::warnings(source, episodes, &ranges));
    warnings.extend(amount::warnings(source, episodes));
    warnings.sort_by_key(|warning| warning.kind);
    warnings
}
