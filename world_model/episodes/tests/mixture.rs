//! Several data sets as one.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and does not recognise helpers as tests

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::support::{episode, fixture, record, sidecar, spec};
use mindseye_episodes::{
    CacheOptions, DatasetMixture, DatasetSpec, DatasetWriter, Error, Mapping, NormalisationMethod, Sidecar, WriteMode,
};
use mindseye_interface::{ActionSpace, ImageSize, Neutral, NoProgress, Progress};

fn lerobot() -> PathBuf {
    fixture("lerobot_v3_tiny_image")
}

fn open(paths: &[PathBuf], mappings: &[Mapping], weights: &[f64]) -> mindseye_episodes::Result<DatasetMixture> {
    DatasetMixture::open(paths, mappings, weights)
}

/// The error of opening a mixture.
fn refused(paths: &[PathBuf], mappings: &[Mapping], weights: &[f64]) -> String {
    let error = open(paths, mappings, weights).unwrap_err().to_string();
    assert!(!error.contains('\n'), "{error}");
    error
}

/// Records one episode with this sidecar into `path`.
fn record_with(path: &Path, sidecar: Sidecar) {
    let spec = DatasetSpec { sidecar: Some(sidecar), ..spec() };
    let mut writer = DatasetWriter::create(path, spec, WriteMode::Error).unwrap();
    writer.add_episode(&episode(0, 4)).unwrap();
    writer.finish().unwrap();
}

#[test]
fn a_mixture_is_the_data_sets_one_after_the_other_with_their_weights() {
    let paths = [lerobot(), fixture("lerobot_v21_tiny")];
    let mixture = open(&paths, &[], &[2.0, 1.0]).unwrap();
    assert_eq!((mixture.frames(), mixture.path()), (120, lerobot().as_path()));
    assert_eq!((mixture.shape().action, mixture.camera_names()), (2, vec!["front".to_string()]));
    assert_eq!(mixture.cameras()[0].size, ImageSize::square(64).unwrap());
    let cache = mixture.load(&CacheOptions::default(), &NoProgress).unwrap();
    assert_eq!((cache.len(), cache.episodes().len(), cache.weights()), (120, 6, vec![2.0, 1.0]));
    assert_eq!((cache.camera_names(), cache.camera_size().unwrap()), (&mixture.camera_names()[..], cache.image_size()));
    let bytes = |paths: &[PathBuf]| open(paths, &[], &[]).unwrap().needed_bytes(&CacheOptions::default()).unwrap();
    assert_eq!(bytes(&paths), bytes(&paths[..1]) + bytes(&paths[1..]));
}

#[test]
fn a_mixture_that_does_not_fit_together_is_refused() {
    let (one, other) = (lerobot(), fixture("swm_hdf5_tiny").join("toy_push.h5"));
    let both = [one.clone(), other];
    assert!(refused(&[], &[], &[]).contains("a data set, got none"));
    assert!(refused(&both, &[], &[1.0]).contains("weights: expected one number for each of 2 data sets, got 1"));
    assert!(refused(&both[..1], &[], &[0.0]).contains("weights: expected 0.000001 to 1000000, got 0"));
    let mappings = [Mapping::default(), Mapping::default(), Mapping::default()];
    assert!(refused(&both, &mappings, &[]).contains("mapping: expected one file, or one for each of 2"));
    let error = refused(&both, &[], &[]);
    assert!(error.contains("toy_push.h5") && error.contains("0 of true state") && error.contains("got 2"), "{error}");
    let two_cameras = Mapping { cameras: Some(vec!["observation.images.front".into(); 2]), ..Mapping::default() };
    let error = refused(&[one.clone(), one], &[Mapping::default(), two_cameras], &[]);
    assert!(error.contains("and 1 cameras") && error.contains("and 2 cameras"), "{error}");
}

#[test]
fn a_mixture_of_recordings_with_and_without_sidecars_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    record(&at("own"));
    let elsewhere = Sidecar { scene: "push_t".into(), ..sidecar(7) };
    record_with(&at("elsewhere"), elsewhere);
    let unknown = DatasetSpec { sidecar: None, ..spec() };
    let mut writer = DatasetWriter::create(&at("unknown"), unknown, WriteMode::Error).unwrap();
    writer.add_episode(&episode(0, 4)).unwrap();
    writer.finish().unwrap();
    let refused = |name: &str| open(&[at("own"), at(name)], &[], &[]).unwrap().sidecar().unwrap_err().to_string();
    assert!(refused("unknown").contains("all recorded by mindseye, or none"));
    assert!(refused("elsewhere").contains("push_t"));
    let own = open(&[at("own"), at("own")], &[], &[]).unwrap();
    assert_eq!(own.sidecar().unwrap().map(|sidecar| sidecar.scene.as_str()), Some("two_room"));
}

#[test]
fn the_control_step_is_recorded_or_given_and_equal_in_all_data_sets() {
    let folder = tempfile::tempdir().unwrap();
    let without_rate = fixture("swm_hdf5_tiny").join("toy_push.h5");
    let mixture = open(std::slice::from_ref(&without_rate), &[], &[]).unwrap();
    assert!(matches!(mixture.control_step_secs(None), Err(Error::UnknownRate { path }) if path == without_rate));
    assert_eq!(mixture.control_step_secs(Some(20.0)).unwrap(), 0.05);
    assert!(mixture.control_step_secs(Some(0.0)).unwrap_err().to_string().contains("fps: expected a number above 0"));
    assert_eq!(open(&[lerobot()], &[], &[]).unwrap().control_step_secs(None).unwrap(), 0.1);
    let at = |name: &str| folder.path().join(name);
    record_with(&at("fast"), Sidecar { control_step_secs: 0.05, ..sidecar(7) });
    record(&at("own"));
    let error = open(&[at("own"), at("fast")], &[], &[]).unwrap().control_step_secs(None).unwrap_err().to_string();
    assert!(error.contains("0.1 s") && error.contains("0.05 s") && error.contains("fast"), "{error}");
}

#[test]
fn actions_of_other_tools_are_measured_and_those_of_mindseye_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path());
    let own = open(&[folder.path().to_path_buf()], &[], &[]).unwrap();
    let mut cache = own.load(&CacheOptions::default(), &NoProgress).unwrap();
    let before = cache.actions().to_vec();
    let space = own.normalise_actions(&mut cache, NormalisationMethod::default()).unwrap();
    assert_eq!((&space, cache.actions()), (&sidecar(7).action_space, &before[..]));
    own.normalise_actions_into(&mut cache, &ActionSpace { low: vec![0.0; 2], ..space }).unwrap();
    assert_eq!(cache.actions(), before);

    let other = open(&[lerobot()], &[], &[]).unwrap();
    let mut measured = other.load(&CacheOptions::default(), &NoProgress).unwrap();
    let (recorded, mut again) = (measured.clone(), measured.clone());
    let space = other.normalise_actions(&mut measured, NormalisationMethod::default()).unwrap();
    for (index, (normalised, recorded)) in measured.actions().iter().zip(recorded.actions()).enumerate() {
        let (low, high) = (space.low[index % 2] as f32, space.high[index % 2] as f32);
        assert_eq!(*normalised, ((recorded - low) / (high - low) * 2.0 - 1.0).clamp(-1.0, 1.0));
    }
    assert_eq!(space.names, ["dx", "dy"]);
    let zero_inside = |index: usize| space.low[index] <= 0.0 && 0.0 <= space.high[index];
    assert!((0..2).all(|index| !zero_inside(index) || space.neutral[index] == Neutral::Value(0.0)), "{space:?}");
    other.normalise_actions_into(&mut again, &space).unwrap();
    assert_eq!(again.actions(), measured.actions());
}

/// Asks to stop once `limit` frames are done.
struct StopAfter {
    limit: usize,
    stages: Mutex<Vec<String>>,
}

impl Progress for StopAfter {
    fn begin(&self, stage: &str, total: usize, unit: &str) {
        self.stages.lock().unwrap().push(format!("{stage} {total} {unit}"));
    }

    fn advance(&self, done: usize, _note: &str) -> bool {
        done < self.limit
    }

    fn end(&self) {
        self.stages.lock().unwrap().push("end".into());
    }
}

#[test]
fn loading_a_mixture_reports_one_stage_and_can_be_stopped() {
    let mixture = open(&[lerobot(), fixture("lerobot_v21_tiny")], &[], &[]).unwrap();
    let load = |limit| {
        let progress = StopAfter { limit, stages: Mutex::default() };
        let loaded = mixture.load(&CacheOptions::default(), &progress);
        assert_eq!(*progress.stages.lock().unwrap(), ["decode 120 frames", "end"]);
        loaded
    };
    assert!(load(usize::MAX).is_ok());
    assert!(matches!(load(60), Err(Error::Stopped { .. })));
}
