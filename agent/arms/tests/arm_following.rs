//! An arm that follows another one, which a hand moves.

#![cfg(unix)] // the fake arms are at pseudo-terminals
#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::{FakeArm, calibration};
use mindseye_arms::{Arm, ArmSettings, ArmUri, Followed, Leader, follow};

/// Degrees of a step of a servo.
const STEP: f64 = 360.0 / 4095.0;

fn pair(follower: &FakeArm, leader: &FakeArm) -> (Arm, Leader) {
    let file = leader.folder().join("leader.json");
    calibration().save(&file).unwrap();
    let settings = ArmSettings { hz: 20.0, ..ArmSettings::default() };
    let arm = Arm::connect(&follower.port_text(), &calibration(), settings).unwrap();
    let uri: ArmUri = format!("arm:{}?calibration={}", leader.port_text(), file.display()).parse().unwrap();
    let leader = Leader::open(&uri, &arm).unwrap();
    (arm, leader)
}

/// Moves every joint of `fake` by so many degrees a step, as a hand does.
fn move_by_hand(fake: &FakeArm, degrees: f64) {
    fake.world().servos.iter_mut().for_each(|servo| servo.put(servo.position() + degrees / STEP));
}

#[test]
fn an_arm_goes_to_where_its_leader_is_and_follows_it_without_a_jump() {
    let (fake, hand) = (FakeArm::calibrated(&calibration()), FakeArm::calibrated(&calibration()));
    for servo in &mut hand.world().servos {
        servo.set(42, servo.position().round() as u16); // it holds where it is
        servo.write(40, &[1]);
    }
    let (mut arm, mut leader) = pair(&fake, &hand);
    assert!(hand.world().servos.iter().all(|servo| !servo.has_torque()), "a hand can move it");
    move_by_hand(&hand, 25.0); // elsewhere than the follower
    let (stop, mut steps) = (AtomicBool::new(false), Vec::<Followed>::new());
    follow(&mut arm, &mut leader, &stop, &mut |step| {
        steps.push(step);
        move_by_hand(&hand, if steps.len() < 25 { 0.4 } else { 0.0 });
        stop.store(steps.len() == 40, Ordering::Relaxed);
    })
    .unwrap();
    let (one, other) = (fake.world().positions(), hand.world().positions());
    assert!(one.iter().zip(&other).all(|(one, other)| (one - other).abs() * STEP < 1.5), "{one:?} {other:?}");
    let jump = fake.largest_jump(0) * STEP;
    assert!(jump < 1.4, "{jump} degrees");
    let last = steps.last().unwrap();
    assert!((last.sent[0] - 34.6).abs() < 1.5 && (last.observed[0] - last.sent[0]).abs() < 1.5, "{last:?}");
    assert!(hand.world().told.is_empty(), "the leader is told nothing");
}

#[test]
fn an_arm_whose_leader_is_lost_stops_where_it_is() {
    let (fake, mut hand) = (FakeArm::calibrated(&calibration()), FakeArm::calibrated(&calibration()));
    let (mut arm, mut leader) = pair(&fake, &hand);
    move_by_hand(&hand, 30.0);
    let mut steps = 0;
    let error = follow(&mut arm, &mut leader, &AtomicBool::new(false), &mut |_| {
        steps += 1;
        if steps == 5 {
            hand.pull();
        }
    })
    .unwrap_err()
    .to_string();
    assert!(error.contains("ttyACM0") && error.contains("reading the servos") && !error.contains('\n'), "{error}");
    std::thread::sleep(Duration::from_millis(150));
    let rest = fake.world().positions();
    std::thread::sleep(Duration::from_millis(150));
    assert_eq!(fake.world().positions(), rest);
    assert!(fake.largest_jump(0) * STEP < 1.4);
}
