//! Whole worlds as bytes.

use mindseye_interface::{Error, Result, Snapshot};
use serde::{Deserialize, Serialize};

/// A whole world, as it is saved.
#[derive(Serialize, Deserialize)]
pub(super) struct Saved<Text, Layout, Physics> {
    pub scene: Text,
    pub tick: u64,
    pub layout: Layout,
    pub physics: Physics,
}

impl<Layout: Serialize, Physics: Serialize> Saved<&str, &Layout, &Physics> {
    /// As bytes.
    pub fn pack(&self) -> Result<Snapshot> {
        let bytes = postcard::to_stdvec(self);
        bytes.map(Snapshot).map_err(|error| Error::Environment { operation: "snapshot", reason: error.to_string() })
    }
}

impl<'a, Layout: Deserialize<'a>, Physics: Deserialize<'a>> Saved<&'a str, Layout, Physics> {
    /// From bytes, of `scene` and nothing else.
    pub fn unpack(snapshot: &'a Snapshot, scene: &str) -> Result<Self> {
        let saved: Self = match postcard::take_from_bytes(&snapshot.0) {
            Ok((saved, [])) => saved,
            Ok((_, rest)) => return refuse(format!("expected a {scene} snapshot, got {} bytes too many", rest.len())),
            Err(error) => {
                return refuse(format!("expected a {scene} snapshot, got {} bytes: {error}", snapshot.0.len()));
            }
        };
        if saved.scene != scene {
            return refuse(format!("expected a {scene} snapshot, got one of {}", saved.scene));
        }
        Ok(saved)
    }
}

/// The error of a snapshot that cannot be taken over.
pub(super) fn refuse<T>(reason: String) -> Result<T> {
    Err(Error::Environment { operation: "restore", reason })
}
