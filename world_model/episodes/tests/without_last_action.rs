//! Episodes whose recorder says that nothing was done after the last image: what becomes of that action.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and does not recognise helpers as tests

use crate::support::fixture;
use mindseye_episodes::{
    ActionNormalisation, CacheOptions, ConvertOptions, FrameCache, NormalisationMethod, OutputFormat, SourceEpisodes,
    convert, open, validate,
};
use mindseye_interface::NoProgress;

fn recording() -> std::path::PathBuf {
    fixture("as_people_have_it/last_action_nan.h5")
}

/// The actions are 100 to 108 and 0 to -8; those at 4 and 8 are missing.
#[test]
fn a_missing_action_is_zero_and_no_part_of_the_measured_range() {
    let folder = tempfile::tempdir().unwrap();
    let source = open(&recording()).unwrap();
    let in_file = || CacheOptions { folder: Some(folder.path().to_path_buf()), ..CacheOptions::default() };
    let [memory, decoded, read_again] = [CacheOptions::default(), in_file(), in_file()]
        .map(|options| FrameCache::load(source.as_ref(), &options, &|_, _| ()).unwrap());
    assert!(decoded == memory && read_again == memory);
    for mut cache in [memory, decoded, read_again] {
        assert_eq!((cache.actions()[8], cache.actions()[17], cache.taken_actions().len()), (0.0, 0.0, 14));
        let extremes = NormalisationMethod::MinMax;
        let measured = ActionNormalisation::measure(&cache, &[], &[], extremes).unwrap();
        assert_eq!(measured.action_space().low, [100.0, -7.0], "not 0 of the missing ones");
        assert_eq!(measured.action_space().high, [107.0, 0.0]);
        let deviations = NormalisationMethod::MeanStd { deviations: 1.0 };
        let spread = ActionNormalisation::measure(&cache, &[], &[], deviations).unwrap();
        let mean = (spread.action_space().low[0] + spread.action_space().high[0]) / 2.0;
        assert!((mean - (100 + 101 + 102 + 103 + 105 + 106 + 107) as f64 / 7.0).abs() < 1e-4);
        measured.normalise(&mut cache).unwrap();
        assert_eq!(cache.actions()[..2], [-1.0, 1.0]);
        assert_eq!(
            (&cache.actions()[8..10], &cache.actions()[16..]),
            (&[0.0; 2][..], &[0.0; 2][..]),
            "none, not the lowest"
        );
        let mut joined = cache.clone();
        joined.join(cache).unwrap();
        assert_eq!(joined.taken_actions().len(), 28);
    }
}

#[test]
fn a_missing_action_stays_missing_in_hdf5_and_becomes_the_one_before_in_a_lerobot_folder() {
    let folder = tempfile::tempdir().unwrap();
    let source = open(&recording()).unwrap();
    let parts = || [SourceEpisodes { source: source.as_ref(), episodes: vec![0, 1] }];
    let options = |format| ConvertOptions { format, frames_per_second: Some(10), ..ConvertOptions::default() };
    for (format, name, taken) in
        [(OutputFormat::Hdf5, "out.h5", 14), (OutputFormat::Lerobot(mindseye_episodes::ImageStorage::Png), "out", 18)]
    {
        let out = folder.path().join(name);
        convert(&parts(), &out, &options(format), &NoProgress).unwrap();
        let written = open(&out).unwrap();
        assert_eq!(validate(written.as_ref(), &NoProgress).unwrap().broken, []);
        let cache = FrameCache::load(written.as_ref(), &CacheOptions::default(), &|_, _| ()).unwrap();
        assert_eq!(cache.taken_actions().len(), taken, "{name}");
        assert_eq!(cache.actions()[..8], [100.0, 0.0, 101.0, -1.0, 102.0, -2.0, 103.0, -3.0]);
        assert_eq!(cache.actions()[8..10], if taken == 14 { [0.0; 2] } else { [103.0, -3.0] });
        let frames = |source: &dyn mindseye_episodes::EpisodeSource| source.read_episode(1).unwrap().frames;
        assert_eq!(frames(written.as_ref()), frames(source.as_ref()));
    }
}

/// Symptom: 29.97 would become 30 without a word, and 12.5 would become 13.
#[test]
fn a_rate_that_is_no_whole_number_is_kept_by_hdf5_and_not_rounded_for_lerobot() {
    let folder = tempfile::tempdir().unwrap();
    let source = open(&fixture("as_people_have_it/rate_29_97")).unwrap();
    let parts = || [SourceEpisodes { source: source.as_ref(), episodes: vec![0] }];
    let convert = |name: &str, options: &ConvertOptions| {
        convert(&parts(), &folder.path().join(name), options, &NoProgress).map_err(|error| error.to_string())
    };
    let error = convert("out", &ConvertOptions::default()).unwrap_err();
    assert!(error.contains("a whole number") && error.contains("--fps 30") && error.contains("29.97"), "{error}");
    convert("out", &ConvertOptions { frames_per_second: Some(30), ..ConvertOptions::default() }).unwrap();
    assert_eq!(open(&folder.path().join("out")).unwrap().frames_per_second(), Some(30.0));
    convert("out.h5", &ConvertOptions { format: OutputFormat::Hdf5, ..ConvertOptions::default() }).unwrap();
    assert_eq!(open(&folder.path().join("out.h5")).unwrap().frames_per_second(), Some(29.97));
}
