//! Rules of style that a program can check: line length, file length, words that the field does not use.
//!
//! Files that do not keep a rule yet are counted in `support/style_allowances.toml`. Counts only ever get smaller:
//! `MINDSEYE_SHRINK=1 cargo test --release -p mindseye --test style` writes the smaller ones; the file has to become
//! empty.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

#[path = "support/source.rs"]
mod source;

use std::collections::BTreeMap;
use std::path::Path;

use source::{SourceFile, files, is_word, repository};

/// Most columns of a line.
const COLUMNS: usize = 120;
/// Most lines of a file in `src`.
const LINES: usize = 400;

/// Private words of before and the field's words for them. Each was renamed once and must not come back.
const OLD_WORDS: [(&str, &str); 38] = [
    ("actuation", "affine action map"),
    ("aims", "state goals"),
    ("arbiter", "mode selector"),
    ("courses", "goal sequences"),
    ("doubted", "rejected"),
    ("familiarity", "kernel density"),
    ("feeling", "proprioception"),
    ("felt", "proprioception"),
    ("foresaw", "predicted"),
    ("foreseen", "predicted value"),
    ("foresees", "predicts"),
    ("foresight", "value accuracy"),
    ("forgetful", "no memory"),
    ("futures", "samples, stochastic predictor"),
    ("glimpse", "tick view"),
    ("lesson", "target, sample"),
    ("lessons", "targets, samples"),
    ("lived", "warm-up, recorded"),
    ("minds", "agents"),
    ("moment", "timestep, transition, frame"),
    ("moments", "timesteps, transitions, frames"),
    ("picture", "image"),
    ("pictures", "images"),
    ("practice", "on-policy collection"),
    ("readout", "state probe"),
    ("readouts", "state probes"),
    ("recollection", "retrieval"),
    ("refinement", "finetuning"),
    ("slope", "gradient"),
    ("slopes", "gradients"),
    ("soonest", "min over horizon"),
    ("switchboard", "set_goal"),
    ("taught", "trained"),
    ("teach", "train"),
    ("teaches", "trains"),
    ("teaching", "training"),
    ("unchanging", "copy last"),
    ("unheard", "task channel closed"),
];

/// Files that may name old words: this rule, what happened before, Adam's moments, a licence.
const WORDS_EXEMPT: [&str; 8] = [
    "CHANGELOG.md",
    "agent/cli/tests/style.rs",
    "agent/cli/tests/support/style_allowances.toml",
    "world_model/src/families/jepa/training/memory.rs",
    "world_model/src/optimiser.rs",
    "world_model/src/trainer/state.rs",
    "world_model/tests/training_states.rs",
    "agent/plots/fonts/LICENSE.txt",
];

/// Where the words of the standards of codecs are used: in them a picture is what a stream codes.
const CODEC_FILES: [&str; 4] = [
    "world_model/episodes/src/video",
    "world_model/episodes/tests/video_kinds.rs",
    "world_model/episodes/tests/video_timing.rs",
    "world_model/episodes/tests/fixtures/videos/",
];

/// What breaks one rule: by file, the places.
type Places = BTreeMap<String, Vec<String>>;

/// Lines that are too long. Rows of tables in Markdown cannot be broken.
fn long_lines(files: &[SourceFile]) -> Places {
    collect(files, |file| {
        let is_table = |line: &str| file.path.ends_with(".md") && line.trim_start().starts_with('|');
        let lines = file.text.lines().enumerate();
        let long = lines.filter(|(_, line)| line.chars().count() > COLUMNS && !is_table(line));
        long.map(|(index, line)| format!("line {}: {} columns", index + 1, line.chars().count())).collect()
    })
}

/// Files of libraries and programs that are too long.
fn long_files(files: &[SourceFile]) -> Places {
    collect(files, |file| {
        let count = file.text.lines().count();
        let counts = file.path.contains("src/") && file.path.ends_with(".rs") && count > LINES;
        (0..if counts { count - LINES } else { 0 }).map(|_| format!("{count} lines")).collect()
    })
}

/// Old words, alone or inside of names. Names in files of before are kept readable by aliases, and names of random
/// streams cannot change: such lines are passed over.
fn old_words(files: &[SourceFile]) -> Places {
    collect(files, |file| {
        if WORDS_EXEMPT.contains(&file.path.as_str()) {
            return Vec::new();
        }
        let mut places = Vec::new();
        for (index, line) in file.text.lines().enumerate() {
            if ["alias", "child(\"", ".safetensors", "old name"].iter().any(|kept| line.contains(kept)) {
                continue;
            }
            for word in words(line) {
                let is_codec = CODEC_FILES.iter().any(|start| file.path.starts_with(start));
                if is_codec && word.starts_with("picture") {
                    continue;
                }
                if let Ok(found) = OLD_WORDS.binary_search_by(|(old, _)| (*old).cmp(&word)) {
                    places.push(format!("line {}: {word} ({})", index + 1, OLD_WORDS[found].1));
                }
            }
        }
        places
    })
}

/// The words of a line in lower case; names are cut at underscores and at capitals.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for letter in line.chars() {
        let begins = letter.is_uppercase() && before.is_lowercase();
        if !is_word(letter) || letter == '_' || begins {
            words.push(String::new());
        }
        if letter.is_alphabetic() {
            words.last_mut().unwrap().extend(letter.to_lowercase());
        }
        before = letter;
    }
    words.retain(|word| !word.is_empty());
    words
}

fn collect(files: &[SourceFile], places: impl Fn(&SourceFile) -> Vec<String>) -> Places {
    let all = files.iter().map(|file| (file.path.clone(), places(file)));
    all.filter(|(_, places)| !places.is_empty()).collect()
}

/// Every file with text for people or compilers.
fn repository_files() -> Vec<SourceFile> {
    files(&repository(), &[".rs", ".md", ".toml"])
}

fn allowances_path() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/style_allowances.toml")
}

/// Where more was found than is allowed, and allowances that nothing needs any more: rule, file, and the first places.
fn compare(rule: &str, found: &Places, allowed: &BTreeMap<String, usize>) -> Vec<String> {
    let mut broken = Vec::new();
    for (file, places) in found {
        let allowed = allowed.get(file).copied().unwrap_or(0);
        if places.len() > allowed {
            let shown: Vec<&str> = places.iter().take(8).map(String::as_str).collect();
            broken.push(format!("{file}: {rule}: {} (allowed: {allowed}): {}", places.len(), shown.join("; ")));
        }
    }
    let gone = allowed.keys().filter(|file| !found.contains_key(*file));
    broken.extend(gone.map(|file| format!("{file}: {rule}: nothing left: shrink the allowances (MINDSEYE_SHRINK=1)")));
    broken
}

/// Lowers every allowance to what was found; none grows, and none is added.
fn shrink(allowed: &mut BTreeMap<String, usize>, found: &Places) {
    let count = |file: &str| found.get(file).map_or(0, Vec::len);
    for (file, allowed) in allowed.iter_mut() {
        *allowed = count(file).min(*allowed);
    }
    allowed.retain(|_, count| *count > 0);
}

#[test]
fn rules_of_style_are_kept() {
    let text = std::fs::read_to_string(allowances_path()).unwrap();
    let mut allowed: BTreeMap<String, BTreeMap<String, usize>> = toml::from_str(&text).unwrap();
    let (files, shrinks) = (repository_files(), std::env::var_os("MINDSEYE_SHRINK").is_some());
    let mut broken = Vec::new();
    for (rule, check) in RULES {
        let (found, allowed) = (check(&files), allowed.entry(rule.to_owned()).or_default());
        if shrinks {
            shrink(allowed, &found);
        }
        broken.extend(compare(rule, &found, allowed));
    }
    if shrinks {
        let header = text.lines().take_while(|line| line.starts_with('#')).map(|line| format!("{line}\n"));
        let text = header.collect::<String>() + "\n" + &toml::to_string(&allowed).unwrap();
        std::fs::write(allowances_path(), text).unwrap();
    }
    assert!(broken.is_empty(), "{} files:\n{}", broken.len(), broken.join("\n"));
}

/// Finds the places that break one rule.
type Check = fn(&[SourceFile]) -> Places;

/// Names in the allowances, and what they check.
const RULES: [(&str, Check); 3] = [("long_files", long_files), ("long_lines", long_lines), ("old_words", old_words)];

fn made_up(path: &str, text: &str) -> Vec<SourceFile> {
    vec![SourceFile { path: path.into(), text: text.into() }]
}

#[test]
fn a_long_line_is_found_and_a_row_of_a_table_is_not() {
    let (long, row) = ("é".repeat(121), format!("| {} |", "x".repeat(130)));
    let found = long_lines(&made_up("docs/a.md", &format!("short\n{long}\n{row}\n")));
    assert_eq!(found["docs/a.md"], ["line 2: 121 columns"]);
    assert_eq!(long_lines(&made_up("src/a.rs", &row)).len(), 1);
    assert!(long_lines(&made_up("src/a.rs", &"é".repeat(120))).is_empty());
}

#[test]
fn a_long_source_file_is_found() {
    assert!(long_files(&made_up("sim/src/a.rs", &"\n".repeat(400))).is_empty());
    assert_eq!(long_files(&made_up("sim/src/a.rs", &"\n".repeat(402)))["sim/src/a.rs"].len(), 2);
}

#[test]
fn an_old_word_is_found_in_prose_and_in_names() {
    let text = "A lesson.\nlet goal_picture = PlanSlopes;\n#[serde(alias = \"readout\")]\nseed.child(\"lesson\")\n";
    let found = old_words(&made_up("sim/src/a.rs", text));
    assert_eq!(
        found["sim/src/a.rs"],
        ["line 1: lesson (target, sample)", "line 2: picture (image)", "line 2: slopes (gradients)"]
    );
}

#[test]
fn old_words_are_in_order_so_that_each_is_found() {
    assert!(OLD_WORDS.is_sorted());
}

#[test]
fn more_than_is_allowed_fails_and_an_allowance_without_need_too() {
    let found = long_lines(&made_up("src/a.rs", &"x".repeat(121)));
    let allowed = |count| BTreeMap::from([("src/a.rs".to_owned(), count)]);
    assert!(compare("long_lines", &found, &BTreeMap::new())[0].starts_with("src/a.rs: long_lines: 1 (allowed: 0)"));
    assert!(compare("long_lines", &found, &allowed(1)).is_empty());
    assert!(compare("long_lines", &Places::new(), &allowed(1))[0].contains("shrink"));
    let mut shrunk = BTreeMap::from([("src/a.rs".to_owned(), 5), ("src/gone.rs".to_owned(), 2)]);
    shrink(&mut shrunk, &found);
    assert_eq!(shrunk, allowed(1));
}

/// Where a package's tests are one program, cargo finds none by itself: a file that `all.rs` forgets would never run.
#[test]
fn every_file_of_tests_is_in_a_program() {
    let texts = files(&repository(), &[".rs", ".toml"]);
    let text_of = |path: &str| texts.iter().find(|file| file.path == path).map(|file| file.text.as_str());
    let programs = texts.iter().filter_map(|file| Some((file.path.strip_suffix("all.rs")?, &file.text)));
    let programs: Vec<_> = programs.filter(|(folder, _)| folder.ends_with("/tests/")).collect();
    assert!(programs.len() > 5, "found {}", programs.len());
    for (folder, listed) in programs {
        let manifest = text_of(&folder.replace("tests/", "Cargo.toml")).unwrap();
        let beside = texts.iter().filter_map(|file| file.path.strip_prefix(folder)?.strip_suffix(".rs"));
        for name in beside.filter(|name| !name.contains('/') && *name != "all") {
            let is_run = listed.contains(&format!("\nmod {name};")) || manifest.contains(&format!("name = \"{name}\""));
            assert!(is_run, "{folder}{name}.rs is in no program of tests");
        }
    }
}
