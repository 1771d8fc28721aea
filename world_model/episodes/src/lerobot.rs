//! LeRobotDataset: Hugging Face's folder format for recorded episodes. v3.0 is written and read, v2.1 is read.
//!
//! ```text
//! meta/info.json                             description of the data set; rewriting it commits a segment
//! meta/stats.json                            statistics per feature
//! meta/tasks.parquet                         task texts
//! meta/mindseye.json                         ours: scene, action space, seeds, policy (other readers ignore it); of
//!                                            live cameras: what was asked of them, granted and missed
//! meta/episodes/chunk-000/file-000.parquet   one row per episode
//! data/chunk-000/file-000.parquet            one row per timestep, images as PNG bytes or in
//! videos/CAMERA/chunk-000/file-000.mp4       video files, many episodes to each
//! ```

pub(crate) use info::info_path;

mod camera_images;
pub(crate) mod capture_log;
mod columns;
pub(crate) mod dataset;
mod episode_row;
mod episodes_table;
mod frames_table;
mod image_feature;
mod images_table;
mod info;
mod named;
mod new_dataset;
mod outputs;
mod page_header;
mod pages;
mod sidecar_file;
mod statistics;
mod statistics_file;
mod tables;
mod tasks;
mod v21;
mod video_frames;
pub(crate) mod writer;
