//! Runs, evaluated pairs and data sets as recordings for [Rerun](https://rerun.io)'s viewer: images, the scene in three
//! dimensions, what the agent imagines in it, energies, surprise and latents on one timeline, in a file (`.rrd`) or
//! sent to a viewer. `docs/guides/rerun.md` lists the entities.
//!
//! What is recorded is a [`TickRecord`](mindseye_runs::TickRecord), which a run leaves behind anyway. It is logged by a
//! thread of its own behind a bounded queue ([`Queue`]): a file gets every tick, since a run has no deadline and may
//! wait; what a viewer does not take in time is dropped and counted.

mod colours;
mod data;
mod episode;
mod latents;
mod layout;
mod output;
mod parts;
mod queue;
mod rrd;
mod runs;
mod setup;
mod solids;
mod stop;
mod tick;

pub use data::DataArguments;
pub use output::{Output, OutputArguments};
pub use queue::{Overflow, Queue};
pub use runs::{EvaluateArguments, RunArguments};
pub use stop::{INTERRUPTED, Interrupted, stop_on_ctrl_c};
