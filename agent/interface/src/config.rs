//! Configs are plain serde structs in TOML: read once, validated once, never mutated.

mod former_names;

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use self::former_names::without_former_names;
use crate::text::is_printable;
use crate::{Error, Result, inputs, text};

/// A config that checks its own values.
pub trait Validate {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Field`] with the name and value of the first field that is outside its range.
    fn validate(&self) -> Result<()>;

    /// Makes paths that the config names relative to `folder`, the folder of the file it was read from. Configs without
    /// paths have nothing to do.
    fn resolve_paths(&mut self, _folder: &Path) {}
}

/// Files that may build on each other with `base`; more is a circle.
const MAX_BASES: usize = 16;

/// Reads and validates the TOML file at `path`. Unknown fields are errors where the struct denies them (all of ours
/// do).
///
/// A file may say `base = "other.toml"` (relative to itself): it then has all fields of that file, and changes those
/// that it names. Tables are merged field by field, except where their `kind` differs: such a table replaces the
/// base's.
///
/// # Errors
/// [`Error::File`] with the file and the reason (which names the field) on one line.
pub fn load<T: DeserializeOwned + Validate>(path: &Path) -> Result<T> {
    load_with(path, &Path::to_path_buf)
}

/// As [`load`]. A `base` that is not beside its file is where `find` says.
///
/// # Errors
/// As [`load`].
pub fn load_with<T: DeserializeOwned + Validate>(path: &Path, find: &dyn Fn(&Path) -> PathBuf) -> Result<T> {
    let file_error = |reason: String| Error::File { path: path.to_path_buf(), reason };
    let text = read(path)?;
    let mut config: T = if table(path, &text)?.contains_key("base") {
        let merged = with_bases(path, find)?;
        let config: T = T::deserialize(merged).map_err(|error| file_error(reason(&error)))?;
        config.validate().map_err(|error| file_error(error.to_string()))?;
        config
    } else {
        parse(&text).map_err(|error| file_error(error.to_string()))?
    };
    config.resolve_paths(path.parent().unwrap_or(Path::new("")));
    Ok(config)
}

fn read(path: &Path) -> Result<String> {
    inputs::read_text(path, inputs::MAX_CONFIG_BYTES)
        .map_err(|error| Error::File { path: path.to_path_buf(), reason: error.to_string() })
}

/// The file's table as it stands; unknown fields are left for [`parse`] to refuse.
fn table(path: &Path, text: &str) -> Result<Table> {
    match text.parse::<Table>() {
        Ok(table) => Ok(table),
        Err(error) => Err(Error::File { path: path.to_path_buf(), reason: located(text, &error).to_string() }),
    }
}

/// The table of the file at `path`, merged over those that it is based on.
fn with_bases(path: &Path, find: &dyn Fn(&Path) -> PathBuf) -> Result<Table> {
    let mut files: Vec<(PathBuf, Table)> = Vec::new();
    let mut next = Some(path.to_path_buf());
    while let Some(current) = next {
        let mut own = table(&current, &read(&current)?)?;
        next = match own.remove("base") {
            None => None,
            Some(Value::String(base)) => {
                let beside = current.parent().unwrap_or(Path::new("")).join(&base);
                let found = if beside.exists() { beside } else { find(Path::new(&base)) };
                if !found.exists() {
                    let error = Error::field("base", "a file, relative to this one", text::printable(&base));
                    return Err(Error::File { path: current, reason: error.to_string() });
                }
                Some(found)
            }
            Some(other) => {
                let error = Error::field("base", "the name of a file", other);
                return Err(Error::File { path: current, reason: error.to_string() });
            }
        };
        files.push((current, own));
        if files.len() > MAX_BASES {
            let error = Error::field("base", format!("at most {MAX_BASES} files, one based on the other"), "more");
            return Err(Error::File { path: path.to_path_buf(), reason: error.to_string() });
        }
    }
    Ok(files.into_iter().rev().fold(Table::new(), |base, (_, own)| merged(base, own)))
}

/// `base` with the fields of `own`.
fn merged(mut base: Table, own: Table) -> Table {
    for (name, value) in own {
        let before = base.remove(&name);
        let value = match (before, value) {
            (Some(Value::Table(before)), Value::Table(own)) if same_kind(&before, &own) => {
                Value::Table(merged(before, own))
            }
            (_, own) => own,
        };
        base.insert(name, value);
    }
    base
}

fn same_kind(base: &Table, own: &Table) -> bool {
    own.get("kind").is_none_or(|kind| base.get("kind") == Some(kind))
}

fn located(text: &str, error: &toml::de::Error) -> Error {
    let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    Error::field(format!("line {line}"), "a valid config", reason(error))
}

/// The parser's message on one line.
fn reason(error: &toml::de::Error) -> String {
    without_former_names(&error.message().replace('\n', " "))
}

/// Parses and validates TOML text.
///
/// # Errors
/// [`Error::Field`]; where the parser itself refuses, the field is the line number.
pub fn parse<T: DeserializeOwned + Validate>(text: &str) -> Result<T> {
    let config: T = toml::from_str(text).map_err(|error| located(text, &error))?;
    config.validate()?;
    Ok(config)
}

/// Refuses a value outside `low..=high`, naming the field.
///
/// # Errors
/// [`Error::Field`].
pub fn require_range<T: PartialOrd + std::fmt::Display>(field: &str, value: T, low: T, high: T) -> Result<()> {
    if value >= low && value <= high { Ok(()) } else { Err(Error::field(field, format!("{low} to {high}"), value)) }
}

/// Refuses another number of values than `expected`, naming the field.
///
/// # Errors
/// [`Error::Field`].
pub fn require_count(field: &str, got: usize, expected: usize) -> Result<()> {
    if got == expected { Ok(()) } else { Err(Error::field(field, format!("{expected} values"), got)) }
}

/// Most characters of a name.
const MAX_NAME: usize = 200;

/// Refuses names that cannot be printed as they are, or are longer than 200 characters.
///
/// # Errors
/// [`Error::Field`], with the place of the name in `field`.
pub fn require_names(field: &str, names: &[String]) -> Result<()> {
    let bad = |name: &String| !is_printable(name) || name.chars().count() > MAX_NAME;
    match names.iter().enumerate().find(|(_, name)| bad(name)) {
        None => Ok(()),
        Some((index, name)) => {
            let expected = format!("a name of at most {MAX_NAME} characters without control characters");
            Err(Error::field(format!("{field}[{index}]"), expected, name))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        horizon: usize,
        #[serde(default)]
        planner: Option<Planner>,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
    enum Planner {
        Icem { samples: usize, elites: usize },
        Gradient { steps: usize },
    }

    impl Validate for Example {
        fn validate(&self) -> Result<()> {
            require_range("horizon", self.horizon, 1, 100)
        }
    }

    #[test]
    fn a_bad_config_names_file_and_field() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("task.toml");
        let load_error = |text: &str| {
            std::fs::write(&path, text).unwrap();
            load::<Example>(&path).unwrap_err().to_string()
        };
        for (text, named) in [("horizon = 3\nhorizont = 4", "horizont"), ("horizon = 0", "horizon"), ("", "horizon")] {
            let error = load_error(text);
            assert!(error.contains("task.toml") && error.contains(named) && !error.contains('\n'), "{error}");
        }
        std::fs::write(&path, "horizon = 3").unwrap();
        assert_eq!(load::<Example>(&path).unwrap().horizon, 3);
    }

    #[test]
    fn a_file_changes_what_it_names_of_the_file_it_is_based_on() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let load = |name: &str| load::<Example>(&folder.path().join(name));
        write("base.toml", "horizon = 3\n[planner]\nkind = \"icem\"\nsamples = 64\nelites = 8");
        write("few.toml", "base = \"base.toml\"\n[planner]\nsamples = 16");
        write("other.toml", "base = \"few.toml\"\nhorizon = 5\n[planner]\nkind = \"gradient\"\nsteps = 2");
        assert_eq!(load("few.toml").unwrap().planner, Some(Planner::Icem { samples: 16, elites: 8 }));
        let other = load("other.toml").unwrap();
        assert_eq!((other.horizon, other.planner), (5, Some(Planner::Gradient { steps: 2 })));
        for (text, named) in [
            ("base = \"missing.toml\"", "missing.toml"),
            ("base = 3", "base"),
            ("base = \"bad.toml\"", "circle"),
            ("base = \"base.toml\"\nhorizont = 4", "horizont"),
            ("base = \"base.toml\"\nhorizon = 0", "horizon"),
        ] {
            write("bad.toml", text);
            let error = load("bad.toml").unwrap_err().to_string();
            assert!(error.contains(".toml") && !error.contains('\n'), "{error}");
            assert!(error.contains(named) || named == "circle" && error.contains("at most 16"), "{error}");
        }
    }
}
