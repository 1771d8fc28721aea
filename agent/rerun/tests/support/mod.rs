//! Recordings that the program writes, read back with Rerun's own decoder.

#![allow(dead_code)] // every test file uses another part of this
#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::{Command, Output};

use rerun::external::re_log_encoding::DecoderApp;
use rerun::log::{Chunk, LogMsg};

/// The program, with images and plans of few candidates.
pub fn program(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mindseye-rerun"));
    command.args(words).env_remove("RUST_BACKTRACE");
    command
}

/// Runs the program, which has to succeed; what it printed.
pub fn succeed(words: &[&str]) -> String {
    let output = program(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Runs the program, which has to refuse in one line; that line.
pub fn refused(words: &[&str]) -> String {
    let Output { status, stderr, stdout } = program(words).output().unwrap();
    let line = text(&stderr);
    assert_eq!((status.code(), text(&stdout).as_str()), (Some(1), ""), "{words:?}: {line}");
    assert_eq!(line.lines().count(), 1, "{words:?}: {line}");
    line
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What is in one recording.
#[derive(Debug, Default)]
pub struct Recording {
    pub chunks: Vec<Chunk>,
}

impl Recording {
    /// Rows of the entity at `path`; 0 where there is none.
    pub fn rows(&self, path: &str) -> usize {
        self.chunks_of(path).map(Chunk::num_rows).sum()
    }

    pub fn chunks_of(&self, path: &str) -> impl Iterator<Item = &Chunk> {
        self.chunks.iter().filter(move |chunk| chunk.entity_path().to_string() == format!("/{path}"))
    }

    /// All entities, without Rerun's own properties.
    pub fn entities(&self) -> BTreeSet<String> {
        let paths = self.chunks.iter().map(|chunk| chunk.entity_path().to_string());
        let ours = paths.filter(|path| !path.starts_with("/__"));
        ours.map(|path| path.trim_start_matches('/').to_owned()).collect()
    }

    /// Names of the timelines that the rows of `path` are on.
    pub fn timelines(&self, path: &str) -> BTreeSet<String> {
        let timelines = self.chunks_of(path).flat_map(|chunk| chunk.timelines().keys());
        timelines.map(|name| name.to_string()).collect()
    }

    /// The scalars at `path`, in their order on the timeline `timeline`.
    pub fn scalars(&self, path: &str, timeline: &'static str) -> Vec<f64> {
        let component = rerun::Scalars::descriptor_scalars().component;
        let mut values = BTreeMap::new();
        for chunk in self.chunks_of(path) {
            let times = chunk.iter_component_indices(timeline.into(), component);
            for ((time, _), value) in times.zip(chunk.iter_slices::<f64>(component)) {
                values.insert(time.as_i64(), value[0]);
            }
        }
        values.into_values().collect()
    }

    /// The texts of the log, in their order.
    pub fn log(&self) -> Vec<String> {
        let component = rerun::TextLog::descriptor_text().component;
        let chunks = self.chunks_of("log");
        chunks.flat_map(|chunk| chunk.iter_slices::<String>(component)).map(|text| text[0].to_string()).collect()
    }
}

/// The recordings in the file at `path`, in their order; blueprints are left out.
pub fn read(path: &Path) -> Vec<Recording> {
    let mut recordings: Vec<(rerun::StoreId, Recording)> = Vec::new();
    for message in DecoderApp::decode_lazy(BufReader::new(File::open(path).unwrap())) {
        let LogMsg::ArrowMsg(store, message) = message.unwrap() else { continue };
        if store.kind() != rerun::StoreKind::Recording {
            continue;
        }
        let chunk = Chunk::from_arrow_msg(&message).unwrap();
        match recordings.iter_mut().find(|(known, _)| *known == store) {
            Some((_, recording)) => recording.chunks.push(chunk),
            None => recordings.push((store, Recording { chunks: vec![chunk] })),
        }
    }
    recordings.into_iter().map(|(_, recording)| recording).collect()
}

/// The entities of a table of the guide: with `BODY`, `TERM`, `CAMERA` and `NAME` for any name.
pub fn documented(heading: &str) -> BTreeSet<String> {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides/rerun.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let section = guide.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let cells = section.lines().filter(|line| line.starts_with("| `")).filter_map(|line| line.split('|').nth(1));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned)).collect()
}

/// Whether `path` is one of `documented`.
pub fn is_documented(path: &str, documented: &BTreeSet<String>) -> bool {
    let is_name = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_uppercase());
    documented.iter().any(|known| {
        let (parts, known): (Vec<_>, Vec<_>) = (path.split('/').collect(), known.split('/').collect());
        parts.len() == known.len() && parts.iter().zip(&known).all(|(part, known)| part == known || is_name(known))
    })
}
