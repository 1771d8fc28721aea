//! Writing of data sets with AV1 videos.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and does not recognise helpers as tests

use std::fs;
use std::path::Path;

use crate::support::{DATA, EPISODES, LENGTHS, read_all, spec, tree};
use mindseye_episodes::{
    Dataset, DatasetSpec, DatasetWriter, EpisodeData, EpisodeSource, ImageStorage, Video, WriteMode,
};
use mindseye_interface::{Image, ImageSize};

const FIRST: &str = "videos/observation.images.front/chunk-000/file-000.mp4";
/// Lowest accepted signal-to-noise ratios: of smooth images, and of tiny ones that consist mostly of the disc's edge.
const LEAST_DECIBELS: f64 = 33.0;
const LEAST_OF_TINY: f64 = 26.0;

fn video_spec(size: ImageSize) -> DatasetSpec {
    DatasetSpec { image_size: size, image_storage: ImageStorage::Av1, ..spec() }
}

fn size() -> ImageSize {
    ImageSize::new(48, 64).unwrap()
}

/// Episode `number` of `length` timesteps: the synthetic numbers, and a disc that moves over a gradient of the
/// episode's own.
fn video_episode(number: usize, length: usize, size: ImageSize) -> EpisodeData {
    let (height, width) = (size.height() as f32, size.width() as f32);
    let image = |frame: usize| {
        let mut pixels = Vec::with_capacity(size.rgb_len());
        for row in 0..size.height() {
            for column in 0..size.width() {
                let (y, x) = (row as f32 / height, column as f32 / width);
                let from_disc = ((x - 0.15 - 0.05 * frame as f32).powi(2) + (y - 0.5).powi(2)).sqrt();
                let disc = (1.0 - (from_disc - 0.12) * 12.0).clamp(0.0, 1.0);
                let ground = [60.0 + 30.0 * number as f32, 60.0 + 80.0 * x, 60.0 + 80.0 * y];
                let paint = [220.0, 200.0, 40.0];
                pixels.extend((0..3).map(|channel| {
                    (ground[channel] * (1.0 - disc) + paint[channel] * disc).round() as u8 //
                }));
            }
        }
        Image::new(size, pixels).unwrap()
    };
    EpisodeData { frames: (0..length).map(image).collect(), ..crate::support::episode(number, length) }
}

fn record_video(root: &Path, size: ImageSize, numbers: std::ops::Range<usize>, mode: WriteMode) {
    let mut writer = DatasetWriter::create(root, video_spec(size), mode).unwrap();
    for number in numbers {
        writer.add_episode(&video_episode(number, LENGTHS[number], size)).unwrap();
    }
    writer.finish().unwrap();
}

fn decibels(one: &Image, other: &Image) -> f64 {
    let squares = one.pixels().iter().zip(other.pixels()).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2));
    let mean = squares.sum::<f64>() / one.pixels().len() as f64;
    10.0 * (255.0 * 255.0 / mean.max(1e-9)).log10()
}

/// The smallest signal-to-noise ratio of all images; everything else must be equal.
fn compare(read: &[EpisodeData], written: &[EpisodeData]) -> f64 {
    assert_eq!(read.len(), written.len());
    let mut worst = f64::INFINITY;
    for (read, written) in read.iter().zip(written) {
        let numbers = |episode: &EpisodeData| EpisodeData { frames: Vec::new(), ..episode.clone() };
        assert_eq!(numbers(read), numbers(written));
        assert_eq!(read.len(), written.len());
        let pairs = read.frames.iter().zip(&written.frames);
        worst = pairs.map(|(read, written)| decibels(read, written)).fold(worst, f64::min);
    }
    worst
}

#[test]
fn every_timestep_keeps_its_image_in_a_video() {
    // The codec pads odd sides, and the decoder restores them.
    for size in [size(), ImageSize::new(17, 33).unwrap(), ImageSize::square(16).unwrap()] {
        let folder = tempfile::tempdir().unwrap();
        record_video(folder.path(), size, 0..5, WriteMode::Error);
        let written: Vec<EpisodeData> = (0..5).map(|number| video_episode(number, LENGTHS[number], size)).collect();
        let read = read_all(folder.path());
        let worst = compare(&read, &written);
        let least = if size.width() < 48 { LEAST_OF_TINY } else { LEAST_DECIBELS };
        assert!(worst > least, "{size:?}: {worst:.1} dB");
        // Each image is nearest to the one of its own timestep.
        for (frame, right) in read[3].frames.iter().enumerate() {
            let others = written[3].frames.iter().enumerate().filter(|(other, _)| *other != frame);
            let nearest = others.map(|(_, other)| decibels(right, other)).fold(0.0, f64::max);
            assert!(nearest < decibels(right, &written[3].frames[frame]), "{size:?} frame {frame}");
        }
    }
}

#[test]
fn a_video_holds_the_episodes_of_its_data_file_in_order() {
    let folder = tempfile::tempdir().unwrap();
    record_video(folder.path(), size(), 0..5, WriteMode::Error);
    let names: Vec<String> = tree(folder.path()).keys().map(|path| path.display().to_string()).collect();
    assert_eq!(names.iter().filter(|name| name.ends_with(".mp4")).count(), 3, "{names:?}");
    let bytes = fs::read(folder.path().join(FIRST)).unwrap();
    let place = |name: &[u8]| bytes.windows(4).position(|window| window == name).unwrap();
    assert!(place(b"moov") < place(b"mdat") && place(b"av1C") < place(b"mdat"), "the description comes first");
    let video = Video::open(&folder.path().join(FIRST)).unwrap();
    assert_eq!(video.len(), LENGTHS[0] + LENGTHS[1]);
    for frame in 0..video.len() {
        assert_eq!(video.frame_at(frame as f64 / 10.0).unwrap(), frame);
    }
    // The second episode begins at a key frame, so decoding it does not need the first.
    let mut cut = bytes.clone();
    let first_sample = place(b"mdat") + 4;
    let read = |root: &Path| Dataset::open(root).unwrap().read_episode(1).unwrap();
    let whole = read(folder.path());
    cut[first_sample..first_sample + 40].fill(0);
    fs::write(folder.path().join(FIRST), cut).unwrap();
    assert_eq!(read(folder.path()), whole);
    assert!(Dataset::open(folder.path()).unwrap().read_episode(0).is_err());
    // No images in the table.
    let table = fs::read(folder.path().join(DATA)).unwrap();
    assert!(!table.windows(20).any(|window| window == b"observation.images.f"));
    let info = fs::read_to_string(folder.path().join("meta/info.json")).unwrap();
    assert!(info.contains("\"dtype\": \"video\"") && info.contains("\"video.codec\": \"av1\""));
}

#[test]
fn video_bytes_do_not_depend_on_the_number_of_threads() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for (folder, threads) in folders.iter().zip([1, 3]) {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| record_video(folder.path(), size(), 0..5, WriteMode::Error));
    }
    let [first, second] = folders.each_ref().map(|folder| tree(folder.path()));
    assert!(first.len() == 3 + 3 + 3 + 4 && first == second);
}

#[test]
fn appending_writes_the_same_bytes_as_one_recording() {
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    record_video(whole.path(), size(), 0..5, WriteMode::Error);
    for numbers in [0..2, 2..4, 4..5] {
        record_video(parts.path(), size(), numbers, WriteMode::Append);
    }
    assert!(tree(whole.path()) == tree(parts.path()));
    // Images of another storage are refused.
    let tables = DatasetSpec { image_storage: ImageStorage::Png, ..video_spec(size()) };
    let error = DatasetWriter::create(parts.path(), tables, WriteMode::Append).unwrap_err().to_string();
    assert!(error.contains("video") && error.contains("image"), "{error}");
}

#[test]
fn videos_of_the_official_library_can_be_appended_to() {
    let folder = tempfile::tempdir().unwrap();
    crate::support::copy(&crate::support::fixture("lerobot_v3_tiny"), folder.path());
    let dataset = Dataset::open(folder.path()).unwrap();
    let before = read_all(folder.path());
    let shape = *dataset.shape();
    let spec = DatasetSpec {
        frames_per_second: dataset.fps(),
        camera: "front".into(),
        more_cameras: Vec::new(),
        image_size: shape.image_size,
        image_storage: ImageStorage::Av1,
        proprioception_names: dataset.proprioception_names(),
        state_names: dataset.state_names(),
        action_names: dataset.action_names(),
        task: "push the block to the right".into(),
        robot: None,
        episodes_per_file: 50,
        sidecar: None,
    };
    let mut writer = DatasetWriter::create(folder.path(), spec, WriteMode::Append).unwrap();
    writer.add_episode(&before[1]).unwrap();
    writer.finish().unwrap();
    let after = read_all(folder.path());
    assert!(after[..3] == before[..]);
    assert!(compare(&after[3..], &before[1..2]) > 30.0);
    assert!(folder.path().join(FIRST.replace("file-000", "file-001")).exists());
}

#[test]
fn an_interrupted_recording_keeps_complete_files_and_can_be_continued() {
    let (whole, cut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    record_video(whole.path(), size(), 0..5, WriteMode::Error);
    let mut writer = DatasetWriter::create(cut.path(), video_spec(size()), WriteMode::Error).unwrap();
    for (number, length) in LENGTHS.into_iter().enumerate().take(3) {
        writer.add_episode(&video_episode(number, length, size())).unwrap();
    }
    drop(writer); // the crash: episode 2 is pending
    assert_eq!(read_all(cut.path()).len(), 2);
    // A crash in the middle of a segment: the video and the tables exist, but info.json does not count them; one is
    // half.
    let second = |file: &str| file.replace("file-000", "file-001");
    fs::write(cut.path().join(format!("{}.partial", second(FIRST))), "half").unwrap();
    fs::write(cut.path().join(second(FIRST)), "something else").unwrap();
    for file in [DATA, EPISODES] {
        fs::copy(whole.path().join(second(file)), cut.path().join(second(file))).unwrap();
    }
    assert_eq!(read_all(cut.path()).len(), 2);
    record_video(cut.path(), size(), 2..5, WriteMode::Append);
    assert!(tree(whole.path()) == tree(cut.path()));
}

#[test]
fn images_too_small_for_a_video_are_refused_before_a_file_exists() {
    let folder = tempfile::tempdir().unwrap();
    let small = video_spec(ImageSize::new(64, 15).unwrap());
    let error = DatasetWriter::create(folder.path(), small, WriteMode::Error).unwrap_err().to_string();
    assert!(error.contains("image_size") && error.contains("16") && error.contains("64x15"), "{error}");
    assert!(tree(folder.path()).is_empty());
}
