//! One seed at the top, named children below it.
//!
//! A child's value depends on its parent and its name only, never on how many numbers were drawn elsewhere: adding a
//! new random choice somewhere leaves every other stream as it was.

use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use crate::Rng;

/// A node of the seed tree.
///
/// ```
/// use mindseye_interface::Seed;
/// let run = Seed::new(7);
/// assert_eq!(run.child("actor"), Seed::new(7).child("actor"));
/// assert_ne!(run.child("actor"), run.child("camera"));
/// assert_ne!(run.index(0), run.index(1));
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

    /// One node of the tree, what it must be, and the first two numbers of its stream.
    struct Golden(Seed, u64, [u64; 2]);

    fn goldens() -> [Golden; 9] {
        let root = Seed::new(42);
        let actor = root.child("actor");
        [
            Golden(Seed::new(0), 0, [0xb585_f767_a79a_3b6c, 0x7746_a55f_bad8_c037]),
            Golden(root, 42, [0xae90_bfb5_395d_5ba1, 0xf345_3fc6_2579_9188]),
            Golden(Seed::new(0).child("actor"), 0xea66_20bf_f2be_49a2, [0x5250_86d9_790d_d263, 0x6f0a_81f7_282b_0194]),
            Golden(actor, 0xe98c_8193_dd7e_86fb, [0x8d1e_d147_4e1b_68e4, 0xe93d_0124_8943_e79d]),
            Golden(Seed::new(0).index(0), 0x9f30_61f8_05b5_6d5a, [0xac73_122d_c09e_0652, 0x5eea_f2a1_ff9a_2341]),
            Golden(root.index(7), 0x4ee4_d58a_a504_d6f9, [0xeb13_73d7_4d2f_54a7, 0x0fa2_879e_e332_899b]),
            Golden(actor.index(3), 0xca9b_6405_4630_3f1f, [0xd556_19ac_ca00_955c, 0x091b_2fc4_754f_c00b]),
            Golden(Seed::new(7).child(""), 0xd0c9_e204_a989_6e37, [0xdfcc_11b2_d25b_4f74, 0x3ad1_3f84_e0f8_c481]),
            Golden(
                Seed::new(u64::MAX).child("scene"),
                0x03f4_7280_5c1a_221c,
                [0x4fc9_27ed_5c84_f8de, 0x0e43_3923_db98_7fae],
            ),
        ]
    }

    /// The numbers come from an independent implementation of SplitMix64's finaliser and ChaCha8. If this test fails,
    /// every recording, start, goal and training run of before is of another random world.
    #[test]
    fn golden_seeds_and_streams_are_the_same_on_every_machine() {
        use rand_chacha::rand_core::RngCore;
        for Golden(seed, value, draws) in goldens() {
            assert_eq!(seed.value(), value, "node {value:#x}");
            let mut stream = seed.rng();
            assert_eq!([stream.next_u64(), stream.next_u64()], draws, "stream of node {value:#x}");
        }
    }
}
