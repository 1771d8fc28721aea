//! Which package depends on which, read off the manifests and the `use` lines.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::path::Path;

use crate::source::{SourceFile, code, files, is_word, library_code};

/// A package: its name, its folder, and what it may depend on of what is guarded.
pub struct Layer {
    pub name: &'static str,
    pub folder: &'static str,
    pub may_use: &'static [&'static str],
}

/// Libraries that only some packages may name; our own are guarded too.
const GUARDED: [&str; 6] = ["rapier3d", "bevy", "candle-core", "candle-nn", "nalgebra", "rerun"];
/// The simulator, which every package may use in its tests.
const SIMULATOR: &str = "mindseye-sim";
/// The binary, which nothing may use.
const BINARY: &str = "mindseye";

fn is_guarded(dependency: &str) -> bool {
    dependency == BINARY || dependency.starts_with("mindseye-") || GUARDED.contains(&dependency)
}

fn manifest(root: &Path, folder: &str) -> Option<toml::Table> {
    let text = std::fs::read_to_string(root.join(folder).join("Cargo.toml")).ok()?;
    Some(text.parse().unwrap())
}

fn dependencies(manifest: &toml::Table, tables: &[&str]) -> Vec<String> {
    let tables = tables.iter().filter_map(|name| manifest.get(*name)?.as_table());
    tables.flat_map(|table| table.keys().cloned()).collect()
}

/// Dependencies that the manifests have and the layers do not allow.
pub fn forbidden_dependencies(root: &Path, layers: &[Layer]) -> Vec<String> {
    let mut found = Vec::new();
    for layer in layers {
        let Some(manifest) = manifest(root, layer.folder) else { continue };
        let name = manifest["package"]["name"].as_str().unwrap();
        if name != layer.name {
            found.push(format!("{}: expected the package {}, got {name}", layer.folder, layer.name));
        }
        for dependency in dependencies(&manifest, &["dependencies", "build-dependencies"]) {
            if is_guarded(&dependency) && !layer.may_use.contains(&dependency.as_str()) {
                found.push(format!("{} must not depend on {dependency}", layer.name));
            }
        }
        for dependency in dependencies(&manifest, &["dev-dependencies"]) {
            let allowed = layer.may_use.contains(&dependency.as_str()) || dependency == SIMULATOR;
            if is_guarded(&dependency) && !allowed {
                found.push(format!("{} must not depend on {dependency} in its tests", layer.name));
            }
        }
    }
    found
}

/// Members of the workspace that are in no layer.
pub fn members_without_layer(root: &Path, layers: &[Layer]) -> Vec<String> {
    let workspace = manifest(root, ".").unwrap();
    let members = workspace["workspace"]["members"].as_array().unwrap().iter().map(|member| member.as_str().unwrap());
    members.filter(|member| layers.iter().all(|layer| layer.folder != *member)).map(str::to_owned).collect()
}

/// Files that name a guarded library which their package may not use: as a path in code, whatever the manifest says. In
/// `src` the simulator counts; in tests and benches every package may use it.
pub fn forbidden_uses(root: &Path, layers: &[Layer]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files(root, &[".rs"]) {
        let Some(layer) = layer_of(&file, layers) else { continue };
        let in_library = file.path[layer.folder.len()..].starts_with("/src/");
        let text = if in_library { library_code(&file.text) } else { code(&file.text) };
        let guarded = layers.iter().map(|layer| layer.name).chain(GUARDED);
        for library in guarded.filter(|library| *library != layer.name && !layer.may_use.contains(library)) {
            if names(&text, &library.replace('-', "_")) && (in_library || library != SIMULATOR) {
                found.push(format!("{} must not name {library}", file.path));
            }
        }
    }
    found
}

/// The package that a file belongs to: that of the longest folder.
fn layer_of<'a>(file: &SourceFile, layers: &'a [Layer]) -> Option<&'a Layer> {
    let holds = |layer: &&Layer| file.path.strip_prefix(layer.folder).is_some_and(|rest| rest.starts_with('/'));
    layers.iter().filter(holds).max_by_key(|layer| layer.folder.len())
}

/// Whether `code` has a path that begins with the crate `name`.
fn names(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let rest = &code[at + name.len()..];
        let begins = !code[..at].ends_with(|letter| is_word(letter) || letter == ':');
        begins && (rest.starts_with("::") || code[..at].ends_with("use ") && !rest.starts_with(is_word))
    })
}
