//! Recorded episodes on disk: LeRobot data sets written and read, other formats read, and windows for training.
//!
//! - [`open`] detects the format at a path and returns an [`EpisodeSource`]: LeRobotDataset folders (v3.0 and v2.1),
//!   stable-worldmodel's HDF5 files and folders, and robomimic's HDF5 files.
//! - [`DatasetWriter`] records episodes into a LeRobotDataset v3.0 folder that the official tools open; [`SwmWriter`]
//!   writes an HDF5 file of stable-worldmodel. [`convert`] writes one or several sources as one, [`validate`] reads
//!   every episode, and warns of what is of no use.
//! - [`Mapping`] assigns columns where their names are not the default ones.
//! - [`DatasetMixture`] is several data sets with weights; [`ActionNormalisation`] maps their actions to `[-1, 1]` and
//!   back.
//! - [`FrameCache`] holds a whole data set decoded, in memory or in a file; [`Windows`] cuts it into training samples.
//!
//! Letters: `T` timesteps of an episode, `F` timesteps of all episodes, `A` action width, `P` proprioception width, `K`
//! true-state width, `C` cameras, `H`, `W` pixels. An image is `[H, W, 3]` `u8` RGB. The images of several cameras at
//! one timestep are stored as one, stacked vertically: `[C * H, W, 3]`, see [`RecordedCamera`].

mod cache;
mod cameras;
mod columns;
mod convert;
mod episode;
mod error;
mod formats;
mod guard;
mod hdf5;
mod hub;
pub mod image_codec;
mod lerobot;
mod mapping;
mod mixture;
mod names;
mod normalisation;
mod outliers;
mod rows;
mod sidecar;
mod source;
mod spec;
mod summary;
mod swm;
mod validate;
mod video;
mod warnings;
mod windows;

pub use cache::{CacheOptions, FrameCache};
pub use cameras::{ImageOptions, RecordedCamera};
pub use convert::{ConvertOptions, Converted, OutputFormat, SkippedEpisode, SourceEpisodes, convert};
pub use episode::{EpisodeArrays, EpisodeData, EpisodeShape};
pub use error::{Error, Result};
pub use formats::{is_recording, open, open_with};
pub use guard::is_guarded;
pub use hdf5::SwmWriter;
pub use lerobot::capture_log::{CaptureLog, EpisodeCapture};
pub use lerobot::dataset::Dataset;
pub use lerobot::writer::DatasetWriter;
pub use mapping::Mapping;
pub use mixture::DatasetMixture;
pub use normalisation::{ActionNormalisation, NormalisationMethod};
pub use outliers::{ActionOutlier, RobustRange, action_ranges};
pub use sidecar::{Recording, Sidecar};
pub use source::{EpisodeMeta, EpisodeSource, ReadRequest};
pub use spec::{DatasetSpec, ImageStorage, WriteMode};
pub use summary::{ActionSummary, DatasetSummary, FeatureSummary};
pub use validate::{BrokenEpisode, ValidationReport, validate};
pub use video::{Colours, FrameVisitor, Matrix, Video, Yuv};
pub use warnings::{Warning, WarningKind};
pub use windows::{Split, WindowBatch, Windows};
