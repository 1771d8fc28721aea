//! One seed at the top, named children below it.
//!
//! A child's value depends on its parent and its name only, never on how many numbers were drawn elsewhere: adding a new random
//! choice somewhere leaves every other stream as it was.

use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use crate::Rng;

/// A node of the seed tree.
///
/// ```
/// use mindseye_interface::Seed;
/// let life = Seed::new(7);
/// assert_eq!(life.child("actor"), Seed::new(7).child("actor"));
/// assert_ne!(life.child("actor"), life.child("camera"));
/// assert_ne!(life.index(0), life.index(1));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Seed(u64);

impl Seed {
    /// The root of a tree.
    pub fn new(value: u64) -> Self {
        Self(value)
    }

    /// The number behind this node.
    pub fn value(self) -> u64 {
        self.0
    }

    /// The child called `name`.
    pub fn child(self, name: &str) -> Self {
        name.bytes().fold(Self(mix(self.0 ^ 0x6e61_6d65)), |seed, byte| Self(mix(seed.0 ^ u64::from(byte))))
    }

    /// The child numbered `index`, for example an episode.
    pub fn index(self, index: u64) -> Self {
        Self(mix(mix(self.0 ^ 0x696e_6465_7800).wrapping_add(index)))
    }

    /// A fresh random stream from this node.
    pub fn rng(self) -> Rng {
        Rng::seed_from_u64(self.0)
    }
}

/// SplitMix64's finaliser (Steele, Lea, Flood 2014) after one step of its Weyl sequence.
fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_and_indices_give_distinct_streams() {
        let root = Seed::new(0);
        let named = ["actor", "camera", "scene", "ab", "ba", ""].map(|name| root.child(name));
        let indexed = (0..1000).map(|index| root.index(index));
        let all: HashSet<_> = named.into_iter().chain(indexed).chain([root]).collect();
        assert_eq!(all.len(), 6 + 1000 + 1);
    }

    #[test]
    fn streams_are_the_same_on_every_machine() {
        use rand_chacha::rand_core::RngCore;
        let golden = Seed::new(42).child("actor").index(3);
        assert_eq!(golden.rng().next_u64(), golden.rng().next_u64());
        assert_ne!(golden.rng().next_u64(), Seed::new(43).child("actor").index(3).rng().next_u64());
    }
}
