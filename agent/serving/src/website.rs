//! A small web server for the pages of this crate.
//!
//! It is served on loopback; other machines are answered only where a token was given. Everything that a client sends
//! is bounded: clients at a time, bytes, seconds.

mod http;

use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use mindseye_episodes::image_codec::encode_png;
use mindseye_interface::Image;
use serde_json::Value;

use self::http::Refused;
pub(crate) use self::http::Request;
use crate::timed_stream::TimedStream;
use crate::token::are_equal;
use crate::{Error, Result};

/// Clients that are answered at the same time; more are turned away.
const CLIENTS: usize = 16;
const TEXT: &str = "text/plain; charset=utf-8";

/// What is answered to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    status: &'static str,
    kind: &'static str,
    body: Vec<u8>,
}

impl Answer {
    /// A line of text.
    pub fn said(status: &'static str, text: &str) -> Self {
        Self { status, kind: TEXT, body: format!("{text}\n").into_bytes() }
    }

    /// A page.
    pub fn html(text: &str) -> Self {
        Self { status: "200 OK", kind: "text/html; charset=utf-8", body: text.into() }
    }

    /// A document.
    pub fn json(document: &Value) -> Self {
        Self { status: "200 OK", kind: "application/json", body: document.to_string().into_bytes() }
    }

    /// An image, where there is one.
    pub fn png(image: Option<&Image>) -> Self {
        match image.map(encode_png) {
            Some(Ok(body)) => Self { status: "200 OK", kind: "image/png", body },
            Some(Err(_)) => Self::said("500 Internal Server Error", "no image"),
            None => Self::said("404 Not Found", "no image yet"),
        }
    }
}

/// What is served.
pub(crate) trait Site: Send + Sync + 'static {
    /// The answer to a request whose host and token are right.
    fn answer(&self, request: &Request) -> Answer;
}

/// A site that is being served, until it is dropped.
#[derive(Debug)]
pub(crate) struct Website<S> {
    shared: Arc<Shared<S>>,
    address: SocketAddr,
}

#[derive(Debug)]
struct Shared<S> {
    site: S,
    token: Option<String>,
    /// It is asked for by names of this machine alone.
    local: bool,
    clients: AtomicUsize,
    ended: AtomicBool,
}

impl<S: Site> Website<S> {
    /// Serves `site` at `address` (`HOST:PORT`).
    ///
    /// # Errors
    /// When the address makes no sense, is taken, or is open to other machines without a `token` of 8 characters.
    pub fn start(address: &str, token: Option<&str>, site: S) -> Result<Self> {
        let found = address.to_socket_addrs().ok().and_then(|mut found| found.next());
        let found = found.ok_or_else(|| Error::field("--page", "HOST:PORT, as 127.0.0.1:8090", address))?;
        let local = found.ip().is_loopback();
        if !local && token.is_none() {
            return Err(Error::field(
                "--page",
                "127.0.0.1, or a token for other machines (--help names the option)",
                address,
            ));
        }
        let fits =
            |token: &str| token.len() >= 8 && token.len() <= 200 && token.chars().all(|c| c.is_ascii_alphanumeric());
        if token.is_some_and(|token| !fits(token)) {
            return Err(Error::field("the token of --page", "8 to 200 letters and digits", "another"));
        }
        let failed = |error: std::io::Error| Error::place(address, error);
        let listener = TcpListener::bind(found).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (clients, ended) = (AtomicUsize::new(0), AtomicBool::new(false));
        let shared = Arc::new(Shared { site, token: token.map(str::to_owned), local, clients, ended });
        let own = shared.clone();
        std::thread::Builder::new().name("page".into()).spawn(move || accept(&listener, &own)).map_err(failed)?;
        Ok(Self { shared, address })
    }

    /// What is served.
    pub fn site(&self) -> &S {
        &self.shared.site
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
}

impl<S> Drop for Website<S> {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        // Wakes the listener, which then ends.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_millis(200));
    }
}

/// Answers clients until the site is dropped, each on a thread of its own.
fn accept<S: Site>(listener: &TcpListener, shared: &Arc<Shared<S>>) {
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
            answer(stream, &own);
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

/// Reads one request and answers it.
fn answer<S: Site>(stream: TcpStream, shared: &Shared<S>) {
    let Ok(mut stream) = TimedStream::new(stream, http::TIME_SECS, &shared.ended) else { return };
    let Answer { status, kind, body } = match http::read(&mut stream) {
        Ok(request) => shared.answer(&request),
        Err(Refused::Broken) => Answer::said("400 Bad Request", "no request"),
        Err(Refused::TooLong) => Answer::said("413 Content Too Large", "a request of at most 8 KiB, without a body"),
        Err(Refused::Late) => return,
    };
    http::write(&mut stream, status, kind, &body);
    stream.part();
}

impl<S: Site> Shared<S> {
    fn answer(&self, request: &Request) -> Answer {
        // Another site's name that leads here must not reach the page through a person's browser.
        if self.local && !request.header("host").is_some_and(is_local) {
            return Answer::said("403 Forbidden", "expected the host 127.0.0.1 or localhost");
        }
        if let Some(token) = &self.token
            && !are_equal(request.field("token").unwrap_or_default().as_bytes(), token.as_bytes())
        {
            return Answer::said("401 Unauthorized", "expected ?token=...");
        }
        match request.method.as_str() {
            // A header of one's own: a page of another site cannot send it without being asked first.
            "POST" if request.header("x-mindseye").is_none() => {
                Answer::said("403 Forbidden", "expected the header X-Mindseye")
            }
            "GET" | "POST" => self.site.answer(request),
            _ => Answer::said("405 Method Not Allowed", "expected GET or POST"),
        }
    }
}

fn is_local(host: &str) -> bool {
    let parts = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']'),
        None => Some(host.split_at(host.find(':').unwrap_or(host.len()))),
    };
    let Some((name, port)) = parts else { return false };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
        return false;
    }
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
