//! Arms of serial bus servos (SO-101 and its kind) behind [`mindseye_interface::Environment`].
//!
//! - [`Arm`] is the body: absolute positions of joints in LeRobot's units, measured positions as proprioception, limits
//!   that have the last word, and a latch for what goes wrong (`docs/guides/arm.md`).
//! - [`Calibration`] is LeRobot's file, [`ArmSettings`] what an arm may do, [`ArmUri`] both in an address.
//! - [`Servos`] asks and tells the servos of a line, through `rustypot`.
//! - [`follow`] makes an arm follow a [`Leader`], which a hand moves.
//! - [`ArmArguments`] is `mindseye arm`.

mod address;
mod arm;
mod calibrate;
mod calibration;
mod check;
mod command;
mod error;
mod health;
mod joint;
mod line;
mod motion;
mod servos;
mod settings;
mod teleoperation;
mod units;

pub use address::ArmUri;
pub use arm::Arm;
pub use calibrate::{CalibrationSteps, JOINTS, MovedRange, calibrate, write_calibration};
pub use calibration::{Calibration, MotorCalibration};
pub use check::{ArmReport, ServoReport, check};
pub use command::ArmArguments;
pub use error::{Error, Result};
pub use joint::Joint;
pub use servos::{ErrorBits, ServoState, Servos};
pub use settings::ArmSettings;
pub use teleoperation::{Followed, Leader, follow};
pub use units::Units;
