//! All frames of a data set, decoded once at the model's image size: in memory, or in a file.

mod decode;
mod frames;
mod header;
mod key;
mod load;
mod missing;
mod positioned;
mod size;
mod store;
mod stored;

pub use frames::FrameCache;
pub use load::CacheOptions;
