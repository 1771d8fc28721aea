//! Decoding of all other codecs by the program `ffmpeg`, if it is installed.

use std::io::Read;
use std::ops::Range;
use std::process::{Command, Stdio};

use super::delivery::{Delivery, FrameVisitor};
use super::mp4::Track;
use super::yuv::{Colours, Yuv};
use crate::{Error, Result};

/// Decodes frames `range` of a stream of `codec`. The program decodes from the start and outputs the frames in the
/// range.
pub(super) fn decode(track: &Track, codec: &str, range: Range<usize>, visit: &mut FrameVisitor<'_>) -> Result<()> {
    let refused = |reason: String| {
        let got = format!("{codec}, and ffmpeg, which may decode it: {reason}");
        Error::content(&track.path, "video", "AV1 or H.264", got)
    };
    let select = format!("select=between(n\\,{}\\,{})", range.start, range.end - 1);
    let mut child = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(&track.path)
        .args(["-map", "0:v:0", "-vf", &select, "-fps_mode", "passthrough", "-pix_fmt", "yuv420p", "-f", "rawvideo"])
        .arg("pipe:1")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| refused(error.to_string()))?;
    let mut output = child.stdout.take().ok_or_else(|| refused("no output".into()))?;
    let first = range.start;
    let mut delivery = Delivery { track, range, next: first, visit };
    let colours = Colours { bt709: false, full_range: false };
    let empty = Vec::new;
    let frame = Yuv {
        width: track.width,
        height: track.height,
        subsampling: (1, 1),
        y: empty(),
        u: empty(),
        v: empty(),
        colours,
    };
    let (colour_width, colour_height) = frame.colour_size();
    let (luma, chroma) = (track.width * track.height, colour_width * colour_height);
    let mut bytes = vec![0; luma + 2 * chroma];
    let mut delivered = Ok(());
    while delivered.is_ok() && !delivery.is_done() && output.read_exact(&mut bytes).is_ok() {
        let (y, colours) = bytes.split_at(luma);
        let (u, v) = colours.split_at(chroma);
        delivered = delivery.deliver(|| Ok(Yuv { y: y.to_vec(), u: u.to_vec(), v: v.to_vec(), ..frame.clone() }));
    }
    drop(output);
    let status = child.wait().map_err(|error| refused(error.to_string()))?;
    delivered?;
    if !delivery.is_done() && !status.success() {
        return Err(refused(status.to_string()));
    }
    delivery.finish()
}
