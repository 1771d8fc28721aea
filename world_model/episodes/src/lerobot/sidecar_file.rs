//! `meta/mindseye.json`: the [`Sidecar`] of a LeRobot folder.

use std::path::Path;

use mindseye_interface::inputs;

use super::capture_log::CaptureLog;
use super::info::{MAX_BYTES, sidecar_path, write_json};
use crate::sidecar::Sidecar;
use crate::{Error, Result};

/// Reads and checks the file of the data set in `root`; data sets of other tools and of live cameras have none.
pub(super) fn read_sidecar(root: &Path, action_width: usize) -> Result<Option<Sidecar>> {
    let path = sidecar_path(root);
    let text = match inputs::read_text(&path, MAX_BYTES) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file(&path, "reading", error)),
    };
    if CaptureLog::is_in(&text) {
        return Ok(None);
    }
    let sidecar: Sidecar =
        serde_json::from_str(&text).map_err(|error| Error::content(&path, "sidecar", "valid fields", error))?;
    sidecar.check(&path, action_width)?;
    Ok(Some(sidecar))
}

/// Writes the file of the data set in `root`.
pub(super) fn write_sidecar(root: &Path, sidecar: &Sidecar) -> Result<()> {
    write_json(&sidecar_path(root), sidecar)
}
