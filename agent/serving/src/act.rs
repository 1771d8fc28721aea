//! `mindseye act`: an agent that sees through cameras and moves a body, on a clock, under watch.

mod camera_body;
mod command;
mod keyboard;
mod report;

pub use camera_body::{CameraBody, Latencies};
pub use command::ActArguments;
pub use keyboard::{Word, commands_of};
pub use report::{ActListener, ActReport};
