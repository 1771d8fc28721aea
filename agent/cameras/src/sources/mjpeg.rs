//! MJPEG over HTTP: `http://host:port/path`, as IP cameras, ESP32-CAM, mjpg-streamer, ustreamer, motion, OctoPrint and
//! ffmpeg serve it; also a single JPEG image that is asked for again and again.

use std::io::Read as _;
use std::time::Duration;

use ureq::http::Uri;
use ureq::http::uri::Authority;
use ureq::{Agent, BodyReader};

use crate::address::CameraUri;
use crate::error::Fault;
use crate::frame::{CaptureTime, FrameData, Granted, RawFrame};
use crate::framing::{Framing, JpegFraming};
use crate::settings::CameraSettings;
use crate::source::{Connect, SharedClock, Source, SourceDefaults};
use crate::{Error, FourCc, Result};

/// Most bytes of a reply's header.
const HEADER_BYTES: usize = 16 << 10;
/// Bytes that are read at once.
const READ_BYTES: usize = 64 << 10;
/// Most replies that lead elsewhere.
const REDIRECTS: u32 = 3;
/// Identical frames that count as frozen, of a camera.
pub(super) const FROZEN_FRAMES: u64 = 30;

/// A server of MJPEG.
pub(super) struct MjpegOverHttp {
    address: String,
}

impl MjpegOverHttp {
    pub fn new(uri: &CameraUri) -> Result<Self> {
        let address = format!("http:{}", uri.place);
        let host = address.parse::<Uri>().ok().and_then(|address| address.authority().map(Authority::to_string));
        // The port alone: a library takes 80 for one that is no number of 16 bits.
        let host = host.as_deref().map(|host| host.rsplit_once('@').map_or(host, |(_, host)| host));
        let port = host.and_then(|host| host.rsplit_once(':')).filter(|(_, port)| !port.ends_with(']'));
        match (host, port) {
            (Some(host), _) if host.is_empty() || host.starts_with(':') => {}
            (Some(_), Some((_, port))) if port.parse::<u16>().map_or(true, |port| port == 0) => {}
            (Some(_), _) => return Ok(Self { address }),
            (None, _) => {}
        }
        Err(Error::argument("http", "http://HOST:PORT/PATH, the port from 1 to 65535", uri))
    }
}

impl Connect for MjpegOverHttp {
    fn connect(
        &mut self,
        settings: &CameraSettings,
        clock: &SharedClock,
    ) -> std::result::Result<Box<dyn Source>, Fault> {
        let timeout = Some(Duration::from_secs_f64(settings.timeout_s));
        let config = Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(REDIRECTS)
            .max_response_header_size(HEADER_BYTES)
            .max_idle_connections(0)
            .timeout_connect(timeout)
            .timeout_recv_response(timeout)
            .timeout_per_read(timeout)
            .user_agent(concat!("mindseye/", env!("CARGO_PKG_VERSION")))
            .build();
        let connection = Connection {
            agent: config.new_agent(),
            address: self.address.clone(),
            body: None,
            still: false,
            framing: JpegFraming::new(settings.max_frame_bytes),
            first_byte_secs: clock.now_secs(),
            last_image_secs: clock.now_secs(),
            due_secs: clock.now_secs(),
            period_secs: 1.0 / settings.fps.unwrap_or(10.0),
            timeout_secs: settings.timeout_s,
            clock: clock.clone(),
            buffer: vec![0; READ_BYTES],
            server: None,
        };
        Ok(Box::new(connection.opened()?))
    }

    fn defaults(&self) -> SourceDefaults {
        SourceDefaults { warmup_secs: 0.0, frozen_frames: FROZEN_FRAMES }
    }
}

struct Connection {
    agent: Agent,
    address: String,
    body: Option<BodyReader<'static>>,
    /// Whether the address gives one image at a time.
    still: bool,
    framing: JpegFraming,
    first_byte_secs: f64,
    last_image_secs: f64,
    due_secs: f64,
    period_secs: f64,
    timeout_secs: f64,
    clock: SharedClock,
    buffer: Vec<u8>,
    server: Option<String>,
}

impl Connection {
    /// Sends the request.
    fn opened(mut self) -> std::result::Result<Self, Fault> {
        let passing = |error: ureq::Error| Fault::Passing(explained(&error));
        let reply = self.agent.get(&self.address).call().map_err(passing)?;
        let status = reply.status();
        if !status.is_success() {
            return Err(Fault::Passing(format!("expected a stream of JPEG images, got HTTP {status}")));
        }
        let header = |name: &str| reply.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let kind = header("content-type").unwrap_or_default().to_lowercase();
        if kind.starts_with("text/") {
            return Err(Fault::Passing(format!("expected a stream of JPEG images, got {kind} (a page about it?)")));
        }
        self.still = kind.starts_with("image/");
        self.server = header("server");
        self.body = Some(reply.into_body().into_reader());
        self.last_image_secs = self.clock.now_secs();
        Ok(self)
    }

    /// Reads once; false at the end of the reply.
    fn read(&mut self) -> std::result::Result<bool, Fault> {
        let Some(body) = &mut self.body else { return Ok(false) };
        let began = self.framing.has_begun();
        let read = body.read(&mut self.buffer);
        let bytes = read.map_err(|error| Fault::Passing(format!("reading: {}", said(&error.to_string()))))?;
        if !began {
            self.first_byte_secs = self.clock.now_secs();
        }
        self.framing.push(&self.buffer[..bytes]);
        Ok(bytes > 0)
    }
}

impl Source for Connection {
    fn next(&mut self, wait: Duration) -> std::result::Result<Option<RawFrame>, Fault> {
        let until = self.clock.now_secs() + wait.as_secs_f64();
        loop {
            let now = self.clock.now_secs();
            match self.framing.next().map_err(Fault::Passing)? {
                Framing::Image(bytes) => {
                    self.last_image_secs = now;
                    return Ok(Some(self.frame(now, FrameData::Encoded(bytes))));
                }
                Framing::Broken(reason) => return Ok(Some(self.frame(now, FrameData::Broken(reason)))),
                Framing::More => {}
            }
            // One image a byte at a time, or none at all, holds the connection no longer than this.
            crate::shared::require_frames(now, self.last_image_secs, self.timeout_secs)?;
            if self.body.is_none() {
                if self.due_secs > now {
                    std::thread::sleep(Duration::from_secs_f64(self.due_secs - now).min(wait));
                }
                if self.clock.now_secs() < self.due_secs {
                    return Ok(None);
                }
                self.due_secs = self.clock.now_secs() + self.period_secs;
                self.again()?;
            }
            if !self.read()? {
                self.body = None;
                if !self.still {
                    return Err(Fault::Passing("the server ended the stream".into()));
                }
            }
            if self.clock.now_secs() > until {
                return Ok(None);
            }
        }
    }

    fn granted(&self) -> Granted {
        Granted { fourcc: Some(FourCc::JPEG), device: self.server.clone(), ..Granted::default() }
    }
}

impl Connection {
    fn frame(&mut self, received_secs: f64, data: FrameData) -> RawFrame {
        // An image that came whole in one read began with it.
        let captured_secs = self.first_byte_secs.min(received_secs);
        self.first_byte_secs = received_secs;
        let capture_time = CaptureTime::FirstByte;
        RawFrame { driver_sequence: None, captured_secs, capture_time, received_secs, data }
    }

    /// Asks for the next single image.
    fn again(&mut self) -> std::result::Result<(), Fault> {
        let reply = self.agent.get(&self.address).call();
        let reply = reply.map_err(|error| Fault::Passing(explained(&error)))?;
        let status = reply.status();
        if !status.is_success() {
            return Err(Fault::Passing(format!("expected a JPEG image, got HTTP {status}")));
        }
        self.body = Some(reply.into_body().into_reader());
        Ok(())
    }
}

/// What is wrong, without the address, which may have a password.
fn explained(error: &ureq::Error) -> String {
    match error {
        ureq::Error::BadUri(_) => "expected http://HOST:PORT/PATH, got another address".into(),
        ureq::Error::HostNotFound => "there is no host of this name".into(),
        error => said(&error.to_string()),
    }
}

/// A library's message in the words of the settings.
fn said(message: &str) -> String {
    if message.contains("timeout") { format!("{message} (timeout_s)") } else { message.into() }
}
