//! Answers that no servo gives: no panic, no endless wait, one line, and nothing moves.

#![cfg(unix)] // the fake arm is at a pseudo-terminal
#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::time::{Duration, Instant};

use crate::support::{FakeArm, calibration};
use mindseye_arms::{Arm, ArmSettings};
use mindseye_interface::Environment;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

type Spoil = fn(Vec<u8>) -> Vec<u8>;

/// Ways in which an answer can be wrong.
const WRONG: [(&str, Spoil); 24] = [
    ("nothing", |_| Vec::new()),
    ("a wrong checksum", |mut answer| {
        *answer.last_mut().unwrap() ^= 0x5A;
        answer
    }),
    ("the number of another servo", |answer| changed(answer, 2, 77)),
    ("the number of all servos", |answer| changed(answer, 2, 0xFE)),
    ("a length of 0", |answer| changed(answer, 3, 0)),
    ("a length of 1", |answer| changed(answer, 3, 1)),
    ("a length of 2", |answer| changed(answer, 3, 2)),
    ("a length of 255", |answer| changed(answer, 3, 255)),
    ("one byte less", |mut answer| {
        answer.pop();
        answer
    }),
    ("only a header", |answer| answer[..4].to_vec()),
    ("one byte of a header", |_| vec![0xFF]),
    ("half an answer", |answer| answer[..answer.len() / 2].to_vec()),
    ("no header", |answer| answer[2..].to_vec()),
    ("another header", |answer| changed(answer, 1, 0xFD)),
    ("a header of Dynamixel 2", |answer| [&[0xFF, 0xFF, 0xFD, 0x00][..], &answer[2..]].concat()),
    ("a byte before it", |answer| [&[0x00][..], &answer].concat()),
    ("only headers", |_| vec![0xFF; 300]),
    ("zeros", |_| vec![0; 300]),
    ("text", |_| b"ERROR: unknown command\r\n> ".to_vec()),
    ("escapes of a terminal", |_| b"\x1b[2J\x1b[31m\n\n".to_vec()),
    ("the question", |_| vec![0xFF, 0xFF, 0x01, 0x04, 0x02, 0x03, 0x02, 0xF3]),
    ("an answer without parameters", |_| vec![0xFF, 0xFF, 0x01, 0x02, 0x00, 0xFC]),
    ("an answer of one byte", |_| vec![0xFF, 0xFF, 0x01, 0x03, 0x00, 0x20, 0xDB]),
    ("reversed bytes", |mut answer| {
        answer.reverse();
        answer
    }),
];

fn changed(mut answer: Vec<u8>, at: usize, byte: u8) -> Vec<u8> {
    answer[at] = byte;
    answer
}

/// Longest time that an error may take: three tries of every question, and a person would not notice.
const LONGEST: Duration = Duration::from_secs(3);

fn settings() -> ArmSettings {
    ArmSettings { hz: 50.0, ..ArmSettings::default() }
}

#[test]
fn wrong_answers_are_one_line_and_nothing_moves() {
    let fake = FakeArm::calibrated(&calibration());
    let mut arm = Arm::connect(&fake.port_text(), &calibration(), settings()).unwrap();
    let far = arm.action_space().normalise(&[40.0; 6]).unwrap();
    for (name, spoil) in WRONG {
        fake.world().spoil = Some(Box::new(spoil));
        let (told, begun) = (fake.world().told.len(), Instant::now());
        let error = arm.step(&far).err().unwrap_or_else(|| panic!("{name} was taken for an answer")).to_string();
        assert!(begun.elapsed() < LONGEST, "{name}: {:?}", begun.elapsed());
        assert!(!error.contains(['\n', '\x1b']) && error.contains("reading the servos"), "{name}: {error}");
        assert!(fake.world().told.len() <= told + 6, "{name}: one command at most");
        assert!(arm.observe().is_err(), "{name}");
        let connecting = Arm::connect(&fake.port_text(), &calibration(), settings()).err().unwrap().to_string();
        assert!(!connecting.contains(['\n', '\x1b']), "{name}: {connecting}");
        fake.world().spoil = None;
        arm.observe().unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// A checksum of one byte lets one of 256 through; the answers of six servos in one stream are cut anywhere.
#[test]
fn noise_on_the_line_moves_nothing_far_and_ends_in_an_error_or_an_answer() {
    let fake = FakeArm::calibrated(&calibration());
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut arm = Arm::connect(&fake.port_text(), &calibration(), settings()).unwrap();
    let (mut failed, mut answered) = (0, 0);
    let mut noise = ChaCha8Rng::seed_from_u64(2);
    fake.world().spoil = Some(Box::new(move |mut answer| {
        match noise.random_range(0..16) {
            0 => noise.fill_bytes(&mut answer),
            1 => answer.truncate(noise.random_range(0..answer.len())),
            2 => {
                let at = noise.random_range(0..answer.len());
                answer[at] ^= 1 << noise.random_range(0..8);
            }
            3 => answer.insert(noise.random_range(0..answer.len()), noise.random()),
            _ => {}
        }
        answer
    }));
    for _ in 0..60 {
        let degrees: Vec<f64> = (0..6).map(|_| random.random_range(-10.0..10.0)).collect();
        let action = arm.action_space().normalise(&degrees).unwrap();
        match arm.step(&action) {
            Ok(_) => answered += 1,
            Err(error) => {
                assert!(!error.to_string().contains('\n'), "{error}");
                failed += 1;
                let _ = arm.observe();
            }
        }
    }
    assert!(answered > 5, "{answered} answered, {failed} failed");
    let jump = fake.largest_jump(0) * 360.0 / 4095.0;
    assert!(jump < 1.4, "{jump} degrees");
}

/// A sender of single bytes would hold up its reader for seconds where every read has its own time-out.
#[test]
fn answers_that_trickle_in_are_given_up_in_time() {
    let fake = FakeArm::calibrated(&calibration());
    let mut arm = Arm::connect(&fake.port_text(), &calibration(), settings()).unwrap();
    fake.world().pace = Some(Duration::from_millis(8)); // 1.8 s for the answers of six servos
    let begun = Instant::now();
    let error = arm.observe().unwrap_err().to_string();
    assert!(error.contains("reading the servos"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}
