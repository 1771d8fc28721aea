//! Recordings as people have them: what nobody asked for is not checked, and what is asked for is read, or refused with
//! what is wrong. The fixtures, and what their writers read back, are of other libraries: see their README.md.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and does not recognise helpers as tests

use crate::support::fixture;
use mindseye_episodes::{EpisodeData, EpisodeSource, Mapping, open, open_with};
use serde_json::Value;

fn path(name: &str) -> std::path::PathBuf {
    fixture("as_people_have_it").join(name)
}

fn expected() -> Value {
    serde_json::from_str(&std::fs::read_to_string(path("expected.json")).unwrap()).unwrap()
}

fn mapping(text: &str) -> Mapping {
    mindseye_interface::config::parse(text).unwrap()
}

fn opened(name: &str, text: &str) -> Box<dyn EpisodeSource> {
    open_with(&path(name), &mapping(text)).unwrap_or_else(|error| panic!("{name} {text}: {error}"))
}

/// The error of opening the recording, or of reading its episodes.
fn refused(name: &str, text: &str) -> String {
    match open_with(&path(name), &mapping(text)) {
        Err(error) => error.to_string(),
        Ok(source) => {
            let read = (0..source.len()).find_map(|episode| source.read_episode(episode).err());
            read.unwrap_or_else(|| panic!("{name} {text}: read")).to_string()
        }
    }
}

fn all(source: &dyn EpisodeSource) -> Vec<EpisodeData> {
    (0..source.len()).map(|episode| source.read_episode(episode).unwrap()).collect()
}

/// Compares the images of all `episodes` with the probes of their writer, within `tolerance`.
fn compare(episodes: &[EpisodeData], probes: &Value, tolerance: i64) {
    let places = expected()["probes"].clone();
    let frames: Vec<_> = episodes.iter().flat_map(|episode| &episode.frames).collect();
    assert_eq!(frames.len(), probes.as_array().unwrap().len());
    for (number, (frame, probes)) in frames.into_iter().zip(probes.as_array().unwrap()).enumerate() {
        for (place, probe) in places.as_array().unwrap().iter().zip(probes.as_array().unwrap()) {
            let [row, column] = [0, 1].map(|axis| place[axis].as_u64().unwrap() as usize);
            for (got, expected) in frame.rgb(row, column).into_iter().zip(probe.as_array().unwrap()) {
                let difference = (i64::from(got) - expected.as_i64().unwrap()).abs();
                assert!(difference <= tolerance, "image {number} at {place}: {got} for {expected}");
            }
        }
    }
}

/// Symptom: one column that nobody reads (depth as numbers, 16-bit images, an empty list, a gap, NaN in stats.json)
/// sank the data set, as did tables of zstd, JPEG, and shapes with the channels first. Cause: every feature of
/// info.json was checked. Fix: columns are chosen first, and only those must be right.
#[test]
fn only_the_columns_that_are_read_must_be_right() {
    let source = opened("everything_zstd", "");
    assert_eq!(source.camera_names(), ["flipped"], "the first coloured camera of the description");
    for camera in ["front", "opaque", "flipped", "grey"] {
        let source = opened("everything_zstd", &format!("cameras = ['observation.images.{camera}']"));
        compare(&all(source.as_ref()), &expected()["everything_zstd"][camera], 0);
    }
    let notes = source.notes().join("; ");
    for name in ["observation.images.tof", "observation.depth", "observation.nothing"] {
        assert!(notes.contains(&format!("{name}: not read")), "{notes}");
    }
    assert!(source.summary().unwrap().action.is_none(), "statistics with NaN, which is no JSON, are only shown");
    for (text, reason) in [
        (
            "cameras = ['observation.images.depth']",
            "episode 0 frame 0 observation.images.depth: expected a PNG or JPEG image, got grey of 16 bits",
        ),
        ("cameras = ['observation.images.tof']", "camera observation.images.tof: expected images, got depth images"),
        ("proprioception = ['observation.depth']", "observation.depth: expected numbers, got [300, 300] numbers"),
        ("proprioception = ['observation.nothing']", "observation.nothing: expected numbers, got [0] numbers"),
        ("proprioception = ['note']", "note: expected numbers, got texts"),
        ("proprioception = ['observation.gaps']", "episode 0 frame 0 observation.gaps: expected a value, got none"),
    ] {
        let error = refused("everything_zstd", text);
        assert!(error.contains(reason), "{error}");
    }
}

/// Symptom: "Disabled feature at compile time: zstd", and the same for gzip, LZ4 and brotli.
#[test]
fn tables_of_every_compression_are_read() {
    for compression in ["gzip", "lz4", "brotli"] {
        let name = format!("tables_{compression}");
        let episodes = all(opened(&name, "").as_ref());
        compare(&episodes, &expected()[&name]["front"], 0);
        assert_eq!(episodes[0].actions, [[0.0, 0.0], [1.0, -1.0], [2.0, -2.0]]);
    }
}

#[test]
fn a_rate_that_is_no_whole_number_is_kept_and_a_camera_that_is_missing_refuses_its_episode_only() {
    let source = opened("rate_29_97", "cameras = ['observation.images.front']");
    assert_eq!(source.frames_per_second(), Some(29.97));
    compare(&all(source.as_ref()), &expected()["rate_29_97"]["front"], 3);
    let rear = opened("rate_29_97", "cameras = ['observation.images.rear']");
    compare(&[rear.read_episode(0).unwrap()], &expected()["rate_29_97"]["rear"], 3);
    let error = rear.read_episode(1).unwrap_err().to_string();
    assert!(error.contains("episode 1 observation.images.rear: expected a video file, got none"), "{error}");
}

/// Symptom: a mapping's `fps` changed the rate that was reported, but the timestamps were held against info.json.
#[test]
fn the_rate_of_a_mapping_rules_over_the_description() {
    for camera in ["of_20", "of_30"] {
        let cameras = format!("cameras = ['observation.images.{camera}']");
        let source = opened("rate_said_wrongly", &format!("{cameras}\nfps = 20.0"));
        assert_eq!(source.frames_per_second(), Some(20.0));
        compare(&all(source.as_ref()), &expected()["rate_said_wrongly"][camera], 3);
        let error = refused("rate_said_wrongly", &cameras);
        assert!(error.contains("episode 0 frame 1 timestamp: expected 0.0333 seconds"), "{error}");
    }
    // Timestamps of the described rate are as good: the mapping says what the rate really was.
    let slow = opened("tables_gzip", "fps = 5.0");
    assert_eq!((slow.frames_per_second(), all(slow.as_ref()).len()), (Some(5.0), 1));
}

/// Symptom: all episodes of stable-worldmodel's current recorder were refused, whose last action is NaN.
#[test]
fn the_last_action_of_an_episode_may_be_none() {
    for (name, text, first) in [
        ("last_action_nan.h5", "", 100.0),
        ("everything_zstd", "", 0.0),
        ("rate_29_97", "cameras = ['observation.images.front']", 0.0),
    ] {
        let episodes = all(opened(name, text).as_ref());
        assert_eq!(episodes[0].actions[3], [first + 3.0, -3.0], "{name}");
        assert_eq!((&episodes[0].actions[4], &episodes[1].actions[3]), (&vec![0.0; 2], &vec![0.0; 2]), "{name}");
        assert_eq!(episodes[1].actions[0], [first + 5.0, -5.0], "{name}");
    }
    compare(&all(opened("last_action_nan.h5", "").as_ref()), &expected()["last_action_nan"]["pixels"], 0);
    let error = refused("other_action_nan.h5", "");
    assert!(error.contains("episode 0 frame 2 action[1]: expected a finite number, got NaN"), "{error}");
    let error = refused("last_action_nan.h5", "proprioception = ['unasked']");
    assert!(error.contains("episode 0 frame 0 unasked[0]"), "{error}");
    let error = refused("last_action_nan.h5", "proprioception = ['action']");
    assert!(error.contains("episode 0 frame 4 action[0]"), "only an action may be none: {error}");
}

#[test]
fn images_of_any_order_kind_and_number_of_channels_are_read() {
    assert_eq!(opened("images.hdf5", "").camera_names(), ["chw_image"], "the first coloured one");
    for (camera, probes) in [
        ("chw_image", "rgb"),
        ("float_image", "rgb"),
        ("double_chw_image", "rgb"),
        ("opaque_image", "rgb"),
        ("grey_image", "grey"),
        ("grey_1_image", "grey"),
    ] {
        let source = opened("images.hdf5", &format!("cameras = ['obs/{camera}']"));
        compare(&all(source.as_ref()), &expected()["images"][probes], 0);
    }
    for (camera, reason) in [
        ("wide_image", "camera obs/wide_image: expected images, got [2, 24, 32, 3] of u16"),
        ("loud_image", "obs/loud_image rows 0..2: expected images of floats from 0 to 1, got 20"),
        ("poses", "camera obs/poses: expected images, got [2, 4, 4, 4] of f32"),
    ] {
        let error = refused("images.hdf5", &format!("cameras = ['obs/{camera}']"));
        assert!(error.contains(reason), "{error}");
    }
}

/// Symptom: "offset arithmetic overflow" in files of the old layout, and demonstrations that were missing in silence in
/// files of the new one. Cause: the library knows no soft links.
#[test]
fn soft_links_are_followed_and_links_that_lead_elsewhere_are_refused_by_name() {
    for name in ["links.hdf5", "links_latest.hdf5"] {
        let source = opened(name, "");
        assert_eq!((source.len(), source.frames()), (12, 6 * 9), "{name}");
        assert_eq!(source.frames_per_second(), Some(20.0));
        let expected = &expected()[name.split('.').next().unwrap()];
        for episode in [0, 1, 10, 11] {
            let read = source.read_episode(episode).unwrap();
            assert_eq!(f64::from(read.actions[0][0]), expected["first_actions"][episode % 2].as_f64().unwrap());
            compare(&[read], &expected["front"][episode % 2], 0);
        }
        for (column, reason) in [
            ("obs/elsewhere", "in another file, other.hdf5, which is not followed"),
            ("obs/circle", "a soft link in a circle"),
            ("obs/virtual", "a virtual dataset"),
        ] {
            let error = refused(name, &format!("proprioception = ['{column}']"));
            assert!(error.contains(column) && error.contains(reason), "{name} {column}: {error}");
        }
    }
    let error = refused("external.hdf5", "");
    assert!(
        error.contains("data/demo_1: expected a group of datasets, got a link to /data/demo_0 in another file"),
        "{error}"
    );
}

#[test]
fn chunks_of_zstd_lz4_and_bitshuffle_are_read_and_other_filters_refused_by_name() {
    let numbers = &expected()["filters"]["numbers"];
    for camera in
        ["zstd", "shuffle_zstd", "lz4", "bitshuffle", "bitshuffle_lz4", "bitshuffle_zstd", "blosc_zstd", "checked_lz4"]
    {
        let episodes = all(opened("filters.h5", &format!("cameras = ['{camera}']")).as_ref());
        compare(&episodes, &expected()["filters"]["pixels"], 0);
        let actions: Vec<&Vec<f32>> = episodes.iter().flat_map(|episode| &episode.actions).collect();
        let proprioception = episodes.iter().flat_map(|episode| &episode.proprioception);
        assert!(proprioception.eq(actions.iter().copied()));
        for (action, expected) in actions.into_iter().zip(numbers.as_array().unwrap()) {
            assert_eq!(f64::from(action[1]) as f32, expected[1].as_f64().unwrap() as f32, "{camera}");
        }
    }
    let error = refused("filters.h5", "cameras = ['blosc2']");
    assert!(error.contains("blosc2: expected") && error.contains("got Blosc2 (HDF5 filter 32026)"), "{error}");
}

#[test]
fn a_folder_with_one_hdf5_file_is_that_file_and_a_name_of_the_hub_says_how_to_download_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(path("last_action_nan.h5"), folder.path().join("episodes.h5")).unwrap();
    std::fs::write(folder.path().join("README.md"), "words").unwrap();
    assert_eq!(open(folder.path()).unwrap().len(), 2);
    std::fs::copy(path("last_action_nan.h5"), folder.path().join("more.hdf5")).unwrap();
    let error = open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("2 HDF5 files") && error.contains("episodes.h5"), "{error}");
    let error = open(std::path::Path::new("nobody_has/this")).unwrap_err().to_string();
    assert!(error.contains("hf download nobody_has/this --repo-type dataset"), "{error}");
}
