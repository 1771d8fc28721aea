//! A bounded memory that forgets its oldest moments, and can be saved and loaded.

use std::collections::VecDeque;
use std::path::Path;

use mindseye_interface::{Rng, files};
use rand::Rng as _;
use serde::{Deserialize, Serialize};

use super::{Memory, Moment};
use crate::latent::Latent;
use crate::{Error, Result};

/// The newest `capacity` moments.
#[derive(Debug, Clone, PartialEq)]
pub struct RingMemory {
    capacity: usize,
    moments: VecDeque<Moment>,
}

/// First line of a memory file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    capacity: usize,
    moments: usize,
}

const FORMAT: &str = "mindseye memory 1";

impl RingMemory {
    /// An empty memory of at most `capacity` moments (at least one).
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), moments: VecDeque::new() }
    }

    /// Writes the memory as JSON lines: a header, then a moment per line, oldest first. Equal memories give equal bytes.
    ///
    /// # Errors
    /// [`Error::MemoryFile`] when the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let file_error = |reason: String| Error::MemoryFile { path: path.to_path_buf(), line: 0, reason };
        let text = self.to_text().map_err(|error| file_error(error.to_string()))?;
        files::write_whole(path, text.as_bytes()).map_err(|error| file_error(error.to_string()))
    }

    /// The text of a memory file.
    pub(super) fn to_text(&self) -> serde_json::Result<String> {
        let header = Header { format: FORMAT.into(), capacity: self.capacity, moments: self.moments.len() };
        let mut text = serde_json::to_string(&header)?;
        for moment in &self.moments {
            text.push('\n');
            text.push_str(&serde_json::to_string(moment)?);
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
        let text = std::fs::read_to_string(path).map_err(|error| file_error(0, error.to_string()))?;
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
        let moments = lines.enumerate().map(parse).collect::<std::result::Result<VecDeque<Moment>, _>>()?;
        if moments.len() != header.moments || moments.len() > header.capacity {
            return Err((moments.len() + 1, format!("moments: expected {}, got {}", header.moments, moments.len())));
        }
        Ok(Self { capacity: header.capacity, moments })
    }
}

impl Memory for RingMemory {
    fn remember(&mut self, moment: Moment) {
        if self.moments.len() == self.capacity {
            self.moments.pop_front();
        }
        self.moments.push_back(moment);
    }

    fn len(&self) -> usize {
        self.moments.len()
    }

    fn recent(&self, count: usize) -> Vec<&Moment> {
        self.moments.iter().rev().take(count).collect()
    }

    fn at(&self, tick: u64) -> Option<&Moment> {
        self.moments.iter().rev().find(|moment| moment.tick == tick)
    }

    fn nearest(&self, latent: &Latent, count: usize) -> Vec<&Moment> {
        let distance = |moment: &Moment| latent.mean_square_distance(&moment.latent);
        let mut ranked: Vec<(f32, &Moment)> = self.moments.iter().map(|moment| (distance(moment), moment)).collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
        ranked.into_iter().take(count).map(|(_, moment)| moment).collect()
    }

    fn sample(&self, count: usize, rng: &mut Rng) -> Vec<&Moment> {
        if self.moments.is_empty() {
            return Vec::new();
        }
        (0..count).map(|_| &self.moments[rng.random_range(0..self.moments.len())]).collect()
    }
}
