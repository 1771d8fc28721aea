//! The layers of the house (ARCHITECTURE.md): which package may use which, and no circles between modules.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

#[path = "support/manifests.rs"]
mod manifests;
#[path = "support/module_graph.rs"]
mod module_graph;
#[path = "support/source.rs"]
mod source;

use std::path::Path;

use manifests::{Layer, forbidden_dependencies, forbidden_uses, members_without_layer};
use module_graph::{Circle, circles};
use source::{files, repository, tree};

/// Every package from the bottom up; those that are not there yet are passed over.
const LAYERS: [Layer; 20] = [
    Layer { name: "mindseye-interface", folder: "agent/interface", may_use: &["nalgebra"] },
    Layer { name: "mindseye-sim", folder: "sim", may_use: &["mindseye-interface", "nalgebra", "rapier3d"] },
    Layer { name: "mindseye-episodes", folder: "world_model/episodes", may_use: &["mindseye-interface"] },
    Layer {
        name: "mindseye-world-model",
        folder: "world_model",
        may_use: &["mindseye-interface", "mindseye-episodes", "candle-core", "candle-nn", "nalgebra"],
    },
    Layer {
        name: "mindseye-agent",
        folder: "agent",
        may_use: &[
            "mindseye-interface",
            "mindseye-episodes",
            "mindseye-world-model",
            "candle-core",
            "candle-nn",
            "nalgebra",
        ],
    },
    Layer { name: "mindseye-arms", folder: "agent/arms", may_use: &["mindseye-interface"] },
    Layer { name: "mindseye-assets", folder: "agent/assets", may_use: &["mindseye-interface", "mindseye-agent"] },
    Layer { name: "mindseye-cameras", folder: "agent/cameras", may_use: &["mindseye-interface", "mindseye-episodes"] },
    Layer { name: "mindseye-worlds", folder: "agent/worlds", may_use: &["mindseye-interface", "mindseye-episodes"] },
    Layer {
        name: "mindseye-encoders",
        folder: "agent/encoders",
        may_use: &["mindseye-interface", "mindseye-episodes", "mindseye-world-model"],
    },
    Layer {
        name: "mindseye-serving",
        folder: "agent/serving",
        may_use: &[
            "mindseye-interface",
            "mindseye-episodes",
            "mindseye-world-model",
            "mindseye-agent",
            "mindseye-arms",
            "mindseye-cameras",
            "mindseye-runs",
        ],
    },
    Layer {
        name: "mindseye-evaluation",
        folder: "agent/evaluation",
        may_use: &["mindseye-interface", "mindseye-episodes", "mindseye-world-model", "mindseye-agent"],
    },
    Layer {
        name: "mindseye-plots",
        folder: "agent/plots",
        may_use: &[
            "mindseye-interface",
            "mindseye-episodes",
            "mindseye-world-model",
            "mindseye-agent",
            "mindseye-evaluation",
        ],
    },
    Layer {
        name: "mindseye-runs",
        folder: "agent/runs",
        may_use: &[
            "mindseye-interface",
            "mindseye-episodes",
            "mindseye-world-model",
            "mindseye-agent",
            "mindseye-evaluation",
            "nalgebra",
        ],
    },
    Layer {
        name: "mindseye-viewer",
        folder: "sim/viewer",
        may_use: &[
            "mindseye-interface",
            "mindseye-sim",
            "mindseye-episodes",
            "mindseye-world-model",
            "mindseye-agent",
            "mindseye-evaluation",
            "mindseye-runs",
            "mindseye-assets",
            "bevy",
            "nalgebra",
        ],
    },
    Layer {
        name: "mindseye-rerun",
        folder: "agent/rerun",
        may_use: &[
            "mindseye-interface",
            "mindseye-sim",
            "mindseye-episodes",
            "mindseye-world-model",
            "mindseye-agent",
            "mindseye-evaluation",
            "mindseye-runs",
            "mindseye-assets",
            "nalgebra",
            "rerun",
        ],
    },
    Layer {
        name: "mindseye-bench",
        folder: "agent/bench",
        may_use: &[
            "mindseye-interface",
            "mindseye-sim",
            "mindseye-episodes",
            "mindseye-world-model",
            "mindseye-agent",
            "mindseye-evaluation",
            "mindseye-plots",
        ],
    },
    Layer { name: "mindseye", folder: "agent/cli", may_use: BINARY },
    // Not a member of the workspace: its targets fuzz what reads bytes from outside.
    Layer { name: "mindseye-fuzz", folder: "agent/fuzz", may_use: FUZZ },
    Layer { name: "mindseye-examples", folder: "examples", may_use: EXAMPLES },
];

/// What the binary may use: every library of ours but the window and the recordings for Rerun.
const BINARY: &[&str] = &[
    "mindseye-interface",
    "mindseye-sim",
    "mindseye-episodes",
    "mindseye-world-model",
    "mindseye-agent",
    "mindseye-arms",
    "mindseye-assets",
    "mindseye-cameras",
    "mindseye-serving",
    "mindseye-worlds",
    "mindseye-evaluation",
    "mindseye-plots",
    "mindseye-runs",
    "mindseye-bench",
    "mindseye-encoders",
];

/// What the fuzz targets may use: libraries that read files and streams of others.
const FUZZ: &[&str] = &[
    "mindseye-interface",
    "mindseye-episodes",
    "mindseye-world-model",
    "mindseye-agent",
    "mindseye-cameras",
    "mindseye-serving",
];

/// What the examples may use: the same without the measurements of speed.
const EXAMPLES: &[&str] = &[
    "mindseye-interface",
    "mindseye-sim",
    "mindseye-episodes",
    "mindseye-world-model",
    "mindseye-agent",
    "mindseye-assets",
    "mindseye-cameras",
    "mindseye-serving",
    "mindseye-worlds",
    "mindseye-evaluation",
    "mindseye-plots",
    "mindseye-runs",
];

#[test]
fn packages_keep_to_their_layers() {
    assert_eq!(violations(&repository()), [""; 0]);
}

#[test]
fn every_member_of_the_workspace_has_a_layer() {
    assert_eq!(members_without_layer(&repository(), &LAYERS), [""; 0]);
}

#[test]
fn modules_of_a_crate_form_no_circle() {
    let root = repository();
    let mut found: Vec<(&str, Circle)> = Vec::new();
    for layer in LAYERS.iter().filter(|layer| root.join(layer.folder).join("src").is_dir()) {
        let circles = circles(&files(&root.join(layer.folder).join("src"), &[".rs"]));
        found.extend(circles.into_iter().map(|circle| (layer.name, circle)));
    }
    let found: Vec<String> = found.iter().map(described).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn described((name, circle): &(&str, Circle)) -> String {
    format!("{name}: {} use each other:\n    {}", circle.modules.join(", "), circle.steps.join("\n    "))
}

#[test]
fn the_agents_folder_shows_its_six_modules() {
    for module in ["configurator", "perception", "world_model", "cost", "actor", "memory"] {
        let source = repository().join("agent/src");
        assert!(source.join(format!("{module}.rs")).is_file(), "{module}.rs");
        assert!(source.join(module).is_dir(), "{module}/");
    }
}

#[test]
fn the_architecture_names_only_what_exists() {
    let text = std::fs::read_to_string(repository().join("ARCHITECTURE.md")).unwrap();
    let mut checked = 0;
    for quoted in text.split('`').skip(1).step_by(2) {
        let is_path = quoted.contains('/') && !quoted.contains([' ', '<', '*', ':', '$', '{']);
        if is_path {
            assert!(repository().join(quoted).exists(), "ARCHITECTURE.md names {quoted}");
            checked += 1;
        }
    }
    assert!(checked > 20, "only {checked} paths");
}

/// A made-up manifest.
fn manifest(name: &str, dependencies: &str) -> String {
    format!("[package]\nname = \"{name}\"\n\n{dependencies}\n")
}

fn violations(root: &Path) -> Vec<String> {
    [forbidden_dependencies(root, &LAYERS), forbidden_uses(root, &LAYERS)].concat()
}

#[test]
fn a_dependency_upwards_is_found() {
    for table in ["dependencies", "build-dependencies", "dev-dependencies"] {
        let sim = manifest("mindseye-sim", &format!("[{table}]\nmindseye-agent = {{}}"));
        let root = tree(&[("sim/Cargo.toml", &sim)]);
        let found = violations(root.path());
        assert!(
            found.len() == 1 && found[0].starts_with("mindseye-sim must not depend on mindseye-agent"),
            "{found:?}"
        );
    }
}

#[test]
fn the_simulator_is_a_dependency_of_tests_only() {
    let agent = |table: &str| manifest("mindseye-agent", &format!("[{table}]\nmindseye-sim = {{}}"));
    assert_eq!(violations(tree(&[("agent/Cargo.toml", &agent("dependencies"))]).path()).len(), 1);
    let (test, inner) = ("use mindseye_sim::make;", "#[cfg(test)]\nmod tests {\n    use mindseye_sim::make;\n}\n");
    let kept =
        [("agent/Cargo.toml", &*agent("dev-dependencies")), ("agent/tests/a.rs", test), ("agent/src/a.rs", inner)];
    assert_eq!(violations(tree(&kept).path()), [""; 0]);
    let broken = tree(&[("agent/src/cost/a.rs", test)]);
    assert_eq!(violations(broken.path()), ["agent/src/cost/a.rs must not name mindseye-sim"]);
}

#[test]
fn a_guarded_library_named_in_code_is_found() {
    let files = [
        ("agent/cli/src/a.rs", "fn f() -> candle_core::Result<()> { Ok(()) }"),
        ("agent/src/b.rs", "use rapier3d::prelude::*;"),
        ("sim/src/c.rs", "use bevy::prelude::*;"),
        ("sim/src/fine.rs", "use rapier3d::prelude::*; // bevy::prelude\nconst NAME: &str = \"candle_core::Tensor\";"),
    ];
    assert_eq!(
        violations(tree(&files).path()),
        [
            "agent/cli/src/a.rs must not name candle-core",
            "agent/src/b.rs must not name rapier3d",
            "sim/src/c.rs must not name bevy",
        ]
    );
}

#[test]
fn an_example_that_uses_the_binarys_crate_is_found() {
    let files = [("examples/Cargo.toml", &*manifest("mindseye-examples", "[dependencies]\nmindseye = {}"))];
    let files =
        [&files[..], &[("examples/1.rs", "use mindseye::assets;"), ("examples/2.rs", "use mindseye_sim::make;")]];
    assert_eq!(
        violations(tree(&files.concat()).path()),
        ["mindseye-examples must not depend on mindseye", "examples/1.rs must not name mindseye"]
    );
}

#[test]
fn a_member_without_a_layer_is_found() {
    let root = tree(&[("Cargo.toml", "[workspace]\nmembers = [\"sim\", \"agent/extra\"]")]);
    assert_eq!(members_without_layer(root.path(), &LAYERS), ["agent/extra"]);
}

/// The circles of a made-up crate, as lists of modules.
fn circles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let root = tree(files);
    circles(&source::files(root.path(), &[".rs"])).into_iter().map(|circle| circle.modules).collect()
}

#[test]
fn a_circle_between_modules_is_found_and_named() {
    let files = [
        ("lib.rs", "pub mod a; pub mod b; pub mod c; pub use b::Thing;"),
        ("a.rs", "use crate::{Thing, c};"),
        ("b.rs", "pub struct Thing(crate::c::Other);"),
        ("c.rs", "use super::a::X; pub struct Other;"),
    ];
    assert_eq!(circles_of(&files), [["a", "b", "c"]]);
    let root = tree(&files);
    let steps = &circles(&source::files(root.path(), &[".rs"]))[0].steps;
    assert!(steps.contains(&"a.rs uses crate::Thing".to_owned()), "through the re-export: {steps:?}");
    assert!(steps.contains(&"c.rs uses super::a::X".to_owned()), "{steps:?}");
}

#[test]
fn a_circle_through_the_parts_of_modules_is_found() {
    let files = [
        ("lib.rs", "pub mod cost; pub mod memory;"),
        ("cost.rs", "mod critic; pub use critic::Critic; pub trait Cost {}"),
        ("cost/critic.rs", "use super::Cost; pub struct Critic(crate::memory::Ring);"),
        ("memory.rs", "mod ring; pub use ring::Ring;"),
        ("memory/ring.rs", "use crate::cost::{self as costs, Critic}; pub struct Ring;"),
        ("cost/one.rs", "use super::two::Two;"),
        ("cost/two.rs", "use crate::cost::one::One;"),
    ];
    assert_eq!(circles_of(&files), [vec!["cost", "memory"], vec!["cost::one", "cost::two"]]);
}

#[test]
fn parents_parts_tests_and_comments_make_no_circle() {
    let files = [
        ("lib.rs", "pub mod a; pub mod b;"),
        ("a.rs", "mod part; use part::Part; pub trait A {}"),
        ("a/part.rs", "use super::A; pub struct Part;"),
        ("b.rs", "use crate::a::A; // use crate::b"),
        (
            "a/other.rs",
            "//! crate::b::B\n#[cfg(test)]\nmod tests { use crate::b::B; }\nconst S: &str = \"crate::b::B\";",
        ),
    ];
    assert_eq!(circles_of(&files), Vec::<Vec<String>>::new());
}
