//! H.264 over RTSP: `rtsp://user:password@host:554/path`, as IP cameras and GStreamer's server have it. Built with the
//! feature `rtsp`.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use mindseye_episodes::{Colours, Matrix};
use mindseye_interface::ImageSize;
use openh264::OpenH264API;
use openh264::decoder::{DecodedYUV, Decoder, DecoderConfig, Flush};
use openh264::formats::YUVSource as _;
use retina::client::{
    Credentials, Demuxed, PlayOptions, Session, SessionGroup, SessionOptions, SetupOptions, TcpTransportOptions,
    Transport, UdpTransportOptions,
};
use retina::codec::{CodecItem, FrameFormat, ParametersRef, VideoFrame};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use url::Url;

use super::mjpeg::FROZEN_FRAMES;
use crate::address::CameraUri;
use crate::error::Fault;
use crate::frame::{CaptureTime, FrameData, Granted, RawFrame, RawPixels};
use crate::settings::CameraSettings;
use crate::source::{Connect, SharedClock, Source, SourceDefaults};
use crate::{Error, FourCc, Result};

/// Rows from which on colours are those of high definition, where the stream does not say.
const HD_ROWS: usize = 720;
/// Longest wait for the server to end the session.
const TEARDOWN: Duration = Duration::from_millis(200);

/// A server of RTSP.
pub(super) struct Rtsp {
    url: Url,
    login: Option<Credentials>,
}

impl Rtsp {
    pub fn new(uri: &CameraUri) -> Result<Self> {
        let expected = "rtsp://HOST:PORT/PATH";
        let wrong = || Error::argument("rtsp", expected, uri);
        let mut url: Url = format!("rtsp:{}", uri.place).parse().map_err(|_| wrong())?;
        if url.host_str().is_none_or(str::is_empty) || url.port() == Some(0) {
            return Err(wrong());
        }
        let text = |part: &str| percent_decoded(part).ok_or_else(wrong);
        let login = match url.username() {
            "" => None,
            name => Some(Credentials { username: text(name)?, password: text(url.password().unwrap_or_default())? }),
        };
        // They are sent as the server asks for them, never within the address.
        url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| wrong())?;
        Ok(Self { url, login })
    }
}

/// `text` with `%41` as `A`.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend_from_slice(part.get(2..)?.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

impl Connect for Rtsp {
    fn connect(
        &mut self,
        settings: &CameraSettings,
        clock: &SharedClock,
    ) -> std::result::Result<Box<dyn Source>, Fault> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build().map_err(passing)?;
        let config = DecoderConfig::new().flush_after_decode(Flush::NoFlush);
        let decoder = Decoder::with_api_config(OpenH264API::from_source(), config).map_err(passing)?;
        let group = Arc::new(SessionGroup::default());
        let within = Duration::from_secs_f64(settings.timeout_s);
        let is_udp = settings.udp;
        // A time-out has to be made within the runtime.
        let opened =
            runtime.block_on(async { timeout(within, open(&self.url, self.login.clone(), &group, is_udp)).await });
        let late =
            |_| Fault::Passing(format!("expected a stream within {} s (timeout_s), got none", settings.timeout_s));
        let (session, device) = opened.map_err(late)??;
        let connection = Connection {
            session: Some(session),
            runtime,
            group,
            decoder,
            clock: clock.clone(),
            is_whole: false,
            max_bytes: settings.max_frame_bytes,
            device,
        };
        Ok(Box::new(connection))
    }

    fn defaults(&self) -> SourceDefaults {
        SourceDefaults { warmup_secs: 0.0, frozen_frames: FROZEN_FRAMES }
    }
}

fn passing(error: impl std::fmt::Display) -> Fault {
    Fault::Passing(error.to_string())
}

/// Asks for the first stream of H.264; with it, what the server calls itself.
async fn open(
    url: &Url,
    login: Option<Credentials>,
    group: &Arc<SessionGroup>,
    is_udp: bool,
) -> std::result::Result<(Pin<Box<Demuxed>>, Option<String>), Fault> {
    let options = SessionOptions::default()
        .creds(login)
        .session_group(group.clone())
        .user_agent(concat!("mindseye/", env!("CARGO_PKG_VERSION")).into());
    let mut session = Session::describe(url.clone(), options).await.map_err(passing)?;
    let device = session.tool().map(|tool| (**tool).to_owned());
    let streams = session.streams();
    let found = streams.iter().position(|stream| stream.media() == "video" && stream.encoding_name() == "h264");
    let Some(number) = found else {
        let offered: Vec<String> = streams.iter().map(|it| format!("{} {}", it.media(), it.encoding_name())).collect();
        return Err(Fault::Lasting(format!("expected a stream of H.264, got {}", offered.join(", "))));
    };
    let transport = match is_udp {
        true => Transport::Udp(UdpTransportOptions::default()),
        false => Transport::Tcp(TcpTransportOptions::default()),
    };
    let setup = SetupOptions::default().transport(transport).frame_format(FrameFormat::SIMPLE);
    session.setup(number, setup).await.map_err(passing)?;
    let playing = session.play(PlayOptions::default()).await.map_err(explained)?;
    Ok((Box::pin(playing.demuxed().map_err(passing)?), device))
}

/// The library's error, with what helps.
fn explained(error: retina::Error) -> Fault {
    let text = error.to_string();
    let hint = if text.contains("imestamp") { " (turn B-frames off in the camera)" } else { "" };
    Fault::Passing(format!("{text}{hint}"))
}

struct Connection {
    /// There until it is dropped.
    session: Option<Pin<Box<Demuxed>>>,
    runtime: Runtime,
    group: Arc<SessionGroup>,
    decoder: Decoder,
    clock: SharedClock,
    /// Whether all since the last image that stands for itself was received.
    is_whole: bool,
    max_bytes: usize,
    device: Option<String>,
}

impl Source for Connection {
    fn next(&mut self, wait: Duration) -> std::result::Result<Option<RawFrame>, Fault> {
        let Some(session) = &mut self.session else { return Ok(None) };
        let came = self.runtime.block_on(async { timeout(wait, session.next()).await });
        let frame = match came {
            Err(_) => return Ok(None),
            Ok(None) => return Err(Fault::Passing("the server ended the stream".into())),
            Ok(Some(Err(error))) => return Err(explained(error)),
            Ok(Some(Ok(CodecItem::VideoFrame(frame)))) => frame,
            Ok(Some(Ok(_))) => return Ok(None),
        };
        let received_secs = self.clock.now_secs();
        let Some(data) = self.decoded(&frame)? else { return Ok(None) };
        let capture_time = CaptureTime::FirstByte;
        Ok(Some(RawFrame { driver_sequence: None, captured_secs: received_secs, capture_time, received_secs, data }))
    }

    fn granted(&self) -> Granted {
        let colours = Some("BT.601 below 720 rows, else BT.709, limited range".into());
        Granted { device: self.device.clone(), colours, ..Granted::default() }
    }
}

impl Connection {
    /// The image of `frame`; none before the first that stands for itself.
    fn decoded(&mut self, frame: &VideoFrame) -> std::result::Result<Option<FrameData>, Fault> {
        self.require_size(frame)?;
        if frame.data().len() > self.max_bytes {
            let reason =
                format!("expected at most {} bytes (max_frame_bytes), got {}", self.max_bytes, frame.data().len());
            return Err(Fault::Passing(reason));
        }
        if frame.is_random_access_point() {
            self.is_whole = true;
        } else if frame.loss() > 0 && self.is_whole {
            self.is_whole = false;
            return Ok(Some(FrameData::Broken(format!("{} packets were lost", frame.loss()))));
        }
        if !self.is_whole {
            return Ok(None);
        }
        match self.decoder.decode(frame.data()) {
            Ok(Some(image)) => Ok(Some(pixels(&image).map_or_else(FrameData::Broken, FrameData::Raw))),
            Ok(None) => Ok(None),
            Err(error) => {
                self.is_whole = false;
                Ok(Some(FrameData::Broken(format!("H.264: {error}"))))
            }
        }
    }

    /// Refuses larger images than there can be, before the decoder takes memory for them.
    fn require_size(&self, frame: &VideoFrame) -> std::result::Result<(), Fault> {
        let stream = self.session.as_ref().and_then(|session| session.streams().get(frame.stream_id()));
        let Some(ParametersRef::Video(parameters)) = stream.and_then(|stream| stream.parameters()) else {
            return Ok(());
        };
        let (width, height) = parameters.pixel_dimensions();
        ImageSize::new(height as usize, width as usize).map(drop).map_err(|error| Fault::Lasting(error.to_string()))
    }
}

fn pixels(image: &DecodedYUV<'_>) -> std::result::Result<RawPixels, String> {
    let ((width, height), (luma, blue, red)) = (image.dimensions(), image.strides());
    let size = ImageSize::new(height, width).map_err(|error| error.to_string())?;
    let colour = (width.div_ceil(2), height.div_ceil(2));
    let packed = 2 * colour.0; // rows of an even length: half of it is that of the colours
    let mut bytes = Vec::with_capacity(packed * height + 2 * colour.0 * colour.1);
    for (plane, stride, (width, height)) in
        [(image.y(), luma, (width, height)), (image.u(), blue, colour), (image.v(), red, colour)]
    {
        for row in 0..height {
            let row = plane.get(row * stride..row * stride + width).ok_or("H.264: a short plane")?;
            bytes.extend_from_slice(row);
            bytes.extend(row.last().filter(|_| width % 2 == 1 && width > colour.0));
        }
    }
    let matrix = if height < HD_ROWS { Matrix::Bt601 } else { Matrix::Bt709 };
    let colours = Colours { matrix, full_range: false };
    Ok(RawPixels { fourcc: FourCc::YU12, size, stride: packed, colours, bytes })
}

impl Drop for Connection {
    fn drop(&mut self) {
        let entered = self.runtime.enter();
        drop(self.session.take());
        drop(entered);
        // A server that is not told keeps the session, and its port, for a minute.
        let _ = self.runtime.block_on(async { timeout(TEARDOWN, self.group.await_teardown()).await });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_taken_out_of_the_address() {
        let uri: CameraUri = "rtsp://me:s%40fe@10.0.0.7:8554/top?x=1".parse().unwrap();
        let rtsp = Rtsp::new(&uri).unwrap();
        let login = rtsp.login.unwrap();
        assert_eq!((login.username.as_str(), login.password.as_str()), ("me", "s@fe"));
        assert_eq!(rtsp.url.as_str(), "rtsp://10.0.0.7:8554/top?x=1");
        for wrong in ["rtsp:", "rtsp://", "rtsp://host:0/x", "rtsp://a%4:b@host/x"] {
            assert!(wrong.parse::<CameraUri>().is_ok_and(|uri| Rtsp::new(&uri).is_err()), "{wrong}");
        }
    }
}
