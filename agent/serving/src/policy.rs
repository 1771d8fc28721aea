//! The policy that a server offers: one agent per session, which plans from observations of a robot that others drive.

mod images;
mod request;
mod session;

pub use images::{GivenImage, image};
pub use request::{GoalRequest, KEYS, Request};
pub use session::PolicySession;

/// Number of this protocol's form. Keys may be added without a new number.
pub const PROTOCOL: usize = 1;
