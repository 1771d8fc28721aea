//! What an arm says of itself: `mindseye arm check`.

use std::fmt::{Display, Formatter};

use mindseye_interface::text::printable;
use serde::Serialize;

use crate::calibrate::name_of;
use crate::calibration::Calibration;
use crate::error::Result;
use crate::joint::Joint;
use crate::servos::{ErrorBits, ServoState, Servos};
use crate::settings::ArmSettings;

/// One servo.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServoReport {
    /// The joint that it moves.
    pub joint: String,
    /// Its model.
    pub model: String,
    /// Version of its program.
    pub firmware: String,
    /// What it measures.
    #[serde(flatten)]
    pub state: ServoState,
    /// The same position in degrees from the middle of its range, or percent for a gripper; none without a calibration.
    pub value: Option<f64>,
    /// From a question to its answer, milliseconds.
    pub round_trip_ms: f64,
    /// What is wrong with it.
    pub wrong: Vec<String>,
}

/// An arm.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArmReport {
    /// Its port.
    pub port: String,
    /// The servos that answer.
    pub servos: Vec<ServoReport>,
    /// Those that do not, or not wholly, with the reason.
    pub missing: Vec<String>,
}

impl ArmReport {
    /// Whether every servo is there and nothing is wrong with any.
    pub fn is_sound(&self) -> bool {
        self.missing.is_empty() && self.servos.iter().all(|servo| servo.wrong.is_empty())
    }
}

/// Asks the servos `ids` at `port`; nothing is written to them. With a `calibration` theirs is compared with it.
///
/// # Errors
/// [`crate::Error::Line`] when the port cannot be opened. A servo that does not answer is in the report.
pub fn check(port: &str, settings: &ArmSettings, ids: &[u8], calibration: Option<&Calibration>) -> Result<ArmReport> {
    let mut servos = Servos::open(port, settings.baud)?;
    let mut report = ArmReport { port: port.to_owned(), servos: Vec::new(), missing: Vec::new() };
    for &id in ids {
        let known = calibration.and_then(|calibration| calibration.joints().iter().find(|(_, motor)| motor.id == id));
        let joint = known.map_or_else(|| name_of(id), |(name, _)| name.clone());
        match servo(&mut servos, settings, id, &joint, known) {
            Ok(servo) => report.servos.push(servo),
            Err(error) => report.missing.push(format!("servo {id} ({joint}): {error}")),
        }
    }
    Ok(report)
}

fn servo(
    servos: &mut Servos,
    settings: &ArmSettings,
    id: u8,
    joint: &str,
    known: Option<&(String, crate::calibration::MotorCalibration)>,
) -> Result<ServoReport> {
    let model = servos.read(id, "model_number")?;
    let mut wrong = Vec::new();
    if !Servos::is_known_model(model) {
        wrong.push("expected an STS3215".to_owned());
    }
    let (major, minor) = (servos.read(id, "firmware_major_version")?, servos.read(id, "firmware_minor_version")?);
    let round_trip_ms = servos.round_trip_ms(id)?;
    let state = servos.states(&[id])?.remove(0);
    if state.errors != ErrorBits(0) {
        wrong.push(format!("reports {}", state.errors));
    }
    if state.celsius > settings.max_celsius {
        wrong.push(format!("expected at most {} C", settings.max_celsius));
    }
    if state.volts < settings.min_volts {
        wrong.push(format!("expected at least {} V", settings.min_volts));
    }
    let mut value = None;
    if let Some((name, motor)) = known {
        for (register, expected) in [
            ("homing_offset", motor.homing_offset),
            ("min_position_limit", motor.range_min),
            ("max_position_limit", motor.range_max),
        ] {
            let got = servos.read(id, register)?;
            if got != expected {
                wrong.push(format!("{register}: expected {expected}, got {got}"));
            }
        }
        value = Some(Joint::new(name, *motor, &ArmSettings::default())?.value(state.position as f64));
    }
    let (model, firmware) = (Servos::model_name(model), format!("{major}.{minor}"));
    Ok(ServoReport { joint: joint.to_owned(), model, firmware, state, value, round_trip_ms, wrong })
}

impl Display for ArmReport {
    fn fmt(&self, text: &mut Formatter<'_>) -> std::fmt::Result {
        let head = ["id", "joint", "model", "position", "", "load", "current", "supply", "temp", "torque", "errors"];
        let mut rows: Vec<Vec<String>> = vec![head.iter().map(|title| (*title).to_owned()).collect()];
        rows.extend(self.servos.iter().map(row));
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        for (index, row) in rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            let line = cells.collect::<Vec<_>>().join("  ");
            write!(text, "{}{}", if index > 0 { "\n" } else { "" }, line.trim_end())?;
        }
        self.missing.iter().try_for_each(|missing| write!(text, "\nmissing: {missing}"))?;
        for servo in self.servos.iter().filter(|servo| !servo.wrong.is_empty()) {
            write!(
                text,
                "\nwrong: servo {} ({}): {}",
                servo.state.id,
                printable(&servo.joint),
                servo.wrong.join("; ")
            )?;
        }
        let slowest = self.servos.iter().map(|servo| servo.round_trip_ms).fold(0.0, f64::max);
        let (port, count) = (printable(&self.port), self.servos.len());
        write!(text, "\n{port}: {count} servos, answers within {slowest:.1} ms")
    }
}

fn row(servo: &ServoReport) -> Vec<String> {
    let ServoState { id, position, load, current_ma, volts, celsius, torque, errors, .. } = servo.state;
    let value = match servo.value {
        Some(value) if servo.joint.contains("gripper") => format!("{value:.1} %"),
        Some(value) => format!("{value:.1} deg"),
        None => String::new(),
    };
    vec![
        id.to_string(),
        printable(&servo.joint).into_owned(),
        format!("{} {}", servo.model, servo.firmware),
        position.to_string(),
        value,
        format!("{:.0} %", 100.0 * load),
        format!("{current_ma:.0} mA"),
        format!("{volts:.1} V"),
        format!("{celsius:.0} C"),
        if torque { "on" } else { "off" }.to_owned(),
        errors.to_string(),
    ]
}
