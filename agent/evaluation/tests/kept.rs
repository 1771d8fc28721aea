//! What is kept when something fails, and what is said of what cannot be read.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use mindseye_episodes::{DatasetMixture, DatasetSpec, DatasetWriter, EpisodeData, ImageStorage, Mapping, WriteMode};
use mindseye_evaluation::Error;
use mindseye_evaluation::collection::{RecordingPlan, record};
use mindseye_evaluation::verdict::Verdict;
use mindseye_interface::{Image, ImageSize, NoProgress, Seed, recorded_episode};

fn writer(folder: &std::path::Path) -> DatasetWriter {
    let spec = DatasetSpec {
        frames_per_second: 10,
        camera: "top".into(),
        more_cameras: Vec::new(),
        image_size: ImageSize::square(8).unwrap(),
        image_storage: ImageStorage::Png,
        proprioception_names: Vec::new(),
        state_names: Vec::new(),
        action_names: Vec::new(),
        task: "a test".into(),
        robot: None,
        episodes_per_file: 50,
        sidecar: None,
    };
    DatasetWriter::create(folder, spec, WriteMode::Error).unwrap()
}

/// Symptom: when a world died, up to 50 recorded episodes were lost. Cause: the error of one episode dropped the others
/// of its batch and the file that was being written. Fix: what came before it is written out.
#[test]
fn a_recording_keeps_the_episodes_before_the_one_that_fails() {
    let folder = tempfile::tempdir().unwrap();
    let root = Seed::new(1);
    let made = |broken: u64, out: &str| {
        let path = folder.path().join(out);
        let episode = |seed: Seed| match seed == recorded_episode(root, broken) {
            true => Err(Error::Stopped { done: 0, of: 1 }),
            false => Ok(EpisodeData {
                frames: vec![Image::filled(ImageSize::square(8).unwrap(), [9; 3]); 3],
                proprioception: vec![Vec::new(); 3],
                states: vec![Vec::new(); 3],
                actions: vec![Vec::new(); 3],
            }),
        };
        let plan = RecordingPlan { root, episodes: 0..20, batch: 8 };
        record(writer(&path), &plan, &episode, &NoProgress).unwrap_err();
        path
    };
    let kept = DatasetMixture::open(&[made(13, "one")], &[Mapping::default()], &[]).unwrap();
    assert_eq!(kept.episodes(), 13);
    assert!(DatasetMixture::open(&[made(0, "none")], &[Mapping::default()], &[]).is_err(), "there is nothing to keep");
}

/// Symptom: a verdict that was broken dropped its caution: a model that cannot plan looked like one that can.
#[test]
fn a_verdict_that_cannot_be_read_is_a_caution() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Verdict::caution(folder.path()), None);
    for broken in ["", "{}", "{\"class\": \"plans\"", "[1]"] {
        std::fs::write(folder.path().join("verdict.json"), broken).unwrap();
        let caution = Verdict::caution(folder.path()).unwrap();
        assert!(caution.starts_with("CAUTION verdict.json: cannot be read") && !caution.contains('\n'), "{caution}");
    }
}
