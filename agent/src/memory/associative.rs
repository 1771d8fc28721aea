//! The newest ticks in order, and an associative store of transitions: the memory that learned agents have.

use std::path::Path;

use mindseye_interface::{MemoryLimit, Rng, files, inputs};
use mindseye_world_model::Transitions;
use serde::{Deserialize, Serialize};

use super::{Memory, Retrieval, RingMemory, SoftMemory, SoftMemoryConfig, Transition};
use crate::directive::StateSource;
use crate::latent::Latent;
use crate::{Error, Result};

/// The newest ticks, and a [`SoftMemory`] of transitions of one action chunk: keys `[z; a]`, values `z'`.
///
/// Ticks are forgotten by age. Transitions are not: one that is like another is blended into it, so that an hour of
/// standing still takes one slot and not those of all that was stored before.
#[derive(Debug, Clone, PartialEq)]
pub struct AssociativeMemory {
    ticks: RingMemory,
    config: SoftMemoryConfig,
    /// Begins with the first transition, which has the width of its keys.
    transitions: Option<SoftMemory>,
}

/// First line of a memory file; the ticks follow as [`RingMemory`] writes them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    config: SoftMemoryConfig,
    transitions: Option<SoftMemory>,
}

const FORMAT: &str = "mindseye associative memory 1";

impl AssociativeMemory {
    /// An empty memory of at most `ticks` ticks (at least one) and as many transitions as `config` says. Its limit of
    /// memory is that of the ticks too.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn new(ticks: usize, config: SoftMemoryConfig) -> Result<Self> {
        mindseye_interface::config::Validate::validate(&config)?;
        let ticks = RingMemory::new(ticks).with_max_bytes(config.max_mib << 20);
        Ok(Self { ticks, config, transitions: None })
    }

    /// The store of transitions, once there is one.
    pub fn store(&self) -> Option<&SoftMemory> {
        self.transitions.as_ref()
    }

    /// Writes the memory: a header with the transitions, then the ticks. Equal memories give equal bytes.
    ///
    /// # Errors
    /// [`Error::MemoryFile`] when the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let file_error = |reason: String| Error::MemoryFile { path: path.to_path_buf(), line: 0, reason };
        let header =
            Header { format: FORMAT.into(), config: self.config.clone(), transitions: self.transitions.clone() };
        let header = serde_json::to_string(&header).map_err(|error| file_error(error.to_string()))?;
        let text = format!("{header}\n{}", self.ticks.to_text().map_err(|error| file_error(error.to_string()))?);
        files::write_whole_with_folders(path, text.as_bytes()).map_err(|error| file_error(error.to_string()))
    }

    /// Reads a memory that [`AssociativeMemory::save`] wrote.
    ///
    /// # Errors
    /// [`Error::MemoryFile`] with the line at which the file ends or breaks.
    pub fn load(path: &Path) -> Result<Self> {
        let file_error = |line: usize, reason: String| Error::MemoryFile { path: path.to_path_buf(), line, reason };
        let most = MemoryLimit::default().bytes() / 4; // parsed, a memory takes some times its text
        let text = inputs::read_text(path, most).map_err(|error| file_error(0, error.to_string()))?;
        let (header, ticks) = text.split_once('\n').unwrap_or((&text, ""));
        let header: Header = serde_json::from_str(header).map_err(|error| file_error(1, error.to_string()))?;
        if header.format != FORMAT {
            return Err(file_error(1, format!("format: expected {FORMAT}, got {}", header.format)));
        }
        let ticks = RingMemory::from_text(ticks).map_err(|(line, reason)| file_error(line + 1, reason))?;
        let ticks = ticks.with_max_bytes(header.config.max_mib << 20);
        Ok(Self { ticks, config: header.config, transitions: header.transitions })
    }

    /// Stores the transition that ended in `after`, if both its states were observed.
    fn associate(&mut self, after: &Transition) {
        let Some((before, chunk)) = self.ticks.one_chunk_before(after.tick, &after.arrival) else { return };
        if [before.state_source, after.state_source] != [StateSource::Observed; 2] {
            return; // a state that was not observed is a prediction
        }
        let key = key(&before.latent, chunk);
        let fresh = || SoftMemory::new(self.config.clone(), key.len(), after.latent.values().len()).ok();
        let transitions = self.transitions.take().or_else(fresh);
        self.transitions = transitions.map(|mut transitions| {
            // Numbers that are not finite, or of another width, are not remembered.
            let _ = transitions.write(&key, after.latent.values(), after.tick);
            transitions
        });
    }
}

/// `[z; a]`.
fn key(latent: &Latent, chunk: &[f32]) -> Vec<f32> {
    [latent.values(), chunk].concat()
}

impl Memory for AssociativeMemory {
    fn remember(&mut self, transition: Transition) {
        self.associate(&transition);
        self.ticks.remember(transition);
    }

    fn len(&self) -> usize {
        self.ticks.len()
    }

    fn recent(&self, count: usize) -> Vec<&Transition> {
        self.ticks.recent(count)
    }

    fn at(&self, tick: u64) -> Option<&Transition> {
        self.ticks.at(tick)
    }

    fn nearest(&self, latent: &Latent, count: usize) -> Vec<&Transition> {
        self.ticks.nearest(latent, count)
    }

    fn sample(&self, count: usize, rng: &mut Rng) -> Vec<&Transition> {
        self.ticks.sample(count, rng)
    }

    /// Where more are stored than are asked for, half of those returned are the newest, the others are evenly spaced
    /// over the older ones.
    fn transitions(&self, count: usize) -> Transitions {
        let mut learnable = Transitions::default();
        let Some(transitions) = &self.transitions else { return learnable };
        let slots = transitions.recent(usize::MAX);
        let newest = if slots.len() <= count { slots.len() } else { count.div_ceil(2) };
        let older = slots.len().min(count) - newest;
        let spaced = (0..older).map(|index| newest + index * (slots.len() - newest) / older);
        for slot in (0..newest).chain(spaced).map(|index| slots[index]) {
            let (state, chunk) = slot.key.split_at(slot.value.len());
            learnable.push(state, chunk, &slot.value);
        }
        learnable
    }

    fn retrieve(&self, latent: &Latent, chunk: &[f32]) -> Option<Retrieval> {
        self.transitions.as_ref()?.retrieve(&key(latent, chunk)).ok()
    }
}
