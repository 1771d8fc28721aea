//! Every timestep of a LeRobot folder has the frame of its timestep, or its episode is refused by name.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and does not recognise helpers as tests

use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::support::{EPISODES, copy, fixture};
use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch};
use arrow::datatypes::Float64Type;
use mindseye_episodes::{Dataset, EpisodeData, EpisodeSource};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

/// Where `expected.json` of the cases looks: rows and columns.
const PLACES: [[usize; 2]; 2] = [[16, 12], [28, 5]];

/// The episodes of a folder, each read or refused.
fn episodes(root: &Path) -> Vec<Result<EpisodeData, String>> {
    let dataset = Dataset::open(root).unwrap();
    let one = |index| dataset.read_episode(index).map_err(|error| error.to_string());
    (0..dataset.len()).map(one).collect()
}

/// A copy of a case, changed by `change`.
fn changed(name: &str, change: impl FnOnce(&Path)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&fixture("video_cases").join(name), folder.path());
    change(folder.path());
    folder
}

/// Asserts that the frames of all episodes that are read are those of their timesteps; returns the other errors.
fn check(name: &str, root: &Path) -> Vec<(usize, String)> {
    let text = fs::read(fixture("video_cases").join(name).join("expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&text).unwrap();
    let mut timesteps = expected["pixels"].as_array().unwrap().iter();
    let lengths: Vec<usize> =
        (0..).map_while(|index| Some(Dataset::open(root).unwrap().episode(index).ok()?.length)).collect();
    let mut errors = Vec::new();
    for (index, episode) in episodes(root).into_iter().enumerate() {
        let expected: Vec<&Value> = timesteps.by_ref().take(lengths[index]).collect();
        let episode = match episode {
            Ok(episode) => episode,
            Err(error) => {
                errors.push((index, error));
                continue;
            }
        };
        for (frame, (image, expected)) in episode.frames.iter().zip(expected).enumerate() {
            for (place, [row, column]) in PLACES.into_iter().enumerate() {
                for (channel, got) in image.rgb(row, column).into_iter().enumerate() {
                    let expected = expected[place][channel].as_u64().unwrap() as u8;
                    let what = format!("{name} episode {index} frame {frame} at {row}, {column}, channel {channel}");
                    assert_eq!(got, expected, "{what}");
                }
            }
        }
    }
    errors
}

/// Rewrites `from_timestamp` of all episodes.
fn move_starts(root: &Path, change: impl Fn(&[f64]) -> Vec<f64>) {
    let path = root.join(EPISODES);
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&path).unwrap()).unwrap().build().unwrap();
    let batch = reader.map(Result::unwrap).next().unwrap();
    let column = batch.schema().index_of("videos/observation.images.front/from_timestamp").unwrap();
    let starts = batch.column(column).as_primitive::<Float64Type>().values().to_vec();
    let mut columns = batch.columns().to_vec();
    columns[column] = Arc::new(Float64Array::from(change(&starts))) as ArrayRef;
    let batch = RecordBatch::try_new(batch.schema(), columns).unwrap();
    let mut writer = ArrowWriter::try_new(fs::File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// Symptom: of videos that were cut by copying the stream, every timestep had the picture of 5 timesteps earlier.
/// Cause: the edit list was not read, so that the pictures it hides were taken for the first ones. Fix: only what the
/// list shows is a frame.
#[test]
fn pictures_that_an_edit_list_hides_are_no_frames() {
    let errors = check("trimmed_by_copy", &fixture("video_cases").join("trimmed_by_copy"));
    assert_eq!(errors, []);
}

/// Symptom: all pictures of an episode were those of the timestep before. Cause: the nearest frame to a
/// `from_timestamp` that had drifted by more than half a frame. Fix: lengths of episodes, number of frames and times
/// have to agree.
#[test]
fn a_start_that_has_drifted_by_half_a_frame_is_refused_and_by_less_is_right() {
    let errors = check("from_timestamp_drift", &fixture("video_cases").join("from_timestamp_drift"));
    let [(2, error)] = &errors[..] else { panic!("{errors:?}") };
    let parts = ["episode 2 observation.images.front/from_timestamp", "expected 2.7000", "got 2.6400"];
    assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    // In both directions, up to several frames.
    for (drift, refused) in [(0.0, 0), (0.049, 0), (-0.049, 0), (0.051, 2), (-0.051, 2), (0.1, 2), (-0.1, 2), (0.31, 2)]
    {
        let folder = changed("from_timestamp_drift", |root| {
            move_starts(root, |_| vec![0.0, 1.2 + drift, 2.7 + drift]);
        });
        let errors = check("from_timestamp_drift", folder.path());
        assert_eq!(errors.len(), refused, "{drift}: {errors:?}");
    }
}

#[test]
fn frames_that_belong_to_no_episode_need_exact_times_and_are_never_taken() {
    // The last episode is not in the table: the video has 9 frames more than there are timesteps.
    let without_last = |starts: [f64; 2]| {
        changed("from_timestamp_drift", |root| {
            let path = root.join("meta/info.json");
            let mut info: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            info["total_episodes"] = 2.into();
            info["total_frames"] = 27.into();
            fs::write(path, info.to_string()).unwrap();
            move_starts(root, |_| vec![starts[0], starts[1], 2.7]);
        })
    };
    assert_eq!(check("from_timestamp_drift", without_last([0.0, 1.2]).path()), []);
    for (starts, refused, part) in [
        ([0.0, 1.17], vec![1], "expected the time of a frame"),
        ([0.0, 1.1], vec![0, 1], "frames 11 to 11 of two episodes"),
        ([0.0, 1.3], vec![0, 1], "frames 12 to 12 of none"),
        ([0.1, 1.3], vec![0, 1], "frames 0 to 0 of none"),
        ([0.0, 2.4], vec![1], "15 frames from 2.4000 seconds on"),
    ] {
        let errors = check("from_timestamp_drift", without_last(starts).path());
        let episodes: Vec<usize> = errors.iter().map(|(episode, _)| *episode).collect();
        assert!(refused.iter().all(|episode| episodes.contains(episode)), "{starts:?}: {errors:?}");
        assert!(errors.iter().any(|(_, error)| error.contains(part)), "{starts:?}: {errors:?}");
    }
}

#[test]
fn a_video_with_more_or_fewer_frames_than_its_episode_has_timesteps_is_refused_by_name() {
    let video = "videos/chunk-000/observation.images.front/episode_000001.mp4";
    for (other, frames) in [("plain.mp4", 24), ("edits_short.mp4", 10)] {
        let folder = changed("trimmed_by_copy", |root| {
            fs::copy(fixture("videos").join(other), root.join(video)).unwrap();
        });
        let errors = check("trimmed_by_copy", folder.path());
        let [(1, error)] = &errors[..] else { panic!("{errors:?}") };
        let got = format!("expected a video of 11 frames, got {frames}");
        assert!(error.contains("episode_000001.mp4: episode 1") && error.contains(&got), "{error}");
    }
}

#[test]
fn a_video_that_begins_late_or_has_another_rate_is_refused_by_name() {
    let video = "videos/chunk-000/observation.images.front/episode_000001.mp4";
    let with = |bytes: &[u8], episode_frames: usize| {
        changed("trimmed_by_copy", |root| {
            fs::write(root.join(video), bytes).unwrap();
            assert_eq!(mindseye_episodes::Video::open(&root.join(video)).unwrap().len(), episode_frames);
        })
    };
    // An edit list that delays the first frame by half a second: 11 frames, as the episode has, 5 frames too late.
    let late = fs::read(fixture("videos/empty_edit_11.mp4")).unwrap();
    let errors = check("trimmed_by_copy", with(&late, 11).path());
    let [(1, error)] = &errors[..] else { panic!("{errors:?}") };
    assert!(
        error.contains("episode 1") && error.contains("expected 0.5000") && error.contains("got 0.0000"),
        "{error}"
    );
    // The episode's own video at half the rate: the first five are hidden at any rate, all others are shown.
    let own = fs::read(fixture("video_cases/trimmed_by_copy").join(video)).unwrap();
    let units = own.windows(4).position(|name| name == b"stts").unwrap() + 16;
    let mut slow = own.clone();
    let delta = u32::from_be_bytes(slow[units..units + 4].try_into().unwrap());
    let list = slow.windows(4).position(|name| name == b"elst").unwrap() + 12;
    slow[units..units + 4].copy_from_slice(&(2 * delta).to_be_bytes());
    slow[list..list + 4].copy_from_slice(&10_000u32.to_be_bytes());
    slow[list + 4..list + 8].copy_from_slice(&(10 * delta).to_be_bytes());
    let errors = check("trimmed_by_copy", with(&slow, 11).path());
    let [(1, error)] = &errors[..] else { panic!("{errors:?}") };
    assert!(error.contains("episode 1") && error.contains("frame 1") && error.contains("10 a second"), "{error}");
}

/// Symptom: grey 29 became 17 and blue 190 became 199. Cause: H.264 was taken for BT.601 of limited range, whatever the
/// stream said. Fix: range and matrix of the stream, otherwise of the container.
#[test]
fn h264_of_full_range_has_its_colours() {
    assert_eq!(check("h264_full_range", &fixture("video_cases/h264_full_range")), []);
}

/// Symptom: episodes that begin between two IDR pictures were refused ("Native:18"). Cause: a key picture of the
/// container was taken for a place at which the decoder can begin. Fix: the last IDR picture before.
#[test]
fn key_pictures_that_are_no_idr_are_decoded_from_the_last_idr_before() {
    assert_eq!(check("h264_open_gop", &fixture("video_cases/h264_open_gop")), []);
}
