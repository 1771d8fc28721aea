//! What body and mind exchange.
//!
//! The simulator ([`mindseye-sim`](../mindseye_sim/index.html)) and the agent
//! ([`mindseye-agent`](../mindseye_agent/index.html)) never know each other; both know this crate. It holds data and seams only:
//! no physics, no networks, no files other than configs.
//!
//! Conventions that hold everywhere: SI units, radians, images row-major `[H, W, 3]` `u8` RGB, actions normalised to `[-1, 1]`
//! with their physical bounds in [`ActionSpace`], randomness as an argument ([`Seed`]).

pub mod action;
pub mod clock;
pub mod config;
pub mod environment;
pub mod error;
pub mod files;
pub mod goal;
pub mod image;
pub mod observation;
pub mod seed;

pub use action::{Action, ActionSpace};
pub use clock::{Clock, ManualClock, SystemClock};
pub use environment::{BlockMove, Environment, GoalCheck, Simulator, Snapshot, Step};
pub use error::{Error, Result};
pub use goal::Goal;
pub use image::{Image, ImageSize};
pub use observation::Observation;
pub use seed::Seed;

/// The generator behind every random stream of the project: portable, seekable, the same bits on every machine.
pub type Rng = rand_chacha::ChaCha8Rng;
