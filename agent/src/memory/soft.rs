//! A soft key-value store (LeCun 2022, section 3.3): what is recalled is a blend of what was stored under similar keys.
//!
//! ```text
//! match_j = exp(-|k_j - q|² / 2 b²)        b: bandwidth
//! c_j     = match_j / (γ + Σ match)        γ: threshold; where nothing is similar, nothing is recalled
//! recall  = Σ c_j v_j
//! ```
//!
//! What is written near a key that is there is blended into it, and nothing else changes; what is far from all gets a slot of its own. When all
//! slots are taken, the one that was written longest ago is given up.

use mindseye_interface::config::{Validate, require_range};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Settings of a soft memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SoftMemoryConfig {
    /// Slots at most.
    pub capacity: usize,
    /// Distance (root mean square per value of a key) at which a key matches 0.6 as well as an equal one.
    pub bandwidth: f32,
    /// What matches have to exceed to be heard: with a sum of matches of as much, half of what is stored is recalled.
    pub threshold: f32,
    /// What is nearer than this to a key (root mean square) is blended into its slot; 0 gives everything a slot of its own.
    pub merge_within: f32,
    /// Share of what is new in such a blend.
    pub blend: f32,
}

impl Default for SoftMemoryConfig {
    fn default() -> Self {
        Self { capacity: 1000, bandwidth: 0.1, threshold: 1e-3, merge_within: 0.02, blend: 0.5 }
    }
}

impl Validate for SoftMemoryConfig {
    fn validate(&self) -> mindseye_interface::Result<()> {
        require_range("memory.capacity", self.capacity, 1, 10_000_000)?;
        require_range("memory.bandwidth", self.bandwidth, 1e-6, 1e6)?;
        require_range("memory.threshold", self.threshold, 0.0, 1e6)?;
        require_range("memory.merge_within", self.merge_within, 0.0, 1e6)?;
        require_range("memory.blend", self.blend, 0.0, 1.0)
    }
}

/// One thing stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// Under what it is found, `[K]`.
    pub key: Vec<f32>,
    /// What it is, `[V]`.
    pub value: Vec<f32>,
    /// Tick at which it was last written.
    pub tick: u64,
    /// How often it was written.
    pub writes: u64,
}

/// What came to mind.
#[derive(Debug, Clone, PartialEq)]
pub struct Recollection {
    /// The blend of values, `[V]`.
    pub value: Vec<f32>,
    /// The share `c_j` of every slot.
    pub shares: Vec<f32>,
}

impl Recollection {
    /// How well known the query is, 0 to 1: the sum of all shares.
    pub fn familiarity(&self) -> f32 {
        self.shares.iter().sum()
    }
}

/// Keys `[K]` and values `[V]` in a bounded number of slots.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SoftMemory {
    config: SoftMemoryConfig,
    widths: (usize, usize),
    slots: Vec<Slot>,
}

impl SoftMemory {
    /// An empty memory for keys of `key_width` and values of `value_width` numbers.
    ///
    /// # Errors
    /// When a setting is out of range, or keys have no width.
    pub fn new(config: SoftMemoryConfig, key_width: usize, value_width: usize) -> Result<Self> {
        config.validate()?;
        require_range("memory.key_width", key_width, 1, 1_000_000)?;
        Ok(Self { config, widths: (key_width, value_width), slots: Vec::new() })
    }

    /// What is stored, in the order of the slots.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The newest `count` slots, newest first.
    pub fn recent(&self, count: usize) -> Vec<&Slot> {
        let mut slots: Vec<&Slot> = self.slots.iter().collect();
        slots.sort_by_key(|slot| std::cmp::Reverse(slot.tick));
        slots.truncate(count);
        slots
    }

    /// Stores `value [V]` under `key [K]` at `tick`; the slot it went to.
    ///
    /// # Errors
    /// [`Error::Shape`] when widths do not fit or a number is not finite: such a thing is not remembered.
    pub fn write(&mut self, key: &[f32], value: &[f32], tick: u64) -> Result<usize> {
        let finite = key.iter().chain(value).all(|number| number.is_finite());
        if (key.len(), value.len()) != self.widths || !finite {
            return Err(Error::Shape {
                operation: "remembering",
                expected: format!("{} and {} finite values", self.widths.0, self.widths.1),
                got: format!("{} and {}{}", key.len(), value.len(), if finite { "" } else { ", not all finite" }),
            });
        }
        let nearest = self.slots.iter().enumerate().map(|(slot, stored)| (slot, distance(&stored.key, key)));
        let nearest = nearest.min_by(|a, b| a.1.total_cmp(&b.1)).filter(|(_, far)| *far < self.config.merge_within);
        if let Some((index, _)) = nearest {
            let (slot, blend) = (&mut self.slots[index], self.config.blend);
            let mix = |old: &mut [f32], new: &[f32]| {
                old.iter_mut().zip(new).for_each(|(old, new)| *old += blend * (new - *old));
            };
            mix(&mut slot.key, key);
            mix(&mut slot.value, value);
            (slot.tick, slot.writes) = (tick, slot.writes + 1);
            return Ok(index);
        }
        let slot = Slot { key: key.to_vec(), value: value.to_vec(), tick, writes: 1 };
        if self.slots.len() < self.config.capacity {
            self.slots.push(slot);
            return Ok(self.slots.len() - 1);
        }
        let oldest = (0..self.slots.len()).min_by_key(|&index| self.slots[index].tick).unwrap_or(0);
        self.slots[oldest] = slot;
        Ok(oldest)
    }

    /// What `query [K]` brings to mind.
    ///
    /// # Errors
    /// [`Error::Shape`] when the width does not fit.
    pub fn recall(&self, query: &[f32]) -> Result<Recollection> {
        self.require_key(query)?;
        let narrow = 0.5 / (self.config.bandwidth * self.config.bandwidth);
        let matches = self.slots.iter().map(|slot| (-distance(&slot.key, query).powi(2) * narrow).exp());
        let mut shares: Vec<f32> = matches.collect();
        let sum = self.config.threshold + shares.iter().sum::<f32>();
        if sum > 0.0 {
            shares.iter_mut().for_each(|share| *share /= sum);
        }
        let mut value = vec![0.0; self.widths.1];
        for (slot, share) in self.slots.iter().zip(&shares) {
            value.iter_mut().zip(&slot.value).for_each(|(sum, stored)| *sum += share * stored);
        }
        Ok(Recollection { value, shares })
    }

    /// The slopes `[K]` on `query` of an energy whose slopes on what is recalled are `pull [V]`.
    ///
    /// # Errors
    /// [`Error::Shape`] when a width does not fit.
    pub fn slopes(&self, query: &[f32], pull: &[f32]) -> Result<Vec<f32>> {
        let recalled = self.recall(query)?;
        if pull.len() != self.widths.1 {
            let (expected, got) = (format!("{} slopes", self.widths.1), pull.len().to_string());
            return Err(Error::Shape { operation: "recalling", expected, got });
        }
        let along = |value: &[f32]| value.iter().zip(pull).map(|(value, pull)| value * pull).sum::<f32>();
        let (mean, narrow) = (along(&recalled.value), 1.0 / (self.config.bandwidth.powi(2) * self.widths.0 as f32));
        let mut slopes = vec![0.0; self.widths.0];
        for (slot, share) in self.slots.iter().zip(&recalled.shares) {
            let pull = share * narrow * (along(&slot.value) - mean);
            let steps = slopes.iter_mut().zip(&slot.key).zip(query);
            steps.for_each(|((slope, key), query)| *slope += pull * (key - query));
        }
        Ok(slopes)
    }

    fn require_key(&self, query: &[f32]) -> Result<()> {
        if query.len() == self.widths.0 {
            return Ok(());
        }
        let (expected, got) = (format!("a key of {} values", self.widths.0), query.len().to_string());
        Err(Error::Shape { operation: "recalling", expected, got })
    }
}

/// Root mean square difference per value.
fn distance(a: &[f32], b: &[f32]) -> f32 {
    (a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>() / a.len().max(1) as f32).sqrt()
}
