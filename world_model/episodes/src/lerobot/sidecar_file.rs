//! `meta/mindseye.json`: the [`Sidecar`] of a LeRobot folder.

use std::path::{Path, PathBuf};

use mindseye_interface::inputs;

use super::info::{MAX_BYTES, write_json};
use crate::sidecar::Sidecar;
use crate::{Error, Result};

/// The file of the data set in `root`.
pub(super) fn sidecar_path(root: &Path) -> PathBuf {
    root.join("meta").join("mindseye.json")
}

/// Reads and checks the file of the data set in `root`; data sets of other tools have none.
pub(super) fn read_sidecar(root: &Path, action_width: usize) -> Result<Option<Sidecar>> {
    let path = sidecar_path(root);
    let text = match inputs::read_text(&path, MAX_BYTES) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file(&path, "reading", error)),
    };
    let sidecar: Sidecar =
        serde_json::from_str(&text).map_err(|error| Error::content(&path, "sidecar", "valid fields", error))?;
    sidecar.check(&path, action_width)?;
    Ok(Some(sidecar))
}

/// Writes the file of the data set in `root`.
pub(super) fn write_sidecar(root: &Path, sidecar: &Sidecar) -> Result<()> {
    write_json(&sidecar_path(root), sidecar)
}
