//! What goes wrong on an arm: it is held, that is said in one line and latched until somebody observes again, and
//! nothing twitches.

#![cfg(unix)] // the fake arm is at a pseudo-terminal
#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::time::Duration;

use crate::support::{FakeArm, FakeServo, calibration};
use mindseye_arms::{Arm, ArmSettings};
use mindseye_interface::{Action, Environment};

/// Degrees of a step of a servo.
const STEP: f64 = 360.0 / 4095.0;
/// The largest jump of a command: 60 degrees per second in commands every 20 ms, and rounding.
const LARGEST_JUMP: f64 = 1.4;
/// Most control steps of a test.
const MANY: usize = 60;

fn connected(fake: &FakeArm) -> (Arm, Action) {
    let settings = ArmSettings { hz: 20.0, max_celsius: 60.0, ..ArmSettings::default() };
    let mut arm = Arm::connect(&fake.port_text(), &calibration(), settings).unwrap();
    let far = arm.action_space().normalise(&[60.0, 60.0, 60.0, 60.0, 60.0, 100.0]).unwrap();
    arm.observe().unwrap();
    (arm, far)
}

/// Steps until one fails; its error.
fn failure(arm: &mut Arm, action: &Action) -> String {
    for _ in 0..MANY {
        if let Err(error) = arm.step(action) {
            return error.to_string();
        }
    }
    panic!("{MANY} control steps without an error");
}

/// Waits until the servos are at their goals; where they are, steps.
fn at_rest(fake: &FakeArm) -> Vec<f64> {
    std::thread::sleep(Duration::from_millis(150));
    fake.world().positions()
}

/// A fault that a person can remove, from the third control step on: the arm stops where it is, says why in one line,
/// refuses commands while the cause is there, and moves on after it was observed again.
fn held(fault: fn(&mut FakeServo), part: &str, remedy: fn(&mut FakeServo)) {
    let fake = FakeArm::calibrated(&calibration());
    let (mut arm, far) = connected(&fake);
    (0..3).for_each(|_| drop(arm.step(&far).unwrap()));
    fault(fake.world().servo(2));
    let error = failure(&mut arm, &far);
    assert!(error.contains("shoulder_lift (servo 2): ") && error.contains(part), "{error}");
    assert!(!error.contains('\n') && error.starts_with("moving the arm: "), "{error}");
    let rest = at_rest(&fake);
    let told = fake.world().told.len();
    let refused = arm.step(&far).unwrap_err().to_string();
    assert!(refused.contains("held still: shoulder_lift") && refused.contains(part), "{refused}");
    arm.stop().unwrap();
    let moved = |before: &[f64], now: &[f64]| {
        before.iter().zip(now).map(|(before, now)| (before - now).abs() * STEP).fold(0.0, f64::max)
    };
    assert!(moved(&rest, &at_rest(&fake)) < 0.2, "{part}: it moved while it was held");
    remedy(fake.world().servo(2));
    let observation = arm.observe().unwrap();
    assert!(moved(&rest, &at_rest(&fake)) < 0.2, "{part}: it moved when it was resumed");
    arm.step(&arm.action_space().hold(&observation.proprioception).unwrap()).unwrap();
    arm.step(&far).unwrap();
    assert!(fake.world().told.len() > told);
    assert!(fake.largest_jump(0) * STEP <= LARGEST_JUMP, "{part}: {} degrees", fake.largest_jump(0) * STEP);
}

#[test]
fn a_servo_that_overheats_holds_the_arm() {
    held(
        |servo| servo.heating = 300.0,
        "expected at most 60 C, got ",
        |servo| {
            (servo.heating, servo.celsius) = (0.0, 40.0);
        },
    );
}

#[test]
fn a_servo_that_stalls_holds_the_arm_and_is_not_pressed_any_longer() {
    held(|servo| servo.is_blocked = true, "it stalls, ", |servo| servo.is_blocked = false);
    let fake = FakeArm::calibrated(&calibration());
    let (mut arm, far) = connected(&fake);
    fake.world().servo(3).is_blocked = true;
    let error = failure(&mut arm, &far);
    assert!(error.contains("elbow_flex (servo 3): it stalls") && error.contains("90 % load and 1950 mA"), "{error}");
    at_rest(&fake);
    let mut world = fake.world();
    let servo = world.servo(3);
    assert!((servo.goal() - servo.position()).abs() <= 1.0, "its command is where it is");
    // 20 degrees of lead by default.
    let most = world.told.iter().map(|told| (told.goal - told.position).abs()).fold(0.0, f64::max);
    assert!(most * STEP < 21.5, "{}", most * STEP);
}

#[test]
fn a_servo_that_reports_an_error_holds_the_arm() {
    held(|servo| servo.errors = 0x08, "the servo reports current", |servo| servo.errors = 0);
}

#[test]
fn a_sagging_supply_holds_the_arm() {
    held(|servo| servo.volts = 4.1, "expected at least 4.5 V, got 4.1", |servo| servo.volts = 7.2);
}

/// A servo that was without supply has forgotten its goal and its speed, and has no torque.
#[test]
fn a_servo_that_has_let_go_holds_the_arm_and_gets_torque_where_it_is() {
    held(FakeServo::lose_power, "the servo has let go", |_| {});
    let fake = FakeArm::calibrated(&calibration());
    let (mut arm, far) = connected(&fake);
    arm.step(&far).unwrap();
    fake.world().servos.iter_mut().for_each(FakeServo::lose_power);
    failure(&mut arm, &far);
    fake.world().servos.iter_mut().for_each(|servo| servo.put(servo.position() - 150.0)); // it falls
    let fallen = at_rest(&fake);
    arm.observe().unwrap();
    let now = at_rest(&fake);
    assert!(fallen.iter().zip(&now).all(|(before, now)| (before - now).abs() < 1.1), "{fallen:?} {now:?}");
    assert!(fake.world().servos.iter().all(FakeServo::has_torque));
}

#[test]
fn a_gripper_that_closes_on_something_presses_within_its_lead_and_does_not_stop_the_arm() {
    let fake = FakeArm::calibrated(&calibration());
    let (mut arm, _) = connected(&fake);
    fake.world().servo(6).is_blocked = true;
    let close = arm.action_space().normalise(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.0]).unwrap();
    for _ in 0..24 {
        arm.step(&close).unwrap();
    }
    let mut world = fake.world();
    let servo = world.servo(6);
    let lead = (servo.goal() - servo.position()).abs() * STEP;
    assert!((9.0..10.2).contains(&lead), "{lead} degrees");
}

#[test]
fn a_line_that_is_pulled_mid_motion_leaves_the_arm_near_its_last_command_and_nothing_twitches_when_it_is_back() {
    for also_power in [false, true] {
        let mut fake = FakeArm::calibrated(&calibration());
        let (mut arm, far) = connected(&fake);
        (0..4).for_each(|_| drop(arm.step(&far).unwrap()));
        fake.pull();
        let told = fake.world().told.len();
        let error = arm.step(&far).unwrap_err().to_string();
        assert!(error.contains(&fake.port_text()) && !error.contains('\n'), "{error}");
        assert!(arm.step(&far).is_err() && arm.stop().is_err() && arm.observe().is_err(), "nobody is there");
        {
            // Whoever looks after the arm moves it, and its servos may have been switched off.
            let mut world = fake.world();
            for servo in &mut world.servos {
                if also_power {
                    servo.lose_power();
                }
                servo.put(servo.position() - 80.0);
            }
        }
        fake.plug_in();
        let refused = arm.step(&far).unwrap_err().to_string();
        assert!(refused.contains("held still"), "{refused}");
        assert_eq!(fake.world().told.len(), told, "nothing is commanded before somebody observes");
        let before = fake.world().positions();
        if !also_power {
            // With torque they went back to their goals by themselves: that is the hand's, not ours.
            std::thread::sleep(Duration::from_millis(200));
        }
        let before = if also_power { before } else { fake.world().positions() };
        arm.observe().unwrap();
        let now = at_rest(&fake);
        let most = before.iter().zip(&now).map(|(before, now)| (before - now).abs() * STEP).fold(0.0, f64::max);
        assert!(most < 0.2, "{most} degrees: {before:?} {now:?}");
        arm.step(&far).unwrap();
        let jump = fake.largest_jump(0) * STEP;
        assert!(jump <= LARGEST_JUMP, "{jump} degrees");
    }
}

#[test]
fn a_servo_that_falls_silent_stops_all_joints_where_they_were_last_told_to_be() {
    let fake = FakeArm::calibrated(&calibration());
    let (mut arm, far) = connected(&fake);
    (0..3).for_each(|_| drop(arm.step(&far).unwrap()));
    fake.world().servo(4).is_silent = true;
    let error = failure(&mut arm, &far);
    assert!(error.contains("reading the servos: motor 4: "), "{error}");
    let told = fake.world().told.len();
    let rest = at_rest(&fake);
    assert_eq!(at_rest(&fake), rest, "it is at rest");
    assert!(arm.step(&far).is_err());
    assert!(arm.observe().unwrap_err().to_string().contains("servo 4"), "it is still silent");
    assert_eq!(fake.world().told.len(), told);
    fake.world().servo(4).is_silent = false;
    arm.observe().unwrap();
    arm.step(&far).unwrap();
    assert!(fake.largest_jump(0) * STEP <= LARGEST_JUMP);
}

#[test]
fn a_position_that_jumps_farther_than_a_servo_turns_holds_the_arm() {
    let fake = FakeArm::calibrated(&calibration());
    let (mut arm, far) = connected(&fake);
    arm.step(&far).unwrap();
    fake.world().servo(2).put(1200.0);
    let error = failure(&mut arm, &far);
    assert!(error.contains("shoulder_lift (servo 2): its position jumped from "), "{error}");
    arm.observe().unwrap();
    let position = fake.world().servo(2).position();
    // It turned towards its old command until it was found.
    assert!((position - 1200.0).abs() * STEP < 8.0, "it stays near where it was put: {position}");
}
