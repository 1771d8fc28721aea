//! A web page of what an agent or a watcher sees: live image, expected image, surprise, and buttons.
//!
//! One page, without a build step, that asks nothing of the network but this server. It is served on loopback; other
//! machines are answered only where a token was given. Everything that a client sends is bounded: clients at a time,
//! bytes, seconds. Buttons are a request of their own that other sites cannot make.

mod buttons;
mod http;
mod requests;

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mindseye_interface::Image;
use serde_json::{Value, json};

pub use buttons::{Button, Buttons, Controls};

use crate::{Error, Result};

/// Points of the chart.
const POINTS: usize = 600;
/// For so long after the last request somebody watches.
const WATCHED: Duration = Duration::from_secs(3);
/// Clients that are answered at the same time; more are turned away.
const CLIENTS: usize = 16;

/// What the page shows.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// When, seconds since the start.
    pub at_secs: f64,
    /// Score of surprise; none where nothing was judged.
    pub score: Option<f64>,
    /// Score above which it is surprising.
    pub band: f64,
    /// Whether an event begins.
    pub event: bool,
    /// What the camera sees.
    pub live: Option<Arc<Image>>,
    /// What the model expects to see one chunk later.
    pub expected: Option<Arc<Image>>,
    /// What else is to be shown: `stale`, `alarm`, `holds`, `read_outs`, `goal_distance`.
    pub details: Value,
}

/// A page that is being served.
#[derive(Debug)]
pub struct Page {
    shared: Arc<Shared>,
    address: SocketAddr,
}

#[derive(Debug)]
struct Shared {
    shown: Mutex<Shown>,
    token: Option<String>,
    /// Ports and names by which the page is asked for.
    local: bool,
    controls: Arc<dyn Controls>,
    clients: AtomicUsize,
    ended: AtomicBool,
}

#[derive(Debug, Default)]
struct Shown {
    view: View,
    points: VecDeque<(f64, Option<f64>, bool)>,
    asked: Option<Instant>,
    /// Number of the view.
    number: u64,
}

impl Page {
    /// Serves at `address` (`HOST:PORT`), with `controls` behind its buttons.
    ///
    /// # Errors
    /// When the address makes no sense, is taken, or is open to other machines without a `token` of 8 characters.
    pub fn start(address: &str, token: Option<&str>, controls: Arc<dyn Controls>) -> Result<Self> {
        let found = address.to_socket_addrs().ok().and_then(|mut found| found.next());
        let found = found.ok_or_else(|| Error::field("--page", "HOST:PORT, as 127.0.0.1:8090", address))?;
        let local = found.ip().is_loopback();
        if !local && token.is_none() {
            return Err(Error::field("--page", "127.0.0.1, or a --token for other machines", address));
        }
        let fits =
            |token: &str| token.len() >= 8 && token.len() <= 200 && token.chars().all(|c| c.is_ascii_alphanumeric());
        if token.is_some_and(|token| !fits(token)) {
            return Err(Error::field("--token", "8 to 200 letters and digits", "another"));
        }
        let failed = |error: std::io::Error| Error::place(address, error);
        let listener = TcpListener::bind(found).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared {
            shown: Mutex::default(),
            token: token.map(str::to_owned),
            local,
            controls,
            clients: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        });
        let own = shared.clone();
        std::thread::Builder::new().name("page".into()).spawn(move || accept(&listener, &own)).map_err(failed)?;
        Ok(Self { shared, address })
    }

    /// Where it is served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to open in a browser.
    pub fn url(&self) -> String {
        let token = self.shared.token.as_ref().map_or_else(String::new, |token| format!("?token={token}"));
        format!("http://{}/{token}", self.address)
    }

    /// Shows `view`; the score becomes a point of the chart.
    pub fn show(&self, view: View) {
        let mut shown = self.shared.shown();
        if view.score.is_some() {
            while shown.points.len() >= POINTS {
                shown.points.pop_front();
            }
            shown.points.push_back((view.at_secs, view.score, view.event));
        }
        // Where nothing new was seen, the images stay.
        let (live, expected) = (shown.view.live.take(), shown.view.expected.take());
        shown.view = View { live: view.live.or(live), expected: view.expected.or(expected), ..view };
        shown.number += 1;
    }

    /// Whether somebody has asked for it in the last seconds.
    pub fn is_watched(&self) -> bool {
        self.shared.shown().asked.is_some_and(|asked| asked.elapsed() < WATCHED)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        // Wakes the listener, which then ends.
        let _ = std::net::TcpStream::connect_timeout(&self.address, Duration::from_millis(200));
    }
}

impl Shared {
    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that the page draws, as JSON.
    fn state(&self) -> Value {
        let mut shown = self.shown();
        shown.asked = Some(Instant::now());
        let points: Vec<Value> = shown
            .points
            .iter()
            .map(|(at, score, event)| {
                let rounded = |value: f64, by: f64| (value * by).round() / by;
                json!([rounded(*at, 100.0), score.map(|score| rounded(score, 1000.0)), event])
            })
            .collect();
        let View { at_secs, score, band, ref details, .. } = shown.view;
        json!({
            "number": shown.number,
            "at_secs": at_secs,
            "score": score,
            "band": band,
            "points": points,
            "has_live": shown.view.live.is_some(),
            "has_expected": shown.view.expected.is_some(),
            "buttons": self.controls.offered().iter().map(|button| button.name()).collect::<Vec<_>>(),
            "details": details,
        })
    }
}

/// Answers clients until the page is dropped, each on a thread of its own.
fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.ended.load(Ordering::Relaxed) {
            return;
        }
        let Ok(stream) = stream else {
            std::thread::sleep(Duration::from_millis(10)); // no more files: it may pass
            continue;
        };
        if shared.clients.fetch_add(1, Ordering::Relaxed) >= CLIENTS {
            shared.clients.fetch_sub(1, Ordering::Relaxed);
            http::turn_away(&stream);
            continue;
        }
        let own = shared.clone();
        let answer = move || {
            let _guard = Guard(&own.clients);
            requests::answer(stream, &own);
        };
        if std::thread::Builder::new().name("page client".into()).spawn(answer).is_err() {
            shared.clients.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Counts a client until it is answered, whatever happens.
struct Guard<'a>(&'a AtomicUsize);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
