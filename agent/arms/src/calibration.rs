//! Which position of a servo is which position of its joint: a file in the form of LeRobot.

use std::collections::BTreeMap;
use std::path::Path;

use mindseye_interface::config::{require_names, require_range};
use mindseye_interface::{files, inputs};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::servos::MAX_STEP;

/// Most servos of a line.
pub const MAX_SERVOS: usize = 32;
/// Largest number of a servo.
pub const MAX_ID: u8 = 253;
/// Largest homing offset that a servo keeps.
const MAX_OFFSET: i64 = 2047;
/// Fewest steps of a range: less is a joint that nobody moved.
pub const LEAST_RANGE: i64 = 50;

/// One servo, in LeRobot's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MotorCalibration {
    /// Its number on the line, 0 to 253.
    pub id: u8,
    /// 1 where the joint turns the other way round, in normalised units; 0 in all calibrations of SO-101.
    pub drive_mode: u8,
    /// What the servo takes from its measured position, steps, -2047 to 2047. Kept in the servo too.
    pub homing_offset: i64,
    /// Lowest position, steps, 0 to 4095. Kept in the servo too.
    pub range_min: i64,
    /// Highest position, steps, 0 to 4095. Kept in the servo too.
    pub range_max: i64,
}

/// The joints of an arm in the order of their servos' numbers, which is that of actions and observations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calibration(Vec<(String, MotorCalibration)>);

impl Calibration {
    /// A calibration of these joints.
    ///
    /// # Errors
    /// [`Error::Field`] for numbers that two servos have, and ranges that no servo has.
    pub fn new(joints: impl IntoIterator<Item = (String, MotorCalibration)>) -> Result<Self> {
        let mut joints: Vec<_> = joints.into_iter().collect();
        joints.sort_by_key(|(_, motor)| motor.id);
        require_range("calibration", joints.len(), 1, MAX_SERVOS)?;
        require_names("calibration", &joints.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>())?;
        for (name, motor) in &joints {
            let field = |part: &str| format!("calibration.{name}.{part}");
            require_range(&field("id"), motor.id, 0, MAX_ID)?;
            require_range(&field("drive_mode"), motor.drive_mode, 0, 1)?;
            require_range(&field("homing_offset"), motor.homing_offset, -MAX_OFFSET, MAX_OFFSET)?;
            require_range(&field("range_min"), motor.range_min, 0, MAX_STEP)?;
            require_range(&field("range_max"), motor.range_max, motor.range_min + LEAST_RANGE, MAX_STEP)?;
        }
        if let Some(pair) = joints.windows(2).find(|pair| pair[0].1.id == pair[1].1.id) {
            let expected = format!("another number than that of {}", pair[0].0);
            return Err(Error::field(format!("calibration.{}.id", pair[1].0), expected, pair[1].1.id));
        }
        Ok(Self(joints))
    }

    /// Reads a file, LeRobot's or ours.
    ///
    /// # Errors
    /// [`Error::File`] that names the file and the field.
    pub fn load(path: &Path) -> Result<Self> {
        let text = inputs::read_text(path, inputs::MAX_CONFIG_BYTES).map_err(|error| Error::file(path, error))?;
        let joints: BTreeMap<String, MotorCalibration> =
            serde_json::from_str(&text).map_err(|error| Error::file(path, error))?;
        Self::new(joints).map_err(|error| Error::file(path, error))
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn save(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(&Ordered(&self.0)).map_err(|error| Error::file(path, error))?;
        files::write_whole_with_folders(path, text.as_bytes()).map_err(|error| Error::file(path, error))
    }

    /// Names and servos of the joints.
    pub fn joints(&self) -> &[(String, MotorCalibration)] {
        &self.0
    }
}

/// A map in the order of the joints.
struct Ordered<'a>(&'a [(String, MotorCalibration)]);

impl Serialize for Ordered<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, motor)| (name, motor)))
    }
}
