//! The attribute that mindseye adds to stable-worldmodel's files: JSON with what their columns cannot express. Other
//! readers ignore it.

use std::path::Path;

use hdf5_pure::File;
use serde::{Deserialize, Serialize};

use crate::mapping::ColumnKind;
use crate::sidecar::Sidecar;
use crate::swm::{ACTIONS, PROPRIOCEPTION, STATES};
use crate::{Error, Result};

/// Name of the attribute of the root group.
pub(super) const NOTES: &str = "mindseye";
/// Version of its content.
const VERSION: u32 = 1;

/// The contents of the attribute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Notes {
    pub version: u32,
    /// Timesteps per second.
    pub frames_per_second: f64,
    /// Names of the elements of `proprio`; may be empty.
    pub proprioception_names: Vec<String>,
    /// Names of the elements of `state`; may be empty.
    pub state_names: Vec<String>,
    /// Names of the elements of `action`; may be empty.
    pub action_names: Vec<String>,
    /// The tasks of the episodes, one entry per change.
    pub tasks: Vec<Task>,
    /// Origin of the episodes.
    pub sidecar: Option<Sidecar>,
}

/// The task of the episodes from `first_episode` on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Task {
    pub first_episode: usize,
    /// The task in words.
    pub text: String,
}

impl Notes {
    pub fn new(frames_per_second: f64, names: [Vec<String>; 3], sidecar: Option<Sidecar>) -> Self {
        let [action_names, state_names, proprioception_names] = names;
        let tasks = Vec::new();
        Self { version: VERSION, frames_per_second, proprioception_names, state_names, action_names, tasks, sidecar }
    }

    /// Sets the task of the episodes from `first_episode` on.
    pub fn begin_task(&mut self, first_episode: usize, text: &str) {
        self.tasks.retain(|task| task.first_episode < first_episode);
        if self.tasks.last().is_none_or(|last| last.text != text) {
            self.tasks.push(Task { first_episode, text: text.into() });
        }
    }

    /// The task of episode `index`.
    pub fn task(&self, index: usize) -> Option<&str> {
        let after = self.tasks.partition_point(|task| task.first_episode <= index);
        self.tasks[..after].last().map(|task| task.text.as_str())
    }

    /// Every text once, in the order of its first use.
    pub fn texts(&self) -> Vec<String> {
        let mut texts: Vec<String> = Vec::new();
        for task in &self.tasks {
            if !texts.contains(&task.text) {
                texts.push(task.text.clone());
            }
        }
        texts
    }

    /// Names of the elements of column `name`; empty for columns that mindseye does not write.
    pub fn elements(&self, name: &str) -> Vec<String> {
        let columns = [
            (ACTIONS[0], &self.action_names),
            (STATES[0], &self.state_names),
            (PROPRIOCEPTION[0], &self.proprioception_names),
        ];
        columns.into_iter().find(|(column, _)| *column == name).map(|(_, names)| names.clone()).unwrap_or_default()
    }

    /// Reads the attribute of the file at `path`; files of other tools have none.
    ///
    /// # Errors
    /// [`Error::Content`] that names the field.
    pub fn read(file: &File, path: &Path) -> Result<Option<Self>> {
        let root = file.root();
        if !root.attr_datatypes().is_ok_and(|known| known.contains_key(NOTES)) {
            return Ok(None);
        }
        let attributes = root.attrs().map_err(|error| Error::file(path, "reading HDF5", error))?;
        let refuse = |field: &str, expected: String, got: String| {
            Err(Error::content(path, format!("{NOTES}.{field}"), expected, got)) //
        };
        let Some(text) = attributes.get(NOTES).and_then(|value| value.as_str()) else {
            return Err(Error::content(path, NOTES, "a text", "something else"));
        };
        let notes: Self =
            serde_json::from_str(text).map_err(|error| Error::content(path, NOTES, "valid fields", error))?;
        if notes.version != VERSION {
            return refuse("version", VERSION.to_string(), notes.version.to_string());
        }
        if !(notes.frames_per_second.is_finite() && notes.frames_per_second > 0.0) {
            return refuse("frames_per_second", "above 0".into(), notes.frames_per_second.to_string());
        }
        if !notes.tasks.is_sorted_by(|one, other| one.first_episode < other.first_episode) {
            return refuse("tasks", "ascending episodes".into(), "others".into());
        }
        Ok(Some(notes))
    }

    /// Checks that names and bounds fit the columns, whose content `kind` returns.
    ///
    /// # Errors
    /// [`Error::Content`] that names the field.
    pub fn check<'a>(&self, path: &Path, kind: impl Fn(&str) -> Option<&'a ColumnKind>) -> Result<()> {
        let width = |name: &str| match kind(name) {
            Some(ColumnKind::Vector(width)) => *width,
            _ => 0,
        };
        for (field, names, column) in [
            ("proprioception_names", &self.proprioception_names, PROPRIOCEPTION[0]),
            ("state_names", &self.state_names, STATES[0]),
            ("action_names", &self.action_names, ACTIONS[0]),
        ] {
            if !(names.is_empty() || names.len() == width(column)) {
                let field = format!("{NOTES}.{field}");
                return Err(Error::content(path, field, format!("{} or none", width(column)), names.len()));
            }
        }
        self.sidecar.as_ref().map_or(Ok(()), |sidecar| sidecar.check(path, width(ACTIONS[0])))
    }
}
