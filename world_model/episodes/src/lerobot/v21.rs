//! The episodes and tasks of v2.1, which are lines of JSON.

use std::collections::BTreeMap;
use std::path::Path;

use mindseye_interface::inputs;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::episode_row::{EpisodeRow, VideoPlace};
use super::info::{FilePlace, Info, MAX_BYTES};
use crate::{Error, Result};

#[derive(Deserialize)]
struct EpisodeLine {
    episode_index: usize,
    #[serde(default)]
    tasks: Vec<String>,
    length: usize,
}

#[derive(Deserialize)]
struct TaskLine {
    task_index: usize,
    task: String,
}

/// The objects in `meta/<name>`, with their line numbers.
fn read_lines<T: DeserializeOwned>(root: &Path, name: &str) -> Result<Vec<(usize, T)>> {
    let path = root.join("meta").join(name);
    let text = inputs::read_text(&path, MAX_BYTES).map_err(|error| Error::file(&path, "reading", error))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let parse = |(number, line): (usize, &str)| match serde_json::from_str(line) {
        Ok(value) => Ok((number + 1, value)),
        Err(error) => Err(Error::content(&path, format!("line {}", number + 1), "an object of LeRobot v2.1", error)),
    };
    lines.map(parse).collect()
}

/// The episodes, one file each.
///
/// # Errors
/// [`Error::Content`] that names the line.
pub(super) fn read_rows(root: &Path, info: &Info) -> Result<Vec<EpisodeRow>> {
    let mut lines = read_lines::<EpisodeLine>(root, "episodes.jsonl")?;
    lines.sort_by_key(|(_, line)| line.episode_index);
    let path = root.join("meta").join("episodes.jsonl");
    let (mut rows, mut first_frame) = (Vec::with_capacity(lines.len()), 0usize);
    for (episode, (number, line)) in lines.into_iter().enumerate() {
        if line.episode_index != episode {
            let field = format!("line {number} episode_index");
            return Err(Error::content(&path, field, episode, line.episode_index));
        }
        let end = first_frame.checked_add(line.length).filter(|end| *end <= u32::MAX as usize);
        let Some(end) = end.filter(|_| line.length > 0) else {
            let expected = format!("1 to {} frames", u32::MAX);
            return Err(Error::content(&path, format!("line {number} length"), expected, line.length));
        };
        let data = FilePlace { chunk: episode / info.chunks_size, file: episode };
        let cameras = info.features.0.iter().filter(|(_, feature)| feature.is_video());
        let videos: BTreeMap<String, VideoPlace> =
            cameras.map(|(camera, _)| (camera.clone(), VideoPlace { file: data, from_secs: 0.0 })).collect();
        rows.push(EpisodeRow { length: line.length, tasks: line.tasks, data, first_frame, videos });
        first_frame = end;
    }
    Ok(rows)
}

/// The task texts in the order of their numbers.
///
/// # Errors
/// [`Error::Content`] that names the line.
pub(super) fn read_tasks(root: &Path) -> Result<Vec<String>> {
    let mut lines = read_lines::<TaskLine>(root, "tasks.jsonl")?;
    lines.sort_by_key(|(_, line)| line.task_index);
    let path = root.join("meta").join("tasks.jsonl");
    for (number, (line, task)) in lines.iter().enumerate() {
        if task.task_index != number {
            return Err(Error::content(&path, format!("line {line} task_index"), number, task.task_index));
        }
    }
    Ok(lines.into_iter().map(|(_, line)| line.task).collect())
}
