//! HDF5 files of robomimic, and broken ones.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and does not recognise helpers as tests

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::fixture;
use hdf5_pure::{AttrValue, FileBuilder};
use mindseye_episodes::{CacheOptions, EpisodeData, EpisodeSource, FrameCache, open};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn official() -> PathBuf {
    fixture("robomimic_tiny").join("toy_lift.hdf5")
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hash_numbers(rows: &[Vec<f32>]) -> String {
    hash(&rows.iter().flatten().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
}

fn episodes(source: &dyn EpisodeSource) -> mindseye_episodes::Result<Vec<EpisodeData>> {
    (0..source.len()).map(|index| source.read_episode(index)).collect()
}

#[test]
fn robomimic_files_are_read_as_h5py_reads_them() {
    let expected: Value =
        serde_json::from_slice(&fs::read(fixture("robomimic_tiny").join("expected.json")).unwrap()).unwrap();
    let source = open(&official()).unwrap();
    let shape = *source.shape();
    assert_eq!((source.format().as_str(), source.len(), source.frames()), ("robomimic HDF5", 3, 24));
    assert_eq!((shape.image_size.height(), shape.image_size.width()), (24, 32));
    assert_eq!((shape.action, shape.state, shape.proprioception), (7, 5, 9));
    assert_eq!(source.frames_per_second(), expected["control_freq"].as_f64());
    let names = source.proprioception_names();
    assert_eq!((names.len(), names[0].as_str(), names[8].as_str()), (9, "robot0_eef_pos_0", "robot0_gripper_qpos_1"));
    let ours = episodes(source.as_ref()).unwrap();
    // In the order of their numbers: 0, 2, 10.
    for (index, (ours, expected)) in ours.iter().zip(expected["episodes"].as_array().unwrap()).enumerate() {
        assert_eq!(source.episode(index).unwrap().length as u64, expected["length"].as_u64().unwrap());
        let first: Vec<f64> = ours.actions[0].iter().map(|value| f64::from(*value)).collect();
        assert_eq!(Value::from(first), expected["first_action"]);
        assert_eq!(hash_numbers(&ours.actions), expected["actions_f32_sha256"]);
        assert_eq!(hash_numbers(&ours.states), expected["states_f32_sha256"]);
        assert_eq!(hash_numbers(&ours.proprioception), expected["proprioception_f32_sha256"]);
        let images: Vec<String> = ours.frames.iter().map(|frame| hash(frame.pixels())).collect();
        assert_eq!(Value::from(images), expected["agentview_sha256"]);
    }
    let summary = source.summary().unwrap();
    let names: Vec<&str> = summary.features.iter().map(|feature| feature.name.as_str()).collect();
    assert!(["actions", "obs/agentview_image", "obs/object"].iter().all(|name| names.contains(name)), "{names:?}");
    assert_eq!(summary.episode_frames, [4, 11]);
}

#[test]
fn a_cache_with_a_stride_keeps_every_strideth_image() {
    let source = open(&official()).unwrap();
    let whole = episodes(source.as_ref()).unwrap();
    for stride in [2, 5, 7] {
        let options = CacheOptions { stride, ..CacheOptions::default() };
        let cache = FrameCache::load(source.as_ref(), &options, &|_, _| ()).unwrap();
        let frames = whole.iter().flat_map(|episode| episode.frames.iter().enumerate());
        for (timestep, (step, frame)) in frames.enumerate() {
            assert_eq!(cache.has_image(timestep), step % stride == 0);
            assert!(
                step % stride != 0 || cache.image(timestep).unwrap() == frame.pixels(),
                "stride {stride} timestep {timestep}"
            );
        }
    }
}

/// A demonstration to be written by a test.
struct Demo {
    actions: Vec<f64>,
    samples: i64,
    observations: Vec<(&'static str, Vec<f32>, Vec<u64>)>,
    /// Names and shapes.
    cameras: Vec<(&'static str, [u64; 4])>,
}

/// Three timesteps of a robot that is not robosuite's, with actions of two numbers.
fn demo() -> Demo {
    Demo {
        actions: vec![0.5, 0.25, 0.5, 0.25, 0.5, 0.25],
        samples: 3,
        observations: vec![
            ("gripper_states", vec![2.0, 2.5, 3.0], vec![3]),
            ("ee_pos", vec![1.0; 6], vec![3, 2]),
            ("object", vec![9.0; 3], vec![3, 1]),
        ],
        cameras: vec![("agentview_rgb", [3, 2, 2, 3]), ("above_rgb", [3, 4, 5, 3])],
    }
}

/// Writes demonstrations 0, 1, ... to `path`.
fn write(path: &Path, demos: &[Demo]) {
    let mut file = FileBuilder::new();
    let mut data = file.create_group("data");
    for (index, demo) in demos.iter().enumerate() {
        let mut group = data.create_group(&format!("demo_{index}"));
        let rows = demo.actions.len() as u64 / 2;
        group.create_dataset("actions").with_f64_data(&demo.actions).with_shape(&[rows, 2]);
        group.set_attr("num_samples", AttrValue::I64(demo.samples));
        let mut observations = group.create_group("obs");
        for (name, values, shape) in &demo.observations {
            observations.create_dataset(name).with_f32_data(values).with_shape(shape);
        }
        for (name, shape) in &demo.cameras {
            let bytes: Vec<u8> = (0..shape.iter().product()).map(|byte: u64| (byte * 7) as u8).collect();
            observations.create_dataset(name).with_u8_data(&bytes).with_shape(shape);
        }
        group.add_group(observations.finish());
        data.add_group(group.finish());
    }
    file.add_group(data.finish());
    file.write(path).unwrap();
}

/// The result of reading two demonstrations, the second changed by `change`.
fn changed(change: impl Fn(&mut Demo)) -> mindseye_episodes::Result<Vec<EpisodeData>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made_up.hdf5");
    let mut second = demo();
    change(&mut second);
    write(&path, &[demo(), second]);
    open(&path).and_then(|source| episodes(source.as_ref()))
}

fn refused(change: impl Fn(&mut Demo), parts: &[&str]) {
    let error = changed(change).unwrap_err().to_string();
    assert!(error.contains("made_up.hdf5") && !error.contains('\n'), "{error}");
    assert!(parts.iter().all(|part| error.contains(part)), "{error}: expected {parts:?}");
}

#[test]
fn proprioception_of_other_robots_is_all_observations_except_objects() {
    let episodes = changed(|_| ()).unwrap();
    assert_eq!(episodes.len(), 2);
    assert_eq!(episodes[1].proprioception, [vec![1.0, 1.0, 2.0], vec![1.0, 1.0, 2.5], vec![1.0, 1.0, 3.0]]);
    assert_eq!(episodes[1].actions, vec![vec![0.5, 0.25]; 3]);
    assert!(episodes[1].states.iter().all(Vec::is_empty));
    // The preferred camera, although another one comes first by name.
    assert_eq!((episodes[0].frames[0].size().height(), episodes[0].frames[0].size().width()), (2, 2));
}

#[test]
fn contradictions_within_and_between_demonstrations_are_named() {
    refused(|demo| demo.samples = 4, &["data/demo_1 num_samples", "expected 3, got 4"]);
    refused(|demo| demo.actions.truncate(4), &["data/demo_1"]);
    refused(|demo| demo.actions.clear(), &["data/demo_1"]);
    refused(|demo| demo.actions[3] = f64::NAN, &["episode 1 frame 1", "data/demo_1/actions[1]", "finite", "NaN"]);
    refused(|demo| demo.observations[1].1[4] = f32::INFINITY, &["episode 1 frame 2", "obs/ee_pos[0]", "finite"]);
    refused(
        |demo| demo.observations.retain(|(name, ..)| *name != "ee_pos"),
        &["data/demo_1/obs/ee_pos", "a column", "only "],
    );
    refused(
        |demo| demo.cameras.retain(|(name, _)| *name != "agentview_rgb"),
        &["data/demo_1/obs/agentview_rgb", "a column", "only "],
    );
    refused(|demo| demo.cameras[0].1 = [2, 2, 2, 3], &["obs/agentview_rgb", "expected 3 images of 2x2, got 2"]);
    refused(|demo| demo.cameras[0].1 = [3, 3, 2, 3], &["data/demo_1", "expected 3 images of 2x2, got 3 images of 3x2"]);
    refused(|demo| demo.cameras[0].1 = [3, 2, 2, 2], &["obs/agentview_rgb", "[T, height, width, 3] of u8"]);
    let wider = |demo: &mut Demo| demo.observations[1] = ("ee_pos", vec![1.0; 9], vec![3, 3]);
    refused(wider, &["data/demo_1", "expected 2 wide, got 3"]);
}

#[test]
fn files_without_demonstrations_or_images_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made_up.hdf5");
    let refused = |demos: &[Demo], part: &str| {
        write(&path, demos);
        let error = open(&path).unwrap_err().to_string();
        assert!(error.contains(part) && !error.contains('\n'), "{error}");
    };
    refused(&[], "groups demo_0");
    refused(&[Demo { cameras: vec![], ..demo() }], "--camera_names");
    refused(&[Demo { cameras: vec![], observations: vec![], ..demo() }], "data/demo_0/obs");
}

#[test]
fn broken_files_are_named_and_never_cause_a_panic() {
    let good = fs::read(official()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toy_lift.hdf5");
    let read = || open(&path).and_then(|source| source.summary().and_then(|_| episodes(source.as_ref())));
    for length in [8, 100, good.len() / 2, good.len() - 1] {
        fs::write(&path, &good[..length]).unwrap();
        let Err(error) = read() else { continue };
        assert!(error.to_string().contains("toy_lift.hdf5") && !error.to_string().contains('\n'), "{error}");
    }
    for position in (0..good.len()).step_by(good.len() / 200).chain(0..512) {
        let mut bad = good.clone();
        bad[position] ^= 0x5a;
        fs::write(&path, bad).unwrap();
        // The result is an error of one line, or values that differ.
        if let Err(error) = read() {
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
}

/// Symptom: files of 1000, 2000 and 4000 demonstrations took 1.9, 6.6 and 27 s to open. Cause: every path was looked up
/// from the root, through a list of all demonstrations that was read anew.
#[cfg(target_os = "linux")] // which counts what a thread reads
#[test]
fn what_is_read_of_a_file_grows_with_its_demonstrations_and_not_with_their_square() {
    let folder = tempfile::tempdir().unwrap();
    let read = |demonstrations: usize| {
        let path = folder.path().join(format!("{demonstrations}.hdf5"));
        write(&path, &(0..demonstrations).map(|_| demo()).collect::<Vec<_>>());
        let before = bytes_read();
        assert_eq!(open(&path).unwrap().len(), demonstrations);
        (bytes_read() - before, fs::metadata(&path).unwrap().len())
    };
    let ((few, few_size), (many, many_size)) = (read(100), read(800));
    // Eight times as much, and the list itself: a file with its square would have 64 times as much.
    assert!(many < 12 * few, "{few} bytes are read of {few_size}, {many} of {many_size}");
}

/// Bytes that this thread has read so far.
#[cfg(target_os = "linux")]
fn bytes_read() -> u64 {
    let counts = fs::read_to_string("/proc/thread-self/io").unwrap();
    let line = counts.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
    line.parse().unwrap()
}
