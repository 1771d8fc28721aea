//! A websocket server whose clients cannot hold up each other: a thread and a session for each, a limit on how many
//! there are, and a deadline for every message both ways.
//!
//! What is served is behind [`Service`] and [`Session`]: a policy ([`PolicyService`]) or a body
//! ([`crate::body::BodyService`]).

mod connection;
mod crowd;
mod http;
mod planners;
mod policy_service;
mod rate;

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use self::crowd::{Crowd, Refusals};
pub use planners::Planners;
pub use policy_service::PolicyService;

use crate::message::{MAX_MESSAGE_BYTES, Value};
use crate::{Error, Result};

/// What is served.
pub trait Service: Sync {
    /// A session for a client that has just come; called on that client's thread.
    ///
    /// # Errors
    /// Why it cannot be served.
    fn open(&self) -> Result<Box<dyn Session + '_>>;
}

/// One client's part of a service.
pub trait Session {
    /// What the client is told first.
    fn greeting(&self) -> Value;

    /// The answer to `message`. The session goes on after an error.
    ///
    /// # Errors
    /// On one line, for the client.
    fn answer(&mut self, message: &[u8]) -> Result<Value>;

    /// The answer was sent `total_ms` after its message had come.
    fn sent(&mut self, _total_ms: f64) {}

    /// Called some twenty times a second while the client says nothing.
    fn idle(&mut self) {}
}

/// Limits of a server.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Most clients at the same time; the next is refused at once, with a line that says so.
    pub max_clients: usize,
    /// Most bytes of a message.
    pub message_bytes: usize,
    /// Most messages per second of one client, in the mean; faster ones wait.
    pub messages_per_sec: f64,
    /// From the first byte of a message to its last, and for the client to take an answer, seconds. Slower clients are
    /// dropped.
    pub message_secs: f64,
    /// A client that says nothing for so long is dropped, seconds.
    pub idle_secs: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_clients: 16,
            message_bytes: MAX_MESSAGE_BYTES,
            messages_per_sec: 200.0,
            message_secs: 10.0,
            idle_secs: 600.0,
        }
    }
}

impl Limits {
    /// What a client beyond the limit is told.
    fn full(&self) -> String {
        format!("expected fewer than {} clients at once, got one more; try again later", self.max_clients)
    }
}

/// Threads beside those of clients: for connections that have not said yet what they want, and for refusals.
const SPARE_THREADS: usize = 64;
/// The same while all places are taken: those who come then are refused, most of them without a thread.
const SPARE_WHEN_FULL: usize = 4;
/// Pause after a refusal without a thread: who comes in a crowd must not take the time of those who are served.
const REFUSAL_PAUSE: Duration = Duration::from_millis(2);
/// The status of a refusal for want of places.
const FULL: &str = "503 Service Unavailable";
/// Connections that may come one after the other before the refused ones are looked after.
const ATTEND_EVERY: usize = 32;
/// Pause before the next look for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(3);
/// Pause after the system refused a connection, for example for want of file descriptors.
const TROUBLE_PAUSE: Duration = Duration::from_millis(100);

/// A bound address, and who is let in.
pub struct Server {
    listener: TcpListener,
    limits: Limits,
    token: Option<String>,
}

impl Server {
    /// Listens at `address`. Without a token only this machine can be served: anybody who can reach the port can use a
    /// server without one.
    ///
    /// # Errors
    /// [`Error::Field`] for another address than loopback without a token, [`Error::Connection`] where the system
    /// refuses it.
    pub fn bind(address: SocketAddr, limits: Limits, token: Option<String>) -> Result<Self> {
        if !is_loopback(address.ip()) && token.is_none() {
            let expected = "127.0.0.1, or --token-file beside an address that others can reach";
            return Err(Error::field("--host", expected, address.ip()));
        }
        let refused = |error: std::io::Error| Error::connection(address.to_string(), error);
        let listener = TcpListener::bind(address).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        Ok(Self { listener, limits, token })
    }

    /// The address, with the port that the system chose where 0 was asked for.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> Result<SocketAddr> {
        self.listener.local_addr().map_err(|error| Error::connection("server", error))
    }

    /// Serves until `stop` becomes true; all sessions then get a closing frame. `log` gets a line for every client that
    /// comes, goes or is refused.
    pub fn run(&self, service: &dyn Service, stop: &AtomicBool, log: &(dyn Fn(&str) + Sync)) {
        let (clients, threads) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let served =
            Served { service, limits: &self.limits, token: self.token.as_deref(), clients: &clients, stop, log };
        let (mut crowd, mut refusals, mut come) = (Crowd::default(), Refusals::default(), 0usize);
        std::thread::scope(|scope| {
            while !stop.load(Ordering::Relaxed) {
                let (stream, peer) = match self.listener.accept() {
                    Ok(accepted) => accepted,
                    Err(error) if crate::timed_stream::is_wait(&error) => {
                        crowd.attend();
                        std::thread::sleep(ACCEPT_PAUSE);
                        continue;
                    }
                    Err(error) => {
                        log(&format!("accepting: {error}"));
                        std::thread::sleep(TROUBLE_PAUSE);
                        continue;
                    }
                };
                come += 1;
                if come.is_multiple_of(ATTEND_EVERY) {
                    crowd.attend();
                }
                let is_full = clients.load(Ordering::Relaxed) >= self.limits.max_clients;
                let spare = if is_full { SPARE_WHEN_FULL } else { SPARE_THREADS };
                let Some(place) = Place::take(&threads, self.limits.max_clients + spare) else {
                    // More at once than have a thread even to be refused.
                    crowd.refuse(stream, &self.limits.full());
                    if let Some(count) = refusals.count(Instant::now()) {
                        log(&format!("{peer}: refused: {FULL}: {} ({count} so far)", self.limits.full()));
                    }
                    std::thread::sleep(REFUSAL_PAUSE);
                    continue;
                };
                let served = &served;
                let begun = std::thread::Builder::new().name(format!("client {peer}")).spawn_scoped(scope, move || {
                    let _place = place;
                    connection::handle(served, stream, peer);
                });
                if let Err(error) = begun {
                    log(&format!("{peer}: dropped: {error}"));
                }
            }
        });
    }
}

/// What all connections of a server share.
struct Served<'a> {
    service: &'a dyn Service,
    limits: &'a Limits,
    token: Option<&'a str>,
    clients: &'a AtomicUsize,
    stop: &'a AtomicBool,
    log: &'a (dyn Fn(&str) + Sync),
}

impl Served<'_> {
    fn is_ending(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// One of a limited number, given back when it is dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(taken: &'a AtomicUsize, most: usize) -> Option<Self> {
        let next = |count: usize| (count < most).then_some(count + 1);
        taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).ok().map(|_| Self(taken))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback(),
        IpAddr::V6(address) => {
            address.is_loopback() || address.to_ipv4_mapped().is_some_and(|address| address.is_loopback())
        }
    }
}
