//! One video in every form that writers give it: the frames are those that PyAV shows, at their times, in its colours.
//!
//! `fixtures/videos/make.py` writes the videos with ffmpeg and `expected.json` with PyAV, which shares no code with
//! this crate.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and does not recognise helpers as tests

use std::collections::BTreeMap;
use std::ops::Range;
use std::process::Command;

use crate::support::fixture;
use mindseye_episodes::Video;
use mindseye_interface::Image;
use serde::Deserialize;

/// What PyAV shows of a video; pixels are RGB in hex.
#[derive(Deserialize)]
struct Shown {
    seconds: Vec<f64>,
    /// Pixels of the first frame at `Places::places`.
    first: String,
    /// Pixels of each frame at `Places::moving`.
    moving: Vec<String>,
    /// Means of the channels of the first frame.
    mean: [f64; 3],
}

/// Rows and columns.
#[derive(Deserialize)]
struct Places {
    places: Vec<[usize; 2]>,
    moving: Vec<[usize; 2]>,
}

#[derive(Deserialize)]
struct Expected {
    places: Places,
    videos: BTreeMap<String, Shown>,
}

fn expected() -> Expected {
    let text = std::fs::read_to_string(fixture("videos").join("expected.json")).unwrap();
    let mut expected: Expected = serde_json::from_str(&text).unwrap();
    // PyAV shows what the edit list of a file of fragments hides, at negative times.
    for shown in expected.videos.values_mut() {
        let hidden = shown.seconds.iter().filter(|seconds| **seconds < 0.0).count();
        shown.seconds.drain(..hidden);
        shown.moving.drain(..hidden);
    }
    expected
}

/// Files whose edit lists PyAV follows or ignores, and which are refused here.
const REFUSED: [&str; 2] = ["edits_fast.mp4", "edits_repeat.mp4"];

/// Whether the decoders of this crate lack what the file needs.
fn needs_ffmpeg(name: &str) -> bool {
    let starts = ["hevc", "cut_hevc", "vp9", "mpeg4", "cut_open", "cut_recovery"];
    let whole = ["h264_422", "h264_444", "h264_10bit", "h264_rgb", "h264_interlaced", "av1_10bit"];
    starts.iter().any(|start| name.starts_with(start)) || whole.contains(&name.trim_end_matches(".mp4"))
}

fn has_ffmpeg() -> bool {
    Command::new("ffmpeg").arg("-version").output().is_ok_and(|output| output.status.success())
}

fn open(name: &str) -> mindseye_episodes::Result<Video> {
    Video::open(&fixture("videos").join(name))
}

fn images(video: &Video, range: Range<usize>) -> mindseye_episodes::Result<Vec<Image>> {
    let (numbers, mut images): (Vec<usize>, _) = (range.collect(), Vec::new());
    video.images(&numbers, video.image_size()?, &mut |_, image| images.push(image.clone()))?;
    Ok(images)
}

/// Asserts that the pixels of `image` at `places` are those of `hex`: exactly, but for planes that swscale converts in
/// another way, with a colour for each pixel or more than 8 bits.
fn assert_pixels(what: &str, image: &Image, places: &[[usize; 2]], hex: &str) {
    assert_eq!(hex.len(), 6 * places.len());
    let most = if ["444", "10bit", "422"].iter().any(|kind| what.contains(kind)) { 3 } else { 0 };
    for (number, [row, column]) in places.iter().enumerate() {
        for (channel, got) in image.rgb(*row, *column).into_iter().enumerate() {
            let start = 6 * number + 2 * channel;
            let expected = u8::from_str_radix(&hex[start..start + 2], 16).unwrap();
            assert!(got.abs_diff(expected) <= most, "{what} at {row}, {column}, {channel}: {got} for {expected}");
        }
    }
}

fn check(name: &str, places: &Places, shown: &Shown) {
    let video = open(name).unwrap();
    assert_eq!(video.len(), shown.seconds.len(), "{name}");
    // The delay of a stream that has to be reordered is no time without a frame.
    let delay = if name.starts_with("empty_edit") || name.starts_with("edits_empty") { shown.seconds[0] } else { 0.0 };
    for (got, expected) in video.times().iter().zip(&shown.seconds) {
        let expected = expected - shown.seconds[0] + delay;
        assert!((got - expected).abs() < 1e-3, "{name}: {got} for {expected}");
    }
    let all = images(&video, 0..video.len()).unwrap();
    assert_eq!(all.len(), shown.moving.len(), "{name}");
    for (number, (image, pixels)) in all.iter().zip(&shown.moving).enumerate() {
        assert_pixels(&format!("{name} frame {number}"), image, &places.moving, pixels);
    }
    if !name.starts_with("cut_") {
        assert_pixels(name, &all[0], &places.places, &shown.first);
        for (channel, expected) in shown.mean.iter().enumerate() {
            let values = all[0].pixels().iter().skip(channel).step_by(3);
            let mean = values.map(|value| f64::from(*value)).sum::<f64>() / (all[0].pixels().len() / 3) as f64;
            assert!((mean - expected).abs() < 2.0, "{name}: mean {mean} for {expected}");
        }
    }
    // The same frames from the middle, and one by one from the end.
    let (len, third) = (video.len(), video.len() / 3);
    // Every run of ffmpeg takes time.
    let ranges = [third..len - 1, len / 2..len / 2 + 1, len - 1..len, 1..3];
    for range in ranges.into_iter().take(if needs_ffmpeg(name) { 1 } else { 4 }) {
        let some = images(&video, range.clone()).unwrap();
        assert!(some == all[range.clone()], "{name} frames {range:?}");
    }
}

#[test]
fn frames_times_and_colours_are_those_of_pyav_for_every_form_of_a_video() {
    let Expected { places, videos } = expected();
    let mut checked = 0;
    for (name, shown) in &videos {
        if !REFUSED.contains(&name.as_str()) && !needs_ffmpeg(name) {
            check(name, &places, shown);
            checked += 1;
        }
    }
    assert!(checked > 30, "{checked}");
}

#[test]
fn what_the_own_decoders_lack_is_decoded_by_ffmpeg_as_pyav_shows_it() {
    let Expected { places, videos } = expected();
    for (name, shown) in videos.iter().filter(|(name, _)| needs_ffmpeg(name)) {
        if has_ffmpeg() {
            check(name, &places, shown);
        } else {
            expect_refused(name);
        }
    }
}

/// One line that names the codec and the program.
fn expect_refused(name: &str) {
    let video = open(name).unwrap();
    let error = images(&video, 0..video.len()).unwrap_err().to_string();
    let codecs = ["HEVC", "VP9", "MPEG-4", "H.264", "AV1 of 10 bits"];
    assert!(!error.contains('\n') && error.contains(name) && error.contains("ffmpeg"), "{error}");
    assert!(codecs.iter().any(|codec| error.contains(&format!("got {codec}"))), "{error}");
}

/// Set where the test below runs itself.
const WITHOUT: &str = "MINDSEYE_TEST_WITHOUT_FFMPEG";

#[test]
fn without_ffmpeg_one_line_names_the_codec_and_the_program() {
    if std::env::var_os(WITHOUT).is_some() {
        assert!(!has_ffmpeg());
        let Expected { videos, .. } = expected();
        videos.keys().filter(|name| needs_ffmpeg(name)).for_each(|name| expect_refused(name));
        let note = open(DERIVED).unwrap().note().unwrap().unwrap();
        assert!(note.starts_with(DERIVED) && note.contains("B frames") && note.contains("ffmpeg"), "{note}");
        assert_eq!(open("plain.mp4").unwrap().note().unwrap(), None);
        return;
    }
    // A process of its own, whose search path has no programs.
    let own = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "video_kinds::without_ffmpeg_one_line_names_the_codec_and_the_program"])
        .env("PATH", "/nowhere")
        .env(WITHOUT, "1")
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&own.stdout);
    assert!(own.status.success() && output.contains("1 passed"), "{output}");
}

/// A film with B pictures whose motion is derived from that of other pictures.
const DERIVED: &str = "h264_b_derived.mp4";

/// Symptom: single blocks of B pictures were off by up to 185 levels, in one of forty pictures, and nothing said so.
/// Cause: openh264 derives the motion of parts of a block wrongly.
/// Fix: such pictures are decoded by ffmpeg, where there is one; else a note says so.
#[test]
fn b_pictures_are_those_of_pyav_where_ffmpeg_is_installed() {
    let video = open(DERIVED).unwrap();
    if !has_ffmpeg() {
        assert!(video.note().unwrap().is_some());
        return;
    }
    let all = images(&video, 0..video.len()).unwrap();
    let pixels: Vec<u8> = all.iter().flat_map(|image| image.pixels()).copied().collect();
    // CRC-32C of what PyAV 15.1 and 19.0 show, frame after frame.
    assert_eq!((all.len(), crc32c::crc32c(&pixels)), (41, 0x2692_acb9));
    assert_eq!(video.note().unwrap(), None);
    // A long film: ffmpeg begins in its middle.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.mp4");
    let film = ["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=12", "-c:v", "libx264"];
    let options = ["-pix_fmt", "yuv420p", "-x264-params", "keyint=10:bframes=3:b-adapt=0"];
    assert!(Command::new("ffmpeg").args(film).args(options).arg(&path).status().unwrap().success());
    let video = Video::open(&path).unwrap();
    let all = images(&video, 0..120).unwrap();
    for range in [70..75, 99..101, 119..120] {
        assert!(images(&video, range.clone()).unwrap() == all[range.clone()], "frames {range:?}");
    }
}

#[test]
fn edit_lists_that_repeat_frames_or_change_their_speed_are_refused_by_name() {
    for (name, got) in REFUSED.iter().zip(["another speed", "twice"]) {
        let error = open(name).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("edit list") && error.contains(got), "{error}");
    }
}

/// A generator, so that every run breaks the files in the same ways.
fn next(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize
}

/// Bytes of the index are replaced by what breaks counts, sizes and offsets: all read files end in frames or in an
/// error of one line.
#[test]
fn broken_bytes_of_an_index_never_cause_a_panic_or_more_memory_than_the_file_has() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.mp4");
    let mut state = 7;
    let names = [
        "b_pictures.mp4",
        "b_fragments_edits.mp4",
        "cut_h264.mp4",
        "edits_version1.mp4",
        "edits_two.mp4",
        "h264_bt709_full.mp4",
        "av1_colr_bt709_full.mp4",
        "parameters_inside.mp4",
    ];
    for name in names {
        let good = std::fs::read(fixture("videos").join(name)).unwrap();
        let index = good.windows(4).position(|name| name == b"moov").unwrap() - 4;
        let index = if name.contains("fragments") { 0..good.len() } else { index..good.len() };
        for _ in 0..100 {
            let mut bad = good.clone();
            for _ in 0..1 + next(&mut state) % 3 {
                let place = index.start + next(&mut state) % index.len();
                let word = [0, 1, 0xff, 0x7fff_ffff, 0x8000_0000, u32::MAX, next(&mut state) as u32];
                let word = word[next(&mut state) % word.len()].to_be_bytes();
                let length = (1 + next(&mut state) % 4).min(bad.len() - place);
                bad[place..place + length].copy_from_slice(&word[4 - length..]);
            }
            if next(&mut state).is_multiple_of(8) {
                bad.truncate(next(&mut state) % bad.len());
            }
            std::fs::write(&path, &bad).unwrap();
            let read = || -> mindseye_episodes::Result<()> {
                let video = Video::open(&path)?;
                assert!(video.len() <= bad.len());
                images(&video, 0..video.len().min(4)).map(drop)
            };
            if let Err(error) = read() {
                assert!(!error.to_string().contains('\n'), "{error}");
            }
        }
    }
}
