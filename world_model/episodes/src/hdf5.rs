//! HDF5 files of stable-worldmodel and of robomimic.

mod bitshuffle;
mod blosc;
mod bytes;
mod columns;
mod dense_links;
mod file;
mod filters;
mod image_column;
mod link_message;
mod links;
mod notes;
mod robomimic;
mod swm_file;
mod tree;
mod writer;

use std::path::Path;

pub(crate) use file::is_hdf5;
use file::open_file;
use robomimic::RobomimicFile;
use swm_file::SwmFile;
pub use writer::SwmWriter;

use crate::Result;
use crate::mapping::Mapping;
use crate::source::EpisodeSource;

/// Opens the HDF5 file at `path`. Files of robomimic have a group `data`; all others are read as stable-worldmodel's.
///
/// # Errors
/// [`crate::Error::File`] when the file is broken; [`crate::Error::Content`] when a column is missing or contradicts
/// the others.
pub(crate) fn open(path: &Path, mapping: &Mapping) -> Result<Box<dyn EpisodeSource>> {
    let file = open_file(path)?;
    let mut tree = tree::Tree::new(&file, path);
    let root = tree.root();
    let groups = tree.groups(&root)?;
    if groups.iter().any(|group| group == robomimic::DATA) {
        return Ok(Box::new(RobomimicFile::open_with(path, mapping)?));
    }
    Ok(Box::new(SwmFile::open_with(path, mapping)?))
}
