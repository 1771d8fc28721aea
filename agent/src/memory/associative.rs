//! What happened, in order, and what comes of what: the memory that agents live with.

use std::path::Path;

use mindseye_interface::{Rng, files};
use mindseye_world_model::Experience;
use serde::{Deserialize, Serialize};

use super::{Memory, Moment, Recollection, RingMemory, SoftMemory, SoftMemoryConfig, follows};
use crate::latent::Latent;
use crate::perception::Sight;
use crate::{Error, Result};

/// The newest moments, and a [`SoftMemory`] of transitions: under what was seen and done, `[z; a]`, what was seen then.
///
/// Moments are forgotten by age. Transitions are not: one that is like another is blended into it, so that an hour of standing still takes the
/// place of one slot and not of all that was known before.
#[derive(Debug, Clone, PartialEq)]
pub struct AssociativeMemory {
    moments: RingMemory,
    config: SoftMemoryConfig,
    /// Begins with the first transition, which says how wide its keys are.
    transitions: Option<SoftMemory>,
}

/// First line of a memory file; the moments follow as [`RingMemory`] writes them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    config: SoftMemoryConfig,
    transitions: Option<SoftMemory>,
}

const FORMAT: &str = "mindseye associative memory 1";

impl AssociativeMemory {
    /// An empty memory of at most `moments` moments (at least one) and as many transitions as `config` says.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn new(moments: usize, config: SoftMemoryConfig) -> Result<Self> {
        mindseye_interface::config::Validate::validate(&config)?;
        Ok(Self { moments: RingMemory::new(moments), config, transitions: None })
    }

    /// What comes of what, as far as it is known.
    pub fn transitions(&self) -> Option<&SoftMemory> {
        self.transitions.as_ref()
    }

    /// Writes the memory: a header with the transitions, then the moments. Equal memories give equal bytes.
    ///
    /// # Errors
    /// [`Error::MemoryFile`] when the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let file_error = |reason: String| Error::MemoryFile { path: path.to_path_buf(), line: 0, reason };
        let header =
            Header { format: FORMAT.into(), config: self.config.clone(), transitions: self.transitions.clone() };
        let header = serde_json::to_string(&header).map_err(|error| file_error(error.to_string()))?;
        let text = format!("{header}\n{}", self.moments.to_text().map_err(|error| file_error(error.to_string()))?);
        files::write_whole(path, text.as_bytes()).map_err(|error| file_error(error.to_string()))
    }

    /// Reads a memory that [`AssociativeMemory::save`] wrote.
    ///
    /// # Errors
    /// [`Error::MemoryFile`] with the line at which the file ends or breaks.
    pub fn load(path: &Path) -> Result<Self> {
        let file_error = |line: usize, reason: String| Error::MemoryFile { path: path.to_path_buf(), line, reason };
        let text = std::fs::read_to_string(path).map_err(|error| file_error(0, error.to_string()))?;
        let (header, moments) = text.split_once('\n').unwrap_or((&text, ""));
        let header: Header = serde_json::from_str(header).map_err(|error| file_error(1, error.to_string()))?;
        if header.format != FORMAT {
            return Err(file_error(1, format!("format: expected {FORMAT}, got {}", header.format)));
        }
        let moments = RingMemory::from_text(moments).map_err(|(line, reason)| file_error(line + 1, reason))?;
        Ok(Self { moments, config: header.config, transitions: header.transitions })
    }

    /// Stores what came of what was done in the moment before `moment`, if both were seen.
    fn associate(&mut self, moment: &Moment) {
        let before = self.moments.recent(1).first().copied();
        let Some(before) = before.filter(|before| follows(before, moment)) else { return };
        if [before.sight, moment.sight] != [Sight::Seen; 2] {
            return; // what was not seen is what had been predicted
        }
        let key = key(&before.latent, &before.block);
        let fresh = || SoftMemory::new(self.config.clone(), key.len(), moment.latent.values().len()).ok();
        let transitions = self.transitions.take().or_else(fresh);
        self.transitions = transitions.map(|mut transitions| {
            // Numbers that are not finite, or of another width, are not remembered.
            let _ = transitions.write(&key, moment.latent.values(), moment.tick);
            transitions
        });
    }
}

/// `[z; a]`.
fn key(latent: &Latent, block: &[f32]) -> Vec<f32> {
    [latent.values(), block].concat()
}

impl Memory for AssociativeMemory {
    fn remember(&mut self, moment: Moment) {
        self.associate(&moment);
        self.moments.remember(moment);
    }

    fn len(&self) -> usize {
        self.moments.len()
    }

    fn recent(&self, count: usize) -> Vec<&Moment> {
        self.moments.recent(count)
    }

    fn at(&self, tick: u64) -> Option<&Moment> {
        self.moments.at(tick)
    }

    fn nearest(&self, latent: &Latent, count: usize) -> Vec<&Moment> {
        self.moments.nearest(latent, count)
    }

    fn sample(&self, count: usize, rng: &mut Rng) -> Vec<&Moment> {
        self.moments.sample(count, rng)
    }

    /// Where more is known than is asked for, the newer half of what is given are the newest, the others lie evenly spread over all that is older.
    fn experience(&self, count: usize) -> Experience {
        let mut experience = Experience::default();
        let Some(transitions) = &self.transitions else { return experience };
        let slots = transitions.recent(usize::MAX);
        let newest = if slots.len() <= count { slots.len() } else { count.div_ceil(2) };
        let older = slots.len().min(count) - newest;
        let spread = (0..older).map(|index| newest + index * (slots.len() - newest) / older);
        for slot in (0..newest).chain(spread).map(|index| slots[index]) {
            let (state, block) = slot.key.split_at(slot.value.len());
            experience.push(state, block, &slot.value);
        }
        experience
    }

    fn recall(&self, latent: &Latent, block: &[f32]) -> Option<Recollection> {
        self.transitions.as_ref()?.recall(&key(latent, block)).ok()
    }
}
