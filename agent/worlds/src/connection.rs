//! A world as requests and answers.

use std::time::Duration;

use mindseye_interface::config::Validate as _;
use mindseye_interface::text::one_line;
use mindseye_interface::{Error, Result};
use serde_json::{Value, json};

use crate::description::{Description, PROTOCOL};
use crate::fields::{Defect, Field, parse};
use crate::process::{Process, Trouble};

/// Bytes of an answer without images.
const SMALL_BYTES: usize = 1 << 20;
/// Letters of the last lines of stderr that an error shows.
const SHOWN_LETTERS: usize = 480;

/// How a world is started.
#[derive(Debug, Clone, PartialEq)]
pub struct Launch {
    /// The command, run by the system's shell.
    pub command: String,
    /// Side of the square images that are asked for, pixels. Images of another size are scaled to it.
    pub image_side: usize,
    /// Time for any answer, the first one included, seconds.
    pub timeout_secs: f64,
}

/// A world that answers.
pub(crate) struct Connection {
    process: Process,
    command: String,
    timeout: Duration,
    next: u64,
    /// Why nothing more can be asked.
    broken: Option<String>,
}

impl Connection {
    /// Starts the world and asks what it is.
    pub fn open(launch: &Launch) -> Result<(Self, Description)> {
        let failed = |error: std::io::Error| failure(&format!("starting `{}`: {error}", launch.command));
        let process = Process::start(&launch.command).map_err(failed)?;
        let timeout = Duration::from_secs_f64(launch.timeout_secs);
        let mut world = Self { process, command: launch.command.clone(), timeout, next: 0, broken: None };
        let asked = json!({ "protocol": PROTOCOL, "image_side": launch.image_side });
        let description = world.ask("describe", asked, SMALL_BYTES, |result| {
            let protocol = result.get("protocol")?;
            if protocol.value() != &json!(PROTOCOL) {
                return Err(protocol.defect(PROTOCOL));
            }
            let defect = |error: String| Defect(error);
            let description: Description =
                serde_json::from_value(result.value().clone()).map_err(|error| defect(error.to_string()))?;
            description.validate().map_err(|error| defect(error.to_string()))?;
            Ok(description)
        })?;
        Ok((world, description))
    }

    /// Whether nothing more can be asked.
    pub fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Asks `request` with `fields`, and reads the result of at most `most_bytes` with `read`. An `error` of the world
    /// is an error, and the world goes on; whatever breaks the protocol ends it.
    ///
    /// # Errors
    /// One line that names the request, the field, what was expected and what came, and the world's last lines on
    /// stderr.
    pub fn ask<T>(
        &mut self,
        request: &'static str,
        fields: Value,
        most_bytes: usize,
        read: impl FnOnce(&Field<'_>) -> std::result::Result<T, Defect>,
    ) -> Result<T> {
        if let Some(broken) = &self.broken {
            return Err(failure(broken));
        }
        let id = self.next;
        self.next += 1;
        let mut message = json!({ "id": id, "request": request });
        if let (Some(message), Value::Object(fields)) = (message.as_object_mut(), fields) {
            message.extend(fields);
        }
        let answer =
            match self.process.exchange(message.to_string().into_bytes(), most_bytes + SMALL_BYTES, self.timeout) {
                Ok(line) => parse(&line),
                Err(trouble) => return Err(self.broken_by(request, &described(&trouble))),
            };
        let read_result = answer.and_then(|answer| {
            let whole = Field::root(&answer);
            let answered = whole.get("id").map_err(|Defect(defect)| Defect(format!("answer: {defect}")))?;
            if answered.value() != &json!(id) {
                return Err(answered.defect(format!("that of the request, {id}")));
            }
            if let Some(error) = whole.optional("error")? {
                return Ok(Err(error.text().map_or_else(|_| error.value().to_string(), str::to_owned)));
            }
            let result = answer.get("result").ok_or_else(|| whole.got("a field `result` or `error`", "neither"))?;
            read(&Field::root(result)).map(Ok)
        });
        match read_result {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(error)) => Err(failure(&format!("{request}: {} ({})", one_line(&error), self.command))),
            Err(Defect(defect)) => Err(self.broken_by(request, &defect)),
        }
    }

    /// The error that ends the world.
    fn broken_by(&mut self, request: &str, defect: &str) -> Error {
        let (status, lines) = self.process.end();
        let mut error = format!("{request}: {defect} ({}: {status}", self.command);
        let mut last = lines.join(" | ");
        if let Some((start, _)) = last.char_indices().rev().nth(SHOWN_LETTERS) {
            last.replace_range(..start, "...");
        }
        error.push_str(&if last.is_empty() { ")".to_owned() } else { format!("; on stderr: {last})") });
        let error = one_line(&error);
        let broken = failure(&error);
        self.broken = Some(error);
        broken
    }
}

fn described(trouble: &Trouble) -> String {
    match trouble {
        Trouble::Ended => "expected an answer, got the end of the process".to_owned(),
        Trouble::TooLong(bytes) => format!("expected a line of at most {bytes} bytes, got a longer one"),
        Trouble::Late(secs) => format!("expected an answer within {secs} s (--world-timeout), got none"),
    }
}

/// An error of a world.
pub(crate) fn failure(reason: &str) -> Error {
    Error::Environment { operation: "world", reason: reason.to_owned() }
}
