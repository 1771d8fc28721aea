//! Settings as rows of names and values.

use serde::Serialize;
use serde_json::Value;

use crate::{Error, Result};

/// Every field of `settings` with its value; fields of fields are named `outer.inner`, lists of plain values are on one
/// row.
pub(crate) fn flattened(settings: &impl Serialize) -> Result<Vec<(String, String)>> {
    // By way of text: a number of 32 bits keeps its few digits there.
    let read = serde_json::to_string(settings).and_then(|text| serde_json::from_str::<Value>(&text));
    let value = read.map_err(|error| Error::Data {
        operation: "settings of a report",
        expected: "fields with values".into(),
        got: error.to_string(),
    })?;
    let mut rows = Vec::new();
    collect("", &value, &mut rows);
    Ok(rows)
}

fn collect(name: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    let inner = |inner: &str| if name.is_empty() { inner.to_owned() } else { format!("{name}.{inner}") };
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().for_each(|(field, value)| collect(&inner(field), value, rows));
        }
        Value::Array(values) if values.iter().any(|value| value.is_object() || value.is_array()) => {
            values.iter().enumerate().for_each(|(index, value)| collect(&inner(&index.to_string()), value, rows));
        }
        Value::Array(values) if !values.is_empty() => {
            rows.push((name.to_owned(), values.iter().map(plain).collect::<Vec<_>>().join(", ")));
        }
        value => rows.push((name.to_owned(), plain(value))),
    }
}

/// A value without parts.
fn plain(value: &Value) -> String {
    match value {
        Value::Null | Value::Object(_) | Value::Array(_) => "none".into(),
        Value::String(text) => text.clone(),
        Value::Bool(is) => if *is { "yes" } else { "no" }.into(),
        Value::Number(number) => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_a_row() -> Result<()> {
        let settings = serde_json::json!({
            "name": "a", "on": true, "task": {"rate": 0.1f32, "none": null, "list": [1, 2], "empty": []},
            "boxes": [{"low": [0.5]}, {"low": [1.5]}],
        });
        let expected = [
            ("boxes.0.low", "0.5"),
            ("boxes.1.low", "1.5"),
            ("name", "a"),
            ("on", "yes"),
            ("task.empty", "none"),
            ("task.list", "1, 2"),
            ("task.none", "none"),
        ];
        let rows = flattened(&settings)?;
        for (name, value) in expected {
            assert!(rows.contains(&(name.into(), value.into())), "{name} in {rows:?}");
        }
        assert_eq!(rows.len(), expected.len() + 1);
        Ok(())
    }

    #[test]
    fn numbers_of_32_bits_keep_their_digits() -> Result<()> {
        #[derive(Serialize)]
        struct Rate {
            rate: f32,
        }
        assert_eq!(flattened(&Rate { rate: 0.3 })?, [("rate".to_owned(), "0.3".to_owned())]);
        Ok(())
    }
}
