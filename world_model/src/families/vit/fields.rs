//! Fields of a `config.json` by any of the names that authors and libraries give them.

use std::path::{Path, PathBuf};

use mindseye_interface::inputs;
use serde_json::Value;

use crate::{Error, Result};

/// Names of objects that sizes may be in, beside the root.
const SECTIONS: [&str; 5] = ["model", "data", "config", "args", "meta"];

/// A config, or the absence of one.
#[derive(Debug, Clone)]
pub(super) struct Fields {
    /// The file, for errors.
    pub path: PathBuf,
    value: Value,
}

/// A number and the name of its field.
pub(super) type Field = (String, f64);

impl Fields {
    /// The `config.json` in `folder`; empty where there is none.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read or is no JSON object.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("config.json");
        let refused = |reason: String| Error::file(&path, reason);
        let text = inputs::read_if_present(&path, inputs::MAX_CONFIG_BYTES);
        let value = match text.map_err(|error| refused(error.to_string()))? {
            None => Value::Null,
            Some(text) => serde_json::from_slice(&text).map_err(|error| refused(error.to_string()))?,
        };
        if !value.is_null() && !value.is_object() {
            return Err(refused("expected a JSON object".into()));
        }
        Ok(Self { path, value })
    }

    /// The object of the part `part` alone; empty where there is none.
    pub fn section(&self, part: &str) -> Self {
        let found = [&self.value[part], &self.value["model"][part]].into_iter().find(|value| value.is_object());
        Self { path: self.path.clone(), value: found.cloned().unwrap_or_default() }
    }

    /// The objects that fields are looked for in, of the part `part` first.
    fn places<'a>(&'a self, part: &str) -> impl Iterator<Item = &'a Value> {
        let sections = SECTIONS.iter().map(|name| &self.value[*name]);
        let own = [&self.value[part], &self.value["model"][part]];
        own.into_iter().chain([&self.value]).chain(sections).collect::<Vec<_>>().into_iter()
    }

    /// The first of the fields `names` that there is, of the part `part`, the root, or a section.
    pub fn value(&self, part: &str, names: &[&str]) -> Option<(String, &Value)> {
        self.places(part).find_map(|place| {
            names.iter().find_map(|name| {
                let value = &place[*name];
                (!value.is_null() && !value.is_object()).then(|| ((*name).to_owned(), value))
            })
        })
    }

    /// As [`Fields::value`], a number. Of a list of two equal numbers (a height and a width), one.
    ///
    /// # Errors
    /// For anything but a finite number of 0 or more.
    pub fn number(&self, part: &str, names: &[&str]) -> std::result::Result<Option<Field>, String> {
        let Some((name, value)) = self.value(part, names) else { return Ok(None) };
        let number = match value.as_array().map(Vec::as_slice) {
            Some([one]) => one.as_f64(),
            Some([first, second]) if first == second => first.as_f64(),
            Some(_) => None,
            None => value.as_f64(),
        };
        match number.filter(|number| number.is_finite() && *number >= 0.0) {
            Some(number) => Ok(Some((name, number))),
            None => Err(format!("{name}: expected a number of 0 or more, got {value}")),
        }
    }

    /// As [`Fields::number`], a whole number up to 2^32.
    ///
    /// # Errors
    /// As [`Fields::number`].
    pub fn count(&self, part: &str, names: &[&str]) -> std::result::Result<Option<(String, usize)>, String> {
        match self.number(part, names)? {
            None => Ok(None),
            Some((name, number)) if number.fract() == 0.0 && number <= 4_294_967_296.0 => {
                Ok(Some((name, number as usize)))
            }
            Some((name, number)) => Err(format!("{name}: expected a whole number up to 2^32, got {number}")),
        }
    }

    /// The number `measured` in the weights, with which the config has to agree where it has the field.
    ///
    /// # Errors
    /// When the config has another number: both are named.
    pub fn agreed(
        &self,
        part: &str,
        names: &[&str],
        measured: usize,
        source: &str,
    ) -> std::result::Result<usize, String> {
        match self.count(part, names)? {
            Some((name, number)) if number != measured => {
                Err(format!("{name}: expected {measured} as the weights have ({source}), got {number}"))
            }
            _ => Ok(measured),
        }
    }

    /// As [`Fields::value`], true or false.
    ///
    /// # Errors
    /// For anything else.
    pub fn flag(&self, part: &str, names: &[&str]) -> std::result::Result<Option<bool>, String> {
        match self.value(part, names) {
            None => Ok(None),
            Some((name, value)) => {
                let flag = value.as_bool().or_else(|| value.as_u64().filter(|number| *number < 2).map(|one| one == 1));
                flag.map(Some).ok_or_else(|| format!("{name}: expected true or false, got {value}"))
            }
        }
    }

    /// As [`Fields::value`], a text.
    pub fn text(&self, part: &str, names: &[&str]) -> Option<(String, &str)> {
        self.value(part, names).and_then(|(name, value)| Some((name, value.as_str()?)))
    }

    /// The list of whole numbers in a field.
    pub fn numbers(&self, part: &str, names: &[&str]) -> Option<Vec<usize>> {
        let (_, value) = self.value(part, names)?;
        value.as_array()?.iter().map(|number| usize::try_from(number.as_u64()?).ok()).collect()
    }

    /// Names of classes, by `id2label`: as many as there are from 0 on.
    pub fn labels(&self) -> Vec<String> {
        let label = |class: usize| self.value["id2label"][class.to_string()].as_str().map(str::to_owned);
        (0..).map_while(label).collect()
    }
}
