//! Decoding by the program `ffmpeg`, if it is installed: of all other codecs, and of B pictures of H.264.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read};
use std::ops::Range;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

use super::colours::{Colours, Matrix};
use super::delivery::{Delivery, FrameVisitor};
use super::mp4::Track;
use super::yuv::Yuv;
use crate::{Error, Result};

/// The program.
const PROGRAM: &str = "ffmpeg";
/// Longest part of a line of the program that is kept, bytes.
const LONGEST_LINE: u64 = 4096;

/// Seconds, and frames, before the picture where decoding begins that the program is asked to go to: it searches by
/// decoding times, which are earlier, and must not be late.
const SEEK_MARGIN: (f64, f64) = (1.0, 20.0);

/// Whether there is such a program.
pub(super) fn is_installed() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    let asked = || Command::new(PROGRAM).arg("-version").stdin(Stdio::null()).stdout(Stdio::null()).status();
    *ANSWER.get_or_init(|| asked().is_ok_and(|status| status.success()))
}

/// Decodes pictures `range` of a stream of `codec`. The program decodes from the start, or from picture `begin` or one
/// before it, converts to RGB as the stream and the container state, and outputs the pictures in the range with their
/// times.
pub(super) fn decode(
    track: &Track,
    codec: &str,
    begin: Option<usize>,
    range: Range<usize>,
    visit: &mut FrameVisitor<'_>,
) -> Result<()> {
    let refused = |reason: String| {
        let expected = "AV1 or H.264 (8 bits, 4:2:0), or the program ffmpeg, which decodes others";
        Error::content(&track.path, "video", expected, format!("{codec}, and from {PROGRAM}: {reason}"))
    };
    let times = track.composition.get(range.clone()).unwrap_or_default();
    let Some((first, last)) = times.first().zip(times.last()) else { return Ok(()) };
    let (first, last) = (first + track.ffmpeg_delay, last + track.ffmpeg_delay);
    // Times are those of the container, not of its edit list: that one is applied by the caller.
    // Interlaced pictures are converted field by field; colours of 10 bits by PyAV's interpolation.
    let filter = format!("select=between(pts\\,{first}\\,{last}),showinfo,scale=interl=-1:flags=bilinear");
    let mut input = OsString::from("file:");
    input.push(&track.path);
    let mut child = Command::new(PROGRAM)
        .args(["-v", "level+info", "-hide_banner", "-nostats", "-nostdin", "-copyts"])
        .args(seek(track, begin))
        .args(["-noautorotate", "-ignore_editlist", "1", "-f", "mov", "-i"])
        .arg(input)
        .args(["-map", "0:v:0", "-vf", &filter, "-fps_mode", "passthrough", "-pix_fmt", "rgb24", "-f", "rawvideo"])
        .arg("pipe:1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| refused(error.to_string()))?;
    let mut delivery = Delivery::new(track, range, visit);
    let delivered = receive(track, &mut child, &mut delivery);
    // Whatever is left of the output is not needed.
    let _ = child.kill();
    child.wait().map_err(|error| refused(error.to_string()))?;
    delivered?.map_err(refused)?;
    delivery.finish()
}

/// The arguments that make the program begin before picture `begin`.
fn seek(track: &Track, begin: Option<usize>) -> Vec<String> {
    let seconds = |time: i64| (time + track.ffmpeg_delay) as f64 / f64::from(track.units_per_sec);
    let time = |picture: usize| track.composition.get(picture).map(|time| seconds(*time));
    let (secs, frames) = SEEK_MARGIN;
    let place = begin.and_then(time).map(|time| time - secs.max(frames * track.frame_secs));
    let from =
        |secs: f64| ["-seek_timestamp", "1", "-noaccurate_seek", "-ss", &format!("{secs:.6}")].map(str::to_owned);
    place.filter(|secs| *secs > 0.0).map_or(Vec::new(), |secs| from(secs).to_vec())
}

/// Delivers the pictures that `child` outputs; the inner error is the message of the program.
fn receive(
    track: &Track,
    child: &mut Child,
    delivery: &mut Delivery<'_, '_>,
) -> Result<std::result::Result<(), String>> {
    let Some((mut output, messages)) = child.stdout.take().zip(child.stderr.take()) else {
        return Ok(Err("no output".into()));
    };
    let (sender, receiver) = channel();
    let listener = std::thread::spawn(move || listen(messages, &sender));
    let mut bytes = vec![0; 3 * track.width * track.height];
    let mut delivered = Ok(());
    let mut ended = None;
    while delivered.is_ok() && !delivery.is_done() {
        if output.read_exact(&mut bytes).is_err() {
            ended = Some("fewer pictures than the index lists");
            break;
        }
        // The line about a picture is written before its pixels.
        let Ok(Described { time, size }) = receiver.recv() else {
            ended = Some("pictures without times");
            break;
        };
        if size != (track.width, track.height) {
            let got = format!("{}x{} pixels where the index states {}x{}", size.1, size.0, track.height, track.width);
            delivered = delivery.refuse(got);
            break;
        }
        delivered = match track.composition.binary_search(&(time - track.ffmpeg_delay)) {
            Ok(number) => delivery.deliver(number, || Ok(planes(&bytes, track.width, track.height))),
            Err(_) => delivery.refuse(format!("a picture at {time}, where the index has none")),
        };
    }
    drop(output);
    drop(receiver);
    let _ = child.kill();
    let message = listener.join().unwrap_or_default();
    delivered?;
    Ok(match ended {
        Some(reason) if message.is_empty() => Err(reason.into()),
        Some(_) => Err(message),
        None => Ok(()),
    })
}

/// What the program says about a picture: its time in units of the container, its width and height.
#[derive(Debug, PartialEq)]
struct Described {
    time: i64,
    size: (usize, usize),
}

/// Sends what the program says about each picture, and returns its last error.
fn listen(messages: ChildStderr, sender: &Sender<Described>) -> String {
    let (mut messages, mut line, mut last) = (BufReader::new(messages), Vec::new(), String::new());
    loop {
        line.clear();
        match messages.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return last,
            Ok(_) => (),
        }
        let text = String::from_utf8_lossy(&line);
        if let Some(described) = describe(&text) {
            let _ = sender.send(described); // nobody listens after the last picture that is needed
        } else if let Some((_, error)) = text.split_once("[error] ").or_else(|| text.split_once("[fatal] ")) {
            last = error.trim().to_owned();
        }
    }
}

/// Reads a line of the filter `showinfo`.
fn describe(line: &str) -> Option<Described> {
    let (_, values) = line.split_once("showinfo")?.1.split_once(" n:")?;
    let value = |name: &str| values.split_once(name)?.1.split_whitespace().next();
    let (width, height) = value(" s:")?.split_once('x')?;
    Some(Described { time: value(" pts:")?.parse().ok()?, size: (width.parse().ok()?, height.parse().ok()?) })
}

/// RGB pixels as planes.
fn planes(pixels: &[u8], width: usize, height: usize) -> Yuv {
    let plane = |channel: usize| pixels.iter().skip(channel).step_by(3).copied().collect();
    let colours = Colours { matrix: Matrix::Rgb, full_range: true };
    Yuv { width, height, subsampling: (0, 0), y: plane(1), u: plane(2), v: plane(0), colours }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_and_size_of_a_picture_are_read_from_the_line_about_it() {
        let line = "[Parsed_showinfo_1 @ 0x5581] [info] n:   3 pts:  -1536 pts_time:-0.1  pos:     2131 fmt:yuv420p \
                    sar:1/1 s:48x32 i:P iskey:0 type:B checksum:8F mean:[97 124 132]";
        assert_eq!(describe(line), Some(Described { time: -1536, size: (48, 32) }));
        for other in ["[Parsed_showinfo_1 @ 0x5581] [info] config in time_base: 1/10240", "", "showinfo n: pts: s:"] {
            assert_eq!(describe(other), None);
        }
    }
}
