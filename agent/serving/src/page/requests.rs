//! What the page answers to which request.

use std::net::TcpStream;
use std::sync::Arc;

use mindseye_episodes::image_codec::encode_png;
use mindseye_interface::Image;

use super::buttons::Button;
use super::http::{self, Refused, Request};
use super::{Shared, View};
use crate::timed_stream::TimedStream;
use crate::token::are_equal;

const HTML: &str = include_str!("page.html");
const TEXT: &str = "text/plain; charset=utf-8";

/// An answer: status, type and body.
type Answer = (&'static str, &'static str, Vec<u8>);

/// Reads one request and answers it.
pub(super) fn answer(stream: TcpStream, shared: &Shared) {
    let Ok(mut stream) = TimedStream::new(stream, http::TIME_SECS, &shared.ended) else { return };
    let (status, kind, body) = match http::read(&mut stream) {
        Ok(request) => of(&request, shared),
        Err(Refused::Broken) => said("400 Bad Request", "no request"),
        Err(Refused::TooLong) => said("413 Content Too Large", "a request of at most 8 KiB, without a body"),
        Err(Refused::Late) => return,
    };
    http::write(&mut stream, status, kind, &body);
    stream.part();
}

fn said(status: &'static str, text: &str) -> Answer {
    (status, TEXT, format!("{text}\n").into_bytes())
}

fn of(request: &Request, shared: &Shared) -> Answer {
    // Another site's name that leads here must not reach the page through a person's browser.
    if shared.local && !request.header("host").is_some_and(is_local) {
        return said("403 Forbidden", "expected the host 127.0.0.1 or localhost");
    }
    if let Some(token) = &shared.token
        && !are_equal(request.field("token").unwrap_or_default().as_bytes(), token.as_bytes())
    {
        return said("401 Unauthorized", "expected ?token=...");
    }
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/") => ("200 OK", "text/html; charset=utf-8", HTML.into()),
        ("GET", "/state.json") => ("200 OK", "application/json", shared.state().to_string().into_bytes()),
        ("GET", "/live.png") => image(shared, |view| view.live.clone()),
        ("GET", "/expected.png") => image(shared, |view| view.expected.clone()),
        ("POST", path) => press(request, path, shared),
        ("GET", _) => said("404 Not Found", "expected /, /state.json, /live.png or /expected.png"),
        _ => said("405 Method Not Allowed", "expected GET or POST"),
    }
}

fn press(request: &Request, path: &str, shared: &Shared) -> Answer {
    let named = |button: &Button| path.strip_prefix("/press/") == Some(button.name());
    let Some(button) = shared.controls.offered().into_iter().find(named) else {
        return said("404 Not Found", "expected /press/ and the name of a button");
    };
    // A header of one's own: a page of another site cannot send it without being asked first.
    if request.header("x-mindseye").is_none() {
        return said("403 Forbidden", "expected the header X-Mindseye");
    }
    said("200 OK", &shared.controls.press(button))
}

fn image(shared: &Shared, of: impl Fn(&View) -> Option<Arc<Image>>) -> Answer {
    let image = of(&shared.shown().view);
    match image.map(|image| encode_png(&image)) {
        Some(Ok(png)) => ("200 OK", "image/png", png),
        Some(Err(_)) => said("500 Internal Server Error", "no image"),
        None => said("404 Not Found", "no image yet"),
    }
}

fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    };
    let name = name.unwrap_or_default();
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
