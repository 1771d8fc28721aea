//! LeRobotDataset v3.0: Hugging Face's folder format for recorded episodes.
//!
//! ```text
//! meta/info.json                             what the data set holds; rewriting it is what commits a segment
//! meta/stats.json                            statistics per feature
//! meta/tasks.parquet                         task texts
//! meta/mindseye.json                         ours: scene, action space, seeds, policy (other readers ignore it)
//! meta/episodes/chunk-000/file-000.parquet   one row per episode
//! data/chunk-000/file-000.parquet            one row per moment, pictures as PNG bytes
//! ```

mod columns;
pub mod dataset;
mod episodes_table;
mod info;
mod moments_table;
mod named;
pub mod sidecar;
pub mod spec;
mod statistics;
pub mod summary;
mod tables;
mod tasks;
pub mod writer;
