//! Whether an arm may go on moving: a function of what its servos measure and of time.

use mindseye_interface::config::require_count;

use crate::error::{Error, Result};
use crate::joint::{Joint, degrees_of_steps, steps_of_degrees};
use crate::servos::{ErrorBits, ServoState};
use crate::settings::ArmSettings;

/// A joint that turns by less while it is pressed does not turn, degrees.
const STILL_DEGREES: f64 = 1.0;
/// Fastest change of a measured position that can be true: twice as fast as servos without load turn, and some degrees
/// for the jitter of reading.
const FASTEST_DEGREES_PER_SEC: f64 = 720.0;
const JITTER_DEGREES: f64 = 15.0;
/// How far a joint may be outside of its calibrated range where torque is switched on: the servo would drive it back.
const OUTSIDE_DEGREES: f64 = 5.0;

/// What can be wrong with a joint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    Reports,
    LetGo,
    Hot,
    LowVolts,
    Stalls,
}

const CONDITIONS: [Condition; 5] =
    [Condition::Reports, Condition::LetGo, Condition::Hot, Condition::LowVolts, Condition::Stalls];

impl Condition {
    /// How long it must last, seconds: a checksum of one byte lets one of 256 broken answers through, so nothing
    /// follows from one answer alone, and voltage dips where motors start.
    fn lasting_secs(self, settings: &ArmSettings) -> f64 {
        match self {
            Self::Reports | Self::LetGo => 0.01,
            Self::Hot => 0.05,
            Self::LowVolts => 0.2,
            Self::Stalls => settings.stall_secs,
        }
    }

    /// What is measured, where `self` is wrong.
    fn wrong(self, settings: &ArmSettings, joint: &Joint, state: &ServoState, goal: Option<f64>) -> Option<String> {
        let ServoState { load, current_ma, volts, celsius, .. } = *state;
        match self {
            Self::Reports if state.errors != ErrorBits(0) => {
                Some(format!("expected no errors, the servo reports {}", state.errors))
            }
            // A servo lets go by itself where it is overloaded, and after its supply was gone.
            Self::LetGo if goal.is_some() && !state.torque => Some("expected torque, the servo has let go".into()),
            Self::Hot if celsius > settings.max_celsius => {
                Some(format!("expected at most {} C, got {celsius}", settings.max_celsius))
            }
            Self::LowVolts if volts < settings.min_volts => {
                Some(format!("expected at least {} V, got {volts:.1}", settings.min_volts))
            }
            Self::Stalls if !joint.is_gripper() => {
                let off = degrees_of_steps((goal? - state.position as f64).abs());
                let is_pressed = load.abs() >= settings.stall_load || current_ma.abs() >= settings.stall_ma;
                (is_pressed && off >= settings.stall_degrees).then(|| {
                    let load = 100.0 * load.abs();
                    format!("it stalls, {off:.1} deg from its command with {load:.0} % load and {current_ma:.0} mA")
                })
            }
            _ => None,
        }
    }
}

/// Since when a condition is there, and where the joint was then.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Since {
    secs: f64,
    position: i64,
}

/// Watches all joints.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Watch {
    since: Vec<[Option<Since>; CONDITIONS.len()]>,
}

impl Watch {
    /// Why the arm must not go on, given what is measured at `now_secs` and commanded (`goals`, steps; none where the
    /// servos have no torque).
    pub fn check(
        &mut self,
        settings: &ArmSettings,
        joints: &[Joint],
        states: &[ServoState],
        goals: Option<&[f64]>,
        now_secs: f64,
    ) -> Option<String> {
        self.since.resize(joints.len(), [None; CONDITIONS.len()]);
        let mut found = None;
        for (index, ((joint, state), since)) in joints.iter().zip(states).zip(&mut self.since).enumerate() {
            let goal = goals.and_then(|goals| goals.get(index)).copied();
            for (condition, since) in CONDITIONS.iter().zip(since) {
                let Some(what) = condition.wrong(settings, joint, state, goal) else {
                    *since = None;
                    continue;
                };
                let fresh = Since { secs: now_secs, position: state.position };
                let began = since.get_or_insert(fresh);
                let turned = (state.position - began.position).abs() as f64;
                if *condition == Condition::Stalls && turned > steps_of_degrees(STILL_DEGREES) {
                    *began = fresh;
                }
                if now_secs - began.secs >= condition.lasting_secs(settings) && found.is_none() {
                    found = Some(named(joint, &what));
                }
            }
        }
        found
    }

    /// Forgets what was.
    pub fn begin(&mut self) {
        self.since.clear();
    }
}

/// A joint in errors.
fn named(joint: &Joint, what: &str) -> String {
    format!("{} (servo {}): {what}", joint.name, joint.motor.id)
}

/// Refuses an arm in a state in which no servo may get torque.
///
/// # Errors
/// [`Error::Fault`] that names the joint.
pub fn require_sound(settings: &ArmSettings, joints: &[Joint], states: &[ServoState]) -> Result<()> {
    require_count("states of servos", states.len(), joints.len())?;
    for (joint, state) in joints.iter().zip(states) {
        let wrong = CONDITIONS.iter().find_map(|condition| condition.wrong(settings, joint, state, None));
        if let Some(what) = wrong {
            return Err(Error::Fault(named(joint, &what)));
        }
        let (low, high) = (joint.motor.range_min, joint.motor.range_max);
        let beyond = degrees_of_steps((low - state.position).max(state.position - high) as f64);
        if beyond > OUTSIDE_DEGREES {
            let what = format!(
                "expected steps {low} to {high}, its calibrated range, got {}: move it there by hand",
                state.position
            );
            return Err(Error::Fault(named(joint, &what)));
        }
    }
    Ok(())
}

/// The first joint whose position changed from `before` to `now` faster than joints turn, within `secs`.
pub fn jump(joints: &[Joint], before: &[ServoState], now: &[ServoState], secs: f64) -> Option<String> {
    let most = steps_of_degrees(FASTEST_DEGREES_PER_SEC * secs.max(0.0) + JITTER_DEGREES);
    let moved = before.iter().zip(now).zip(joints);
    moved.into_iter().find_map(|((before, now), joint)| {
        let is_far = (now.position - before.position).abs() as f64 > most;
        is_far.then(|| named(joint, &format!("its position jumped from {} to {} steps", before.position, now.position)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::MotorCalibration;

    fn joint(name: &str) -> Joint {
        let motor = MotorCalibration { id: 3, drive_mode: 0, homing_offset: 0, range_min: 1000, range_max: 3000 };
        Joint::new(name, motor, &ArmSettings::default()).unwrap()
    }

    fn sound() -> ServoState {
        let (load, current_ma, volts, celsius) = (0.1, 50.0, 7.4, 35.0);
        let errors = ErrorBits(0);
        ServoState {
            id: 3,
            position: 2000,
            speed: 0,
            load,
            current_ma,
            volts,
            celsius,
            goal: 2000,
            torque: true,
            errors,
        }
    }

    /// When a joint with these states, one every 20 ms, is found wrong; its goal is 100 steps (9 degrees) away.
    fn found(name: &str, states: impl Iterator<Item = ServoState>) -> Option<(f64, String)> {
        let (mut watch, joints) = (Watch::default(), [joint(name)]);
        states.enumerate().find_map(|(index, state)| {
            let secs = 0.02 * index as f64;
            let reason = watch.check(&ArmSettings::default(), &joints, &[state], Some(&[2100.0]), secs)?;
            Some((secs, reason))
        })
    }

    #[test]
    fn what_lasts_is_found_and_one_odd_answer_is_not() {
        for (wrong, part, secs) in [
            (ServoState { celsius: 61.0, ..sound() }, "expected at most 60 C, got 61", 0.06),
            (ServoState { errors: ErrorBits(0x24), ..sound() }, "reports overheating, overload", 0.02),
            (ServoState { volts: 4.0, ..sound() }, "expected at least 4.5 V, got 4.0", 0.2),
            (ServoState { torque: false, ..sound() }, "has let go", 0.02),
            (ServoState { load: -0.8, ..sound() }, "it stalls, 8.8 deg from its command with 80 % load", 0.5),
            (ServoState { current_ma: 2000.0, ..sound() }, "2000 mA", 0.5),
        ] {
            let (at, reason) = found("elbow_flex", std::iter::repeat_n(wrong, 100)).unwrap();
            assert!(reason.starts_with("elbow_flex (servo 3): ") && reason.contains(part), "{reason}");
            assert!((at - secs).abs() < 0.021, "{reason} after {at} s");
            let odd = (0..500).map(|index| if index % 2 == 0 { wrong } else { sound() });
            assert_eq!(found("elbow_flex", odd), None, "{part}");
        }
        assert_eq!(found("elbow_flex", std::iter::repeat_n(sound(), 500)), None);
    }

    #[test]
    fn a_joint_that_turns_under_load_and_a_gripper_that_presses_do_not_stall() {
        let turning = (0..200).map(|index| ServoState { load: 0.9, position: 1000 + 2 * index, ..sound() });
        assert_eq!(found("elbow_flex", turning), None);
        assert_eq!(found("gripper", std::iter::repeat_n(ServoState { load: 0.9, ..sound() }, 200)), None);
    }

    #[test]
    fn an_arm_outside_of_its_range_gets_no_torque() {
        let refused = |state: ServoState| {
            require_sound(&ArmSettings::default(), &[joint("elbow_flex")], &[state])
                .err()
                .map(|error| error.to_string())
        };
        assert_eq!(refused(sound()), None);
        assert_eq!(refused(ServoState { torque: false, position: 3040, ..sound() }), None, "some degrees are slack");
        assert!(refused(ServoState { position: 3100, ..sound() }).unwrap().contains("move it there by hand"));
        assert!(refused(ServoState { celsius: 80.0, ..sound() }).unwrap().contains("got 80"));
        let jumped = ServoState { position: 2400, ..sound() };
        assert!(jump(&[joint("elbow_flex")], &[sound()], &[jumped], 0.02).unwrap().contains("from 2000 to 2400"));
        assert_eq!(jump(&[joint("elbow_flex")], &[sound()], &[jumped], 0.5), None);
    }
}
