//! A command's running worlds, with the recordings that belong to them.

use std::sync::Arc;

use mindseye_interface::{Error, Result, Script};

use crate::connection::Launch;
use crate::description::Description;
use crate::pool::Pool;
use crate::recordings::{KnownEpisodes, Recordings};
use crate::scripts::{Explorer, OwnDemonstrator};
use crate::simulator::WorldSimulator;

/// What acts in recordings unless something else is asked for: the demonstrator, or without one smooth noise.
pub(crate) const MIXTURE: &str = "mixture";
/// Name of the demonstrator that the world brings.
const DEMONSTRATOR: &str = "demonstrator";
/// Name of smooth random actions.
const EXPLORER: &str = "explorer";

/// Worlds of one command.
pub(crate) struct Worlds {
    pub pool: Arc<Pool>,
    /// Episodes whose states can be reached again.
    pub known: Arc<KnownEpisodes>,
    pub recordings: Option<Recordings>,
    /// Recorded episodes that starts and goals come from.
    pub held_out: Vec<usize>,
}

impl Worlds {
    /// Starts the first one.
    pub fn start(launch: Launch) -> Result<Self> {
        let pool = Arc::new(Pool::start(launch)?);
        Ok(Self { pool, known: Arc::default(), recordings: None, held_out: Vec::new() })
    }

    pub fn description(&self) -> &Description {
        self.pool.description()
    }

    pub fn simulator(&self) -> Result<WorldSimulator> {
        WorldSimulator::new(&self.pool, &self.known)
    }

    /// A script called `policy`.
    pub fn script(&self, policy: &str) -> Result<Box<dyn Script>> {
        let (width, has_own) = (self.description().action.width(), self.description().can.act);
        match policy {
            DEMONSTRATOR | MIXTURE if has_own => Ok(Box::new(OwnDemonstrator { width, begin: None })),
            EXPLORER | MIXTURE => Ok(Box::new(Explorer::new(width))),
            other => {
                let own = if has_own { "demonstrator, " } else { "" };
                let expected = format!("one of {own}{EXPLORER}, agent in {}", self.description().name);
                Err(Error::field("policy", expected, other))
            }
        }
    }
}
