//! Breaks the program at random and checks that nothing finished is lost, nothing half is taken for whole, nothing
//! panics and nothing is left over.
//!
//! A trial is a verb in an empty folder: it is ended or disturbed at a random time (perhaps twice), what is there is
//! examined, then the verb is run to its end and its result compared with that of an undisturbed run. An hour of it:
//!
//! ```sh
//! cargo test --release --locked --test breaking -- --faults 1000 --seed 1
//! ```

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

mod faults;
mod outcome;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod verbs;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use mindseye_interface::Seed;
use rand::Rng as _;

use faults::{FAULTS, Fault};
use outcome::{Reference, Violation};
use table::Table;
use verbs::{VERBS, Verb};

/// Faults of a run without arguments: as many as a test suite has time for.
const DEFAULT_FAULTS: usize = 40;
/// A disturbed run is at most disturbed so often before it is left alone.
const MOST_FAULTS_IN_A_TRIAL: usize = 2;

struct Arguments {
    faults: usize,
    /// After so many minutes it ends, however many faults there were.
    minutes: f64,
    seed: u64,
    /// Only verbs and faults whose names contain this.
    only: String,
}

fn arguments() -> Arguments {
    let mut found = Arguments { faults: DEFAULT_FAULTS, minutes: f64::INFINITY, seed: 0, only: String::new() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word}: expected a value, got none"));
        match word.as_str() {
            "--faults" => found.faults = value().parse().unwrap(),
            "--minutes" => found.minutes = value().parse().unwrap(),
            "--seed" => found.seed = value().parse().unwrap(),
            "--only" => found.only = value(),
            _ => (), // what cargo passes on to all test programs
        }
    }
    found
}

/// Where the verbs of all trials find their data, and how they end undisturbed.
struct Workshop {
    folder: tempfile::TempDir,
    references: Vec<Reference>,
}

impl Workshop {
    fn new(verbs: &[&'static Verb]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        verbs::prepare_inputs(&folder.path().join("inputs"));
        let reference = |verb: &&'static Verb| Reference::of(verb, &folder.path().join("references").join(verb.name));
        let references = verbs.iter().map(reference).collect();
        Self { folder, references }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Disturbs `verb` and lets it end; what was wrong, and whether the fault came in time.
fn trial(
    folder: &Path,
    verb: &'static Verb,
    reference: &Reference,
    faults: &[(Fault, Duration)],
) -> (Vec<Violation>, bool) {
    std::fs::create_dir_all(folder).unwrap();
    let (mut violations, mut in_time) = (Vec::new(), false);
    let mut progress = 0;
    for (fault, after) in faults {
        let disturbed = fault.strike(folder, verb, *after);
        in_time |= disturbed.in_time;
        violations.extend(disturbed.violations);
        if disturbed.claims_success && !reference.is_whole(folder) {
            violations.push(Violation::Half("exit code 0 without the whole result".into()));
        }
        violations.extend(reference.check_interrupted(folder, &mut progress));
    }
    violations.extend(reference.check_finished(folder));
    (violations, in_time)
}

fn main() -> ExitCode {
    let Arguments { faults, minutes, seed, only } = arguments();
    let chosen = |name: &str| only.is_empty() || name.contains(&only);
    let mut verbs: Vec<&'static Verb> = VERBS.iter().filter(|verb| chosen(verb.name)).collect();
    let mut kinds: Vec<Fault> = FAULTS.into_iter().filter(|fault| chosen(fault.name())).collect();
    if verbs.is_empty() {
        verbs = VERBS.iter().collect();
    }
    if kinds.is_empty() {
        kinds = FAULTS.to_vec();
    }
    let started = Instant::now();
    let workshop = Workshop::new(&verbs);
    let inputs = support::tree(&workshop.path().join("inputs"));
    println!("{} verbs, {:.0} s each on average", verbs.len(), started.elapsed().as_secs_f64() / verbs.len() as f64);
    let (mut table, mut struck) = (Table::default(), 0);
    for number in 0u64.. {
        if struck >= faults || started.elapsed().as_secs_f64() > 60.0 * minutes {
            break;
        }
        let mut rng = Seed::new(seed).child("trial").index(number).rng();
        // Every verb meets every fault in turn; the times are random.
        let verb = number as usize % verbs.len();
        let (verb, reference) = (verbs[verb], &workshop.references[verb]);
        let count = rng.random_range(1..=MOST_FAULTS_IN_A_TRIAL);
        let first = number as usize / verbs.len() + number as usize;
        let time = |rng: &mut mindseye_interface::Rng| reference.took.mul_f64(rng.random_range(0.0..1.1));
        let chosen: Vec<(Fault, Duration)> =
            (0..count).map(|index| (kinds[(first + index) % kinds.len()], time(&mut rng))).collect();
        let folder: PathBuf = workshop.path().join("trials").join(number.to_string());
        let (mut violations, in_time) = trial(&folder, verb, reference, &chosen);
        if support::tree(&workshop.path().join("inputs")) != inputs {
            violations.push(Violation::Lost("the inputs have changed".into()));
        }
        struck += chosen.len();
        for violation in &violations {
            let faults: Vec<String> = chosen
                .iter()
                .map(|(fault, after)| format!("{} at {:.2} s", fault.name(), after.as_secs_f64()))
                .collect();
            println!("trial {number}: {}, {}: {violation}", verb.name, faults.join(", "));
        }
        for (index, (fault, _)) in chosen.iter().enumerate() {
            // What is wrong in the end is put down to the last fault.
            let found: &[Violation] = if index + 1 == chosen.len() { &violations } else { &[] };
            table.count(verb.name, fault.name(), in_time, found);
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
    println!("{table}");
    println!("{struck} faults in {:.1} minutes", started.elapsed().as_secs_f64() / 60.0);
    if table.violations() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
