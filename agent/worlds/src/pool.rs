//! Running worlds that wait for their next episode.

use std::sync::{Arc, Mutex, PoisonError};

use mindseye_interface::{Error, Result};

use crate::connection::{Connection, Launch, failure};
use crate::description::Description;

/// Worlds of one command.
pub(crate) struct Pool {
    launch: Launch,
    description: Arc<Description>,
    waiting: Mutex<Vec<Connection>>,
}

impl Pool {
    /// Starts the first world and asks what it is.
    pub fn start(launch: Launch) -> Result<Self> {
        let (first, description) = Connection::open(&launch)?;
        Ok(Self { launch, description: Arc::new(description), waiting: Mutex::new(vec![first]) })
    }

    pub fn launch(&self) -> &Launch {
        &self.launch
    }

    pub fn description(&self) -> &Arc<Description> {
        &self.description
    }

    /// A world that waits, or a new one.
    pub fn take(&self) -> Result<Connection> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(world) = waiting {
            return Ok(world);
        }
        let (world, description) = Connection::open(&self.launch)?;
        if description != *self.description {
            let error: Error = failure("describe: expected the same description from every process, got another");
            return Err(error);
        }
        Ok(world)
    }

    /// A world that has nothing to do.
    pub fn give_back(&self, world: Connection) {
        if !world.is_broken() {
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(world);
        }
    }
}
