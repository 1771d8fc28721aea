//! Conversion and validation of data sets through the library.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and does not recognise helpers as tests

use std::fs;
use std::path::Path;

use crate::support::{copy, episodes, fixture, read_all, record, tree};
use mindseye_episodes::{ConvertOptions, EpisodeSource, Error, OutputFormat, SourceEpisodes, convert, open, validate};
use mindseye_interface::{NoProgress, Progress};

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

/// Symptom: a conversion that was stopped, killed, or met a broken episode left fewer episodes than were asked for, in
/// a data set that nothing told from a whole one; the same command given again was refused. Cause: it was written in
/// its place, file by file. Fix: it is written beside its place and renamed when it is whole.
#[test]
fn a_stopped_conversion_leaves_nothing_and_can_be_given_again() {
    let folder = tempfile::tempdir().unwrap();
    let (from, parent) = (folder.path().join("first"), folder.path().join("new"));
    let to = parent.join("stopped");
    record(&from);
    let source = open(&from).unwrap();
    let options = ConvertOptions { episodes_per_file: 1, ..ConvertOptions::default() };
    let error = convert(&[all(source.as_ref())], &to, &options, &StopAtOnce).unwrap_err();
    assert!(matches!(error, Error::Stopped { .. }));
    assert!(!parent.exists(), "folders that were made for it are gone, too");
    assert!(matches!(validate(source.as_ref(), &StopAtOnce), Err(Error::Stopped { .. })));
    // What a killed one leaves is hidden, and removed by the next.
    let half = parent.join(".stopped.unfinished-1-0");
    copy(&from, &half);
    convert(&[all(source.as_ref())], &to, &options, &NoProgress).unwrap();
    assert_eq!((read_all(&to), half.exists()), (episodes(), false));
}

#[test]
fn a_broken_episode_stops_the_conversion_by_name_or_is_left_out_by_choice() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    record(&at("first"));
    let broken = at("first/data/chunk-000/file-001.parquet"); // episodes 2 and 3
    let bytes = fs::read(&broken).unwrap();
    fs::write(&broken, &bytes[..bytes.len() / 2]).unwrap();
    for (format, out) in [(ConvertOptions::default().format, "out"), (OutputFormat::Hdf5, "out.h5")] {
        let options = ConvertOptions { format, episodes_per_file: 1, ..ConvertOptions::default() };
        let error = converted(&at("first"), &at(out), &options).unwrap_err().to_string();
        assert!(error.contains("episode 2 of ") && error.contains("file-001.parquet"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left");
    }
    let source = open(&at("first")).unwrap();
    let options = ConvertOptions { skip_broken: true, ..ConvertOptions::default() };
    let written = convert(&[all(source.as_ref())], &at("out"), &options, &NoProgress).unwrap();
    assert_eq!(written.skipped.iter().map(|skipped| skipped.episode).collect::<Vec<_>>(), [2, 3]);
    assert!(written.skipped[1].reason.contains("file-001.parquet"), "{:?}", written.skipped);
    assert_eq!((written.episodes, read_all(&at("out"))), (3, [0, 1, 4].map(|index| episodes()[index].clone()).into()));
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
