//! Rapier scenes, tasks, the CPU camera, scripted demonstrators, and the factors by which scenes vary.
//!
//! Everything is deterministic: a scene is a function of (options, seed, actions), to the bit, on every machine
//! (rapier's `enhanced-determinism`, our own rasteriser, ChaCha streams).

pub mod camera;
pub mod demonstration;
pub mod factors;
pub mod scenes;

pub use demonstration::{Demonstrator, demonstrate};
pub use factors::{Factor, Factors};
pub use scenes::{SCENES, SceneOptions, cross_pair, demonstrator, has_cross_pairs, make};
