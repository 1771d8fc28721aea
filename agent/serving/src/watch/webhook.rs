//! Events told to a server: one POST of JSON each, on a thread of its own.

use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::events::Event;
use crate::{Error, Result};

/// Events that may wait for a slow server; more are dropped and counted.
const WAITING: usize = 16;
/// Longest time that a server may take, and longest wait for it at the end.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A server that hears of events.
#[derive(Debug)]
pub struct Webhook {
    send: SyncSender<Vec<u8>>,
    told: u64,
    answers: Arc<Answers>,
    /// Disconnected when the thread has ended.
    ended: Receiver<()>,
}

/// Events that a server did not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// How many.
    pub events: u64,
    /// Of how many.
    pub of: u64,
    /// Why the last of them is one.
    pub why: String,
}

/// What a server has answered.
#[derive(Debug, Default)]
struct Answers {
    taken: AtomicU64,
    trouble: Mutex<Option<String>>,
}

impl Webhook {
    /// The server at `url`, over plain HTTP.
    ///
    /// # Errors
    /// [`Error::Field`] for another scheme, for what cannot be an address, or when the system gives no thread.
    pub fn new(url: &str) -> Result<Self> {
        if !is_address(url) || url.parse::<ureq::http::Uri>().is_err() {
            return Err(Error::field("--webhook", "http://HOST:PORT/PATH", url));
        }
        let (send, receive) = sync_channel::<Vec<u8>>(WAITING);
        let (url, answers) = (url.to_owned(), Arc::<Answers>::default());
        let config = ureq::Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .max_idle_connections(0)
            .timeout_global(Some(TIMEOUT))
            .user_agent(concat!("mindseye/", env!("CARGO_PKG_VERSION")));
        let agent = config.build().new_agent();
        let (alive, ended) = channel();
        let heard = answers.clone();
        let tell = move || {
            let _alive = alive;
            for body in receive {
                match agent.post(&url).header("content-type", "application/json").send(&body[..]) {
                    Ok(answer) if answer.status().is_success() => {
                        heard.taken.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(answer) => heard.failed(format!("http status: {}", answer.status().as_u16())),
                    Err(error) => heard.failed(error.to_string()),
                }
            }
        };
        let thread = std::thread::Builder::new().name("webhook".into()).spawn(tell);
        thread.map_err(|error| Error::field("--webhook", "a thread", error))?;
        Ok(Self { send, told: 0, answers, ended })
    }

    /// Tells of `event`, at once: it does not wait for the server.
    pub fn tell(&mut self, event: &Event) {
        self.told += 1;
        let Ok(body) = serde_json::to_vec(event) else { return };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.send.try_send(body) {
            self.answers.failed(format!("the server is behind by {WAITING} events"));
        }
    }

    /// Waits until the server has heard of all events, at most 5 s; what it did not take.
    pub fn finish(self) -> Option<Missed> {
        let Self { send, told, answers, ended } = self;
        drop(send); // the thread ends after what is waiting
        let _ = ended.recv_timeout(TIMEOUT); // nothing is ever sent: it ends, or the time is over
        let events = told.saturating_sub(answers.taken.load(Ordering::Relaxed));
        let why = answers.trouble.lock().unwrap_or_else(PoisonError::into_inner).take();
        let why = why.unwrap_or_else(|| format!("no answer within {} s", TIMEOUT.as_secs()));
        (events > 0).then_some(Missed { events, of: told, why })
    }
}

impl std::fmt::Display for Missed {
    fn fmt(&self, text: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(text, "the webhook missed {} of {} events: {}", self.events, self.of, self.why)
    }
}

impl Answers {
    fn failed(&self, why: String) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }
}

/// Whether `url` begins with `http://`, a host that can be one, and, if it has one, a port from 1 to 65535.
fn is_address(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let place = authority.rsplit('@').next().unwrap_or_default();
    let (is_host, port) = match place.strip_prefix('[').map(|inner| inner.split_once(']')) {
        Some(None) => return false,
        Some(Some((host, ""))) => (host.parse::<Ipv6Addr>().is_ok(), None),
        Some(Some((host, rest))) => {
            (host.parse::<Ipv6Addr>().is_ok(), Some(rest.strip_prefix(':').unwrap_or_default()))
        }
        None => {
            let (host, port) = place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port)));
            let is_part = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
            (!host.is_empty() && host.chars().all(is_part), port)
        }
    };
    is_host && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}
