//! A soft key-value store (LeCun 2022, section 3.3): what is retrieved is a blend of what was stored under similar
//! keys.
//!
//! ```text
//! match_j = exp(-|k_j - q|² / 2 b²)        b: bandwidth
//! c_j     = match_j / (γ + Σ match)        γ: threshold; where nothing is similar, nothing is retrieved
//! result  = Σ c_j v_j
//! ```
//!
//! A write near a stored key is blended into its slot, and nothing else changes; a write far from all keys gets a slot
//! of its own. When all slots are taken, the one that was written longest ago is overwritten.

use mindseye_interface::config::{Validate, require_range};
use serde::{Deserialize, Serialize};

use super::DEFAULT_MAX_MIB;
use crate::{Error, Result};

/// Settings of a soft memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SoftMemoryConfig {
    /// Slots at most.
    pub capacity: usize,
    /// Distance (root mean square per value of a key) at which a key matches 0.6 as well as an equal one.
    pub bandwidth: f32,
    /// `γ` above: where the sum of matches is as much, half of the stored value is retrieved.
    pub threshold: f32,
    /// A write nearer than this to a key (root mean square) is blended into its slot; 0 gives every write a slot of its
    /// own.
    pub merge_within: f32,
    /// Share of the new value in such a blend.
    pub blend: f32,
    /// Memory that the slots may take, MiB: there are fewer than `capacity` where keys and values are large. An agent's
    /// ticks may take as much; less than those of `sub_goals.timeout_ticks` and `missing_frames.patience_ticks` take
    /// would be too little for these. At least one slot always fits.
    #[serde(skip_serializing_if = "is_default_limit")]
    pub max_mib: usize,
}

fn is_default_limit(max_mib: &usize) -> bool {
    *max_mib == DEFAULT_MAX_MIB
}

impl Default for SoftMemoryConfig {
    fn default() -> Self {
        Self {
            capacity: 1000,
            bandwidth: 0.1,
            threshold: 1e-3,
            merge_within: 0.02,
            blend: 0.5,
            max_mib: DEFAULT_MAX_MIB,
        }
    }
}

impl Validate for SoftMemoryConfig {
    fn validate(&self) -> mindseye_interface::Result<()> {
        require_range("memory.capacity", self.capacity, 1, 10_000_000)?;
        require_range("memory.bandwidth", self.bandwidth, 1e-6, 1e6)?;
        require_range("memory.threshold", self.threshold, 0.0, 1e6)?;
        require_range("memory.merge_within", self.merge_within, 0.0, 1e6)?;
        require_range("memory.blend", self.blend, 0.0, 1.0)?;
        require_range("memory.max_mib", self.max_mib, 1, 1 << 20)
    }
}

/// One stored pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// The key, `[K]`.
    pub key: Vec<f32>,
    /// The value, `[V]`.
    pub value: Vec<f32>,
    /// Tick at which it was last written.
    pub tick: u64,
    /// How often it was written.
    pub writes: u64,
}

/// The result of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Retrieval {
    /// The blend of values, `[V]`.
    pub value: Vec<f32>,
    /// The share `c_j` of every slot.
    pub shares: Vec<f32>,
}

impl Retrieval {
    /// How dense stored keys are around the query, 0 to 1: the sum of all shares.
    pub fn kernel_density(&self) -> f32 {
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

    /// All slots, in their order.
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

    /// Slots at most: by number, and by the memory that they take.
    pub fn capacity(&self) -> usize {
        let of_slot = size_of::<Slot>() + (self.widths.0 + self.widths.1) * size_of::<f32>();
        self.config.capacity.min(((self.config.max_mib << 20) / of_slot).max(1))
    }

    /// Stores `value [V]` under `key [K]` at `tick`; the index of its slot.
    ///
    /// # Errors
    /// [`Error::Shape`] when widths do not fit or a number is not finite: such a pair is not stored.
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
        if self.slots.len() < self.capacity() {
            self.slots.push(slot);
            return Ok(self.slots.len() - 1);
        }
        let oldest = (0..self.slots.len()).min_by_key(|&index| self.slots[index].tick).unwrap_or(0);
        self.slots[oldest] = slot;
        Ok(oldest)
    }

    /// The blend of values for `query [K]`.
    ///
    /// # Errors
    /// [`Error::Shape`] when the width does not fit.
    pub fn retrieve(&self, query: &[f32]) -> Result<Retrieval> {
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
        Ok(Retrieval { value, shares })
    }

    /// The gradients `[K]` on `query` of an energy whose gradients on the retrieved value are `upstream [V]`.
    ///
    /// # Errors
    /// [`Error::Shape`] when a width does not fit.
    pub fn gradients(&self, query: &[f32], upstream: &[f32]) -> Result<Vec<f32>> {
        let retrieved = self.retrieve(query)?;
        if upstream.len() != self.widths.1 {
            let (expected, got) = (format!("{} gradients", self.widths.1), upstream.len().to_string());
            return Err(Error::Shape { operation: "retrieving", expected, got });
        }
        let along = |value: &[f32]| value.iter().zip(upstream).map(|(value, upstream)| value * upstream).sum::<f32>();
        let (mean, narrow) = (along(&retrieved.value), 1.0 / (self.config.bandwidth.powi(2) * self.widths.0 as f32));
        let mut gradients = vec![0.0; self.widths.0];
        for (slot, share) in self.slots.iter().zip(&retrieved.shares) {
            let upstream = share * narrow * (along(&slot.value) - mean);
            let steps = gradients.iter_mut().zip(&slot.key).zip(query);
            steps.for_each(|((gradient, key), query)| *gradient += upstream * (key - query));
        }
        Ok(gradients)
    }

    fn require_key(&self, query: &[f32]) -> Result<()> {
        if query.len() == self.widths.0 {
            return Ok(());
        }
        let (expected, got) = (format!("a key of {} values", self.widths.0), query.len().to_string());
        Err(Error::Shape { operation: "retrieving", expected, got })
    }
}

/// Root mean square difference per value.
fn distance(a: &[f32], b: &[f32]) -> f32 {
    (a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>() / a.len().max(1) as f32).sqrt()
}
