//! What must hold of an output after a fault, and in the end.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use mindseye_episodes::{EpisodeData, open};

use crate::support::{succeed, tree};
use crate::verbs::{Output, Verb};

/// A promise that was broken.
#[derive(Debug)]
pub enum Violation {
    /// Finished work is gone or changed.
    Lost(String),
    /// Something half reads as whole.
    Half(String),
    /// A panic, an abort, a hang, or an error of another form than one line.
    Panic(String),
    /// A file that nobody needs.
    LeftOver(String),
    /// The command cannot go on.
    Stuck(String),
}

impl Violation {
    pub const KINDS: [&'static str; 5] = ["lost", "half", "panic", "left over", "stuck"];

    /// Place of its kind in [`Violation::KINDS`].
    pub fn kind(&self) -> usize {
        match self {
            Self::Lost(_) => 0,
            Self::Half(_) => 1,
            Self::Panic(_) => 2,
            Self::LeftOver(_) => 3,
            Self::Stuck(_) => 4,
        }
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Lost(text) | Self::Half(text) | Self::Panic(text) | Self::LeftOver(text) | Self::Stuck(text)) = self;
        write!(formatter, "{}: {text}", Self::KINDS[self.kind()])
    }
}

/// How a verb ends undisturbed.
pub struct Reference {
    verb: &'static Verb,
    result: Content,
    pub took: Duration,
}

/// What an output says, without what depends on the machine.
#[derive(PartialEq)]
enum Content {
    Episodes(Vec<EpisodeData>),
    Files(BTreeMap<&'static str, Vec<u8>>),
    Fields(BTreeMap<&'static str, serde_json::Value>),
    Film(Vec<u8>),
}

impl Content {
    /// The whole content of the output of `verb` in `folder`; an error where there is none, or not a whole one.
    fn read(verb: &Verb, folder: &Path) -> Result<Self, String> {
        let out = folder.join(verb.out());
        let file = |name: &str| std::fs::read(out.join(name)).map_err(|error| format!("{name}: {error}"));
        match verb.makes {
            Output::Recording | Output::Dataset => {
                let source = open(&out).map_err(|error| error.to_string())?;
                let episodes: Result<_, _> = (0..source.len()).map(|index| source.read_episode(index)).collect();
                episodes.map(Self::Episodes).map_err(|error| error.to_string())
            }
            Output::Files(names) => {
                let files: Result<_, String> = names.iter().map(|name| Ok((*name, file(name)?))).collect();
                files.map(Self::Files)
            }
            Output::Report(name, fields) => {
                let bytes = file(name)?;
                let report: serde_json::Value = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
                Ok(Self::Fields(fields.iter().map(|field| (*field, without_times(&report[*field]))).collect()))
            }
            Output::Film => {
                let film = std::fs::read(&out).map_err(|error| error.to_string())?;
                // A film shows how long planning took: only its frames' sizes and its end are the same every time.
                if film.starts_with(b"GIF89a") && film.ends_with(&[0x3b]) {
                    Ok(Self::Film(film[6..10].to_vec()))
                } else {
                    Err("a film without its end".into())
                }
            }
        }
    }
}

/// `value` without fields that measure time.
fn without_times(value: &serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, _)| !name.ends_with("_ms") && *name != "threads");
            kept.map(|(name, value)| (name.clone(), without_times(value))).collect()
        }
        serde_json::Value::Array(values) => values.iter().map(without_times).collect(),
        other => other.clone(),
    }
}

/// Parts of names of files that are gone once a command has ended well.
const LEFT_OVER: [&str; 5] = [".partial", "unfinished", ".training.", ".journal", ".lock"];

impl Reference {
    pub fn of(verb: &'static Verb, folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let started = Instant::now();
        succeed(folder, &verb.words(folder));
        let took = started.elapsed();
        let result = Content::read(verb, folder).unwrap_or_else(|error| panic!("{}: {error}", verb.name));
        Self { verb, result, took }
    }

    /// What must hold of an output that was interrupted: what reads as whole is whole, and a recording (of which
    /// `progress` episodes were there before) only grows.
    pub fn check_interrupted(&self, folder: &Path, progress: &mut usize) -> Option<Violation> {
        let content = match Content::read(self.verb, folder) {
            Ok(content) => content,
            // Absent or known to be unfinished, unless there was a part that was finished.
            Err(_) if *progress == 0 => return None,
            Err(error) => return Some(Violation::Lost(format!("{progress} episodes were there: {error}"))),
        };
        match (self.verb.makes, &content, &self.result) {
            (Output::Recording, Content::Episodes(there), Content::Episodes(whole)) => {
                let before = std::mem::replace(progress, there.len());
                if there.len() < before {
                    return Some(Violation::Lost(format!("{before} episodes, then {}", there.len())));
                }
                (!whole.starts_with(there)).then(|| Violation::Lost("episodes differ from those of a whole run".into()))
            }
            (Output::Dataset, Content::Episodes(there), Content::Episodes(whole)) if there.len() < whole.len() => {
                Some(Violation::Half(format!("{} of {} episodes read as a whole data set", there.len(), whole.len())))
            }
            _ => (content != self.result).then(|| Violation::Half("what reads as whole is not".into())),
        }
    }

    /// What must hold once the command was left alone: it ends well, with the same result, and nothing is left over.
    pub fn check_finished(&self, folder: &Path) -> Vec<Violation> {
        let is_done = self.verb.makes != Output::Recording && self.is_whole(folder) && !self.is_unfinished(folder);
        if !is_done {
            let words = self.verb.words(folder);
            let mut command = Command::new(env!("CARGO_BIN_EXE_mindseye"));
            let output = command.args(&words).env("XDG_CACHE_HOME", folder.join("cache")).current_dir(folder).output();
            let output = output.unwrap();
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                return vec![Violation::Stuck(format!("{words:?}: {said}"))];
            }
        }
        let mut violations: Vec<Violation> = match Content::read(self.verb, folder) {
            Ok(content) if content == self.result => Vec::new(),
            Ok(_) => vec![Violation::Lost("the result differs from that of an undisturbed run".into())],
            Err(error) => vec![Violation::Lost(error)],
        };
        let left = tree(folder).into_keys().filter(|path| {
            let name = path.to_string_lossy();
            LEFT_OVER.iter().any(|part| name.contains(part))
        });
        violations.extend(left.map(|path| Violation::LeftOver(path.display().to_string())));
        violations
    }

    /// Whether the output is there and equal to that of an undisturbed run.
    pub fn is_whole(&self, folder: &Path) -> bool {
        Content::read(self.verb, folder).is_ok_and(|content| content == self.result)
    }

    /// Whether files are left that only going on (or beginning anew) removes.
    fn is_unfinished(&self, folder: &Path) -> bool {
        tree(folder).keys().any(|path| LEFT_OVER.iter().any(|part| path.to_string_lossy().contains(part)))
    }
}
