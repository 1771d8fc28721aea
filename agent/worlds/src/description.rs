//! What a world says of itself.

use std::collections::BTreeSet;

use mindseye_interface::config::{Validate, require_count, require_names, require_range};
use mindseye_interface::{ActionSpace, Error, ImageSize, Result};
use serde::{Deserialize, Serialize};

/// Version of the protocol.
pub const PROTOCOL: u32 = 1;

/// Most values of an action, a state or proprioception.
const MOST_VALUES: usize = 4096;
/// Most cameras.
const MOST_CAMERAS: usize = 16;
/// Bounds of a control step, seconds: recordings have a whole number of timesteps per second.
const CONTROL_STEP_SECS: (f64, f64) = (1e-4, 1.0);

/// What a world says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// Its name, for example `gym_pusht`; data sets and checkpoints keep it.
    pub name: String,
    /// Meaning and bounds of actions.
    pub action: ActionSpace,
    /// Duration of one control step, seconds.
    pub control_step_secs: f64,
    /// Its cameras; the first is the one that is recorded.
    pub cameras: Vec<CameraDescription>,
    /// One name per value of proprioception, with its unit.
    #[serde(default)]
    pub proprioception: Vec<String>,
    /// One name per dimension of the true state, with its unit (`_rad` marks an angle); none where it is not known.
    #[serde(default)]
    pub state: Vec<String>,
    /// What it can do beyond reset, observe and step.
    #[serde(default)]
    pub can: Abilities,
    /// Per dimension of the state the distance within which a goal counts as reached (half of it for strict success);
    /// for worlds without `check_goal`.
    #[serde(default)]
    pub goal_tolerance: Vec<f64>,
    /// Whether equal seeds and equal actions give equal episodes: recorded actions then lead back to a recorded state.
    #[serde(default)]
    pub deterministic: bool,
}

/// One camera.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraDescription {
    /// Its name, for example `top`.
    pub name: String,
    /// Height of its images, pixels.
    pub height: usize,
    /// Width of its images, pixels.
    pub width: usize,
}

/// What a world can do beyond reset, observe and step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Abilities {
    /// `set_state`.
    pub set_state: bool,
    /// `check_goal`.
    pub check_goal: bool,
    /// `act`: it has a demonstrator of its own.
    pub act: bool,
    /// `snapshot` and `restore`.
    pub snapshot: bool,
}

impl CameraDescription {
    /// Size of its images.
    ///
    /// # Errors
    /// [`Error::ImageSize`] for a size that no camera has.
    pub fn size(&self) -> Result<ImageSize> {
        ImageSize::new(self.height, self.width)
    }
}

impl Validate for Description {
    fn validate(&self) -> Result<()> {
        require_range("protocol", self.protocol, PROTOCOL, PROTOCOL)?;
        require_names("name", std::slice::from_ref(&self.name))?;
        if self.name.is_empty() || self.name.len() > 100 || self.name.contains(['/', '\\']) {
            return Err(Error::field("name", "1 to 100 letters without slashes", format!("{:?}", self.name)));
        }
        require_range("number of actions", self.action.width(), 1, MOST_VALUES)?;
        self.action.validate()?;
        require_range("control_step_secs", self.control_step_secs, CONTROL_STEP_SECS.0, CONTROL_STEP_SECS.1)?;
        require_range("number of cameras", self.cameras.len(), 1, MOST_CAMERAS)?;
        require_different("action.names", self.action.names.iter())?;
        for camera in &self.cameras {
            require_names("cameras.name", std::slice::from_ref(&camera.name))?;
            camera.size()?;
        }
        require_different("cameras.name", self.cameras.iter().map(|camera| &camera.name))?;
        for (field, names) in [("proprioception", &self.proprioception), ("state", &self.state)] {
            require_range(&format!("number of {field} values"), names.len(), 0, MOST_VALUES)?;
            require_names(field, names)?;
            require_different(field, names.iter())?;
        }
        if !self.goal_tolerance.is_empty() {
            require_count("goal_tolerance", self.goal_tolerance.len(), self.state.len())?;
            for &tolerance in &self.goal_tolerance {
                require_range("goal_tolerance", tolerance, 0.0, f64::MAX)?;
            }
        }
        let needs_state = self.can.set_state || self.can.check_goal;
        if needs_state && self.state.is_empty() {
            return Err(Error::field("state", "names, since the world can set or check a state", "none"));
        }
        Ok(())
    }
}

/// Refuses names of which two are equal: a value could not be found by its name.
fn require_different<'a>(field: &str, mut names: impl Iterator<Item = &'a String>) -> Result<()> {
    let mut seen = BTreeSet::new();
    match names.find(|name| !seen.insert(*name)) {
        None => Ok(()),
        Some(name) => Err(Error::field(field, "different names", format!("{name:?} twice"))),
    }
}

impl Description {
    /// Whether it can be told if a goal is reached.
    pub fn has_predicate(&self) -> bool {
        self.can.check_goal || !self.goal_tolerance.is_empty()
    }

    /// Most bytes of an answer with the frames of `steps` observations.
    pub(crate) fn most_bytes(&self, steps: usize) -> usize {
        // Base64 takes 4/3; a PNG of noise is a little larger than its pixels. A number has at most 25 letters.
        let images = self.cameras.iter().filter_map(|camera| camera.size().ok()).map(|size| 2 * size.rgb_len() + 4096);
        let numbers = 25 * (self.proprioception.len() + self.state.len()) + 4096;
        steps.max(1).saturating_mul(images.sum::<usize>() + numbers)
    }
}
