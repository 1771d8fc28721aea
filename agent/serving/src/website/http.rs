//! As much of HTTP/1.1 as the page needs: one request per connection, bounded in bytes and time.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::http_head::{self, NoHead};
use crate::timed_stream::TimedStream;

/// Most bytes of the request line and all headers together.
const MAX_HEAD: usize = 8 << 10;
/// Most headers.
const MAX_HEADERS: usize = 64;
/// Longest time for a request to arrive, and for an answer to leave, seconds.
pub(super) const TIME_SECS: f64 = 5.0;

/// A request without a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// What follows the `?`.
    pub query: String,
    headers: Vec<(String, String)>,
}

/// Why a request is not answered as it was meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// It makes no sense.
    Broken,
    /// It is too long.
    TooLong,
    /// It did not arrive in time, or the client has gone.
    Late,
}

impl Request {
    /// A header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a field of the query.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.query.split('&').find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
    }

    /// The same with its characters as they were before a browser put them into an address.
    pub fn text(&self, name: &str) -> Option<String> {
        let field = percent_encoding::percent_decode_str(self.field(name)?);
        Some(field.decode_utf8_lossy().into_owned())
    }
}

/// Reads a request. A body is not read: none of the page's requests has one.
pub(super) fn read(stream: &mut TimedStream<'_>) -> Result<Request, Refused> {
    match http_head::read(stream, MAX_HEAD, parse) {
        Ok((request, _)) => Ok(request),
        Err(NoHead::Silent(_)) => Err(Refused::Late),
        Err(NoHead::TooLong) => Err(Refused::TooLong),
        Err(NoHead::Broken(refused)) => Err(refused),
    }
}

/// The request in `bytes`, and how many of them are its head; none while it is not whole.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(usize, Request)>, Refused> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let length = match parsed.parse(bytes) {
        Err(httparse::Error::TooManyHeaders) => return Err(Refused::TooLong),
        Err(_) => return Err(Refused::Broken),
        Ok(httparse::Status::Partial) => return Ok(None),
        Ok(httparse::Status::Complete(length)) => length,
    };
    let (Some(method), Some(target)) = (parsed.method, parsed.path) else { return Err(Refused::Broken) };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let header = |header: &httparse::Header<'_>| {
        (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned())
    };
    let headers: Vec<(String, String)> = parsed.headers.iter().map(header).collect();
    let request = Request { method: method.into(), path: path.into(), query: query.into(), headers };
    let body = request.header("content-length").map_or(Ok(0), str::parse::<u64>);
    match body {
        Ok(0) if request.header("transfer-encoding").is_none() => Ok(Some((length, request))),
        _ => Err(Refused::TooLong),
    }
}

/// Writes an answer, the last words of the connection.
pub(super) fn write(stream: &mut TimedStream<'_>, status: &str, kind: &str, body: &[u8]) {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n\
         Referrer-Policy: no-referrer\r\nContent-Security-Policy: default-src 'none'; img-src 'self' data:; \
         connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\r\n\r\n",
        body.len()
    );
    stream.begin_write();
    // A client that has gone needs no answer.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).and_then(|()| stream.flush());
}

/// Says that there are too many clients, without reading what this one wants.
pub(super) fn turn_away(mut stream: &TcpStream) {
    let _ = stream.set_write_timeout(Some(Duration::from_millis(100)));
    let text = "too many clients at a time: try again\n";
    let head = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nRetry-After: 1\r\nConnection: close";
    let _ = stream.write_all(format!("{head}\r\nContent-Length: {}\r\n\r\n{text}", text.len()).as_bytes());
    let _ = stream.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_whole_or_not_yet_and_hostile_ones_are_refused() {
        let text = b"GET /state.json?token=abc&x=1 HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Mindseye: 1\r\n\r\n";
        let (length, request) = parse(text).unwrap().unwrap();
        assert_eq!(length, text.len());
        assert_eq!(
            (request.path.as_str(), request.field("token"), request.field("x")),
            ("/state.json", Some("abc"), Some("1"))
        );
        assert_eq!((request.header("x-mindseye"), request.field("y")), (Some("1"), None));
        assert_eq!(parse(&text[..30]), Ok(None));
        let refused: [&[u8]; 5] = [
            b"\x00\xff\xfe",
            b"GET\r\n\r\n",
            b"POST /press/hold HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
            b"POST /press/hold HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"POST /press/hold HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        ];
        for text in refused {
            assert!(parse(text).is_err(), "{text:?}");
        }
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(65));
        assert_eq!(parse(many.as_bytes()), Err(Refused::TooLong));
    }
}
