//! Interactive runs: an agent in a scene that a person watches and reaches into.
//!
//! An [`InteractiveRun`] is an agent that pursues a task in the world of a [`Benchmark`], from the start of a pair
//! towards its goal. Between two ticks a person gives [`Command`]s: another goal, a block that is moved by hand, a
//! camera that is covered. Every tick leaves a [`TickRecord`] with all that a window, a web page or a recording shows
//! of it: what was considered, what is expected, what happened. [`RunThread`] is the same on a thread of its own,
//! [`WatchedRun`] what a window or a page knows of it.
//!
//! A run has no deadline, so it is a function of its [`RunSetup`] and of the commands by tick: it can be taken back to
//! any tick ([`InteractiveRun::go_back_to`], [`InteractiveRun::undo`]), saved, and loaded, and the ticks have the same
//! bits. Without commands it does what the evaluator's episode of the same pair does.
//!
//! This crate knows no window and no simulator.
//!
//! [`Benchmark`]: mindseye_interface::Benchmark

mod arguments;
mod command;
mod display;
mod error;
mod evaluated;
mod latent_map;
mod record;
mod recorded;
mod run;
mod running;
mod saved;
mod settings;
mod setup;
mod thread;
mod top_view;
mod watched;

pub use arguments::{EvaluatedPairs, RunArguments, SharedBenchmark, Shipped, Supplied};
pub use command::Command;
pub use error::{Error, Result};
pub use latent_map::LatentMap;
pub use record::{ImaginedPlan, Recalled, StepRecord, TickRecord};
pub use recorded::RecordedActions;
pub use run::{IMAGE_TICKS, InteractiveRun};
pub use saved::{SavedCommand, SavedPair, SavedRun};
pub use settings::Settings;
pub use setup::{Detail, RunSetup};
pub use thread::{Event, Order, Pace, RunThread};
pub use top_view::{Outline, OutlinedBody, Poses, TopView};
pub use watched::{Note, WatchedRun};
