//! A fake SO-101 at a pseudo-terminal.

#![allow(dead_code)] // every test file uses another part of this
#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

mod chain;
mod servo;

#[allow(unused_imports)] // the same
pub use chain::{FakeArm, Told};
#[allow(unused_imports)] // the same
pub use servo::FakeServo;

use mindseye_arms::{Calibration, JOINTS, MotorCalibration};

/// A calibration of an SO-101, as LeRobot makes them: ranges of some joints are not in the middle of their turn.
pub fn calibration() -> Calibration {
    let kept =
        [(750, 3400, 12), (830, 3250, -640), (860, 3070, 1100), (900, 3200, 3), (0, 4095, -1500), (2020, 3500, 950)];
    let motor = |(&(name, id), (range_min, range_max, homing_offset)): (&(&str, u8), (i64, i64, i64))| {
        (name.to_owned(), MotorCalibration { id, drive_mode: 0, homing_offset, range_min, range_max })
    };
    Calibration::new(JOINTS.iter().zip(kept).map(motor)).unwrap()
}
