//! The layers of the house (ARCHITECTURE.md): who may know whom, read off the manifests.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Every package, its folder, and what it may depend on beside libraries that belong to nobody in particular.
const LAYERS: [(&str, &str, &[&str]); 7] = [
    ("mindseye-interface", "agent/interface", &["nalgebra"]),
    ("mindseye-sim", "sim", &["mindseye-interface", "nalgebra", "rapier3d"]),
    ("mindseye-episodes", "world_model/episodes", &["mindseye-interface"]),
    (
        "mindseye-world-model",
        "world_model",
        &["mindseye-interface", "mindseye-episodes", "candle-core", "candle-nn", "nalgebra"],
    ),
    ("mindseye-agent", "agent", &["mindseye-interface", "mindseye-world-model", "candle-core", "candle-nn"]),
    (
        "mindseye",
        "agent/cli",
        &["mindseye-interface", "mindseye-sim", "mindseye-episodes", "mindseye-world-model", "mindseye-agent"],
    ),
    (
        "mindseye-examples",
        "examples",
        &[
            "mindseye-interface",
            "mindseye-sim",
            "mindseye-episodes",
            "mindseye-world-model",
            "mindseye-agent",
            "mindseye",
        ],
    ),
];

/// Libraries that belong to one wing.
const GUARDED: [&str; 5] = ["rapier3d", "bevy", "candle-core", "candle-nn", "nalgebra"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn manifest(folder: &str) -> toml::Table {
    std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap().parse().unwrap()
}

/// Names in `[dependencies]` and `[build-dependencies]`, without those for tests.
fn dependencies(manifest: &toml::Table) -> Vec<String> {
    let tables = ["dependencies", "build-dependencies"].iter().filter_map(|name| manifest.get(*name)?.as_table());
    tables.flat_map(|table| table.keys().cloned()).collect()
}

#[test]
fn no_package_knows_more_than_it_may() {
    for (name, folder, allowed) in LAYERS {
        let manifest = manifest(folder);
        assert_eq!(manifest["package"]["name"].as_str(), Some(name), "{folder}");
        for dependency in dependencies(&manifest) {
            let ours = dependency.starts_with("mindseye") || GUARDED.contains(&dependency.as_str());
            assert!(!ours || allowed.contains(&dependency.as_str()), "{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn every_member_of_the_workspace_has_a_layer() {
    let workspace = manifest(".");
    let members = workspace["workspace"]["members"].as_array().unwrap();
    let known: BTreeMap<&str, &str> = LAYERS.iter().map(|(name, folder, _)| (*folder, *name)).collect();
    for member in members {
        assert!(known.contains_key(member.as_str().unwrap()), "{member} is in no layer");
    }
    assert_eq!(members.len(), LAYERS.len());
}

#[test]
fn the_agents_folder_shows_its_six_modules() {
    for module in ["configurator", "perception", "world_model", "cost", "actor", "memory"] {
        let source = root().join("agent/src");
        assert!(source.join(format!("{module}.rs")).is_file(), "{module}.rs");
        assert!(source.join(module).is_dir(), "{module}/");
    }
}

#[test]
fn the_architecture_names_only_what_exists() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut checked = 0;
    for quoted in text.split('`').skip(1).step_by(2) {
        let is_path = quoted.contains('/') && !quoted.contains([' ', '<', '*', ':', '$']);
        if is_path {
            assert!(root().join(quoted).exists(), "ARCHITECTURE.md names {quoted}");
            checked += 1;
        }
    }
    assert!(checked > 20, "only {checked} paths");
}
