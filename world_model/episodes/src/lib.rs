//! Recorded episodes on disk: LeRobot data sets written and read, windows for training.

pub mod cache;
pub mod error;
pub mod windows;

pub use cache::{EpisodeData, FrameCache};
pub use error::{Error, Result};
pub use windows::{Split, WindowBatch, Windows};
