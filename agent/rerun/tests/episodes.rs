//! Recordings of data sets.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::path::{Path, PathBuf};

use mindseye_episodes::{DatasetSpec, DatasetWriter, EpisodeData, ImageStorage, Recording, Sidecar, WriteMode, open};
use mindseye_interface::{Benchmark as _, Image, ImageSize, Seed};
use mindseye_sim::{SceneOptions, benchmark};

use crate::support::{documented, is_documented, read, refused, succeed};

/// Two episodes of 3 timesteps with two cameras, as mindseye records them in two_room.
fn recorded(folder: &Path) -> PathBuf {
    let world = benchmark("two_room", &SceneOptions::with_side(64).unwrap()).unwrap().environment().unwrap();
    let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let space = world.action_space().clone();
    let size = ImageSize::new(6, 8).unwrap();
    let (state_names, width) = (world.state_names(), space.width());
    let recordings = vec![Recording {
        first_episode: 0,
        seed: Seed::new(7),
        policy: "scripted".into(),
        factors: Vec::new(),
        first_of_seed: None,
    }];
    let spec = DatasetSpec {
        frames_per_second: 10,
        camera: "front".into(),
        more_cameras: texts(&["wrist"]),
        image_size: size,
        image_storage: ImageStorage::Png,
        proprioception_names: texts(&["speed"]),
        state_names: state_names.clone(),
        action_names: space.names.clone(),
        task: "reach the other room".into(),
        robot: Some("two_room".into()),
        episodes_per_file: 2,
        sidecar: Some(Sidecar { scene: "two_room".into(), action_space: space, control_step_secs: 0.1, recordings }),
    };
    let path = folder.join("data");
    let mut writer = DatasetWriter::create(&path, spec, WriteMode::Error).unwrap();
    for episode in 0..2 {
        let row = |frame: usize, width: usize| vec![0.1 + 0.1 * frame as f32 + 0.05 * episode as f32; width];
        let stack = ImageSize::new(12, 8).unwrap();
        let data = EpisodeData {
            frames: (0..3).map(|frame| Image::filled(stack, [40 * frame as u8, 0, 9])).collect(),
            proprioception: (0..3).map(|frame| row(frame, 1)).collect(),
            states: (0..3).map(|frame| row(frame, state_names.len())).collect(),
            actions: (0..3).map(|frame| row(frame, width)).collect(),
        };
        writer.add_episode(&data).unwrap();
    }
    writer.finish().unwrap();
    path
}

#[test]
fn every_episode_is_a_recording_with_its_cameras_numbers_and_scene() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (recorded(folder.path()), folder.path().join("episodes.rrd"));
    let mapping = folder.path().join("mapping.toml");
    std::fs::write(&mapping, "cameras = [\"observation.images.front\", \"observation.images.wrist\"]\n").unwrap();
    let [data_path, file_path, mapping] = [&data, &file, &mapping].map(|path| path.to_str().unwrap());
    let said = succeed(&["data", data_path, "--mapping", mapping, "--out", file_path]);
    assert!(said.starts_with("2 of the 2 episodes of ") && said.contains("6 timesteps"), "{said}");
    let (recordings, source) = (read(&file), open(&data).unwrap());
    assert_eq!(recordings.len(), 2);
    let listed = documented("Entities of an episode");
    for (index, recording) in recordings.iter().enumerate() {
        let episode = source.read_episode(index).unwrap();
        for (name, column) in source.state_names().iter().zip(0..) {
            let written: Vec<f64> = episode.states.iter().map(|row| f64::from(row[column])).collect();
            assert_eq!(recording.scalars(&format!("state/{name}"), "timestep"), written, "{name}");
        }
        for camera in ["camera/front", "camera/wrist"] {
            assert_eq!(recording.rows(camera), 3);
        }
        let bodies = recording.entities().into_iter().filter(|path| path.starts_with("world/bodies/"));
        let moving = bodies.filter(|path| path.split('/').count() == 3).collect::<Vec<_>>();
        assert!(!moving.is_empty() && moving.iter().all(|body| recording.rows(body) == 3), "{moving:?}");
        let missing: Vec<_> = recording.entities().into_iter().filter(|path| !is_documented(path, &listed)).collect();
        assert!(missing.is_empty(), "the guide lacks {missing:?}");
    }
}

#[test]
fn episodes_are_chosen_and_those_that_there_are_not_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (recorded(folder.path()), folder.path().join("episodes.rrd"));
    let (data, out) = (data.to_str().unwrap(), file.to_str().unwrap());
    succeed(&["data", data, "--first-episode", "1", "--max-episodes", "1", "--out", out]);
    assert_eq!(read(&file).len(), 1);
    let before = std::fs::read(&file).unwrap();
    let line = refused(&["data", data, "--first-episode", "2", "--out", out]);
    assert!(line.contains("--first-episode: expected less than the 2 episodes of") && line.contains("got 2"), "{line}");
    assert_eq!(std::fs::read(&file).unwrap(), before, "what was there stays");
}
