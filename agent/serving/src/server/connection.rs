//! One connection: the first words, then a session until it ends.

use std::net::{SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tungstenite::{Error as SocketError, Message, WebSocket};

use super::http::{self, Head, NoHead};
use super::rate::Rate;
use super::{FULL, Place, Served, Session};
use crate::timed_stream::{TimedStream, is_wait};

/// Memory of a connection for reading and writing, before a message is larger.
const BUFFER_BYTES: usize = 16 << 10;
/// Longest reason in a closing frame, bytes: the standard allows 123.
const REASON_BYTES: usize = 120;

/// Serves `stream` until it ends, and says why it ended.
pub(super) fn handle(served: &Served<'_>, stream: TcpStream, peer: SocketAddr) {
    let log = |text: &str| (served.log)(&format!("{peer}: {text}"));
    let Ok(mut stream) = TimedStream::new(stream, served.limits.message_secs, served.stop) else { return };
    let head = match http::head(&mut stream) {
        Ok(head) => head,
        Err(NoHead::Silent(reason)) => return log(&format!("dropped: {reason}")),
        Err(NoHead::Refused(status, reason)) => return refuse(stream, status, &reason, &log),
    };
    if head.request.uri().path() == "/healthz" {
        let _ = http::respond(&mut stream, "200 OK", "OK");
        return stream.part();
    }
    if let Some((status, reason)) = objection(served, &head) {
        return refuse(stream, status, &reason, &log);
    }
    let Some(_place) = Place::take(served.clients, served.limits.max_clients) else {
        return refuse(stream, FULL, &served.limits.full(), &log);
    };
    if let Err(reason) = http::upgrade(&mut stream, &head.request) {
        return refuse(stream, "400 Bad Request", &format!("expected a websocket: {reason}"), &log);
    }
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(0)
        .max_message_size(Some(served.limits.message_bytes))
        .max_frame_size(Some(served.limits.message_bytes));
    let socket = WebSocket::from_partially_read(stream, head.tail, Role::Server, Some(config));
    let mut connection = Connection { served, socket, rate: Rate::new(served.limits.messages_per_sec, Instant::now()) };
    // A fault of ours in one session must not end the others.
    let ended = catch_unwind(AssertUnwindSafe(|| connection.serve(&log)));
    let end = ended.unwrap_or_else(|_| End::Internal("the session failed".into()));
    log(&format!("left: {}", connection.close(&end)));
    let Connection { socket, .. } = connection;
    socket.into_inner().part();
}

/// Why the request in `head` is refused.
fn objection(served: &Served<'_>, head: &Head) -> Option<(&'static str, String)> {
    let headers = head.request.headers();
    match served.token {
        Some(token) if !http::has_token(headers, token) => {
            Some(("401 Unauthorized", "expected Authorization: Api-Key TOKEN, or Bearer TOKEN".into()))
        }
        // Any page in a browser on this machine can open a connection here; it names itself.
        None if headers.contains_key("origin") => {
            Some(("403 Forbidden", "expected no web page as a client of a server without a token".into()))
        }
        _ => None,
    }
}

fn refuse(mut stream: TimedStream<'_>, status: &str, reason: &str, log: &dyn Fn(&str)) {
    log(&format!("refused: {status}: {reason}"));
    let _ = http::respond(&mut stream, status, reason);
    stream.part();
}

/// How a session ended.
enum End {
    /// The client closed it, or the connection broke.
    Gone(String),
    /// The server ends.
    Stopped,
    /// The client was dropped.
    Dropped(CloseCode, String),
    /// A fault of ours.
    Internal(String),
}

struct Connection<'a> {
    served: &'a Served<'a>,
    socket: WebSocket<TimedStream<'a>>,
    rate: Rate,
}

impl Connection<'_> {
    fn serve(&mut self, log: &dyn Fn(&str)) -> End {
        let mut session = match self.served.service.open() {
            Ok(session) => session,
            Err(error) => return End::Internal(error.to_string()),
        };
        if let Err(end) = self.send(Message::binary(session.greeting().encode())) {
            return end;
        }
        log("connected");
        let mut heard = Instant::now();
        loop {
            self.socket.get_mut().begin_write(); // reading answers pings
            let message = match self.socket.read() {
                Ok(message) => message,
                Err(SocketError::Io(error)) if is_wait(&error) => {
                    if self.served.is_ending() {
                        return End::Stopped;
                    }
                    if heard.elapsed().as_secs_f64() > self.served.limits.idle_secs {
                        let reason = format!("expected a message within {} s", self.served.limits.idle_secs);
                        return End::Dropped(CloseCode::Policy, reason);
                    }
                    session.idle();
                    continue;
                }
                Err(error) => return end_of(error),
            };
            let came = Instant::now();
            self.socket.get_mut().message_ended();
            heard = came;
            let wait = self.rate.wait(came);
            if !wait.is_zero() {
                std::thread::sleep(wait);
            }
            match message {
                Message::Binary(bytes) => {
                    if let Err(end) = self.answer(session.as_mut(), &bytes, came) {
                        return end;
                    }
                }
                Message::Text(_) => {
                    let text = "message: expected a binary message of msgpack, got text";
                    if let Err(end) = self.send(Message::text(text)) {
                        return end;
                    }
                }
                Message::Close(_) => return End::Gone("it closed the session".into()),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    fn answer(&mut self, session: &mut dyn Session, bytes: &[u8], came: Instant) -> Result<(), End> {
        let answer = match session.answer(bytes) {
            Ok(value) => Message::binary(value.encode()),
            Err(error) => Message::text(error.to_string()),
        };
        self.send(answer)?;
        session.sent(came.elapsed().as_secs_f64() * 1e3);
        Ok(())
    }

    fn send(&mut self, message: Message) -> Result<(), End> {
        self.socket.get_mut().begin_write();
        self.socket.send(message).map_err(end_of)
    }

    /// Closes the socket with what `end` says; that in words.
    fn close(&mut self, end: &End) -> String {
        let (code, reason) = match end {
            End::Gone(reason) => {
                let _ = self.socket.flush(); // the answer to its closing frame
                return reason.clone();
            }
            End::Stopped => (CloseCode::Away, "the server ends"),
            End::Dropped(code, reason) => (*code, reason.as_str()),
            End::Internal(reason) => {
                let _ = self.send(Message::text(reason.clone()));
                (CloseCode::Error, "internal server error; the text before says which")
            }
        };
        let cut = (0..=REASON_BYTES.min(reason.len())).rev().find(|end| reason.is_char_boundary(*end)).unwrap_or(0);
        self.socket.get_mut().begin_write();
        let _ = self.socket.close(Some(CloseFrame { code, reason: reason[..cut].into() }));
        let _ = self.socket.flush();
        reason.to_owned()
    }
}

/// How `error` ends a session.
fn end_of(error: SocketError) -> End {
    match error {
        SocketError::ConnectionClosed | SocketError::AlreadyClosed => End::Gone("it closed the session".into()),
        SocketError::Capacity(error) => End::Dropped(CloseCode::Size, error.to_string()),
        SocketError::Protocol(error) => End::Dropped(CloseCode::Protocol, error.to_string()),
        SocketError::Utf8(error) => End::Dropped(CloseCode::Invalid, error),
        SocketError::Io(error) if error.kind() == std::io::ErrorKind::Other => {
            End::Dropped(CloseCode::Policy, error.to_string())
        }
        other => End::Gone(other.to_string()),
    }
}
