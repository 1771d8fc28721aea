//! Fields of an answer, each with its path, so that an error names it.

use serde_json::Value;

/// What is wrong with an answer: the field, what was expected, what came.
#[derive(Debug, PartialEq)]
pub(crate) struct Defect(pub String);

/// Most characters of a value that an error shows.
const SHOWN: usize = 60;

/// A value and where it is in the answer.
#[derive(Debug, Clone)]
pub(crate) struct Field<'a> {
    path: String,
    value: &'a Value,
}

impl<'a> Field<'a> {
    /// The whole result.
    pub fn root(value: &'a Value) -> Self {
        Self { path: String::new(), value }
    }

    /// The error that this field is not `expected`.
    pub fn defect(&self, expected: impl std::fmt::Display) -> Defect {
        let got = match self.value {
            Value::Null => "null (NaN and infinities are none)".to_owned(),
            Value::Array(values) => format!("a list of {}", values.len()),
            Value::Object(fields) => format!("an object of {} fields", fields.len()),
            other => shortened(&other.to_string()),
        };
        self.got(expected, got)
    }

    /// The error that this field is not `expected` but `got`.
    pub fn got(&self, expected: impl std::fmt::Display, got: impl std::fmt::Display) -> Defect {
        let path = if self.path.is_empty() { "result" } else { &self.path };
        Defect(format!("{path}: expected {expected}, got {got}"))
    }

    fn child(&self, name: &str, value: &'a Value) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        Self { path: format!("{}{dot}{name}", self.path), value }
    }

    /// The field called `name`; none where it is missing or null.
    pub fn optional(&self, name: &str) -> Result<Option<Self>, Defect> {
        let fields = self.value.as_object().ok_or_else(|| self.defect("an object"))?;
        Ok(fields.get(name).filter(|value| !value.is_null()).map(|value| self.child(name, value)))
    }

    /// The field called `name`.
    pub fn get(&self, name: &str) -> Result<Self, Defect> {
        let fields = self.value.as_object().ok_or_else(|| self.defect("an object"))?;
        match fields.get(name) {
            Some(value) => Ok(self.child(name, value)),
            None => {
                let mut names = fields.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                names.truncate(names.char_indices().nth(SHOWN).map_or(names.len(), |(end, _)| end));
                Err(self.got(format!("a field `{name}`"), format!("fields {names}")))
            }
        }
    }

    /// The value as it is.
    pub fn value(&self) -> &'a Value {
        self.value
    }

    /// The elements of a list of exactly `count`, or of any number.
    pub fn elements(&self, count: Option<usize>) -> Result<Vec<Self>, Defect> {
        let expected = || count.map_or("a list".to_owned(), |count| format!("a list of {count}"));
        let values = self.value.as_array().ok_or_else(|| self.defect(expected()))?;
        if count.is_some_and(|count| count != values.len()) {
            return Err(self.defect(expected()));
        }
        let elements = values.iter().enumerate();
        Ok(elements.map(|(index, value)| Self { path: format!("{}[{index}]", self.path), value }).collect())
    }

    /// Names and values of an object.
    pub fn entries(&self) -> Result<Vec<(&'a str, Self)>, Defect> {
        let fields = self.value.as_object().ok_or_else(|| self.defect("an object"))?;
        Ok(fields.iter().map(|(name, value)| (name.as_str(), self.child(name, value))).collect())
    }

    /// A finite number.
    pub fn number(&self) -> Result<f64, Defect> {
        let number = self.value.as_f64().filter(|number| number.is_finite());
        number.ok_or_else(|| self.defect("a finite number"))
    }

    /// `count` finite numbers.
    pub fn numbers(&self, count: usize) -> Result<Vec<f64>, Defect> {
        self.elements(Some(count))?.iter().map(Self::number).collect()
    }

    /// True or false.
    pub fn truth(&self) -> Result<bool, Defect> {
        self.value.as_bool().ok_or_else(|| self.defect("true or false"))
    }

    /// A text.
    pub fn text(&self) -> Result<&'a str, Defect> {
        self.value.as_str().ok_or_else(|| self.defect("a text"))
    }
}

/// The beginning of `text`.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}

/// JSON in `line`. Python writes NaN and infinities as bare words, which are no JSON: they become null, so that the
/// error for them names their field.
pub(crate) fn parse(line: &[u8]) -> Result<Value, Defect> {
    let parsed = match serde_json::from_slice(line) {
        Err(_) if line.windows(3).any(|part| part == b"NaN" || part == b"Inf") => {
            serde_json::from_slice(&without_bare_words(line))
        }
        parsed => parsed,
    };
    parsed.map_err(|_| {
        let got = shortened(String::from_utf8_lossy(line).trim());
        Defect(format!("expected one JSON object per line, got `{got}`"))
    })
}

/// `line` with null for NaN, Infinity and -Infinity outside of texts.
fn without_bare_words(line: &[u8]) -> Vec<u8> {
    let (mut whole, mut rest, mut in_text) = (Vec::with_capacity(line.len()), line, false);
    while let Some((&byte, next)) = rest.split_first() {
        let word = [&b"NaN"[..], b"-Infinity", b"Infinity"].into_iter().find(|word| !in_text && rest.starts_with(word));
        if let Some(word) = word {
            whole.extend(b"null");
            rest = &rest[word.len()..];
            continue;
        }
        whole.push(byte);
        rest = next;
        match byte {
            b'"' => in_text = !in_text,
            b'\\' if in_text => {
                if let Some((&escaped, next)) = rest.split_first() {
                    whole.push(escaped);
                    rest = next;
                }
            }
            _ => {}
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field<'a>(value: &'a Value, name: &str) -> Field<'a> {
        Field::root(value).get(name).unwrap()
    }

    #[test]
    fn an_error_names_the_field_and_what_it_is() {
        let value = parse(br#"{"steps": [{"state": [1, NaN]}], "name": "NaN \" Infinity", "far": -Infinity}"#).unwrap();
        assert_eq!(value["name"], "NaN \" Infinity", "texts stay as they are");
        let step = field(&value, "steps").elements(None).unwrap().remove(0);
        let error = step.get("state").unwrap().numbers(2).unwrap_err();
        let expected = "steps[0].state[1]: expected a finite number, got null (NaN and infinities are none)";
        assert_eq!(error, Defect(expected.into()));
        assert!(field(&value, "far").number().is_err());
        let error = step.get("state").unwrap().numbers(3).unwrap_err();
        assert_eq!(error, Defect("steps[0].state: expected a list of 3, got a list of 2".into()));
        assert!(step.get("frames").unwrap_err().0.contains("expected a field `frames`, got fields state"));
    }

    #[test]
    fn what_is_no_json_is_shown_in_short() {
        let error = parse(&[b'x'; 500]).unwrap_err().0;
        assert!(error.contains("JSON") && error.len() < 200, "{error}");
        assert!(parse(b"[NaN").is_err());
    }
}
