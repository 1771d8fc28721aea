//! The few words of HTTP before a websocket: `/healthz`, refusals, and the upgrade.

use std::io::{Result as IoResult, Write};

use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::server::{Request, create_response, write_response};
use tungstenite::http::HeaderMap;

use crate::http_head;
use crate::timed_stream::TimedStream;
use crate::token::are_equal;

/// Most bytes of a request before the websocket.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// A request's head, and what came after it.
pub(super) struct Head {
    pub request: Request,
    pub tail: Vec<u8>,
}

/// Why there is no head.
pub(super) enum NoHead {
    /// Nothing sensible came: no answer is due.
    Silent(String),
    /// It is answered with this status and line.
    Refused(&'static str, String),
}

/// Reads the head of a request.
pub(super) fn head(stream: &mut TimedStream<'_>) -> Result<Head, NoHead> {
    match http_head::read(stream, MAX_HEAD_BYTES, Request::try_parse) {
        Ok((request, tail)) => Ok(Head { request, tail }),
        Err(http_head::NoHead::Silent(reason)) => Err(NoHead::Silent(reason)),
        Err(http_head::NoHead::TooLong) => {
            let reason = format!("expected at most {MAX_HEAD_BYTES} bytes of headers");
            Err(NoHead::Refused("431 Request Header Fields Too Large", reason))
        }
        Err(http_head::NoHead::Broken(error)) => Err(NoHead::Refused("400 Bad Request", error.to_string())),
    }
}

/// Answers with `status` and a line of text.
pub(super) fn respond(stream: &mut TimedStream<'_>, status: &str, line: &str) -> IoResult<()> {
    stream.begin_write();
    stream.write_all(&response(status, line))
}

/// An answer with `status` and a line of text.
pub(super) fn response(status: &str, line: &str) -> Vec<u8> {
    let length = line.len() + 1;
    let response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{line}\n"
    );
    response.into_bytes()
}

/// Upgrades the connection to a websocket; why not, where the request asks for none.
pub(super) fn upgrade(stream: &mut TimedStream<'_>, request: &Request) -> Result<(), String> {
    let response = create_response(request).map_err(|error| error.to_string())?;
    stream.begin_write();
    let mut bytes = Vec::new();
    write_response(&mut bytes, &response).map_err(|error| error.to_string())?;
    stream.write_all(&bytes).map_err(|error| error.to_string())
}

/// Whether `headers` carry `token`: as `Authorization: Api-Key TOKEN`, as openpi's client sends its `api_key`, or as
/// `Bearer TOKEN`. The time it takes says nothing about the token.
pub(super) fn has_token(headers: &HeaderMap, token: &str) -> bool {
    let Some(given) = headers.get("authorization").map(|value| value.as_bytes()) else { return false };
    let given = [&b"Api-Key "[..], b"Bearer "].iter().find_map(|scheme| {
        let is_scheme = given.len() > scheme.len() && given[..scheme.len()].eq_ignore_ascii_case(scheme);
        is_scheme.then(|| &given[scheme.len()..])
    });
    given.is_some_and(|given| are_equal(given.trim_ascii(), token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_from_both_schemes_and_nothing_else() {
        let has = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("authorization", value.parse().unwrap());
            has_token(&headers, "secret")
        };
        assert!(has("Api-Key secret") && has("Bearer secret") && has("bearer secret "));
        for wrong in ["secret", "Basic secret", "Bearer secre", "Bearer secretsecret", "Bearer ", "Bearer SECRET", ""] {
            assert!(!has(wrong), "{wrong}");
        }
        assert!(!has_token(&HeaderMap::new(), "secret"));
    }
}
