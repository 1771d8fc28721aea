//! Settings of an arm: what it may do, and when it is held.

use std::collections::BTreeMap;

use mindseye_interface::config::{Validate, require_range};
use serde::{Deserialize, Serialize};

use crate::units::Units;

/// Settings of an arm, as a TOML file has them; every field may be left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArmSettings {
    /// What positions are counted in: degrees (the default) or normalised. As in the recordings that a model learned
    /// from.
    pub units: Units,
    /// Control steps per second, 1 to 100; 10 by default.
    pub hz: f64,
    /// Bits per second of the line; 1 000 000 by default, as SO-101 arms come.
    pub baud: u32,
    /// Fastest that any joint is commanded to turn, degrees per second, 1 to 360; 60 by default. The servos keep to it
    /// too, by themselves.
    pub max_speed: f64,
    /// Farthest that a command is ahead of where the joint is, degrees, 1 to 90; 20 by default. An arm that is held or
    /// pushed is not pulled harder than this much error asks for.
    pub max_lead: f64,
    /// The same of the gripper, degrees: how hard it presses; 10 by default.
    pub grip_lead: f64,
    /// Lowest and highest command by name of joint, in its units; by default the calibrated range.
    pub soft_limits: BTreeMap<String, [f64; 2]>,
    /// Share of their torque that servos use at most, 0.05 to 1; 1 by default.
    pub torque: f64,
    /// The same of the gripper; 0.5 by default.
    pub grip_torque: f64,
    /// Temperature of a servo above which the arm is held, degrees Celsius, 20 to 80; 60 by default. Servos switch
    /// themselves off at 70 as they come.
    pub max_celsius: f64,
    /// Supply below which it is held, V, 3 to 12; 4.5 by default.
    pub min_volts: f64,
    /// A joint stalls where it uses this share of its torque, 0.1 to 1 (0.6 by default), or this current, mA,
    pub stall_load: f64,
    /// 50 to 5000 (1200 by default), while it is
    pub stall_ma: f64,
    /// farther from its command than this, degrees, 0.5 to 45 (4 by default), and does not turn, for
    pub stall_degrees: f64,
    /// so long, seconds, 0.05 to 10 (0.5 by default). Grippers do not stall: they press.
    pub stall_secs: f64,
    /// Whether the servos let go when the program ends; false by default: they hold the arm where it is.
    pub release: bool,
}

impl Default for ArmSettings {
    fn default() -> Self {
        Self {
            units: Units::Degrees,
            hz: 10.0,
            baud: 1_000_000,
            max_speed: 60.0,
            max_lead: 20.0,
            grip_lead: 10.0,
            soft_limits: BTreeMap::new(),
            torque: 1.0,
            grip_torque: 0.5,
            max_celsius: 60.0,
            min_volts: 4.5,
            stall_load: 0.6,
            stall_ma: 1200.0,
            stall_degrees: 4.0,
            stall_secs: 0.5,
            release: false,
        }
    }
}

impl Validate for ArmSettings {
    fn validate(&self) -> mindseye_interface::Result<()> {
        require_range("hz", self.hz, 1.0, 100.0)?;
        require_range("baud", self.baud, 9_600, 4_000_000)?;
        require_range("max_speed", self.max_speed, 1.0, 360.0)?;
        require_range("max_lead", self.max_lead, 1.0, 90.0)?;
        require_range("grip_lead", self.grip_lead, 1.0, 90.0)?;
        require_range("torque", self.torque, 0.05, 1.0)?;
        require_range("grip_torque", self.grip_torque, 0.05, 1.0)?;
        require_range("max_celsius", self.max_celsius, 20.0, 80.0)?;
        require_range("min_volts", self.min_volts, 3.0, 12.0)?;
        require_range("stall_load", self.stall_load, 0.1, 1.0)?;
        require_range("stall_ma", self.stall_ma, 50.0, 5000.0)?;
        require_range("stall_degrees", self.stall_degrees, 0.5, 45.0)?;
        require_range("stall_secs", self.stall_secs, 0.05, 10.0)?;
        for (name, limits) in &self.soft_limits {
            for limit in limits {
                require_range(&format!("soft_limits.{name}"), *limit, -1e4, 1e4)?;
            }
        }
        // Less would hold an arm that follows its command with its usual delay.
        require_range("max_lead", self.max_lead, self.stall_degrees, 90.0)
    }
}
