//! How a calibration is made: the arm is put into the middle of its ranges, then moved through them by hand.

use std::time::Duration;

use crate::calibration::{Calibration, MotorCalibration};
use crate::error::{Error, Result};
use crate::servos::{MAX_STEP, ServoState, Servos};

/// The joints of an SO-101, with the numbers of their servos.
pub const JOINTS: [(&str, u8); 6] = [
    ("shoulder_pan", 1),
    ("shoulder_lift", 2),
    ("elbow_flex", 3),
    ("wrist_flex", 4),
    ("wrist_roll", 5),
    ("gripper", 6),
];
/// Where a servo is to be in the middle of its range, steps.
const MIDDLE: i64 = MAX_STEP / 2;
/// Largest homing offset that a servo keeps.
const MAX_OFFSET: i64 = 2047;
/// Time between two readings.
const READING: Duration = Duration::from_millis(20);
/// Fewest steps that a joint is moved through, about 17 degrees: less is a joint that was forgotten.
const LEAST_MOVED: i64 = 200;

/// What a person does and is shown while an arm is calibrated.
pub struct CalibrationSteps<'a> {
    /// Returns when the arm is in the middle of its ranges.
    pub middle: &'a mut dyn FnMut() -> Result<()>,
    /// Whether the arm was moved through all of its ranges; is asked after every reading.
    pub is_done: &'a mut dyn FnMut() -> Result<bool>,
    /// Is shown the positions and ranges so far.
    pub show: &'a mut dyn FnMut(&[MovedRange]),
}

/// How far a joint was moved so far, steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedRange {
    /// Its name.
    pub joint: String,
    /// Lowest position.
    pub lowest: i64,
    /// Newest position.
    pub newest: i64,
    /// Highest position.
    pub highest: i64,
}

/// The name of the joint that servo `id` moves in an SO-101.
pub(crate) fn name_of(id: u8) -> String {
    let known = JOINTS.iter().find(|(_, known)| *known == id);
    known.map_or_else(|| format!("servo_{id}"), |(name, _)| (*name).to_owned())
}

/// Calibrates the `joints` (name and servo) of an arm, which has no torque meanwhile, as LeRobot does. Those of
/// `full_turns` turn without end. The servos keep it; the result is for a file.
///
/// # Errors
/// [`Error::Servo`] where a servo gives no answer; [`Error::Field`] for a joint that was not moved, or moved beyond the
/// end of a turn. The servos are not calibrated then.
pub fn calibrate(
    servos: &mut Servos,
    joints: &[(String, u8)],
    full_turns: &[String],
    steps: &mut CalibrationSteps<'_>,
) -> Result<Calibration> {
    let ids: Vec<u8> = joints.iter().map(|(_, id)| *id).collect();
    for id in &ids {
        let whole = [("operating_mode", 0), ("homing_offset", 0), ("min_position_limit", 0)];
        servos.write_kept(*id, &[&whole[..], &[("max_position_limit", MAX_STEP)]].concat())?;
    }
    (steps.middle)()?;
    let mut offsets = Vec::with_capacity(ids.len());
    for state in servos.states(&ids)? {
        let offset = (state.position - MIDDLE).clamp(-MAX_OFFSET, MAX_OFFSET);
        servos.write_kept(state.id, &[("homing_offset", offset)])?;
        offsets.push(offset);
    }
    let ranges = moved_ranges(servos, joints, &ids, steps)?;
    let mut calibrated = Vec::with_capacity(joints.len());
    for (((name, id), homing_offset), range) in joints.iter().zip(offsets).zip(ranges) {
        let (low, high) = (range.lowest, range.highest);
        let (range_min, range_max) = match full_turns.contains(name) {
            true => (0, MAX_STEP),
            false if high - low < LEAST_MOVED => {
                let expected = format!("at least {LEAST_MOVED} steps between its ends: move it through its range");
                return Err(Error::field(format!("range of {name}"), expected, high - low));
            }
            false => (low.max(0), high.min(MAX_STEP)),
        };
        calibrated
            .push((name.clone(), MotorCalibration { id: *id, drive_mode: 0, homing_offset, range_min, range_max }));
    }
    let calibration = Calibration::new(calibrated)?;
    write_calibration(servos, &calibration)?;
    Ok(calibration)
}

/// How far every joint was moved when the steps are done.
fn moved_ranges(
    servos: &mut Servos,
    joints: &[(String, u8)],
    ids: &[u8],
    steps: &mut CalibrationSteps<'_>,
) -> Result<Vec<MovedRange>> {
    let begun = |(state, (name, _)): (&ServoState, &(String, u8))| {
        let (joint, lowest) = (name.clone(), state.position);
        MovedRange { joint, lowest, newest: lowest, highest: lowest }
    };
    let mut ranges: Vec<MovedRange> = servos.states(ids)?.iter().zip(joints).map(begun).collect();
    while !(steps.is_done)()? {
        for (state, range) in servos.states(ids)?.iter().zip(&mut ranges) {
            if (state.position - range.newest).abs() > MIDDLE {
                let expected = "positions within one turn: begin in the middle of its range";
                return Err(Error::field(format!("range of {}", range.joint), expected, "more than a turn"));
            }
            range.newest = state.position;
            (range.lowest, range.highest) = (range.lowest.min(range.newest), range.highest.max(range.newest));
        }
        (steps.show)(&ranges);
        std::thread::sleep(READING);
    }
    Ok(ranges)
}

/// Makes the servos keep a `calibration`, for example LeRobot's of this arm; they have no torque afterwards.
///
/// # Errors
/// [`Error::Servo`] where a servo gives no answer or does not keep a value.
pub fn write_calibration(servos: &mut Servos, calibration: &Calibration) -> Result<()> {
    for (_, motor) in calibration.joints() {
        let values = [
            ("operating_mode", 0),
            ("homing_offset", motor.homing_offset),
            ("min_position_limit", motor.range_min),
            ("max_position_limit", motor.range_max),
        ];
        servos.write_kept(motor.id, &values)?;
    }
    Ok(())
}
