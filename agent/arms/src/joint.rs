//! A joint: positions of its servo in units of actions and observations, and where it may be.

use crate::calibration::MotorCalibration;
use crate::error::{Error, Result};
use crate::servos::MAX_STEP;
use crate::settings::ArmSettings;
use crate::units::Units;

/// Degrees per step, as LeRobot counts them: a turn has 4095.
const DEGREES_PER_STEP: f64 = 360.0 / MAX_STEP as f64;
/// What the name of a gripper contains.
const GRIPPER: &str = "gripper";

/// One joint of an arm.
#[derive(Debug, Clone, PartialEq)]
pub struct Joint {
    /// Its name, for example `shoulder_pan`.
    pub name: String,
    /// Its servo.
    pub motor: MotorCalibration,
    units: Units,
    /// Where it may be commanded to, steps.
    low: f64,
    high: f64,
}

impl Joint {
    /// The joint `name` with the soft limits of `settings`.
    ///
    /// # Errors
    /// [`Error::Field`] for soft limits outside the calibrated range.
    pub fn new(name: &str, motor: MotorCalibration, settings: &ArmSettings) -> Result<Self> {
        let (low, high) = (motor.range_min as f64, motor.range_max as f64);
        let mut joint = Self { name: name.to_owned(), motor, units: settings.units, low, high };
        if let Some(&[low, high]) = settings.soft_limits.get(name) {
            let (first, second) = (joint.steps(low), joint.steps(high));
            let (low_steps, high_steps) = (first.min(second), first.max(second));
            // Rounding of people: a tenth of a degree.
            if low > high || low_steps < joint.low - 1.5 || high_steps > joint.high + 1.5 {
                let (from, to) = joint.limits();
                let expected = format!("within the calibrated range, {from:.1} to {to:.1} {}", joint.unit());
                return Err(Error::field(format!("soft_limits.{name}"), expected, format!("{low} to {high}")));
            }
            (joint.low, joint.high) = (low_steps.max(joint.low), high_steps.min(joint.high));
        }
        Ok(joint)
    }

    /// Whether it grips: it is meant to press on things.
    pub fn is_gripper(&self) -> bool {
        self.name.contains(GRIPPER)
    }

    /// The unit of its positions.
    pub fn unit(&self) -> &'static str {
        if self.units == Units::Degrees && !self.is_gripper() { "deg" } else { "percent" }
    }

    /// The position of `steps` in units of actions.
    pub fn value(&self, steps: f64) -> f64 {
        let (from, to) = (self.motor.range_min as f64, self.motor.range_max as f64);
        let share = (steps - from) / (to - from);
        let share = if self.motor.drive_mode == 1 { 1.0 - share } else { share };
        match self.units {
            _ if self.is_gripper() => 100.0 * share,
            Units::Normalised => 200.0 * share - 100.0,
            Units::Degrees => (steps - (from + to) / 2.0) * DEGREES_PER_STEP,
        }
    }

    /// The steps of a position in units of actions.
    pub fn steps(&self, value: f64) -> f64 {
        let (from, to) = (self.motor.range_min as f64, self.motor.range_max as f64);
        let share = match self.units {
            _ if self.is_gripper() => value / 100.0,
            Units::Normalised => (value + 100.0) / 200.0,
            Units::Degrees => return value / DEGREES_PER_STEP + (from + to) / 2.0,
        };
        let share = if self.motor.drive_mode == 1 { 1.0 - share } else { share };
        from + share * (to - from)
    }

    /// So many degrees of the servo in units of actions.
    pub fn value_of_degrees(&self, degrees: f64) -> f64 {
        (self.value(steps_of_degrees(degrees)) - self.value(0.0)).abs()
    }

    /// Lowest and highest command, in units of actions.
    pub fn limits(&self) -> (f64, f64) {
        let (one, other) = (self.value(self.low), self.value(self.high));
        (one.min(other), one.max(other))
    }

    /// `steps` within the soft limits.
    pub fn within_limits(&self, steps: f64) -> f64 {
        steps.clamp(self.low, self.high)
    }
}

/// Steps of so many degrees of a servo.
pub fn steps_of_degrees(degrees: f64) -> f64 {
    degrees / DEGREES_PER_STEP
}

/// Degrees of so many steps.
pub fn degrees_of_steps(steps: f64) -> f64 {
    steps * DEGREES_PER_STEP
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joint(name: &str, units: Units, drive_mode: u8) -> Joint {
        let motor = MotorCalibration { id: 1, drive_mode, homing_offset: 0, range_min: 1000, range_max: 3000 };
        Joint::new(name, motor, &ArmSettings { units, ..ArmSettings::default() }).unwrap()
    }

    /// As LeRobot's `_normalize` counts: by hand for a range of 1000 to 3000.
    #[test]
    fn positions_are_counted_as_lerobot_counts_them() {
        for (joint, steps, value) in [
            (joint("elbow_flex", Units::Degrees, 0), 2000.0, 0.0),
            (joint("elbow_flex", Units::Degrees, 0), 3000.0, 1000.0 * 360.0 / 4095.0),
            (joint("elbow_flex", Units::Degrees, 1), 3000.0, 1000.0 * 360.0 / 4095.0), // there it knows no direction
            (joint("elbow_flex", Units::Normalised, 0), 2500.0, 50.0),
            (joint("elbow_flex", Units::Normalised, 1), 2500.0, -50.0),
            (joint("gripper", Units::Degrees, 0), 1500.0, 25.0),
            (joint("gripper", Units::Normalised, 1), 1500.0, 75.0),
        ] {
            assert!((joint.value(steps) - value).abs() < 1e-9, "{} {steps}: {}", joint.name, joint.value(steps));
            assert!((joint.steps(value) - steps).abs() < 1e-9, "{} {value}", joint.name);
        }
    }

    #[test]
    fn soft_limits_narrow_the_calibrated_range_and_do_not_widen_it() {
        let motor = MotorCalibration { id: 1, drive_mode: 0, homing_offset: 0, range_min: 1000, range_max: 3000 };
        let limited = |low: f64, high: f64| {
            let soft_limits = [("elbow_flex".to_owned(), [low, high])].into();
            Joint::new("elbow_flex", motor, &ArmSettings { soft_limits, ..ArmSettings::default() })
        };
        let narrow = limited(-20.0, 30.0).unwrap();
        assert!((narrow.value(narrow.within_limits(4000.0)) - 30.0).abs() < 1e-9);
        assert!((narrow.value(narrow.within_limits(0.0)) + 20.0).abs() < 1e-9);
        for (low, high) in [(-100.0, 0.0), (0.0, 100.0), (10.0, -10.0)] {
            let error = limited(low, high).unwrap_err().to_string();
            assert!(
                error.starts_with("soft_limits.elbow_flex: expected within the calibrated range, -87.9"),
                "{error}"
            );
        }
    }
}
