//! A small synthetic data set, and one of the official library.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and does not recognise helpers as tests
#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mindseye_episodes::{
    Dataset, DatasetSpec, DatasetWriter, EpisodeData, EpisodeSource, ImageStorage, Recording, Sidecar, WriteMode,
};
use mindseye_interface::{ActionSpace, Image, ImageSize, Seed};

pub const DATA: &str = "data/chunk-000/file-000.parquet";
pub const EPISODES: &str = "meta/episodes/chunk-000/file-000.parquet";

/// A folder that lerobot 0.6.1 wrote.
pub fn official() -> PathBuf {
    fixture("lerobot_v3_tiny_image")
}

/// A folder that another library wrote (see its README.md).
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

pub fn sidecar(seed: u64) -> Sidecar {
    Sidecar {
        scene: "two_room".into(),
        action_space: ActionSpace {
            names: texts(&["velocity_x", "velocity_y"]),
            units: texts(&["m/s", "m/s"]),
            low: vec![-0.5; 2],
            high: vec![0.5; 2],
            neutral: Vec::new(),
            max_step: Vec::new(),
        },
        control_step_secs: 0.1,
        recordings: vec![Recording {
            first_episode: 0,
            seed: Seed::new(seed),
            policy: "random".into(),
            factors: vec!["lighting".into()],
            first_of_seed: None,
        }],
    }
}

/// Proprioception of 1 number, true state of 3, action of 2, images of 6x8, two episodes to a file.
pub fn spec() -> DatasetSpec {
    DatasetSpec {
        frames_per_second: 10,
        camera: "front".into(),
        more_cameras: Vec::new(),
        image_size: ImageSize::new(6, 8).unwrap(),
        image_storage: ImageStorage::Png,
        proprioception_names: texts(&["speed"]),
        state_names: texts(&["x_m", "y_m", "angle_rad"]),
        action_names: texts(&["velocity_x", "velocity_y"]),
        task: "reach the other room".into(),
        robot: Some("two_room".into()),
        episodes_per_file: 2,
        sidecar: Some(sidecar(7)),
    }
}

/// Episode `number` of `length` timesteps; every number and pixel depends on its episode and frame.
pub fn episode(number: usize, length: usize) -> EpisodeData {
    let size = spec().image_size;
    let image = |frame: usize| {
        let pixels = (0..size.rgb_len()).map(|byte| (byte * 5 + frame * 17 + number * 91) as u8).collect();
        Image::new(size, pixels).unwrap()
    };
    let row = |frame: usize, width: usize| -> Vec<f32> {
        (0..width).map(|element| (number as f32 * 0.3 + frame as f32 * 0.07 + element as f32).sin()).collect()
    };
    EpisodeData {
        frames: (0..length).map(image).collect(),
        proprioception: (0..length).map(|frame| row(frame, 1)).collect(),
        states: (0..length).map(|frame| row(frame, 3)).collect(),
        actions: (0..length).map(|frame| row(frame, 2)).collect(),
    }
}

pub const LENGTHS: [usize; 5] = [7, 4, 1, 9, 6];

pub fn episodes() -> Vec<EpisodeData> {
    LENGTHS.iter().enumerate().map(|(number, &length)| episode(number, length)).collect()
}

/// Records all five episodes into `path`.
pub fn record(path: &Path) {
    let mut writer = DatasetWriter::create(path, spec(), WriteMode::Error).unwrap();
    for episode in episodes() {
        writer.add_episode(&episode).unwrap();
    }
    assert_eq!(writer.finish().unwrap(), LENGTHS.len());
}

/// All episodes of the data set in `path`.
pub fn read_all(path: &Path) -> Vec<EpisodeData> {
    let dataset = Dataset::open(path).unwrap();
    (0..dataset.len()).map(|index| dataset.read_episode(index).unwrap()).collect()
}

/// The first error of opening the data set and reading all of it.
pub fn read_error(path: &Path) -> String {
    let read = || -> mindseye_episodes::Result<()> {
        let dataset = Dataset::open(path)?;
        (0..dataset.len()).try_for_each(|index| dataset.read_episode(index).map(drop))
    };
    let error = read().unwrap_err().to_string();
    assert!(!error.contains('\n'), "{error}");
    error
}

/// Contents of all files below `folder`, by path.
pub fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(folder).unwrap().to_path_buf(), std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// Copies a data set, so that a test can break the copy.
pub fn copy(from: &Path, to: &Path) {
    for (name, bytes) in tree(from) {
        let path = to.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}
