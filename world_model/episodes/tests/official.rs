//! Comparison with files of the official library.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and does not recognise helpers as tests

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use crate::support::{DATA, EPISODES, official};
use arrow::datatypes::Schema;
use mindseye_episodes::{Dataset, DatasetSpec, DatasetWriter, EpisodeSource, ImageStorage, WriteMode};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().unwrap()],
    }
}

/// Records the content of the official data set again.
fn record_again(path: &Path) {
    let dataset = Dataset::open(&official()).unwrap();
    let spec = DatasetSpec {
        frames_per_second: dataset.fps(),
        camera: "front".into(),
        more_cameras: Vec::new(),
        image_size: dataset.image_size(),
        image_storage: ImageStorage::Png,
        proprioception_names: dataset.proprioception_names(),
        state_names: vec![],
        action_names: dataset.action_names(),
        task: dataset.tasks()[0].clone(),
        robot: Some("toy_pusher".into()),
        episodes_per_file: 50,
        sidecar: None,
    };
    let mut writer = DatasetWriter::create(path, spec, WriteMode::Error).unwrap();
    for index in 0..dataset.len() {
        writer.add_episode(&dataset.read_episode(index).unwrap()).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn every_frame_is_read_as_the_official_reader_reads_it() {
    let dataset = Dataset::open(&official()).unwrap();
    let expected = json(&official().join("expected.json"));
    assert_eq!((dataset.len(), dataset.frames(), dataset.fps()), (3, 60, 10));
    assert_eq!(dataset.action_names(), ["dx", "dy"]);
    assert!(dataset.sidecar().is_none() && dataset.state_names().is_empty());
    let mut frames = expected["frames"].as_array().unwrap().iter();
    for index in 0..dataset.len() {
        let (meta, episode) = (dataset.episode(index).unwrap(), dataset.read_episode(index).unwrap());
        assert_eq!((meta.length, &meta.tasks[0][..]), (episode.len(), "push the block to the right"));
        for frame in 0..episode.len() {
            let expected = frames.next().unwrap();
            let hash: String =
                Sha256::digest(episode.frames[frame].pixels()).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hash, expected["observation.images.front"]["rgb_hwc_sha256"]);
            let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<f64>>();
            assert_eq!(wide(&episode.actions[frame]), numbers(&expected["action"]));
            assert_eq!(wide(&episode.proprioception[frame]), numbers(&expected["observation.state"]));
            assert!(episode.states[frame].is_empty());
        }
    }
    assert!(frames.next().is_none());
}

#[test]
fn our_tables_have_the_columns_types_and_metadata_of_the_official_ones() {
    let folder = tempfile::tempdir().unwrap();
    let ours = folder.path().join("again");
    record_again(&ours);
    let schema = |root: &Path, file: &str| -> (Schema, Vec<usize>) {
        let file = File::open(root.join(file)).unwrap();
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::default()).unwrap();
        let groups = metadata.metadata().row_groups().iter().map(|group| group.num_rows() as usize).collect();
        (metadata.schema().as_ref().clone(), groups)
    };
    for file in [DATA, EPISODES, "meta/tasks.parquet"] {
        let ((ours, our_groups), (theirs, their_groups)) = (schema(&ours, file), schema(&official(), file));
        assert_eq!(ours.fields(), theirs.fields(), "{file}");
        assert_eq!(our_groups, their_groups, "{file}");
        let metadata = |schema: &Schema| -> BTreeMap<String, Value> {
            let parse = |(key, text): (&String, &String)| (key.clone(), serde_json::from_str(text).unwrap());
            schema.metadata().iter().map(parse).collect()
        };
        let (mut ours, mut theirs) = (metadata(&ours), metadata(&theirs));
        for metadata in [&mut ours, &mut theirs] {
            // The writer's name, and a random number.
            metadata.values_mut().filter_map(Value::as_object_mut).for_each(|members| {
                members.retain(|key, _| key != "creator" && key != "fingerprint");
            });
        }
        assert_eq!(ours, theirs, "{file}");
    }
    let text = |root: &Path| std::fs::read_to_string(root.join("meta/info.json")).unwrap();
    assert_eq!(text(&ours), text(&official()));
}

#[test]
fn our_statistics_agree_with_the_official_ones() {
    let folder = tempfile::tempdir().unwrap();
    let ours = folder.path().join("again");
    record_again(&ours);
    let (ours, theirs) = (json(&ours.join("meta/stats.json")), json(&official().join("meta/stats.json")));
    let features = theirs.as_object().unwrap();
    assert_eq!(ours.as_object().unwrap().len(), features.len());
    for (feature, statistics) in features {
        let range =
            numbers(&statistics["max"]).iter().zip(numbers(&statistics["min"])).fold(0.0, |widest, (max, min)| {
                f64::max(widest, max - min) //
            });
        for (statistic, value) in statistics.as_object().unwrap() {
            // LeRobot's quantiles come from a histogram of 5000 bins (and of images with 8 bits: one step).
            let slack = match statistic.as_bytes()[0] {
                // LeRobot adds up pixels in single precision; ours are exact.
                b'm' | b's' if feature.contains("images") => 3e-3,
                b'q' if feature.contains("images") => 1.0 / 255.0,
                b'q' => range / 5000.0 + 1e-9,
                _ => 1e-6 * (1.0 + range),
            };
            let (got, expected) = (numbers(&ours[feature][statistic]), numbers(value));
            assert_eq!(got.len(), expected.len());
            for (got, expected) in got.iter().zip(expected) {
                assert!((got - expected).abs() <= slack, "{feature} {statistic}: {got} but LeRobot says {expected}");
            }
        }
    }
}
