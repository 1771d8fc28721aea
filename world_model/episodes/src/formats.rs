//! Detection of the format at a path: the one list of all formats that can be read.

use std::path::Path;

use crate::mapping::Mapping;
use crate::source::EpisodeSource;
use crate::{Error, Result};
use crate::{hdf5, lerobot, swm};

/// Opens the data set at `path`: a LeRobot folder, an HDF5 file of stable-worldmodel or robomimic, or a folder of
/// stable-worldmodel.
///
/// # Errors
/// [`Error::Content`] when the format is none of these, with the command that converts it where there is one; otherwise
/// the error of the reader.
pub fn open(path: &Path) -> Result<Box<dyn EpisodeSource>> {
    open_with(path, &Mapping::default())
}

/// Opens the data set at `path` like [`open`], with the columns that `mapping` names.
///
/// # Errors
/// As [`open`]; [`Error::Content`] when a column is missing or of another kind.
pub fn open_with(path: &Path, mapping: &Mapping) -> Result<Box<dyn EpisodeSource>> {
    let expected = "a LeRobot folder (with meta/info.json), an HDF5 file or folder of stable-worldmodel, \
                    or an HDF5 file of robomimic";
    let refused = |got: &str| Err(Error::content(path, "data set", expected, got));
    let metadata = std::fs::metadata(path).map_err(|error| Error::file(path, "opening", error))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    if metadata.is_file() {
        if hdf5::is_hdf5(path) {
            return hdf5::open(path, mapping);
        }
        let compressed = name.ends_with(".zst");
        return refused(if compressed {
            "a file compressed with zstd (zstd -d FILE unpacks it)"
        } else {
            "another file"
        });
    }
    if path.join("meta").join("info.json").is_file() {
        return Ok(Box::new(lerobot::dataset::Dataset::open_with(path, mapping)?));
    }
    if name.ends_with(".lance") {
        return refused("a Lance table (swm convert PATH --format hdf5 makes a file that is read)");
    }
    if swm::folder::is_swm_folder(path) {
        return Ok(Box::new(swm::folder::SwmFolder::open_with(path, mapping)?));
    }
    refused("another folder")
}
