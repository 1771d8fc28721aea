//! An autonomous agent in the sense of LeCun 2022 ("A path towards autonomous machine intelligence", section 3): six
//! modules and the tick that joins them.
//!
//! [`configurator`] says what the tick is about, [`perception`] estimates the state, [`cost`] scores it, the [`actor`]
//! plans with the [`world_model`] and acts, [`memory`] remembers, and the tick reports: see [`Agent`]. [`assembly`]
//! makes agents of checkpoints and tasks, [`control_loop`] drives an environment with one.
//!
//! ```no_run
//! # use std::{path::Path, sync::Arc};
//! # use mindseye_agent::{Agent, Task};
//! # use mindseye_interface::{Environment, Goal, Seed, SystemClock, config};
//! # use mindseye_world_model::Checkpoint;
//! # fn act(camera: &mut dyn Environment) -> mindseye_agent::Result<Vec<f32>> {
//! let checkpoint = Arc::new(Checkpoint::load(Path::new("assets/checkpoints/push_t"))?);
//! let task: Task = config::load(Path::new("assets/tasks/push_t.toml"))?;
//! let mut agent = Agent::from_checkpoint(&checkpoint, &task, Seed::new(0))?;
//! agent.set_goal(Goal::image(&camera.observe()?))?;
//! Ok(agent.tick(&camera.observe()?, &SystemClock::start()).action_chunk)
//! # }
//! ```

pub mod actor;
mod agent;
pub mod assembly;
pub mod configurator;
pub mod control_loop;
pub mod cost;
pub mod directive;
mod error;
pub mod latent;
pub mod memory;
mod model_source;
pub mod perception;
mod pooling;
mod removed_fields;
pub mod session;
pub mod world_model;

pub use agent::{Agent, ExpectedDistances, Modules, TickReport};
pub use configurator::{Configurator, RunGoal, Task};
pub use control_loop::run;
pub use directive::Directive;
pub use error::{Error, Result};
pub use latent::{Latent, LatentShape, Plan, Plans, Rollouts};
pub use model_source::ModelSource;
pub(crate) use removed_fields::removed_fields;
