//! Units of positions.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What positions of joints are counted in, as LeRobot does; recordings must have the same. Grippers are 0 (closed) to
/// 100 (open) in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Units {
    /// Degrees from the middle of the range (LeRobot's `use_degrees=true`).
    #[default]
    Degrees,
    /// -100 to 100 over the range.
    Normalised,
}

impl FromStr for Units {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "degrees" => Ok(Self::Degrees),
            "normalised" | "normalized" => Ok(Self::Normalised),
            other => Err(Error::field("units", "degrees or normalised", other)),
        }
    }
}
