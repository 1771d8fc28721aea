//! Which module of a crate uses which, read off the paths in its code, and circles among them.
//!
//! Modules are compared among siblings, each with all that is inside of it: `cost` and `memory` form a circle if some
//! file in `cost/` uses something in `memory/` and some file there uses something in `cost/`. A module and its own
//! parts may use each other: a trait beside its implementations.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::source::{SourceFile, is_word, library_code};

/// A path of module names from the root of the crate.
type Module = Vec<String>;

/// Siblings that use each other, directly or round about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Circle {
    /// Their names, below the root of the crate.
    pub modules: Vec<String>,
    /// One way round: who uses what in which file.
    pub steps: Vec<String>,
}

/// A file of a crate.
struct Source {
    path: String,
    uses: Vec<Path>,
    code: String,
}

/// A path as it stands in the code: its segments, and the name under which a `use` makes it known.
#[derive(Debug, Clone, PartialEq)]
struct Path {
    segments: Vec<String>,
    name: Option<String>,
}

/// All circles in a crate whose files are `files`, with paths from the crate's `src` folder.
pub fn circles(files: &[SourceFile]) -> Vec<Circle> {
    let sources: BTreeMap<Module, Source> = files.iter().map(source).collect();
    let mut edges: BTreeMap<Module, BTreeMap<(String, String), String>> = BTreeMap::new();
    for (from, source) in &sources {
        for path in &source.uses {
            let Some(to) = resolve(&sources, from, &path.segments, 0) else { continue };
            let common = from.iter().zip(&to).take_while(|(from, to)| from == to).count();
            if common == from.len() || common == to.len() {
                continue; // one is inside of the other
            }
            let step = format!("{} uses {}", source.path, path.segments.join("::"));
            let siblings = (from[common].clone(), to[common].clone());
            edges.entry(from[..common].to_vec()).or_default().entry(siblings).or_insert(step);
        }
    }
    edges.iter().flat_map(|(parent, edges)| circles_among(parent, edges)).collect()
}

/// The circles among the parts of `parent`.
fn circles_among(parent: &Module, edges: &BTreeMap<(String, String), String>) -> Vec<Circle> {
    let names: BTreeSet<&String> = edges.keys().flat_map(|(from, to)| [from, to]).collect();
    let mut done: BTreeSet<&String> = BTreeSet::new();
    let mut circles = Vec::new();
    for name in &names {
        let back = |other: &&&String| route(edges, name, other).is_some() && route(edges, other, name).is_some();
        let together: Vec<&String> = names.iter().filter(back).copied().collect();
        if together.len() < 2 || !done.insert(name) || done.contains(together[0]) && together[0] != *name {
            continue;
        }
        let there = route(edges, together[0], together[1]).unwrap();
        let steps = there.into_iter().chain(route(edges, together[1], together[0]).unwrap()).collect();
        let full = |name: &&String| parent.iter().chain([*name]).cloned().collect::<Vec<_>>().join("::");
        circles.push(Circle { modules: together.iter().map(full).collect(), steps });
    }
    circles
}

/// The shortest chain of uses from one module to another, if there is one.
fn route(edges: &BTreeMap<(String, String), String>, from: &str, to: &str) -> Option<Vec<String>> {
    let mut seen = BTreeSet::from([from.to_owned()]);
    let mut waiting = VecDeque::from([(from.to_owned(), Vec::new())]);
    while let Some((at, steps)) = waiting.pop_front() {
        for ((_, next), step) in edges.iter().filter(|((start, _), _)| *start == at) {
            let steps: Vec<String> = steps.iter().cloned().chain([step.clone()]).collect();
            if next == to {
                return Some(steps);
            }
            if seen.insert(next.clone()) {
                waiting.push_back((next.clone(), steps));
            }
        }
    }
    None
}

fn source(file: &SourceFile) -> (Module, Source) {
    let stem = file.path.strip_suffix(".rs").unwrap_or(&file.path);
    let stem = stem.strip_suffix("/mod").unwrap_or(stem);
    let module = match stem {
        "lib" | "main" => Vec::new(),
        stem => stem.split('/').map(str::to_owned).collect(),
    };
    let code = library_code(&file.text);
    (module, Source { path: file.path.clone(), uses: paths(&code), code })
}

/// The module that `segments` lead to, as seen from `module`.
fn resolve(sources: &BTreeMap<Module, Source>, module: &Module, segments: &[String], depth: usize) -> Option<Module> {
    let mut at = module.clone();
    let mut segments = segments.iter().peekable();
    match segments.peek()?.as_str() {
        "crate" => at = Vec::new(),
        "super" | "self" => {}
        first => {
            // A bare name is one of the module's own parts, or of another crate.
            if !sources.contains_key(&child(&at, first)) {
                return None;
            }
        }
    }
    for segment in segments {
        match segment.as_str() {
            "crate" | "self" => continue,
            "super" => {
                at.pop();
                continue;
            }
            _ => {}
        }
        let inside = child(&at, segment);
        if sources.contains_key(&inside) {
            at = inside;
            continue;
        }
        return Some(known_as(sources, &at, segment, depth).unwrap_or(at));
    }
    Some(at)
}

/// The module from which `module` has the name `name` by a `use`.
fn known_as(sources: &BTreeMap<Module, Source>, module: &Module, name: &str, depth: usize) -> Option<Module> {
    const DEEPEST: usize = 8;
    let source = sources.get(module).filter(|_| depth < DEEPEST)?;
    for path in source.uses.iter().filter(|path| path.name.is_some()) {
        let is_glob = path.name.as_deref() == Some("*");
        if !is_glob && path.name.as_deref() != Some(name) {
            continue;
        }
        let target = resolve(sources, module, &path.segments, depth + 1)?;
        let defines = |module: &Module| sources.get(module).is_some_and(|source| defines(&source.code, name));
        if !is_glob || defines(&target) {
            return Some(target);
        }
    }
    None
}

fn defines(code: &str, name: &str) -> bool {
    ["struct", "enum", "trait", "fn", "const", "static", "type"].iter().any(|kind| {
        let start = format!("{kind} {name}");
        code.match_indices(&start).any(|(at, _)| !code[at + start.len()..].starts_with(is_word))
    })
}

fn child(module: &Module, name: &str) -> Module {
    module.iter().cloned().chain([name.to_owned()]).collect()
}

/// All paths of `code`: those of `use` declarations, and those inside of code that begin at the crate, above, or here.
fn paths(code: &str) -> Vec<Path> {
    let mut found = Vec::new();
    let starts_word = |at: usize| !code[..at].ends_with(|letter| is_word(letter) || letter == ':');
    for (at, _) in code.match_indices("use ").filter(|(at, _)| starts_word(*at)) {
        let end = code[at..].find(';').map_or(code.len(), |end| at + end);
        expand(&code[at + "use ".len()..end], &[], true, &mut found);
    }
    for keyword in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(keyword).filter(|(at, _)| starts_word(*at)) {
            let end = code[at..].find(|letter| !(is_word(letter) || letter == ':')).map_or(code.len(), |end| at + end);
            expand(&code[at..end], &[], false, &mut found);
        }
    }
    found
}

/// Adds the paths of a `use` tree, without its groups, to `found`.
fn expand(tree: &str, before: &[String], declares: bool, found: &mut Vec<Path>) {
    let (path, group) = tree.find('{').map_or((tree, None), |open| (&tree[..open], Some(&tree[open + 1..])));
    let (path, renamed) = path.split_once(" as ").map_or((path, None), |(path, name)| (path, Some(name.trim())));
    let own = path.split("::").map(str::trim).filter(|segment| !segment.is_empty());
    let segments: Vec<String> = before.iter().cloned().chain(own.map(str::to_owned)).collect();
    let Some(group) = group else {
        let mut segments = segments;
        let name = renamed.map(str::to_owned).or_else(|| segments.last().cloned());
        if segments.last().is_some_and(|last| last == "*" || (last == "self" && segments.len() > 1)) {
            segments.pop();
        }
        let name = if name.as_deref() == Some("self") { segments.last().cloned() } else { name };
        found.push(Path { segments, name: name.filter(|_| declares) });
        return;
    };
    let (mut depth, mut start) = (0, 0);
    for (index, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                if !group[start..index].trim().is_empty() {
                    expand(&group[start..index], &segments, declares, found);
                }
                start = index + 1;
                if letter == '}' {
                    return;
                }
            }
            _ => {}
        }
    }
}
