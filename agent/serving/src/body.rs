//! A body behind a websocket: a robot, or a simulator, that a program elsewhere drives.
//!
//! Both sides speak messages of [`crate::message`] (`docs/guides/act.md`): [`BodyService`] is served by
//! [`crate::server::Server`], and [`RemoteBody`] is the other end, an [`mindseye_interface::Environment`].

mod frames;
mod real_time;
mod remote;
mod service;
mod wire;

pub use frames::FrameOutput;
pub use real_time::{RealTime, View};
pub use remote::RemoteBody;
pub use service::{BodyService, serve_environment};
