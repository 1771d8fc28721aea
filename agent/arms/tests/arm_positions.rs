//! An arm that is told where to be: nothing jumps, limits have the last word, and it is where it says.

#![cfg(unix)] // the fake arm is at a pseudo-terminal
#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use crate::support::{FakeArm, calibration};
use mindseye_arms::{Arm, ArmSettings, ArmUri, check};
use mindseye_interface::{Action, ActionSpace, Environment, Seed};

/// Degrees of a step of a servo.
const STEP: f64 = 360.0 / 4095.0;

fn settings() -> ArmSettings {
    ArmSettings { hz: 20.0, max_speed: 120.0, ..ArmSettings::default() }
}

fn connected(fake: &FakeArm) -> Arm {
    Arm::connect(&fake.port_text(), &calibration(), settings()).unwrap()
}

/// The action that tells every joint to be at `degrees` (the gripper: percent).
fn action(arm: &Arm, degrees: [f64; 6]) -> Action {
    arm.action_space().normalise(&degrees).unwrap()
}

#[test]
fn an_arm_that_is_connected_stays_where_it_is_whatever_its_servos_were_told_before() {
    let fake = FakeArm::calibrated(&calibration());
    let before: Vec<f64> = {
        let mut world = fake.world();
        for servo in &mut world.servos {
            servo.set(42, 1200); // an old goal, 90 degrees away: with torque the servo would go there
            let off = f64::from(servo.id()) * 20.0;
            servo.put(servo.position() + off);
        }
        world.positions()
    };
    let mut arm = connected(&fake);
    let observation = arm.observe().unwrap();
    arm.step(&arm.action_space().hold(&observation.proprioception).unwrap()).unwrap();
    arm.stop().unwrap();
    let world = fake.world();
    assert!(world.servos.iter().all(|servo| servo.has_torque() && servo.fastest < 1e-6), "nothing turned");
    assert_eq!(world.positions(), before);
    assert!(world.told[..6].iter().all(|told| !told.has_torque && (told.goal - told.position).abs() < 0.51));
    assert!(
        world.servos.iter().all(|servo| servo.word(46) == (120.0 / STEP).ceil() as u16),
        "the servos keep the speed"
    );
    assert_eq!(world.servos[5].word(48), 500, "half of the torque for the gripper");
}

#[test]
fn positions_are_reached_in_small_steps_and_observed_in_degrees() {
    let fake = FakeArm::calibrated(&calibration());
    let mut arm = connected(&fake);
    assert_eq!(arm.action_space().names[5], "gripper.pos");
    assert_eq!(arm.action_space().units, ["deg", "deg", "deg", "deg", "deg", "percent"]);
    let start = arm.reset(Seed::new(0)).unwrap();
    assert!(start.proprioception[..5].iter().all(|degrees| degrees.abs() < 0.1) && start.tick == 0);
    assert!((start.proprioception[5] - 50.0).abs() < 0.1, "{:?}", start.proprioception);
    let wanted = [20.0, -15.0, 10.0, 5.0, -40.0, 70.0];
    let command = action(&arm, wanted);
    let mut last = start;
    for _ in 0..14 {
        last = arm.step(&command).unwrap().observation;
    }
    for (index, (wanted, got)) in wanted.iter().zip(&last.proprioception).enumerate() {
        assert!((wanted - f64::from(*got)).abs() < 1.0, "joint {index}: {got} instead of {wanted}");
    }
    assert_eq!(last.tick, 14);
    // 120 degrees per second in commands every 20 ms.
    assert!(fake.largest_jump(0) * STEP <= 2.5, "{} degrees", fake.largest_jump(0) * STEP);
    assert!(fake.world().servos.iter().all(|servo| servo.fastest * STEP < 125.0));
    assert!(arm.sent().iter().zip(wanted).all(|(sent, wanted)| (sent - wanted).abs() < 0.1), "{:?}", arm.sent());
}

#[test]
fn soft_limits_and_the_bounds_of_a_model_have_the_last_word() {
    let fake = FakeArm::calibrated(&calibration());
    let soft_limits = [("elbow_flex".to_owned(), [-5.0, 5.0])].into();
    let mut arm = Arm::connect(&fake.port_text(), &calibration(), ArmSettings { soft_limits, ..settings() }).unwrap();
    assert_eq!((arm.action_space().low[2], arm.action_space().high[2]), (-5.0, 5.0));
    let model = ActionSpace { low: vec![-40.0; 6], high: vec![40.0; 6], ..arm.action_space().clone() };
    arm.adopt(&model).unwrap();
    let all = arm.action_space().normalise(&[0.0, 0.0, 40.0, 0.0, 0.0, 40.0]).unwrap();
    arm.observe().unwrap();
    for _ in 0..8 {
        arm.step(&all).unwrap();
    }
    let elbow = arm.observe().unwrap().proprioception[2];
    assert!((elbow - 5.0).abs() < 0.5, "{elbow}");
    let narrow = ActionSpace { low: vec![90.0; 6], high: vec![100.0; 6], ..model.clone() };
    let error = arm.adopt(&narrow).unwrap_err().to_string();
    assert!(error.contains("elbow_flex") && error.contains("-5.0 to 5.0 deg"), "{error}");
    let middle = ActionSpace { neutral: Vec::new(), ..model.clone() };
    assert!(arm.adopt(&middle).unwrap_err().to_string().contains("to hold still at the measured positions"));
    let other = ActionSpace { names: (0..6).map(|index| format!("joint_{index}")).collect(), ..model };
    assert!(arm.adopt(&other).unwrap_err().to_string().contains("the model's actions: expected shoulder_pan.pos"));
}

/// Symptom to rule out: an action cannot say a position outside of its bounds; the one that holds still would pull such
/// a joint to the bound.
#[test]
fn a_joint_outside_of_the_bounds_of_a_model_stays_where_it_is_while_it_is_held() {
    let fake = FakeArm::calibrated(&calibration());
    let mut arm = connected(&fake);
    let bounds = ActionSpace { low: vec![10.0; 6], high: vec![40.0; 6], ..arm.action_space().clone() };
    arm.adopt(&bounds).unwrap();
    let observation = arm.observe().unwrap();
    let still = arm.action_space().hold(&observation.proprioception).unwrap();
    for _ in 0..4 {
        arm.step(&still).unwrap();
    }
    assert!(fake.world().servos.iter().all(|servo| servo.fastest < 1e-6), "nothing turned");
    let inside = arm.action_space().normalise(&[12.0, 12.0, 12.0, 12.0, 12.0, 45.0]).unwrap();
    arm.step(&inside).unwrap();
    assert!(fake.world().servos[0].fastest > 1.0, "it can be commanded back");
}

/// Symptom to rule out: an arm whose weight pulls it below its command sinks a little more each time that it is held.
#[test]
fn an_arm_that_is_held_again_and_again_does_not_sink() {
    let fake = FakeArm::calibrated(&calibration());
    fake.world().servo(2).sag = 15.0;
    let mut arm = connected(&fake);
    let settled = || std::thread::sleep(std::time::Duration::from_millis(60));
    settled();
    let start = arm.observe().unwrap().proprioception[1];
    for _ in 0..5 {
        let observation = arm.observe().unwrap();
        arm.step(&arm.action_space().hold(&observation.proprioception).unwrap()).unwrap();
        arm.stop().unwrap();
        settled();
    }
    drop(arm);
    let mut again = connected(&fake);
    let end = again.observe().unwrap().proprioception[1];
    assert!((end - start).abs() < 0.1, "from {start} to {end} degrees");
}

#[test]
fn torque_stays_at_the_end_unless_the_settings_say_release() {
    let fake = FakeArm::calibrated(&calibration());
    drop(connected(&fake));
    assert!(fake.world().servos.iter().all(|servo| servo.has_torque()));
    let file = fake.folder().join("arm.json");
    calibration().save(&file).unwrap();
    let uri = format!("arm:{}?calibration={}&release&hz=20", fake.port_text(), file.display());
    let uri: ArmUri = uri.parse().unwrap();
    drop(Arm::open(&uri).unwrap());
    assert!(fake.world().servos.iter().all(|servo| !servo.has_torque()));
    for (wrong, part) in [
        ("arm:/dev/x", "arm: expected arm:PORT?calibration=FILE"),
        ("arm:?calibration=x", "arm: expected arm:PORT?calibration=FILE"),
        ("arm:/dev/x?calibration=x&speed=3", "setting of an arm: expected calibration, settings"),
        ("arm:/dev/x?calibration=x&hz=fast", "hz: expected a number, got fast"),
        ("arm:/dev/x?calibration=x&units=inches", "units: expected degrees or normalised"),
    ] {
        let error = wrong.parse::<ArmUri>().unwrap_err().to_string();
        assert!(error.starts_with(part), "{error}");
    }
    let uri: ArmUri = "arm:/dev/x?calibration=x&hz=1000".parse().unwrap();
    assert!(uri.settings().unwrap_err().to_string().starts_with("hz: expected 1 to 100"));
}

#[test]
fn settings_come_from_a_file_and_then_from_the_address() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.toml");
    let read = |text: &str, more: &str| {
        std::fs::write(&file, text).unwrap();
        let uri = format!("arm:/dev/x?calibration=x&settings={}{more}", file.display());
        uri.parse::<ArmUri>().unwrap().settings().map_err(|error| error.to_string())
    };
    let settings = read("max_speed = 40.0\nhz = 15.0\n[soft_limits]\nelbow_flex = [-70.0, 80.0]\n", "&hz=20").unwrap();
    assert_eq!((settings.max_speed, settings.hz, settings.soft_limits["elbow_flex"]), (40.0, 20.0, [-70.0, 80.0]));
    for (text, part) in [
        ("max_sped = 40.0", "max_sped"),
        ("stall_secs = 0.0", "stall_secs: expected 0.05 to 10"),
        ("max_lead = 2.0", "max_lead: expected 4 to 90"),
        ("[soft_limits]\nelbow_flex = [nan, 1.0]", "soft_limits.elbow_flex"),
    ] {
        let error = read(text, "").unwrap_err();
        assert!(error.contains("settings.toml") && error.contains(part) && !error.contains('\n'), "{part}: {error}");
    }
}

#[test]
fn an_arm_in_no_state_to_move_is_not_connected() {
    type Change = fn(&mut crate::support::FakeServo);
    let changes: [(Change, &str); 8] = [
        (|servo| servo.celsius = 75.0, "elbow_flex (servo 3): expected at most 60 C, got 75"),
        (|servo| servo.volts = 3.9, "expected at least 4.5 V, got 3.9"),
        (|servo| servo.errors = 0x20, "the servo reports overload"),
        (
            |servo| servo.put(3400.0),
            "expected steps 860 to 3070, its calibrated range, got 3400: move it there by hand",
        ),
        (|servo| servo.set(31, 7), "homing_offset of servo 3 (elbow_flex): expected 1100 as in the calibration"),
        (|servo| servo.set(11, 4000), "max_position_limit of servo 3 (elbow_flex): expected 3070"),
        (|servo| servo.set(3, 1284), "servo 3 (elbow_flex): expected an STS3215, got model 1284"),
        (|servo| servo.is_silent = true, ", max_position_limit of servo 3: Operation timed out"),
    ];
    for (change, part) in changes {
        let fake = FakeArm::calibrated(&calibration());
        change(fake.world().servo(3));
        let error = Arm::connect(&fake.port_text(), &calibration(), settings()).err().unwrap().to_string();
        assert!(error.contains(part), "{part}: {error}");
        assert!(fake.world().servos.iter().all(|servo| !servo.has_torque()), "{part}");
    }
    let nowhere = Arm::connect("/dev/nowhere", &calibration(), settings()).err().unwrap().to_string();
    assert!(nowhere.starts_with("/dev/nowhere: "), "{nowhere}");
}

#[test]
fn a_check_shows_what_is_wrong_and_writes_nothing() {
    let fake = FakeArm::calibrated(&calibration());
    {
        let mut world = fake.world();
        world.servo(2).celsius = 66.0;
        world.servo(4).errors = 0x28;
        world.servo(5).set(31, 0);
        world.servo(6).is_silent = true;
    }
    let told = || fake.world().servos.iter().map(|servo| servo.memory[..56].to_vec()).collect::<Vec<_>>();
    let before = told();
    let report = check(&fake.port_text(), &ArmSettings::default(), &[1, 2, 3, 4, 5, 6], Some(&calibration())).unwrap();
    assert_eq!((report.servos.len(), report.missing.len(), report.is_sound()), (5, 1, false));
    let text = report.to_string();
    for part in [
        "1   shoulder_pan   STS3215 3.10  2075      0.0 deg",
        "66 C",
        "wrong: servo 2 (shoulder_lift): expected at most 60 C",
        "wrong: servo 4 (wrist_flex): reports current, overload",
        "wrong: servo 5 (wrist_roll): homing_offset: expected -1500, got 0",
        "missing: servo 6 (gripper): ",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    assert_eq!(told(), before);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!((&json["servos"][1]["celsius"], &json["servos"][3]["errors"]), (&66.0.into(), &0x28.into()));
}
