//! Disturbs the camera feed of an agent that acts, at random, and checks that its body is held at once where there is
//! nothing to see, that the camera says what is wrong, and that both come back. The long form:
//!
//! ```sh
//! cargo test --release --locked --test faults -- --times 100 --parallel 4
//! ```

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

mod feed;
mod robot;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mindseye_cameras::State;
use mindseye_interface::percentiles::Percentiles;
use mindseye_interface::{Rng, Seed};
use rand::Rng as _;

use feed::{FAULTS, Fault};
use robot::{MAX_AGE, Model, RETRY_SECS, Robot, STEP_SECS, TIMEOUT_SECS};

/// What a busy machine may add to any time, seconds.
const SLACK_SECS: f64 = 0.25;
/// Longest wait for something that has to come.
const LONG: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(2);

/// What was measured of one fault.
struct Trial {
    fault: Fault,
    /// From the fault to the last command that moves, seconds, where the body was held.
    held_secs: Option<f64>,
    /// From the fault until the camera is no longer live, seconds.
    noticed_secs: Option<f64>,
    /// From the end of the fault until the camera is live, seconds.
    live_secs: f64,
    /// From there until the body moves again, seconds.
    moves_secs: f64,
    violations: Vec<String>,
}

/// Waits until `holds`; how long that took, nothing where it did not come.
fn wait(most: Duration, holds: impl Fn() -> bool) -> Option<f64> {
    let begun = Instant::now();
    while !holds() {
        if begun.elapsed() > most {
            return None;
        }
        std::thread::sleep(LOOK);
    }
    Some(begun.elapsed().as_secs_f64())
}

/// Waits until the body has moved after `since`, and resumes it again and again until the agent's own camera is back,
/// too; how long that took, seconds.
fn go_on(robot: &Robot, since: Instant) -> Option<f64> {
    wait(LONG, || {
        let has_moved = robot.moves(since).is_some();
        if !has_moved {
            robot.resume();
        }
        has_moved
    })
}

fn trial(robot: &Robot, fault: Fault, rng: &mut Rng) -> Trial {
    let mut violations = Vec::new();
    // It comes at a random time within a chunk and a plan.
    std::thread::sleep(Duration::from_secs_f64(rng.random_range(0.1..0.5)));
    // What the fault before did may show late; this one meets a body that moves.
    if go_on(robot, Instant::now() - Duration::from_secs_f64(2.0 * STEP_SECS)).is_none() {
        violations.push("the body did not move before".into());
    }
    let (begun, last_move) = (Instant::now(), robot.moves(Instant::now() - LONG).map(|(_, last)| last));
    // On a busy machine an image may come late between the last move and the fault: the body is then held already.
    let held_since = if fault.blinds() { last_move } else { Some(begun) };
    robot.feed.set(fault);
    if fault == Fault::Clock {
        robot.jump(rng.random_range(2..60));
    }
    let lasts = Duration::from_secs_f64(rng.random_range(0.7..1.5));
    let mut noticed_secs = None;
    let mut oldest_secs = 0.0f64;
    while begun.elapsed() < lasts {
        if noticed_secs.is_none() && robot.state() != State::Live {
            noticed_secs = Some(begun.elapsed().as_secs_f64());
        }
        oldest_secs = oldest_secs.max(robot.age_secs());
        std::thread::sleep(LOOK);
    }
    let held = robot.holds.lock().unwrap().iter().any(|(at, _)| Some(*at) > held_since);
    let held_secs =
        held.then(|| robot.moves(begun).map_or(0.0, |(_, last)| last.saturating_duration_since(begun).as_secs_f64()));
    let at_most = MAX_AGE.as_secs_f64() + SLACK_SECS;
    match (fault.blinds(), held_secs, noticed_secs) {
        (true, None, _) => violations.push("the body was not held".into()),
        (true, Some(secs), _) if secs > at_most + STEP_SECS => {
            violations.push(format!("held after {secs:.3} s"));
        }
        (true, _, None) => violations.push("the camera stayed live".into()),
        (true, _, Some(secs)) if secs > at_most => violations.push(format!("noticed after {secs:.3} s")),
        (false, Some(_), _) if fault == Fault::Fast => {
            violations.push(format!("held: {}", robot.holds.lock().unwrap().last().unwrap().1));
        }
        _ => {}
    }
    if fault == Fault::Fast && oldest_secs > at_most {
        violations.push(format!("frames were {oldest_secs:.3} s old"));
    }
    robot.feed.set(Fault::None);
    let within = Duration::from_secs_f64(RETRY_SECS + TIMEOUT_SECS + MAX_AGE.as_secs_f64() + SLACK_SECS);
    let live = wait(LONG, || robot.state() == State::Live).unwrap_or_else(|| {
        violations.push("the camera never came back".into());
        f64::INFINITY
    });
    if live > within.as_secs_f64() {
        violations.push(format!("live after {live:.3} s"));
    }
    let resumed = Instant::now();
    let moves = go_on(robot, resumed);
    if moves.is_none() {
        violations.push("the body never moved again".into());
    }
    let moves_secs = moves.unwrap_or(f64::INFINITY);
    Trial { fault, held_secs, noticed_secs, live_secs: live, moves_secs, violations }
}

/// Resident memory of this process, MiB.
fn memory_mib() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split_whitespace().nth(1).and_then(|pages| pages.parse::<f64>().ok());
    pages.map_or(0.0, |pages| pages * 4096.0 / f64::from(1 << 20))
}

/// Growth of memory over all trials after the first tenth of them that is no leak, MiB.
const GROWTH_MIB: f64 = 24.0;

fn main() -> ExitCode {
    let (mut times, mut parallel, mut seed, mut only) = (1usize, 4usize, 0u64, String::new());
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word}: expected a value, got none"));
        match word.as_str() {
            "--times" => times = value().parse().unwrap(),
            "--parallel" => parallel = value().parse().unwrap(),
            "--seed" => seed = value().parse().unwrap(),
            "--only" => only = value(),
            _ => (), // what cargo passes on to all test programs
        }
    }
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        usual(panic);
    }));
    let faults: Vec<Fault> = FAULTS.into_iter().filter(|fault| fault.name().contains(&only)).collect();
    let (count, started) = (times * faults.len(), Instant::now());
    let (model, next, trials) = (Model::load(), AtomicUsize::new(0), Mutex::new(Vec::new()));
    let warm = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..parallel.min(count) {
            scope.spawn(|| {
                let robot = Robot::start(&model);
                wait(LONG, || robot.moves(started).is_some());
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= count {
                        break;
                    }
                    if number >= count / 10 {
                        warm.lock().unwrap().get_or_insert_with(memory_mib);
                    }
                    let mut rng = Seed::new(seed).child("fault").index(number as u64).rng();
                    let trial = trial(&robot, faults[number % faults.len()], &mut rng);
                    for violation in &trial.violations {
                        println!("fault {number}: {}: {violation}", trial.fault.name());
                    }
                    trials.lock().unwrap().push(trial);
                }
                if let Err(reason) = robot.end() {
                    println!("the run ended: {reason}");
                    PANICS.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    let trials = trials.into_inner().unwrap();
    let grown = memory_mib() - warm.into_inner().unwrap().unwrap_or_else(memory_mib);
    let mut bad = PANICS.load(Ordering::SeqCst);
    println!("seconds (middle / longest)  times   held after   noticed after      live again     moves again");
    for fault in faults {
        let of: Vec<&Trial> = trials.iter().filter(|trial| trial.fault == fault).collect();
        let shown = |values: Vec<f64>| match values.len() {
            0 => "-".to_owned(),
            _ => {
                let percentiles = Percentiles::of(values);
                format!("{:.2} / {:.2}", percentiles.p50, percentiles.max)
            }
        };
        let held = shown(of.iter().filter_map(|trial| trial.held_secs).collect());
        let noticed = shown(of.iter().filter_map(|trial| trial.noticed_secs).collect());
        let live = shown(of.iter().map(|trial| trial.live_secs).collect());
        let moves = shown(of.iter().map(|trial| trial.moves_secs).collect());
        println!("{:26} {:6} {held:>12} {noticed:>15} {live:>15} {moves:>15}", fault.name(), of.len());
        bad += of.iter().filter(|trial| !trial.violations.is_empty()).count();
    }
    let (panics, minutes) = (PANICS.load(Ordering::SeqCst), started.elapsed().as_secs_f64() / 60.0);
    println!("{bad} faults with violations, {panics} panics, memory {grown:+.1} MiB, {minutes:.1} minutes");
    if bad == 0 && grown < GROWTH_MIB { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
