//! Agents that live outside a simulator: a policy server, a client, robots behind `Environment`, a web page.
//!
//! - [`server::Server`] serves a [`server::Service`] over websockets: [`server::PolicyService`] gives every client an
//!   agent of its own ([`policy::PolicySession`]), in the protocol of openpi (`docs/guides/serve.md`).
//! - [`client::PolicyClient`] asks such a server, ours or openpi's.
//! - [`body`] puts a body behind a websocket, and [`act`] drives one: cameras, goal, clock, watch
//!   (`docs/guides/act.md`).
//! - [`watch`] compares what a camera shows with what a model predicted (`docs/guides/watch.md`), [`page`] shows it.
//! - [`live`] shows an interactive run of a scene in a browser (`docs/guides/live.md`).
//! - [`message`] is what goes over the wire: msgpack with arrays of numpy, read within bounds.

pub mod act;
pub mod body;
mod channel;
pub mod client;
mod error;
mod http_head;
pub mod live;
pub mod message;
pub mod page;
pub mod policy;
mod program;
mod recording;
mod serve_command;
pub mod server;
mod timed_stream;
mod token;
pub mod watch;
mod website;

pub use act::ActArguments;
pub use error::{Error, Result};
pub use live::LiveArguments;
pub use mindseye_arms::ArmArguments;
pub use mindseye_runs::Supplied;
pub use program::Program;
pub use recording::LiveRecordingArguments;
pub use serve_command::ServeArguments;
