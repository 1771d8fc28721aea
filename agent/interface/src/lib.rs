//! What an environment and an agent exchange.
//!
//! The simulator ([`mindseye-sim`](../mindseye_sim/index.html)) and the agent
//! ([`mindseye-agent`](../mindseye_agent/index.html)) do not depend on each other; both depend on this crate. It holds
//! data and seams only: no physics, no networks, no files other than configs.
//!
//! Conventions that hold everywhere: SI units, radians, images row-major `[H, W, 3]` `u8` RGB, actions normalised to
//! `[-1, 1]` with their physical bounds in [`ActionSpace`], randomness as an argument ([`Seed`]).
//!
//! A robot becomes usable to the agent by one implementation of [`Environment`]. A cart on a rail of 2 m, for example:
//!
//! ```
//! use mindseye_interface::{Action, ActionSpace, Environment, Neutral, Observation, Result, Seed, Step};
//! use rand::Rng as _;
//!
//! struct Cart { position_m: f64, tick: u64, space: ActionSpace }
//!
//! impl Environment for Cart {
//!     fn reset(&mut self, seed: Seed) -> Result<Observation> {
//!         (self.position_m, self.tick) = (seed.child("start").rng().random_range(-1.0..1.0), 0);
//!         self.observe()
//!     }
//!     fn observe(&mut self) -> Result<Observation> {
//!         let time_secs = self.tick as f64 * self.control_step_secs();
//!         let proprioception = vec![self.position_m as f32];
//!         Ok(Observation { frames: vec![], proprioception, tick: self.tick, time_secs })
//!     }
//!     fn step(&mut self, action: &Action) -> Result<Step> {
//!         let velocity_m_per_s = self.space.denormalise(action)?[0];
//!         self.position_m = (self.position_m + velocity_m_per_s * self.control_step_secs()).clamp(-1.0, 1.0);
//!         self.tick += 1;
//!         Ok(Step { observation: self.observe()?, terminated: false })
//!     }
//!     fn action_space(&self) -> &ActionSpace { &self.space }
//!     fn control_step_secs(&self) -> f64 { 0.1 }
//! }
//!
//! let (names, units) = (vec!["velocity".into()], vec!["m/s".into()]);
//! let neutral = vec![Neutral::Value(0.0)]; // its bounds are not symmetric: the middle of them would not hold still
//! let space = ActionSpace { names, units, low: vec![-0.5], high: vec![1.0], neutral, max_step: Vec::new() };
//! let mut cart = Cart { position_m: 0.0, tick: 0, space };
//! let start = cart.reset(Seed::new(7))?;
//! let still = cart.action_space().hold(&start.proprioception)?;
//! assert!((cart.step(&still)?.observation.proprioception[0] - start.proprioception[0]).abs() < 1e-6);
//! for _ in 0..30 {
//!     cart.step(&Action::new(vec![1.0])?)?; // full speed: 0.1 m a control step
//! }
//! assert_eq!(cart.observe()?.proprioception, [1.0], "the end of the rail");
//! # Ok::<(), mindseye_interface::Error>(())
//! ```

pub mod action;
pub mod benchmark;
pub mod clock;
pub mod config;
pub mod correlation;
pub mod environment;
pub mod error;
pub mod files;
pub mod goal;
pub mod image;
pub mod inputs;
pub mod lock;
pub mod memory;
pub mod observation;
pub mod out_of_memory;
pub mod percentiles;
pub mod progress;
pub mod script;
pub mod seed;
pub mod staging;
pub mod state;
pub mod text;

pub use action::{Action, ActionSpace, Neutral};
pub use benchmark::{Benchmark, GoalKind, PairSearch, SEQUENCE_GOALS, StartGoal, held_out_episode, recorded_episode};
pub use clock::{Clock, ManualClock, SystemClock};
pub use environment::{Environment, GoalCheck, Simulator, Snapshot, Step};
pub use error::{Error, Result};
pub use goal::{Goal, StateInterval, StateTarget};
pub use image::{Image, ImageSize};
pub use lock::FolderLock;
pub use memory::MemoryLimit;
pub use observation::{Frame, Observation};
pub use progress::{NoProgress, Progress};
pub use script::{GoalSource, Script, ScriptSource};
pub use seed::Seed;
pub use staging::StagedFolder;
pub use state::{DimensionKind, StateDimension, StateSchema};
pub use text::printable;

/// The generator behind every random stream of the project: portable, seekable, the same bits on every machine.
pub type Rng = rand_chacha::ChaCha8Rng;
