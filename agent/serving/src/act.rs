//! `mindseye act`: an agent that sees through cameras and moves a body, on a clock, under watch.

mod camera_body;
mod command;
mod keyboard;
mod latencies;
mod report;

pub use camera_body::CameraBody;
pub use command::ActArguments;
pub use keyboard::{Word, commands_of};
pub use latencies::Latencies;
pub use report::{ActListener, ActReport};
