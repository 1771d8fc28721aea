//! The window of mindseye: a scene in three dimensions, what the agent imagines in it and what that costs, and hands to
//! reach in. Agent and simulator run on a thread of their own ([`mindseye_runs`]); the window only receives what they
//! did and asks for things, so that a slow or closed window delays no tick.

mod dragging;
mod eyes;
mod geometry;
mod ghosts;
pub mod offscreen;
mod panels;
mod pointer;
mod session;
mod setup;
mod stage;
mod theme;
mod window;

pub use eyes::View;
pub use mindseye_runs::RunArguments;
pub use panels::control_area;
pub use session::{Cursor, Display, Session};
pub use setup::prepare;
pub use window::{open, systems};
