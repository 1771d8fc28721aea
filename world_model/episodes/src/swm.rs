//! Common names of stable-worldmodel's formats, and its folders.
//!
//! Columns go over all steps of all episodes. Beside them are the lengths of the episodes and the rows of their first
//! steps:
//!
//! ```text
//! ep_len [E], ep_offset [E]     steps of every episode, and the row of its first step
//! pixels [N, H, W, 3] u8        images
//! action [N, A]                 the action of each step, floating point
//! proprio [N, P], state [N, K]  proprioception and true state, where they are recorded
//! ```

pub(crate) mod folder;
mod images;
mod npz;

use crate::mapping::DefaultColumns;

/// Columns that may hold images; the first that exists is taken.
pub(crate) const IMAGES: [&str; 4] = ["pixels", "image", "images", "observation.images.front"];
/// Columns that may hold actions.
pub(crate) const ACTIONS: [&str; 2] = ["action", "actions"];
/// Columns that may hold proprioception.
pub(crate) const PROPRIOCEPTION: [&str; 2] = ["proprio", "observation.state"];
/// Columns that may hold the true state.
pub(crate) const STATES: [&str; 1] = ["state"];
/// All default columns.
pub(crate) const DEFAULT_COLUMNS: DefaultColumns = DefaultColumns {
    cameras: Some(&IMAGES),
    camera_prefix: "observation.images.",
    action: &ACTIONS,
    proprioception: &PROPRIOCEPTION,
    state: &STATES,
};
/// Steps of every episode.
pub(crate) const LENGTHS: &str = "ep_len";
/// Row of every episode's first step.
pub(crate) const OFFSETS: &str = "ep_offset";
