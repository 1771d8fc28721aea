//! Recorded episodes on disk: LeRobot data sets written and read, windows for training.
//!
//! - [`DatasetWriter`] records episodes into a LeRobotDataset v3.0 folder that the official tools open.
//! - [`Dataset`] reads such a folder, ours or anyone's, v3.0 or v2.1, pictures in tables or in video files, and checks what it reads.
//! - [`SwmFile`] and [`SwmWriter`] read and write stable-worldmodel's HDF5 files, [`SwmFolder`] reads its folders of npz files with videos or pictures, [`RobomimicFile`] the HDF5 files
//!   of robomimic. [`open`] finds out what is at a path. All are [`EpisodeSource`]s.
//! - [`Mapping`] says which columns are what, where names are not the usual ones.
//! - [`FrameCache`] holds a whole data set decoded, in memory or in a file; [`Windows`] cuts it into what training eats.
//!
//! Letters: `T` moments of an episode, `A` action width, `P` proprioception width, `K` true-state width, `H`, `W` pixels.

pub mod cache;
pub mod episode;
pub mod error;
mod guard;
pub mod hdf5;
pub mod lerobot;
pub mod mapping;
pub mod picture;
mod rows;
pub mod source;
pub mod swm;
pub mod video;
pub mod windows;

pub use cache::{CacheOptions, FrameCache};
pub use episode::{EpisodeData, EpisodeShape};
pub use error::{Error, Result};
pub use guard::is_guarded;
pub use hdf5::robomimic::RobomimicFile;
pub use hdf5::{SwmFile, SwmWriter};
pub use lerobot::dataset::{Dataset, EpisodeMeta};
pub use lerobot::sidecar::{Recording, Sidecar};
pub use lerobot::spec::{DatasetSpec, PictureStorage, WriteMode};
pub use lerobot::summary::{ActionSummary, DatasetSummary, FeatureSummary};
pub use lerobot::writer::DatasetWriter;
pub use mapping::Mapping;
pub use source::{EpisodeSource, Numbers, PictureOptions, Wanted, open, open_with};
pub use swm::folder::SwmFolder;
pub use video::Video;
pub use windows::{Split, WindowBatch, Windows};
