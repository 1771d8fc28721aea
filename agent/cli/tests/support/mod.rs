//! Running the binary as a user does.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else
#![allow(dead_code, reason = "each test file uses a part")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// The assets in the source tree.
pub fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets")
}

/// Runs `mindseye` with `arguments` in `folder`.
pub fn mindseye(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mindseye")).args(arguments).current_dir(folder).output().unwrap()
}

/// Runs `mindseye`, which must succeed; what it printed on stdout.
pub fn succeed(folder: &Path, arguments: &[&str]) -> String {
    let output = mindseye(folder, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs `mindseye`, which must refuse in one line that names all of `named`.
pub fn refuse(folder: &Path, arguments: &[&str], named: &[&str]) {
    let output = mindseye(folder, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?} should fail");
    assert_eq!(errors.trim_end().lines().count(), 1, "{errors}");
    assert!(errors.starts_with("error: ") && !errors.contains("panicked"), "{errors}");
    assert!(named.iter().all(|name| errors.contains(name)), "{errors} should name {named:?}");
}

/// The document on stdout, which must be nothing but JSON.
pub fn json(folder: &Path, arguments: &[&str]) -> serde_json::Value {
    serde_json::from_str(&succeed(folder, arguments)).unwrap()
}

/// The shipped recipe, cut down to 50 steps.
pub fn short_recipe(path: &Path) {
    let text = std::fs::read_to_string(assets().join("recipes/two_room.toml")).unwrap();
    let mut recipe: toml::Table = text.parse().unwrap();
    for (field, value) in [("steps", 50), ("decoder_steps", 20), ("validate_every", 25), ("report_every", 10)] {
        recipe.insert(field.into(), toml::Value::Integer(value)).unwrap();
    }
    std::fs::write(path, toml::to_string(&recipe).unwrap()).unwrap();
}

/// Every file below `folder` with its bytes.
pub fn tree(folder: &Path) -> std::collections::BTreeMap<PathBuf, Vec<u8>> {
    let mut files = std::collections::BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(folder).unwrap().to_path_buf(), std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// Starts `mindseye` with `arguments` in `folder`; what it prints is thrown away.
pub fn start(folder: &Path, arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mindseye"));
    command.args(arguments).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Sends a signal by its name (`INT`, `TERM`, `KILL`) to `child`, and waits for its end.
pub fn end(mut child: Child, signal: &str) -> ExitStatus {
    let sent = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success() || child.try_wait().unwrap().is_some());
    child.wait().unwrap()
}

/// Waits until `holds` or `child` has ended; whether it holds.
pub fn wait_until(child: &mut Child, holds: impl Fn() -> bool) -> bool {
    let started = Instant::now();
    while !holds() && child.try_wait().unwrap().is_none() && started.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(2));
    }
    holds()
}
