//! Conversion and validation of data sets through the library.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and does not recognise helpers as tests

mod support;

use std::fs;
use std::path::Path;

use mindseye_episodes::{ConvertOptions, EpisodeSource, Error, OutputFormat, SourceEpisodes, convert, open, validate};
use mindseye_interface::{NoProgress, Progress};
use support::{copy, episodes, fixture, read_all, record, tree};

fn all(source: &dyn EpisodeSource) -> SourceEpisodes<'_> {
    SourceEpisodes { source, episodes: (0..source.len()).collect() }
}

fn converted(from: &Path, to: &Path, options: &ConvertOptions) -> mindseye_episodes::Result<usize> {
    let source = open(from)?;
    convert(&[all(source.as_ref())], to, options, &NoProgress).map(|converted| converted.frames)
}

#[test]
fn converting_a_recording_to_both_formats_and_back_keeps_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    record(&at("first"));
    let options = ConvertOptions { episodes_per_file: 2, ..ConvertOptions::default() };
    assert_eq!(converted(&at("first"), &at("again"), &options).unwrap(), 27);
    assert!(tree(&at("first")) == tree(&at("again")));
    let hdf5 = ConvertOptions { format: OutputFormat::Hdf5, ..options.clone() };
    converted(&at("first"), &at("all.h5"), &hdf5).unwrap();
    converted(&at("all.h5"), &at("back"), &options).unwrap();
    let without_names = |name: &str| {
        let mut files = tree(&at(name));
        files.remove(Path::new("meta/info.json"));
        files.len()
    };
    assert_eq!((read_all(&at("back")), without_names("back")), (episodes(), without_names("first")));
}

#[test]
fn chosen_episodes_of_several_data_sets_are_joined_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    record(&at("first"));
    let source = open(&at("first")).unwrap();
    let part = |episodes: &[usize]| SourceEpisodes { source: source.as_ref(), episodes: episodes.to_vec() };
    let options = ConvertOptions { camera: Some("top".into()), ..ConvertOptions::default() };
    let written = convert(&[part(&[1, 3]), part(&[0])], &at("joined"), &options, &NoProgress).unwrap();
    assert_eq!((written.episodes, written.frames, &written.path), (3, 4 + 9 + 7, &at("joined")));
    let expected = [1, 3, 0].map(|index| episodes()[index].clone());
    assert_eq!(read_all(&at("joined")), expected);
    let joined = open(&at("joined")).unwrap();
    assert_eq!((joined.camera_names(), joined.cameras()[0].column.as_str()), {
        (vec!["top".to_string()], "observation.images.top")
    });
    let nothing = convert(&[part(&[])], &at("none"), &options, &NoProgress).unwrap_err();
    assert!(nothing.to_string().contains("episodes: expected at least one"), "{nothing}");
    assert!(!at("none").exists());
}

#[test]
fn converting_without_a_rate_is_refused_with_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (fixture("swm_hdf5_tiny").join("toy_push.h5"), folder.path().join("new"));
    let error = converted(&from, &to, &ConvertOptions::default()).unwrap_err();
    assert!(matches!(&error, Error::UnknownRate { path } if *path == from), "{error}");
    let options = ConvertOptions { frames_per_second: Some(10), ..ConvertOptions::default() };
    assert_eq!(converted(&from, &to, &options).unwrap(), 60);
    let again = converted(&from, &to, &options).unwrap_err().to_string();
    assert!(again.contains("new or empty folder") && !again.contains('\n'), "{again}");
}

struct StopAtOnce;

impl Progress for StopAtOnce {
    fn begin(&self, _stage: &str, _total: usize, _unit: &str) {}

    fn advance(&self, _done: usize, _note: &str) -> bool {
        false
    }

    fn end(&self) {}
}

#[test]
fn a_stopped_conversion_leaves_a_data_set_that_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("first"), folder.path().join("stopped"));
    record(&from);
    let source = open(&from).unwrap();
    let options = ConvertOptions { episodes_per_file: 1, ..ConvertOptions::default() };
    let error = convert(&[all(source.as_ref())], &to, &options, &StopAtOnce).unwrap_err();
    assert!(matches!(error, Error::Stopped { .. }));
    assert_eq!(read_all(&to), episodes()[..1]);
    assert!(matches!(validate(source.as_ref(), &StopAtOnce), Err(Error::Stopped { .. })));
}

#[test]
fn validation_lists_broken_episodes_and_their_reasons() {
    let folder = tempfile::tempdir().unwrap();
    copy(&fixture("lerobot_v21_tiny"), folder.path());
    let video = folder.path().join("videos/chunk-000/observation.images.front/episode_000001.mp4");
    let bytes = fs::read(&video).unwrap();
    fs::write(&video, &bytes[..bytes.len() / 2]).unwrap();
    let report = validate(open(folder.path()).unwrap().as_ref(), &NoProgress).unwrap();
    assert_eq!((report.episodes, report.frames, report.readable()), (3, 60, vec![0, 2]));
    assert_eq!((report.broken.len(), report.broken[0].episode), (1, 1));
    assert!(report.broken[0].reason.contains("episode_000001.mp4"), "{}", report.broken[0].reason);
}
