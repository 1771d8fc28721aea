//! The records of a run: one JSON line per measurement, and the same numbers as a TensorBoard event file.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use mindseye_interface::inputs;
use serde_json::{Map, Value};

use crate::{Error, Result};

/// One measurement: a kind (`train`, `validation`, the name of a head), the step, and named numbers in the order they
/// were added.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    kind: &'static str,
    step: usize,
    values: Vec<(String, f64)>,
}

impl Record {
    /// An empty measurement.
    pub(crate) fn new(kind: &'static str, step: usize) -> Self {
        Self { kind, step, values: Vec::new() }
    }

    /// Adds a number.
    pub(crate) fn add(&mut self, name: impl Into<String>, value: f64) {
        self.values.push((name.into(), value));
    }

    /// The line of `metrics.jsonl`.
    fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("kind".into(), self.kind.into());
        object.insert("step".into(), self.step.into());
        for (name, value) in &self.values {
            object.insert(name.clone(), serde_json::Number::from_f64(*value).map_or(Value::Null, Value::Number));
        }
        Value::Object(object)
    }
}

/// The open files of a run.
pub(crate) struct Records {
    path: PathBuf,
    lines: File,
    events: File,
    /// Seconds that the run had taken, in earlier processes, by the last line kept.
    pub seconds_before: f64,
}

impl Records {
    /// Opens the file `metrics` and a new event file in `folder`; lines after `step` (of a run that continued after its
    /// last saved state) are dropped.
    pub fn open(folder: &Path, metrics: &str, step: usize) -> Result<Self> {
        let path = folder.join(metrics);
        let at = |path: &Path| {
            let path = path.to_path_buf();
            move |error: std::io::Error| Error::file(&path, error)
        };
        let (kept, seconds_before) =
            if step > 0 && path.exists() { lines_until(&path, step).map_err(at(&path))? } else { (String::new(), 0.0) };
        mindseye_interface::files::write_whole(&path, kept.as_bytes()).map_err(at(&path))?;
        let lines = OpenOptions::new().append(true).open(&path).map_err(at(&path))?;
        let events_path = folder.join(format!("events.out.tfevents.{:010}.mindseye", now_secs() as u64));
        let mut events = OpenOptions::new().create(true).append(true).open(&events_path).map_err(at(&events_path))?;
        // Field 3 of an Event is the version of the format; the first record must have it.
        events.write_all(&framed(&event(0, &field_bytes(3, b"brain.Event:2")))).map_err(at(&events_path))?;
        Ok(Self { path, lines, events, seconds_before })
    }

    /// Appends a measurement to both files.
    pub fn write(&mut self, record: &Record) -> Result<()> {
        let mut line = record.json().to_string();
        line.push('\n');
        let mut events = Vec::new();
        for (name, value) in &record.values {
            let mut scalar = field_bytes(1, format!("{}/{name}", record.kind).as_bytes());
            scalar.push(2 << 3 | 5); // simple_value, 32 bits
            scalar.extend((*value as f32).to_le_bytes());
            events.extend(framed(&event(record.step, &field_bytes(5, &field_bytes(1, &scalar)))));
        }
        let written = self.lines.write_all(line.as_bytes()).and_then(|()| self.events.write_all(&events));
        written.map_err(|error| Error::file(&self.path, error))
    }

    /// Makes everything durable.
    pub fn finish(self) -> Result<()> {
        let synced = self.lines.sync_all().and_then(|()| self.events.sync_all());
        synced.map_err(|error| Error::file(&self.path, error))
    }
}

fn now_secs() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// The lines of measurements made up to `step`, and the seconds that the run had taken by then.
fn lines_until(path: &Path, step: usize) -> std::io::Result<(String, f64)> {
    let (mut kept, mut seconds) = (String::new(), 0.0);
    for line in BufReader::new(inputs::open(path, u64::MAX)?).lines() {
        let line = line?;
        let Ok(record) = serde_json::from_str::<Value>(&line) else { continue }; // cut off by a crash
        if record["step"].as_u64().is_some_and(|made_at| made_at as usize <= step) {
            kept.push_str(&line);
            kept.push('\n');
            seconds = record["seconds"].as_f64().unwrap_or(seconds);
        }
    }
    Ok((kept, seconds))
}

/// A length-delimited protobuf field.
fn field_bytes(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    varint(bytes.len() as u64, &mut field);
    field.extend_from_slice(bytes);
    field
}

fn varint(mut value: u64, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// TensorFlow's `Event` message: wall time, step, and one more field.
fn event(step: usize, field: &[u8]) -> Vec<u8> {
    let mut event = vec![1 << 3 | 1]; // wall_time, 64 bits
    event.extend(now_secs().to_le_bytes());
    event.push(2 << 3); // step
    varint(step as u64, &mut event);
    event.extend_from_slice(field);
    event
}

/// TFRecord framing: length, its checksum, the data, its checksum.
fn framed(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked_checksum(&length).to_le_bytes());
    record.extend_from_slice(data);
    record.extend(masked_checksum(data).to_le_bytes());
    record
}

/// CRC-32C, rotated and offset as the TFRecord format requires.
fn masked_checksum(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_run_drops_the_measurements_after_its_state() {
        let folder = tempfile::tempdir().unwrap();
        let record = |step| {
            let mut record = Record::new("train", step);
            record.add("loss", 0.5);
            record
        };
        let mut records = Records::open(folder.path(), "metrics.jsonl", 0).unwrap();
        (1..=3).for_each(|step| records.write(&record(step)).unwrap());
        let mut records = Records::open(folder.path(), "metrics.jsonl", 2).unwrap();
        records.write(&record(4)).unwrap();
        let text = std::fs::read_to_string(folder.path().join("metrics.jsonl")).unwrap();
        let steps: Vec<u64> =
            text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["step"].as_u64().unwrap()).collect();
        assert_eq!(steps, [1, 2, 4]);
    }

    #[test]
    fn events_are_framed_as_tensorboard_reads_them() {
        let record = framed(b"abc");
        assert_eq!(&record[..8], &3u64.to_le_bytes());
        assert_eq!(record.len(), 8 + 4 + 3 + 4);
        // The check value of CRC-32C for the digits 1 to 9.
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        let mut long = Vec::new();
        varint(300, &mut long);
        assert_eq!(long, [0xac, 0x02]);
    }
}
