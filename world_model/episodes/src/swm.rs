//! What all of stable-worldmodel's formats have in common, and its folders.
//!
//! Columns go over all steps of all episodes, with the episodes' lengths and places beside them:
//!
//! ```text
//! ep_len [E], ep_offset [E]     steps of every episode, and the row of its first
//! pixels [N, H, W, 3] u8        pictures
//! action [N, A]                 what was done at each step, floating point
//! proprio [N, P], state [N, K]  the body's own sense of itself, the true state; where there are any
//! ```

pub mod folder;
mod npz;
mod pictures;

use crate::mapping::Usual;

/// Columns that may hold pictures, the first that is there counts.
pub(crate) const PICTURES: [&str; 4] = ["pixels", "image", "images", "observation.images.front"];
/// Columns that may hold actions.
pub(crate) const ACTIONS: [&str; 2] = ["action", "actions"];
/// Columns that may hold proprioception.
pub(crate) const PROPRIOCEPTION: [&str; 2] = ["proprio", "observation.state"];
/// Columns that may hold the true state.
pub(crate) const STATES: [&str; 1] = ["state"];
/// All of them.
pub(crate) const USUAL: Usual =
    Usual { cameras: Some(&PICTURES), action: &ACTIONS, proprioception: &PROPRIOCEPTION, state: &STATES };
/// Steps of every episode.
pub(crate) const LENGTHS: &str = "ep_len";
/// Row of every episode's first step.
pub(crate) const OFFSETS: &str = "ep_offset";
