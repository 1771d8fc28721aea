//! What the modules exchange: latent states, plans and rollouts, as world models define them.

pub use mindseye_world_model::{Latent, LatentShape, Plan, Plans, Rollouts};
