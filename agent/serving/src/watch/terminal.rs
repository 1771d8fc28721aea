//! What a watch prints: one line that updates on a terminal, plain lines elsewhere.

use std::io::Write;

use mindseye_interface::text::one_line;
use serde_json::json;

use super::watcher::{Look, Seen, Tick};

/// Seconds between two lines where nothing happens, without a terminal.
const EVERY_SECS: f64 = 1.0;
/// Most read-outs on a line.
const READ_OUTS: usize = 5;

/// Prints ticks.
pub(super) struct Terminal<'a> {
    out: &'a mut dyn Write,
    updates: bool,
    json: bool,
    printed_secs: f64,
    stale: bool,
}

impl<'a> Terminal<'a> {
    /// Prints to `out`, which `updates` its line if it is a terminal; every tick as a line of JSON if `json`.
    pub fn new(out: &'a mut dyn Write, updates: bool, json: bool) -> Self {
        Self { out, updates: updates && !json, json, printed_secs: f64::NEG_INFINITY, stale: false }
    }

    /// The next tick is printed, even if it says what the one before said.
    pub fn print_next(&mut self) {
        (self.stale, self.printed_secs) = (false, f64::NEG_INFINITY);
    }

    /// Prints a tick. A closed pipe ends no watch.
    pub fn tick(&mut self, tick: &Tick) {
        if self.json {
            if let Ok(line) = serde_json::to_string(tick) {
                let _ = writeln!(self.out, "{line}");
            }
            return;
        }
        let stale = matches!(tick.look, Look::Stale { .. });
        let changes = tick.event || stale != self.stale;
        self.stale = stale;
        if matches!(tick.look, Look::Same) {
            return;
        }
        let line = line(tick);
        if self.updates {
            let end = if changes { "\n" } else { "" };
            let _ = write!(self.out, "\r\x1b[2K{line}{end}").and_then(|()| self.out.flush());
        } else if changes || tick.at_secs - self.printed_secs >= EVERY_SECS {
            self.printed_secs = tick.at_secs;
            let _ = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
        }
    }

    /// Says that something is lost or wrong: on stderr, and in JSON also as a line of its own.
    pub fn warn(&mut self, warning: &str) {
        let warning = one_line(warning);
        if self.json {
            let _ = writeln!(self.out, "{}", json!({ "warning": warning }));
        }
        let start = if self.updates { "\r\x1b[2K" } else { "" };
        let _ = write!(self.out, "{start}").and_then(|()| self.out.flush());
        let _ = writeln!(std::io::stderr().lock(), "{warning}"); // a closed stderr ends no watch either
    }

    /// Prints a line that stays.
    pub fn say(&mut self, line: &str) {
        let start = if self.updates { "\r\x1b[2K" } else { "" };
        if !self.json {
            let _ = writeln!(self.out, "{start}{line}").and_then(|()| self.out.flush());
        }
    }
}

/// One tick on one line.
fn line(tick: &Tick) -> String {
    let time = format!("{:8.1} s", tick.at_secs);
    match &tick.look {
        Look::Stale { reason } => format!("{time}  not seen: {}", one_line(reason)),
        Look::Same => format!("{time}  the same frame"),
        Look::Seen(seen) => {
            let word = match (tick.event, tick.alarm, seen.score > tick.band) {
                (true, ..) => "EVENT",
                (_, true, _) => "alarm",
                (_, _, true) => "surprised",
                _ => "as expected",
            };
            format!(
                "{time}  {} {:6.2} of {:.2}  {word}{}",
                bar(seen.score / tick.band),
                seen.score,
                tick.band,
                rest(seen)
            )
        }
    }
}

fn rest(seen: &Seen) -> String {
    let mut rest = String::new();
    if let Some(distance) = seen.goal_distance {
        rest += &format!("  goal {distance:.1} steps away");
    }
    for (name, value) in seen.read_outs.iter().take(READ_OUTS) {
        rest += &format!("  {name} {value:.2}");
    }
    rest
}

/// A bar of ten characters, full at the band.
fn bar(share: f64) -> String {
    let full = (10.0 * share.clamp(0.0, 1.0)).round() as usize;
    format!("[{}{}]", "#".repeat(full), ".".repeat(10 - full))
}
