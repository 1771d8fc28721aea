//! A calibration is made by hand, kept by the servos, and has LeRobot's form.

#![cfg(unix)] // the fake arm is at a pseudo-terminal
#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use crate::support::{FakeArm, calibration};
use mindseye_arms::{
    Arm, ArmSettings, Calibration, CalibrationSteps, JOINTS, MotorCalibration, MovedRange, Servos, calibrate,
    write_calibration,
};

/// As LeRobot 0.4 writes it for an SO-101 follower.
const LEROBOT: &str = r#"{
    "shoulder_pan": {"id": 1, "drive_mode": 0, "homing_offset": -1470, "range_min": 758, "range_max": 3292},
    "shoulder_lift": {"id": 2, "drive_mode": 0, "homing_offset": 1022, "range_min": 858, "range_max": 3270},
    "elbow_flex": {"id": 3, "drive_mode": 0, "homing_offset": 1444, "range_min": 905, "range_max": 3093},
    "wrist_flex": {"id": 4, "drive_mode": 0, "homing_offset": -1800, "range_min": 784, "range_max": 3177},
    "wrist_roll": {"id": 5, "drive_mode": 0, "homing_offset": -5, "range_min": 0, "range_max": 4095},
    "gripper": {"id": 6, "drive_mode": 0, "homing_offset": 1291, "range_min": 2029, "range_max": 3489}
}"#;

fn joints() -> Vec<(String, u8)> {
    JOINTS.iter().map(|(name, id)| ((*name).to_owned(), *id)).collect()
}

/// Calibrates `fake`, of which a hand moves the servos `moved` over `range` steps to both sides of the middle.
fn by_hand(fake: &FakeArm, moved: &[u8], range: f64) -> mindseye_arms::Result<Calibration> {
    let mut readings = 0;
    let mut middle = || {
        let mut world = fake.world();
        assert!(world.servos.iter().all(|servo| !servo.has_torque()), "a hand can move it");
        world.servos.iter_mut().for_each(|servo| servo.shaft = 1000.0 + 300.0 * f64::from(servo.id()));
        Ok(())
    };
    let mut is_done = || {
        let side = if readings % 2 == 0 { -range } else { range };
        for servo in fake.world().servos.iter_mut().filter(|servo| moved.contains(&servo.id())) {
            servo.put(2047.0 + side);
        }
        readings += 1;
        Ok(readings > 4)
    };
    let mut shown = 0;
    let mut show = |ranges: &[MovedRange]| shown += ranges.len();
    let mut steps = CalibrationSteps { middle: &mut middle, is_done: &mut is_done, show: &mut show };
    let mut servos = Servos::open(&fake.port_text(), 1_000_000).unwrap();
    let calibrated = calibrate(&mut servos, &joints(), &["wrist_roll".to_owned()], &mut steps);
    assert!(shown > 0);
    calibrated
}

#[test]
fn a_calibration_by_hand_is_kept_by_the_servos_and_connects_the_arm() {
    let fake = FakeArm::new();
    let made = by_hand(&fake, &[1, 2, 3, 4, 5, 6], 900.0).unwrap();
    let file = fake.folder().join("me.json");
    made.save(&file).unwrap();
    assert_eq!(Calibration::load(&file).unwrap(), made);
    let text = std::fs::read_to_string(&file).unwrap();
    let order: Vec<usize> = JOINTS.iter().map(|(name, _)| text.find(name).unwrap()).collect();
    assert!(order.is_sorted(), "in the order of the servos: {text}");
    let expected = |id: u8| MotorCalibration {
        id,
        drive_mode: 0,
        homing_offset: 1000 + 300 * i64::from(id) - 2047,
        range_min: if id == 5 { 0 } else { 2047 - 900 },
        range_max: if id == 5 { 4095 } else { 2047 + 900 },
    };
    for ((name, motor), (expected_name, id)) in made.joints().iter().zip(JOINTS) {
        assert_eq!((name.as_str(), *motor), (expected_name, expected(id)));
    }
    fake.world().servos.iter_mut().for_each(|servo| servo.put(2100.0));
    Arm::connect(&fake.port_text(), &made, ArmSettings::default()).unwrap();
    assert!(fake.world().servos.iter().all(|servo| servo.memory[55] == 1), "what is kept is locked");
}

#[test]
fn a_joint_that_nobody_moved_is_named() {
    let fake = FakeArm::new();
    let error = by_hand(&fake, &[1, 2, 4, 5, 6], 900.0).unwrap_err().to_string();
    assert!(error.starts_with("range of elbow_flex: expected at least 200 steps between its ends"), "{error}");
}

#[test]
fn lerobots_file_is_read_and_can_be_written_to_the_servos() {
    let fake = FakeArm::new();
    let file = fake.folder().join("lerobot.json");
    std::fs::write(&file, LEROBOT).unwrap();
    let theirs = Calibration::load(&file).unwrap();
    assert_eq!(theirs.joints()[3].0, "wrist_flex");
    let refused = Arm::connect(&fake.port_text(), &theirs, ArmSettings::default()).err().unwrap().to_string();
    assert!(refused.contains("expected -1470 as in the calibration (mindseye arm calibrate --write FILE"), "{refused}");
    write_calibration(&mut Servos::open(&fake.port_text(), 1_000_000).unwrap(), &theirs).unwrap();
    fake.world().servos.iter_mut().for_each(|servo| servo.put(2500.0));
    Arm::connect(&fake.port_text(), &theirs, ArmSettings::default()).unwrap();
}

#[test]
fn a_calibration_that_makes_no_sense_is_refused_by_file_and_field() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.json");
    for (from, to, part) in [
        ("\"id\": 1,", "\"id\": 254,", "calibration.shoulder_pan.id: expected 0 to 253"),
        ("\"id\": 1,", "\"id\": 2,", ".id: expected another number than that of"),
        ("-1470", "-3000", "calibration.shoulder_pan.homing_offset: expected -2047 to 2047"),
        ("\"range_max\": 3292", "\"range_max\": 700", "calibration.shoulder_pan.range_max: expected 808 to 4095"),
        ("\"range_min\": 758", "\"range_min\": -1", "calibration.shoulder_pan.range_min: expected 0 to 4095"),
        ("\"range_min\": 758", "\"range_min\": 1e9", "bad.json"),
        ("\"drive_mode\": 0", "\"drive_mode\": 2", "drive_mode: expected 0 to 1"),
        ("\"drive_mode\": 0", "\"mode\": 0", "unknown field `mode`"),
        ("{", "[", "bad.json"),
    ] {
        std::fs::write(&file, LEROBOT.replacen(from, to, 1)).unwrap();
        let error = Calibration::load(&file).unwrap_err().to_string();
        assert!(error.contains("bad.json") && error.contains(part) && !error.contains('\n'), "{part}: {error}");
    }
    assert!(Calibration::load(&folder.path().join("none.json")).unwrap_err().to_string().contains("none.json"));
    assert_eq!(calibration().joints().len(), 6);
}
