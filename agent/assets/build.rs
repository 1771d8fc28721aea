//! Lists the assets that the binary carries, so that an installed `mindseye` works from any folder.

use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Folders of `assets/` that are carried.
const CARRIED: [&str; 5] = ["checkpoints", "planners", "recipes", "tasks", "worlds"];
/// Endings of files that a program reads; model cards and measurements stay in the source tree.
const READ: [&str; 6] = ["config.json", "measured.json", "surprise.json", ".safetensors", ".toml", ".py"];
/// Weights that no shipped default uses, and the task that needs them: with them the binary would be a third larger.
const LEFT_OUT: [&str; 3] =
    ["checkpoints/bridge/ensemble.safetensors", "checkpoints/push_t/critic.safetensors", "tasks/push_t_critic.toml"];

fn main() -> io::Result<()> {
    let source = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let assets = source.join("../../assets").canonicalize()?;
    println!("cargo::rerun-if-changed=build.rs");
    let mut files = Vec::new();
    for folder in CARRIED {
        println!("cargo::rerun-if-changed={}", assets.join(folder).display());
        list(&assets, &assets.join(folder), &mut files)?;
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    let mut entries = String::new();
    for name in &files {
        let path = assets.join(name);
        hasher.write(name.as_bytes());
        hasher.write(&fs::read(&path)?);
        entries.push_str(&format!("    ({name:?}, include_bytes!({path:?})),\n"));
    }
    let text = format!(
        "/// Identifies the contents of all carried files.\npub(super) const FINGERPRINT: &str = \"{:016x}\";\n\
         /// Every carried file: its path below `assets/`, its bytes.\npub(super) static FILES: &[(&str, &[u8])] = \
         &[\n{entries}];\n",
        hasher.finish()
    );
    fs::write(PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("carried_assets.rs"), text)
}

/// Adds the files below `folder` to `files`, as paths below `assets` with forward slashes.
fn list(assets: &Path, folder: &Path, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(assets, &path, files)?;
            continue;
        }
        let name = path.strip_prefix(assets).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        if READ.iter().any(|ending| name.ends_with(ending)) && !LEFT_OUT.contains(&name.as_str()) {
            files.push(name);
        }
    }
    Ok(())
}
