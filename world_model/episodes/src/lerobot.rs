//! LeRobotDataset: Hugging Face's folder format for recorded episodes. v3.0 is written and read, v2.1 is read.
//!
//! ```text
//! meta/info.json                             what the data set holds; rewriting it is what commits a segment
//! meta/stats.json                            statistics per feature
//! meta/tasks.parquet                         task texts
//! meta/mindseye.json                         ours: scene, action space, seeds, policy (other readers ignore it)
//! meta/episodes/chunk-000/file-000.parquet   one row per episode
//! data/chunk-000/file-000.parquet            one row per moment, pictures as PNG bytes or in
//! videos/CAMERA/chunk-000/file-000.mp4       video files, many episodes to each
//! ```

mod columns;
pub mod dataset;
mod episodes_table;
mod info;
mod moments_table;
mod named;
mod old;
pub mod sidecar;
pub mod spec;
mod statistics;
pub mod summary;
mod tables;
mod tasks;
pub mod writer;
