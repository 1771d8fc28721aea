//! Events told to a server: one POST of JSON each, on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use super::events::Event;
use crate::{Error, Result};

/// Events that may wait for a slow server; more are dropped and counted.
const WAITING: usize = 16;
/// Longest time that a server may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A server that hears of events.
#[derive(Debug)]
pub struct Webhook {
    send: SyncSender<Vec<u8>>,
    lost: Arc<AtomicU64>,
}

impl Webhook {
    /// The server at `url`, over plain HTTP.
    ///
    /// # Errors
    /// [`Error::Field`] for another scheme, or when the system gives no thread.
    pub fn new(url: &str) -> Result<Self> {
        if !url.strip_prefix("http://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/')) {
            return Err(Error::field("--webhook", "http://HOST:PORT/PATH", url));
        }
        let (send, receive) = sync_channel::<Vec<u8>>(WAITING);
        let (url, lost) = (url.to_owned(), Arc::new(AtomicU64::new(0)));
        let failed = lost.clone();
        let config = ureq::Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .max_idle_connections(0)
            .timeout_global(Some(TIMEOUT))
            .user_agent(concat!("mindseye/", env!("CARGO_PKG_VERSION")));
        let agent = config.build().new_agent();
        let tell = move || {
            for body in receive {
                let told = agent.post(&url).header("content-type", "application/json").send(&body[..]);
                failed.fetch_add(u64::from(told.is_err()), Ordering::Relaxed);
            }
        };
        let thread = std::thread::Builder::new().name("webhook".into()).spawn(tell);
        thread.map_err(|error| Error::field("--webhook", "a thread", error))?;
        Ok(Self { send, lost })
    }

    /// Tells of `event`, at once: it does not wait for the server.
    pub fn tell(&self, event: &Event) {
        let Ok(body) = serde_json::to_vec(event) else { return };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.send.try_send(body) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Events that the server did not take.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}
