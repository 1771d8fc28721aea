//! A client's end of a connection: a question, an answer, and a time by which it has to come.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use tungstenite::client::{IntoClientRequest, client_with_config};
use tungstenite::handshake::HandshakeError;
use tungstenite::http::HeaderValue;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error as SocketError, Message, WebSocket};

use crate::message::{MAX_MESSAGE_BYTES, Value};
use crate::timed_stream::{TimedStream, is_wait};
use crate::{Error, Result};

/// A client is never told to stop while it waits: its answers have deadlines.
static NEVER: AtomicBool = AtomicBool::new(false);

/// A connection to a server of messages.
pub(crate) struct Channel {
    address: String,
    socket: WebSocket<TimedStream<'static>>,
    answer_secs: f64,
}

impl Channel {
    /// Connects to `url`, as `ws://127.0.0.1:8000`, with `token` where the server wants one; answers take at most
    /// `answer_secs`. Returns what the server says first.
    pub fn connect(url: &str, token: Option<&str>, answer_secs: f64) -> Result<(Self, Value)> {
        let wrong = |got: &str| Error::field("address", "ws://HOST:PORT", got);
        let authority = url.strip_prefix("ws://").ok_or_else(|| wrong(url))?;
        let host = authority.split('/').next().unwrap_or_default();
        let failed = |reason: &dyn std::fmt::Display| Error::connection(url, reason);
        let mut request = url.into_client_request().map_err(|_| wrong(url))?;
        if let Some(token) = token {
            let value = HeaderValue::from_str(&format!("Bearer {token}"));
            let value = value.map_err(|_| Error::field("token", "printable ASCII", "other characters"))?;
            request.headers_mut().insert("authorization", value);
        }
        let with_port = if host.rsplit(':').next().is_some_and(|port| port.parse::<u16>().is_ok()) {
            host.to_owned()
        } else {
            format!("{host}:80")
        };
        let addresses = with_port.to_socket_addrs().map_err(|error| failed(&error))?;
        let mut refused = failed(&"it has no address");
        for address in addresses {
            match TcpStream::connect_timeout(&address, Duration::from_secs_f64(answer_secs)) {
                Ok(stream) => return Self::open(url, request, stream, answer_secs),
                Err(error) => refused = failed(&error),
            }
        }
        Err(refused)
    }

    fn open(
        url: &str,
        request: tungstenite::handshake::client::Request,
        stream: TcpStream,
        answer_secs: f64,
    ) -> Result<(Self, Value)> {
        let failed = |reason: &dyn std::fmt::Display| Error::connection(url, reason);
        let stream = TimedStream::new(stream, answer_secs, &NEVER).map_err(|error| failed(&error))?;
        let config = WebSocketConfig::default()
            .write_buffer_size(0)
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES));
        let by = Instant::now() + Duration::from_secs_f64(answer_secs);
        let mut tried = client_with_config(request, stream, Some(config));
        let (mut socket, _) = loop {
            match tried {
                Ok(opened) => break opened,
                Err(HandshakeError::Interrupted(waiting)) if Instant::now() < by => tried = waiting.handshake(),
                Err(HandshakeError::Interrupted(_)) => return Err(failed(&format!("no answer in {answer_secs} s"))),
                Err(HandshakeError::Failure(SocketError::Http(response))) => {
                    let body = response.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default();
                    let reason = format!("{}: {}", response.status(), body.trim());
                    return Err(Error::Remote { address: url.into(), reason });
                }
                Err(HandshakeError::Failure(error)) => return Err(failed(&error)),
            }
        };
        socket.get_mut().message_ended();
        let mut channel = Self { address: url.into(), socket, answer_secs };
        let greeting = channel.hear(answer_secs)?;
        Ok((channel, greeting))
    }

    /// The answer to `question`, which takes the usual time at most.
    pub fn ask(&mut self, question: &Value) -> Result<Value> {
        self.ask_within(question, self.answer_secs)
    }

    /// The answer to `question`, which takes `answer_secs` at most.
    pub fn ask_within(&mut self, question: &Value, answer_secs: f64) -> Result<Value> {
        self.socket.get_mut().begin_write();
        let sent = self.socket.send(Message::binary(question.encode()));
        sent.map_err(|error| Error::connection(&self.address, error))?;
        self.hear(answer_secs)
    }

    fn hear(&mut self, answer_secs: f64) -> Result<Value> {
        let asked = Instant::now();
        loop {
            // Whatever else comes meanwhile, pings for example, is no answer.
            if asked.elapsed().as_secs_f64() > answer_secs {
                let reason = format!("expected an answer within {answer_secs} s, got none");
                return Err(Error::connection(&self.address, reason));
            }
            self.socket.get_mut().begin_write();
            let message = match self.socket.read() {
                Ok(message) => message,
                Err(SocketError::Io(error)) if is_wait(&error) => continue,
                Err(error) => return Err(Error::connection(&self.address, error)),
            };
            self.socket.get_mut().message_ended();
            match message {
                Message::Binary(bytes) => return Value::decode(&bytes),
                Message::Text(text) => {
                    return Err(Error::Remote { address: self.address.clone(), reason: text.to_string() });
                }
                Message::Close(frame) => {
                    let reason = frame.map_or_else(|| "it closed the session".into(), |frame| frame.to_string());
                    return Err(Error::connection(&self.address, reason));
                }
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.socket.get_mut().begin_write();
        let _ = self.socket.close(None);
        let _ = self.socket.flush();
    }
}
