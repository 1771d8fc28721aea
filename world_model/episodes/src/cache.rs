//! All frames of a data set, decoded once at the model's image size: in memory, or in a memory-mapped file.

mod frames;
mod load;
mod store;

pub use frames::FrameCache;
pub use load::CacheOptions;
