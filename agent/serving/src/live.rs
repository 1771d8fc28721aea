//! An interactive run in a browser: what the agent sees, imagines, chooses and is surprised by, and controls that reach
//! in.
//!
//! The run is on a thread of its own ([`mindseye_runs::RunThread`]); a browser asks for what has happened, and neither
//! it nor many of them can delay a tick.

mod command;
mod documents;
mod session;
mod site;

pub use command::LiveArguments;
