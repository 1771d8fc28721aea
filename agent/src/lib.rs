//! An autonomous agent in the sense of LeCun 2022 ("A path towards autonomous machine intelligence", section 3): six modules and
//! the tick that joins them.
//!
//! [`configurator`] → [`perception`] → [`cost`] judges → [`actor`] imagines with the [`world_model`] and chooses → [`memory`]
//! remembers → the tick reports. See [`agent`].

pub mod actor;
pub mod agent;
pub mod configurator;
pub mod cost;
pub mod error;
pub mod latent;
pub mod memory;
pub mod perception;
pub mod reporting;
pub mod world_model;

pub use agent::{Agent, Modules, TickReport};
pub use configurator::{Configurator, Directive, Task};
pub use error::{Error, Result};
pub use latent::{Latent, Plan, Plans, Rollouts};
