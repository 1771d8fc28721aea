//! Detection of the format at a path: the one list of all formats that can be read.

use std::path::Path;

use crate::mapping::Mapping;
use crate::source::EpisodeSource;
use crate::{Error, Result};
use crate::{hdf5, hub, lerobot, swm};

/// Opens the data set at `path`: a LeRobot folder, an HDF5 file of stable-worldmodel or robomimic, or a folder of
/// stable-worldmodel, or a folder with one such file. Where there is nothing at `path` and it has the form `user/name`,
/// the data set of this name in the Hugging Face cache.
///
/// # Errors
/// [`Error::Content`] when the format is none of these, with the command that converts it where there is one; otherwise
/// the error of the reader.
pub fn open(path: &Path) -> Result<Box<dyn EpisodeSource>> {
    open_with(path, &Mapping::default())
}

/// Whether there is a data set at `path`, by its files alone: what [`open`] would try to read, not whether it could.
pub fn is_recording(path: &Path) -> bool {
    let Ok(path) = hub::find(path) else { return false };
    path.is_file() || hub::has_data(&path)
}

/// Opens the data set at `path` like [`open`], with the columns that `mapping` names.
///
/// # Errors
/// As [`open`]; [`Error::Content`] when a column is missing or of another kind.
pub fn open_with(path: &Path, mapping: &Mapping) -> Result<Box<dyn EpisodeSource>> {
    let path = &hub::find(path)?;
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
    if name.ends_with(".lance") || holds_lance_table(path) {
        return refused(
            "a Lance table (in Python, stable_worldmodel.data.convert(os.path.abspath(PATH_OF_TABLE), 'new.h5', \
             dest_format='hdf5') makes a file that is read)",
        );
    }
    if swm::folder::is_swm_folder(path) {
        return Ok(Box::new(swm::folder::SwmFolder::open_with(path, mapping)?));
    }
    let files = hub::hdf5_files(path).map_err(|error| Error::file(path, "listing", error))?;
    match &files[..] {
        [] => refused("another folder"),
        [only] => open_with(only, mapping),
        [first, ..] => {
            let got = format!("a folder with {} HDF5 files (open one of them: {})", files.len(), first.display());
            refused(&got)
        }
    }
}

/// Whether the folder `path` is one round Lance tables.
fn holds_lance_table(path: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(path) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().ends_with(".lance"))
}
