//! A bounded memory that forgets its oldest ticks, and can be saved and loaded.

use std::collections::VecDeque;
use std::path::Path;

use mindseye_interface::{MemoryLimit, Rng, files, inputs};
use rand::Rng as _;
use serde::{Deserialize, Serialize};

use super::{DEFAULT_MAX_MIB, Memory, Transition};
use crate::latent::Latent;
use crate::{Error, Result};

/// The newest ticks, at most `capacity` of them and at most as many as fit into `max_bytes`; the newest one always
/// fits.
#[derive(Debug, Clone, PartialEq)]
pub struct RingMemory {
    capacity: usize,
    max_bytes: usize,
    ticks: VecDeque<Transition>,
    bytes: usize,
}

/// First line of a memory file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    capacity: usize,
    #[serde(alias = "moments")]
    ticks: usize,
}

const FORMAT: &str = "mindseye memory 1";

impl RingMemory {
    /// An empty memory of at most `capacity` ticks (at least one) and 256 MiB.
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), max_bytes: DEFAULT_MAX_MIB << 20, ticks: VecDeque::new(), bytes: 0 }
    }

    /// The same with at most `max_bytes` bytes of ticks. Those that do not fit are forgotten.
    #[must_use]
    pub fn with_max_bytes(mut self, max_bytes: usize) -> Self {
        self.max_bytes = max_bytes;
        self.forget();
        self
    }

    /// Memory that its ticks take, bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets the oldest ticks as long as there are too many.
    fn forget(&mut self) {
        while self.ticks.len() > self.capacity || (self.bytes > self.max_bytes && self.ticks.len() > 1) {
            self.bytes -= self.ticks.pop_front().map_or(0, |oldest| oldest.bytes());
        }
    }

    /// Writes the memory as JSON lines: a header, then a tick per line, oldest first. Equal memories give equal bytes.
    ///
    /// # Errors
    /// [`Error::MemoryFile`] when the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let file_error = |reason: String| Error::MemoryFile { path: path.to_path_buf(), line: 0, reason };
        let text = self.to_text().map_err(|error| file_error(error.to_string()))?;
        files::write_whole_with_folders(path, text.as_bytes()).map_err(|error| file_error(error.to_string()))
    }

    /// The text of a memory file.
    pub(super) fn to_text(&self) -> serde_json::Result<String> {
        let header = Header { format: FORMAT.into(), capacity: self.capacity, ticks: self.ticks.len() };
        let mut text = serde_json::to_string(&header)?;
        for tick in &self.ticks {
            text.push('\n');
            text.push_str(&serde_json::to_string(tick)?);
        }
        text.push('\n');
        Ok(text)
    }

    /// Reads a memory that [`RingMemory::save`] wrote.
    ///
    /// # Errors
    /// [`Error::MemoryFile`] with the line at which the file ends or breaks.
    pub fn load(path: &Path) -> Result<Self> {
        let file_error = |line: usize, reason: String| Error::MemoryFile { path: path.to_path_buf(), line, reason };
        let most = MemoryLimit::default().bytes() / 4; // parsed, a memory takes some times its text
        let text = inputs::read_text(path, most).map_err(|error| file_error(0, error.to_string()))?;
        Self::from_text(&text).map_err(|(line, reason)| file_error(line, reason))
    }

    /// What [`RingMemory::to_text`] wrote, or the line (from 1) at which it ends or breaks, and why.
    pub(super) fn from_text(text: &str) -> std::result::Result<Self, (usize, String)> {
        let mut lines = text.lines();
        let header = lines.next().unwrap_or_default();
        let header: Header = serde_json::from_str(header).map_err(|error| (1, error.to_string()))?;
        if header.format != FORMAT {
            return Err((1, format!("format: expected {FORMAT}, got {}", header.format)));
        }
        let parse =
            |(index, line): (usize, &str)| serde_json::from_str(line).map_err(|error| (index + 2, error.to_string()));
        let ticks = lines.enumerate().map(parse).collect::<std::result::Result<VecDeque<Transition>, _>>()?;
        if ticks.len() != header.ticks || ticks.len() > header.capacity {
            return Err((ticks.len() + 1, format!("ticks: expected {}, got {}", header.ticks, ticks.len())));
        }
        let bytes = ticks.iter().map(Transition::bytes).sum();
        let mut memory = Self { ticks, bytes, ..Self::new(header.capacity) };
        memory.forget();
        Ok(memory)
    }
}

impl Memory for RingMemory {
    fn remember(&mut self, transition: Transition) {
        self.bytes += transition.bytes();
        self.ticks.push_back(transition);
        self.forget();
    }

    fn len(&self) -> usize {
        self.ticks.len()
    }

    fn recent(&self, count: usize) -> Vec<&Transition> {
        self.ticks.iter().rev().take(count).collect()
    }

    fn at(&self, tick: u64) -> Option<&Transition> {
        self.ticks.iter().rev().find(|known| known.tick == tick)
    }

    fn nearest(&self, latent: &Latent, count: usize) -> Vec<&Transition> {
        let distance = |known: &Transition| latent.mean_square_distance(&known.latent);
        let mut ranked: Vec<(f32, &Transition)> = self.ticks.iter().map(|known| (distance(known), known)).collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
        ranked.into_iter().take(count).map(|(_, known)| known).collect()
    }

    fn sample(&self, count: usize, rng: &mut Rng) -> Vec<&Transition> {
        if self.ticks.is_empty() {
            return Vec::new();
        }
        (0..count).map(|_| &self.ticks[rng.random_range(0..self.ticks.len())]).collect()
    }
}
