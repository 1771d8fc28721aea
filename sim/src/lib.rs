//! Rapier scenes, tasks, the CPU camera, scripted demonstrators, and the factors by which scenes vary.
//!
//! Everything is deterministic: a scene is a function of (options, seed, actions), to the bit, on every machine
//! (rapier's `enhanced-determinism`, our own rasteriser, ChaCha streams).
//!
//! ```
//! use mindseye_sim::{SceneOptions, demonstrate, demonstrator, make};
//! use mindseye_interface::Seed;
//!
//! let options = SceneOptions::with_side(32)?;
//! let mut simulator = make("two_room", &options)?;
//! let mut walker = demonstrator("two_room", "walker", &options)?;
//! let episode = demonstrate(simulator.as_mut(), walker.as_mut(), Seed::new(7), 20, false)?;
//! assert_eq!(episode.len(), 20);
//! # Ok::<(), mindseye_interface::Error>(())
//! ```

pub mod benchmark;
pub mod camera;
pub mod demonstration;
pub mod factors;
pub mod figure;
pub mod intuition;
pub mod scenes;

pub use benchmark::{SceneBenchmark, benchmark};
pub use demonstration::{Demonstrator, demonstrate};
pub use factors::{Factor, Factors};
pub use figure::Figure;
pub use scenes::{SCENES, Scene, SceneOptions, cross_pair, demonstrator, has_cross_pairs, make, scene};
