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
    let ranges = [(750, 3400), (830, 3250), (860, 3070), (900, 3200), (0, 4095), (2020, 3500)];
    let joints = JOINTS.iter().zip(ranges).zip([12, -640, 1100, 3, -1500, 950]);
    let motor = |((&(name, id), (range_min, range_max)), homing_offset): ((&(&str, u8), (i64, i64)), i64)| {
        (name.to_owned(), MotorCalibration { id, drive_mode: 0, homing_offset, range_min, range_max })
    };
    Calibration::new(joints.map(motor)).unwrap()
}
