//! HDF5 files as a whole.

use std::path::Path;

use hdf5_pure::File;
use mindseye_interface::inputs;

use crate::{Error, Result};

/// Whether the file at `path` begins like an HDF5 file.
pub(crate) fn is_hdf5(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_file()) && hdf5_pure::is_hdf5(path).unwrap_or(false)
}

/// Opens the HDF5 file at `path` for reading parts of it.
///
/// # Errors
/// [`Error::File`] when it is missing or broken.
pub(super) fn open_file(path: &Path) -> Result<File> {
    inputs::open(path, u64::MAX).map_err(|error| Error::file(path, "opening", error))?; // a regular file
    File::open_streaming(path).map_err(|error| broken(path, error))
}

/// The error of the HDF5 parser.
pub(super) fn broken(path: &Path, error: hdf5_pure::Error) -> Error {
    Error::file(path, "reading HDF5", error)
}
