//! Mutates the test fixtures at random and reads them: `cargo run --release --example mutate -- FIXTURE SECONDS
//! [SEED]`.
//!
//! FIXTURE is a folder in `tests/fixtures`, or `all` (each for SECONDS). A reader may accept or refuse mutated data,
//! but its error must be one line, reading must take at most ten seconds of processor time, and it must not panic. The
//! first case that violates this ends the run and is printed with its seed. (cargo's own fuzzers need a nightly
//! compiler; this program builds with the project's.)

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;
use mindseye_episodes::open;
use mindseye_interface::{Rng, Seed};
use rand::Rng as _;

const ALL: [&str; 18] = [
    "lerobot_v3_tiny_image",
    "lerobot_v3_tiny",
    "lerobot_v3_tiny_h264",
    "lerobot_v21_tiny",
    "swm_hdf5_tiny",
    "swm_hdf5_blosc_tiny",
    "swm_video_tiny",
    "swm_folder_tiny",
    "robomimic_tiny",
    "as_people_have_it", // its HDF5 files
    "as_people_have_it/everything_zstd",
    "as_people_have_it/tables_gzip",
    "as_people_have_it/tables_brotli",
    "as_people_have_it/rate_29_97",
    "one_recording", // its HDF5 files
    "one_recording/lerobot_v21",
    "one_recording/swm_folder",
    "one_recording/swm_video",
];
const SLOW: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !mindseye_episodes::is_guarded() {
            hook(panic);
        }
    }));
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (Some(name), Some(seconds)) = (arguments.first(), arguments.get(1).and_then(|text| text.parse().ok())) else {
        eprintln!("expected FIXTURE (or all) and SECONDS, got {arguments:?}");
        return ExitCode::FAILURE;
    };
    let first_seed = arguments.get(2).and_then(|text| text.parse().ok()).unwrap_or(0);
    let names: Vec<&str> = if name == "all" { ALL.to_vec() } else { vec![name] };
    for name in names {
        if let Err(reason) = run(name, Duration::from_secs(seconds), first_seed) {
            eprintln!("{name}: {reason}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Mutates and reads the fixture `name` for `time`.
fn run(name: &str, time: Duration, first_seed: u64) -> Result<(), String> {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    let io = |error: std::io::Error| error.to_string();
    let folder = tempfile::tempdir().map_err(io)?;
    let mut files = Vec::new();
    collect(&fixture, Path::new(""), &mut files).map_err(io)?;
    files.retain(|(path, _)| !["README.md", "expected.json", "make.py"].iter().any(|name| path.ends_with(name)));
    let started = Instant::now();
    let (mut cases, mut refused) = (0u64, 0u64);
    while started.elapsed() < time {
        let seed = first_seed + cases;
        let mut rng = Seed::new(seed).rng();
        let broken = rng.random_range(0..files.len());
        for (index, (path, bytes)) in files.iter().enumerate() {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap_or(folder.path())).map_err(io)?;
            let bytes = if index == broken { mutated(bytes, &mut rng) } else { bytes.clone() };
            fs::write(path, bytes).map_err(io)?;
        }
        let root = match files[broken].0.extension().is_some_and(|extension| extension == "h5" || extension == "hdf5") {
            true => folder.path().join(&files[broken].0),
            false => folder.path().to_path_buf(),
        };
        let case = ProcessTime::now();
        let read = catch_unwind(AssertUnwindSafe(|| -> mindseye_episodes::Result<()> {
            let source = open(&root)?;
            (0..source.len().min(8)).try_for_each(|episode| source.read_episode(episode).map(drop))
        }));
        match read {
            Err(_) => return Err(format!("seed {seed}, {}: a panic", files[broken].0.display())),
            Ok(Err(error)) if error.to_string().contains('\n') => return Err(format!("seed {seed}: {error}")),
            Ok(outcome) => refused += u64::from(outcome.is_err()),
        }
        if case.elapsed() > SLOW {
            return Err(format!("seed {seed}, {}: {:?}", files[broken].0.display(), case.elapsed()));
        }
        cases += 1;
    }
    println!(
        "{name}: {cases} broken data sets in {:.0} s, {refused} refused, no panic",
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

fn collect(root: &Path, inside: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) -> std::io::Result<()> {
    let mut entries = fs::read_dir(root.join(inside))?.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = inside.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            collect(root, &path, files)?;
        } else {
            files.push((path, fs::read(entry.path())?));
        }
    }
    Ok(())
}

/// `bytes` with one to eight random mutations.
fn mutated(bytes: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..rng.random_range(1..=8) {
        if bytes.is_empty() {
            break;
        }
        let place = rng.random_range(0..bytes.len());
        match rng.random_range(0..7) {
            0 => bytes[place] ^= 1 << rng.random_range(0..8),
            1 => bytes[place] = rng.random(),
            2 => bytes[place] = [0, 1, 0x7f, 0x80, 0xff][rng.random_range(0..5)],
            3 => bytes.truncate(place),
            4 => {
                let end = (place + rng.random_range(1..64)).min(bytes.len());
                bytes[place..end].fill([0, 0xff][rng.random_range(0..2)]);
            }
            5 => {
                let end = (place + rng.random_range(1..64)).min(bytes.len());
                let part = bytes[place..end].to_vec();
                bytes.splice(place..place, part);
            }
            _ => {
                let end = (place + rng.random_range(1..16)).min(bytes.len());
                bytes.drain(place..end);
            }
        }
    }
    bytes
}
