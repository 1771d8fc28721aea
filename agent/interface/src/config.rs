//! Configs are plain serde structs in TOML: read once, validated once, never mutated.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// A config that can say what is wrong with itself.
pub trait Validate {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Field`] with the name and value of the first field that makes no sense.
    fn validate(&self) -> Result<()>;
}

/// Reads and validates the TOML file at `path`. Unknown fields are errors where the struct denies them (all of ours do).
///
/// # Errors
/// [`Error::File`] with the file and the reason (which names the field) on one line.
pub fn load<T: DeserializeOwned + Validate>(path: &Path) -> Result<T> {
    let file_error = |reason: String| Error::File { path: path.to_path_buf(), reason };
    let text = std::fs::read_to_string(path).map_err(|error| file_error(error.to_string()))?;
    parse(&text).map_err(|error| file_error(error.to_string()))
}

/// Parses and validates TOML text.
///
/// # Errors
/// [`Error::Field`]; where the parser itself refuses, the field is the line number.
pub fn parse<T: DeserializeOwned + Validate>(text: &str) -> Result<T> {
    let config: T = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let reason = error.message().replace('\n', " ");
        Error::field(format!("line {line}"), "a valid config", reason)
    })?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        horizon: usize,
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
}
