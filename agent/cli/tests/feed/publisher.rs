//! Independent programs that publish a pipe of raw images as a camera feed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Each pixel as a square of 8 by 8: JPEG halves the resolution of colours, and 64 pixels are few.
pub const ENLARGED: &str = "scale=512:512:flags=neighbor";

/// A program that publishes, and its address.
pub struct Publisher {
    kind: String,
    pipe: PathBuf,
    port: u16,
    fps: f64,
    filter: String,
}

/// The program while it runs.
pub struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Debian's, which has GStreamer's bindings.
const PYTHON: &str = "/usr/bin/python3";

/// Which program is missing, if one is.
pub fn missing(kind: &str) -> Option<String> {
    let (program, asked) = match kind {
        "ffmpeg" => ("ffmpeg", ["-version", ""]),
        _ => (PYTHON, ["-c", "import gi; gi.require_version('GstRtspServer', '1.0')"]),
    };
    let asked = asked.into_iter().filter(|word| !word.is_empty());
    let found = Command::new(program).args(asked).stdout(Stdio::null()).stderr(Stdio::null()).status();
    match found {
        Ok(status) if status.success() => None,
        Ok(_) => Some(format!("{program} lacks gir1.2-gst-rtsp-server-1.0")),
        Err(error) => Some(format!("{program}: {error}")),
    }
}

impl Publisher {
    /// Publishes `pipe`, 64 x 64 pixels `fps` times a second, through ffmpeg's `filter`.
    pub fn new(kind: &str, pipe: &Path, fps: f64, filter: &str) -> Self {
        assert!(["ffmpeg", "gstreamer"].contains(&kind), "--publisher: expected ffmpeg or gstreamer, got {kind}");
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { kind: kind.into(), pipe: pipe.into(), port, fps, filter: filter.into() }
    }

    /// The address of the camera. A simulator may stand still: its images are equal then, and not frozen.
    pub fn uri(&self) -> String {
        match self.kind.as_str() {
            "ffmpeg" => format!("http://127.0.0.1:{}/eye.mjpg#frozen_frames=0", self.port),
            _ => format!("rtsp://127.0.0.1:{}/eye#frozen_frames=0", self.port),
        }
    }

    /// Publishes until the result is dropped.
    pub fn start(&self) -> Running {
        if self.kind == "gstreamer" {
            return self.start_gstreamer();
        }
        let mut command = Command::new("ffmpeg");
        command.args(["-hide_banner", "-loglevel", "error", "-fflags", "nobuffer", "-flags", "low_delay"]);
        command.args(["-probesize", "32", "-analyzeduration", "0"]);
        command.args(["-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", "64x64"]);
        command.args(["-framerate", &self.fps.to_string(), "-i", self.pipe.to_str().unwrap()]);
        command.args(["-vf", &self.filter, "-c:v", "mjpeg", "-q:v", "3", "-threads", "1", "-fps_mode", "passthrough"]);
        command.args(["-flush_packets", "1", "-f", "mpjpeg", "-listen", "1"]);
        command.arg(format!("http://127.0.0.1:{}/eye.mjpg", self.port));
        Running(command.stdin(Stdio::null()).spawn().unwrap())
    }

    /// H.264 over RTSP.
    fn start_gstreamer(&self) -> Running {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cameras/tests/peers/rtsp_server.py");
        let (pipe, fps) = (self.pipe.display(), self.fps);
        let launch = format!(
            "( filesrc location={pipe} do-timestamp=true blocksize=12288 ! rawvideoparse width=64 height=64 format=rgb \
             framerate={fps}/1 ! videoconvert ! videoscale method=0 ! video/x-raw,width=512,height=512,format=I420 ! \
             x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 bitrate=4000 ! \
             rtph264pay name=pay0 pt=96 config-interval=1 )"
        );
        let mut command = Command::new(PYTHON);
        command.arg(script).arg(self.port.to_string()).arg(launch).stdin(Stdio::null()).stdout(Stdio::null());
        Running(command.spawn().unwrap())
    }
}
