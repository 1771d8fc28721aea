//! The closed loop through a camera feed: `mindseye act` sees a simulator only as an independent program publishes its
//! camera, and drives it through the body protocol, in real time. Success is compared, pair by pair, with that of an
//! agent that sees the simulator directly and takes its time. The long form:
//!
//! ```sh
//! cargo test --release --locked --test feed -- --pairs 100 --seeds 3 --parallel 3
//! ```
//!
//! `--publisher gstreamer` publishes over RTSP instead of MJPEG over HTTP. Without the program that publishes, it says
//! so and tests nothing. `--task` names another shipped task, `--seed` the first root seed. `--simulated
//! LAG,AHEAD,REPLAN` has no feed and no clock: what seeing so many control steps late, planning so many ahead and doing
//! so that often cost by themselves.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

mod body;
mod publisher;
mod simulated;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use mindseye_evaluation::interval::SuccessRate;
use mindseye_interface::percentiles::Percentiles;
use mindseye_interface::{Benchmark, GoalKind, PairSearch, StartGoal};
use mindseye_sim::SceneOptions;
use serde_json::Value;

use body::Body;
use publisher::Publisher;

/// Control steps from start to goal, and of an episode: those of `mindseye evaluate`.
const GOAL_OFFSET: usize = 25;
const BUDGET: usize = 50;
const CHECKPOINT: &str = "assets/checkpoints/push_t";

struct Arguments {
    pairs: usize,
    seeds: u64,
    /// The first of them.
    seed: u64,
    parallel: usize,
    publisher: String,
    /// Name of a shipped task.
    task: String,
    /// Further arguments of `mindseye act`, separated by spaces.
    act: Vec<String>,
    fps: f64,
    /// Filter of ffmpeg's between the pipe and the encoder.
    filter: String,
    /// Instead, without a feed: see [`simulated::compare`].
    simulated: Vec<String>,
}

fn arguments() -> Arguments {
    let mut found = Arguments {
        pairs: 1,
        seeds: 1,
        seed: 0,
        parallel: 1,
        publisher: "ffmpeg".into(),
        task: "push_t".into(),
        act: Vec::new(),
        fps: 30.0,
        filter: publisher::ENLARGED.into(),
        simulated: Vec::new(),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word}: expected a value, got none"));
        match word.as_str() {
            "--pairs" => found.pairs = value().parse().unwrap(),
            "--seeds" => found.seeds = value().parse().unwrap(),
            "--seed" => found.seed = value().parse().unwrap(),
            "--parallel" => found.parallel = value().parse().unwrap(),
            "--publisher" => found.publisher = value(),
            "--task" => found.task = value(),
            "--act" => found.act = value().split_whitespace().map(str::to_owned).collect(),
            "--fps" => found.fps = value().parse().unwrap(),
            "--filter" => found.filter = value(),
            "--simulated" => found.simulated.push(value()),
            _ => (), // what cargo passes on to all test programs
        }
    }
    found
}

/// How a pair went through the feed.
struct Outcome {
    moderate: bool,
    strict: bool,
    /// The report of `mindseye act`; its words on stderr where there is none.
    report: Result<Value, String>,
}

/// Drives `body` to the goal of pair `number`.
fn drive(folder: &Path, body: &Body, publisher: &Publisher, number: usize, arguments: &Arguments) -> Outcome {
    let goal = body.goal(folder, number);
    let mut command = Command::new(env!("CARGO_BIN_EXE_mindseye"));
    command.args(["act", "--checkpoint", CHECKPOINT, "--body", &body.url(), "--camera", &publisher.uri()]);
    command.args(["--goal", goal.to_str().unwrap(), "--reset", &number.to_string()]);
    command.args(["--steps", &BUDGET.to_string(), "--json", "--task", &arguments.task]).args(&arguments.act);
    let _published = publisher.start();
    let output = command.current_dir(folder).stdin(Stdio::null()).output().unwrap();
    let (moderate, strict) = body.reached(number);
    let report = serde_json::from_slice(&output.stdout);
    let report = report.map_err(|_| String::from_utf8_lossy(&output.stderr).trim().to_owned());
    Outcome { moderate, strict, report }
}

/// Which of the pairs an agent reaches that sees them directly: moderate and strict.
fn direct(folder: &Path, arguments: &Arguments) -> Vec<(bool, bool)> {
    let [episodes, seeds, seed] =
        [arguments.pairs as u64, arguments.seeds, arguments.seed].map(|number| number.to_string());
    let asked = ["evaluate", "--scene", "push_t", "--checkpoint", CHECKPOINT, "--no-baselines", "--json"];
    let which = ["--task", &arguments.task, "--episodes", &episodes, "--seeds", &seeds, "--seed", &seed];
    let report = support::json(folder, &[&asked[..], &which].concat());
    let pairs = report["results"].as_array().unwrap_or_else(|| panic!("{report}"));
    pairs.iter().map(|pair| (!pair["first_success_step"].is_null(), pair["strict"] == Value::Bool(true))).collect()
}

fn pairs(arguments: &Arguments) -> Vec<StartGoal> {
    let benchmark = mindseye_sim::benchmark("push_t", &SceneOptions::with_side(64).unwrap()).unwrap();
    let kind = GoalKind::Offset { goal_offset: GOAL_OFFSET };
    let draw = |seed| benchmark.start_goal_pairs(&PairSearch::new(kind, arguments.pairs, seed)).unwrap();
    (arguments.seed..arguments.seed + arguments.seeds).flat_map(draw).collect()
}

fn main() -> ExitCode {
    let arguments = arguments();
    if !arguments.simulated.is_empty() {
        simulated::compare(&pairs(&arguments), &arguments.task, &arguments.simulated, arguments.parallel);
        return ExitCode::SUCCESS;
    }
    if let Some(missing) = publisher::missing(&arguments.publisher) {
        println!("not tested: {missing}");
        return ExitCode::SUCCESS;
    }
    let (folder, started) = (tempfile::tempdir().unwrap(), Instant::now());
    let pairs = pairs(&arguments);
    let direct = direct(folder.path(), &arguments);
    println!("{} pairs, directly in {:.0} s", pairs.len(), started.elapsed().as_secs_f64());
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for worker in 0..arguments.parallel {
            let (next, outcomes, pairs, arguments, folder) = (&next, &outcomes, &pairs, &arguments, folder.path());
            scope.spawn(move || {
                let folder = folder.join(worker.to_string());
                std::fs::create_dir(&folder).unwrap();
                let body = Body::serve(&folder, pairs, arguments.fps);
                let publisher = Publisher::new(&arguments.publisher, body.pipe(), arguments.fps, &arguments.filter);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= pairs.len() {
                        return;
                    }
                    let outcome = drive(&folder, &body, &publisher, number, arguments);
                    if let Err(words) = &outcome.report {
                        println!("pair {number}: {words}");
                    }
                    outcomes.lock().unwrap().push((number, outcome));
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap();
    outcomes.sort_by_key(|(number, _)| *number);
    let ended = report(&direct, &outcomes);
    println!("{:.1} minutes", started.elapsed().as_secs_f64() / 60.0);
    ended
}

/// Prints what was found; a failure where a run had no report.
fn report(direct: &[(bool, bool)], outcomes: &[(usize, Outcome)]) -> ExitCode {
    let count = outcomes.len();
    let rate = |of: &dyn Fn(usize, &Outcome) -> bool| {
        SuccessRate::of(outcomes.iter().filter(|(number, outcome)| of(*number, outcome)).count(), count)
    };
    println!("moderate, directly:         {}", rate(&|number, _| direct[number].0));
    println!("moderate, through the feed: {}", rate(&|_, outcome| outcome.moderate));
    println!("strict, directly:           {}", rate(&|number, _| direct[number].1));
    println!("strict, through the feed:   {}", rate(&|_, outcome| outcome.strict));
    let lost = outcomes.iter().filter(|(number, outcome)| direct[*number].0 && !outcome.moderate).count();
    let won = outcomes.iter().filter(|(number, outcome)| !direct[*number].0 && outcome.moderate).count();
    println!("pairs reached only directly: {lost}, only through the feed: {won}, of {count}");
    let held = outcomes.iter().filter(|(_, outcome)| outcome.report.is_err()).count();
    println!("runs that ended because the body was held: {held}");
    let moderate = |outcomes: &[&(usize, Outcome)]| {
        SuccessRate::of(outcomes.iter().filter(|(_, outcome)| outcome.moderate).count(), outcomes.len())
    };
    let whole: Vec<&(usize, Outcome)> = outcomes.iter().filter(|(_, outcome)| outcome.report.is_ok()).collect();
    println!("moderate through the feed, of the others: {}", moderate(&whole));
    let reports: Vec<&Value> = outcomes.iter().filter_map(|(_, outcome)| outcome.report.as_ref().ok()).collect();
    let number = |report: &Value, name: &str| report[name].as_f64().unwrap_or(f64::NAN);
    for name in ["capture_to_action_ms", "image_age_ms", "planning_ms", "surprise"] {
        // Of every run its own percentiles; here the middle run's, and the worst.
        let of = |part: &str| Percentiles::of(reports.iter().map(|report| number(&report[name], part)).collect());
        let (p50, p95, p99, max) = (of("p50"), of("p95"), of("p99"), of("max"));
        let middle = [p50.p50, p95.p50, p99.p50, max.p50].map(|value| format!("{value:.2}")).join(" / ");
        println!("{name}: {middle} (p50 / p95 / p99 / max of the middle run); largest of all {:.2}", max.max);
    }
    let sum = |name: &str| reports.iter().map(|report| number(report, name)).sum::<f64>();
    let [steps, ticks, late_steps, late_plans] = ["steps", "ticks", "late_steps", "late_plans"].map(sum);
    let holds: usize = reports.iter().map(|report| report["holds"].as_array().map_or(0, Vec::len)).sum();
    println!("{steps} control steps ({late_steps} late), {ticks} plans ({late_plans} late), {holds} holds");
    if reports.len() == count { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
