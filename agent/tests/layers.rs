//! The modules of this crate form no circle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Names at the root of the crate, and the modules that they come from.
const ROOT_NAMES: [(&str, &str); 16] = [
    ("Agent", "agent"),
    ("Configurator", "configurator"),
    ("Directive", "directive"),
    ("Error", "error"),
    ("Latent", "latent"),
    ("LatentShape", "latent"),
    ("ModelSource", "model_source"),
    ("Modules", "agent"),
    ("Plan", "latent"),
    ("Plans", "latent"),
    ("Result", "error"),
    ("Rollouts", "latent"),
    ("RunGoal", "configurator"),
    ("Task", "configurator"),
    ("TickReport", "agent"),
    ("run", "control_loop"),
];

fn files(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

/// The modules that the code in `text` names by a path from the root of the crate.
fn uses(text: &str, modules: &BTreeSet<String>) -> BTreeSet<String> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut used = BTreeSet::new();
    for path in code.split("crate::").skip(1) {
        let in_braces = path.strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(inner, _)| inner);
        let ends: &[char] = &[',', '{', '}', ';', ':', '(', '<', ')', ' ', '\n', '!', '>'];
        let names: Vec<&str> = match in_braces {
            Some(inner) => inner.split(',').map(str::trim).collect(),
            None => vec![path],
        };
        for name in names {
            let name = name.split(ends).next().unwrap_or_default();
            let root = ROOT_NAMES.iter().find(|(known, _)| *known == name).map(|(_, module)| *module);
            used.extend(Some(root.unwrap_or(name).to_owned()).filter(|module| modules.contains(module)));
        }
    }
    used
}

#[test]
fn the_modules_form_no_circle() -> std::io::Result<()> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    files(&source, &mut paths)?;
    let module_of = |path: &Path| {
        let first =
            path.strip_prefix(&source).ok().and_then(|path| path.components().next().map(|first| first.as_os_str()));
        first.and_then(|first| Path::new(first).file_stem()).map(|stem| stem.to_string_lossy().into_owned())
    };
    let modules: BTreeSet<String> =
        paths.iter().filter_map(|path| module_of(path)).filter(|name| name != "lib").collect();
    assert!(modules.len() > 10, "{modules:?}");
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in &paths {
        let Some(module) = module_of(path).filter(|module| modules.contains(module)) else { continue };
        let used = uses(&std::fs::read_to_string(path)?, &modules);
        arrows.entry(module.clone()).or_default().extend(used.into_iter().filter(|used| *used != module));
    }
    assert!(arrows["agent"].contains("cost") && arrows["cost"].contains("directive"), "{arrows:?}");
    // Modules that use only modules that are done are done; what is left uses itself.
    let mut done = BTreeSet::new();
    while let Some(next) =
        arrows.iter().find(|(module, used)| !done.contains(*module) && used.iter().all(|used| done.contains(used)))
    {
        done.insert(next.0.clone());
    }
    let circle: Vec<_> = arrows.iter().filter(|(module, _)| !done.contains(*module)).collect();
    assert!(circle.is_empty(), "{circle:?}");
    Ok(())
}
