//! The servos of a line: Feetech's STS3215 and those with its registers, through `rustypot`.

use std::fmt::{Display, Formatter};
use std::time::{Duration, Instant};

use rustypot::servo::feetech::sts3215;
use rustypot::servo::{RegisterInfo, WordOrder};
use rustypot::{DynamixelProtocolHandler, StatusError};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::line::Line;

/// Largest position of a servo.
pub const MAX_STEP: i64 = 4095;
/// Times that a question is asked before its servo counts as silent.
const TRIES: usize = 3;
/// Time for one answer, and for every further servo of a question to several: an adapter for USB may keep an answer for
/// 16 ms.
const ANSWER: Duration = Duration::from_millis(25);
const ANSWER_OF_ANOTHER: Duration = Duration::from_millis(5);
/// Tries to write a value that is kept without power before it counts as refused, and the time that such a write takes.
const KEPT_TRIES: usize = 5;
const KEPT_WRITE: Duration = Duration::from_millis(30);
/// Milliampere per unit of the register of current.
const MILLIAMPERE: f64 = 6.5;

/// Conditions that a servo reports, as bits of its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct ErrorBits(pub u8);

impl ErrorBits {
    const NAMES: [&str; 6] = ["voltage", "position sensor", "overheating", "current", "angle", "overload"];

    /// Whether it reports nothing.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl Display for ErrorBits {
    fn fmt(&self, text: &mut Formatter<'_>) -> std::fmt::Result {
        let name = |bit: usize| Self::NAMES.get(bit).map_or_else(|| format!("bit {bit}"), |name| (*name).to_owned());
        let set = (0..8).filter(|bit| self.0 & (1 << bit) != 0).map(name).collect::<Vec<_>>();
        if set.is_empty() { text.write_str("none") } else { text.write_str(&set.join(", ")) }
    }
}

/// What one servo measures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ServoState {
    /// Its number on the line.
    pub id: u8,
    /// Where it is, steps (4096 to a turn), with its homing offset.
    pub position: i64,
    /// How fast it turns, steps per second.
    pub speed: i64,
    /// Share of its torque that it uses, -1 to 1.
    pub load: f64,
    /// Current through its motor, mA.
    pub current_ma: f64,
    /// Supply, V.
    pub volts: f64,
    /// Temperature, degrees Celsius.
    pub celsius: f64,
    /// Where it was told to be, steps.
    pub goal: i64,
    /// Whether it holds its goal.
    pub torque: bool,
    /// What it reports.
    pub errors: ErrorBits,
}

/// A register by name.
fn register(name: &str) -> Result<RegisterInfo> {
    sts3215::register(name).ok_or_else(|| Error::field("register", "one of the STS3215", name))
}

/// The value of `register` in its `bytes`.
fn decoded(register: &RegisterInfo, bytes: &[u8]) -> Result<i64> {
    if bytes.len() != usize::from(register.size) {
        return Err(Error::field(register.name, format!("{} bytes", register.size), bytes.len()));
    }
    Ok(register.encoding.decode(WordOrder::Little.from_bytes(bytes), register.size))
}

/// The bytes of `register` with `value`.
fn encoded(register: &RegisterInfo, value: i64) -> Result<Vec<u8>> {
    let raw = register.encoding.encode(value, register.size);
    let raw = raw.ok_or_else(|| Error::field(register.name, "a value that the register can have", value))?;
    Ok(WordOrder::Little.to_bytes(raw, register.size.into()))
}

/// The registers from torque to current, which one question reads.
struct Block {
    start: u8,
    length: u8,
}

impl Block {
    fn of_state() -> Result<Self> {
        let (first, last) = (register("torque_enable")?, register("present_current")?);
        Ok(Self { start: first.addr, length: last.addr + last.size - first.addr })
    }

    /// The value of a register in `bytes`, those of the block.
    fn value(&self, bytes: &[u8], name: &str) -> Result<i64> {
        let register = register(name)?;
        let from = usize::from(register.addr.saturating_sub(self.start));
        let part = bytes.get(from..from + usize::from(register.size));
        decoded(&register, part.unwrap_or_default())
    }

    fn state(&self, id: u8, bytes: &[u8], status: StatusError) -> Result<ServoState> {
        if bytes.len() != usize::from(self.length) {
            return Err(Error::field(format!("state of servo {id}"), format!("{} bytes", self.length), bytes.len()));
        }
        let value = |name: &str| self.value(bytes, name);
        Ok(ServoState {
            id,
            position: value("present_position")?,
            speed: value("present_speed")?,
            load: value("present_load")? as f64 / 1000.0,
            current_ma: MILLIAMPERE * value("present_current")? as f64,
            volts: value("present_voltage")? as f64 / 10.0,
            celsius: value("present_temperature")? as f64,
            goal: value("goal_position")?,
            torque: value("torque_enable")? == 1,
            errors: ErrorBits(status.byte() | value("status")? as u8),
        })
    }
}

/// The servos at a port.
pub struct Servos {
    port: String,
    line: Line,
    protocol: DynamixelProtocolHandler,
}

impl Servos {
    /// Opens `port`, which no other program may use meanwhile. Nothing is said to the servos.
    ///
    /// # Errors
    /// [`Error::Line`].
    pub fn open(port: &str, baud: u32) -> Result<Self> {
        let line = Line::open(port, baud);
        let line = line.map_err(|error| Error::Line { port: port.to_owned(), reason: error.to_string() })?;
        Ok(Self { port: port.to_owned(), line, protocol: DynamixelProtocolHandler::v1() })
    }

    /// Asks until there is an answer that `take` accepts, at most [`TRIES`] times.
    fn ask<T, A>(
        &mut self,
        operation: &dyn Fn() -> String,
        time: Duration,
        question: impl Fn(&DynamixelProtocolHandler, &mut Line) -> std::result::Result<A, Box<dyn std::error::Error>>,
        take: impl Fn(A) -> Result<T>,
    ) -> Result<T> {
        let mut reason = String::new();
        for _ in 0..TRIES {
            self.line.answers_by(time);
            match question(&self.protocol, &mut self.line) {
                Ok(answer) => match take(answer) {
                    Ok(taken) => return Ok(taken),
                    Err(error) => reason = error.to_string(),
                },
                Err(error) => reason = error.to_string(),
            }
        }
        Err(Error::Servo { port: self.port.clone(), operation: operation(), reason })
    }

    /// The number of the model of servo `id`; none where it gives no answer.
    pub fn model(&mut self, id: u8) -> Option<i64> {
        self.read(id, "model_number").ok()
    }

    /// Whether a number of a model is one with the registers that are used here.
    pub fn is_known_model(model: i64) -> bool {
        sts3215::DEFINITION.models.iter().any(|(_, number)| i64::from(*number) == model)
    }

    /// The name of a model.
    pub fn model_name(model: i64) -> String {
        let found = sts3215::DEFINITION.models.iter().find(|(_, number)| i64::from(*number) == model);
        found.map_or_else(|| format!("model {model}"), |(name, _)| (*name).to_owned())
    }

    /// Numbers of all servos that answer.
    ///
    /// # Errors
    /// [`Error::Servo`] when the line is gone.
    pub fn found(&mut self) -> Result<Vec<u8>> {
        let ask = || "a question to all".to_owned();
        self.ask(&ask, ANSWER, |protocol, line| protocol.broadcast_ping(line), Ok)
    }

    /// The register `name` of servo `id`.
    ///
    /// # Errors
    /// [`Error::Servo`] without a whole answer.
    pub fn read(&mut self, id: u8, name: &str) -> Result<i64> {
        let register = register(name)?;
        let question = |protocol: &DynamixelProtocolHandler, line: &mut Line| {
            protocol.read(line, id, register.addr, register.size)
        };
        let ask = || format!("reading {name} of servo {id}");
        self.ask(&ask, ANSWER, question, |bytes| decoded(&register, &bytes))
    }

    /// The registers `names` of servo `id`, in one question.
    ///
    /// # Errors
    /// [`Error::Servo`] without a whole answer.
    pub fn read_all(&mut self, id: u8, names: &[&str]) -> Result<Vec<i64>> {
        let registers = names.iter().map(|name| register(name)).collect::<Result<Vec<_>>>()?;
        let start = registers.iter().map(|register| register.addr).min().unwrap_or(0);
        let end = registers.iter().map(|register| register.addr + register.size).max().unwrap_or(0);
        let question =
            |protocol: &DynamixelProtocolHandler, line: &mut Line| protocol.read(line, id, start, end - start);
        let take = |bytes: Vec<u8>| {
            let part = |register: &RegisterInfo| {
                let from = usize::from(register.addr - start);
                decoded(register, bytes.get(from..from + usize::from(register.size)).unwrap_or_default())
            };
            registers.iter().map(part).collect()
        };
        self.ask(&|| format!("reading {} of servo {id}", names.join(", ")), ANSWER, question, take)
    }

    /// Sets the register `name` of servo `id`.
    ///
    /// # Errors
    /// [`Error::Servo`] without an answer; [`Error::Field`] for a value that the register cannot have.
    pub fn write(&mut self, id: u8, name: &str, value: i64) -> Result<()> {
        let register = register(name)?;
        let bytes = encoded(&register, value)?;
        let question =
            |protocol: &DynamixelProtocolHandler, line: &mut Line| protocol.write(line, id, register.addr, &bytes);
        self.ask(&|| format!("writing {name} of servo {id}"), ANSWER, question, Ok)
    }

    /// Sets registers that are kept without power, of a servo without torque, and reads them back.
    ///
    /// # Errors
    /// [`Error::Servo`] when a value is not kept.
    pub fn write_kept(&mut self, id: u8, values: &[(&str, i64)]) -> Result<()> {
        self.write(id, "torque_enable", 0)?;
        self.write(id, "lock", 0)?;
        for &(name, value) in values {
            let mut got = None;
            for _ in 0..KEPT_TRIES {
                self.write(id, name, value)?;
                std::thread::sleep(KEPT_WRITE);
                got = Some(self.read(id, name)?);
                if got == Some(value) {
                    break;
                }
            }
            if got != Some(value) {
                let reason = format!("expected {value} to be kept, got {}", got.unwrap_or_default());
                return Err(Error::Servo {
                    port: self.port.clone(),
                    operation: format!("writing {name} of servo {id}"),
                    reason,
                });
            }
        }
        self.write(id, "lock", 1)
    }

    /// What the servos `ids` measure, in one question.
    ///
    /// # Errors
    /// [`Error::Servo`] that names the first servo without a whole answer.
    pub fn states(&mut self, ids: &[u8]) -> Result<Vec<ServoState>> {
        let block = Block::of_state()?;
        let time = ANSWER + ANSWER_OF_ANOTHER * ids.len() as u32;
        let question = |protocol: &DynamixelProtocolHandler, line: &mut Line| {
            protocol.sync_read_with_error(line, ids, block.start, block.length)
        };
        let take = |answers: Vec<(Vec<u8>, StatusError)>| {
            ids.iter().zip(answers).map(|(id, (bytes, status))| block.state(*id, &bytes, status)).collect()
        };
        self.ask(&|| "reading the servos".to_owned(), time, question, take)
    }

    /// Tells every servo of `ids` where to be, steps, in one message; servos do not answer it.
    ///
    /// # Errors
    /// [`Error::Servo`] when the line is gone.
    pub fn write_goals(&mut self, ids: &[u8], goals: &[i64]) -> Result<()> {
        let register = register("goal_position")?;
        let data = goals.iter().map(|goal| encoded(&register, *goal)).collect::<Result<Vec<_>>>()?;
        if data.len() != ids.len() || ids.is_empty() {
            return Err(Error::field("goals", ids.len().to_string(), data.len()));
        }
        let question =
            |protocol: &DynamixelProtocolHandler, line: &mut Line| protocol.sync_write(line, ids, register.addr, &data);
        self.ask(&|| "writing goals".to_owned(), ANSWER, question, Ok)
    }

    /// How long a question to servo `id` takes, milliseconds.
    ///
    /// # Errors
    /// [`Error::Servo`] without an answer.
    pub fn round_trip_ms(&mut self, id: u8) -> Result<f64> {
        let asked = Instant::now();
        self.read(id, "present_position")?;
        Ok(1e3 * asked.elapsed().as_secs_f64())
    }
}
