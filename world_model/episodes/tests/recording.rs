//! Recording and reading of LeRobot folders, with crashes in between.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and does not recognise helpers as tests

use std::fs;

use crate::support::{DATA, EPISODES, LENGTHS, episode, episodes, read_all, record, sidecar, spec, tree};
use mindseye_episodes::{Dataset, DatasetWriter, EpisodeSource, Error, WriteMode};
use mindseye_interface::{Image, ImageSize, Seed};

#[test]
fn episodes_are_read_as_they_were_recorded() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path());
    assert_eq!(read_all(folder.path()), episodes());
    let dataset = Dataset::open(folder.path()).unwrap();
    assert_eq!(dataset.sidecar(), Some(&sidecar(7)));
    assert_eq!(dataset.state_names(), ["x_m", "y_m", "angle_rad"]);
    assert!(dataset.read_episode(5).is_err() && dataset.episode(5).is_err());
    let summary = dataset.summary().unwrap();
    assert_eq!((summary.episodes, summary.frames, summary.episode_frames), (5, 27, [1, 9]));
    let actions: Vec<f32> = episodes().iter().flat_map(|episode| episode.actions.iter().map(|row| row[1])).collect();
    let mean = actions.iter().map(|&value| f64::from(value)).sum::<f64>() / 27.0;
    assert!((summary.action.unwrap().mean[1] - mean).abs() < 1e-12);
    let bytes: usize = tree(folder.path()).values().map(Vec::len).sum();
    assert_eq!(summary.bytes_on_disk, bytes as u64);
}

#[test]
fn recording_the_same_twice_gives_the_same_bytes() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for (folder, threads) in folders.iter().zip([1, 3]) {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| record(folder.path()));
    }
    let [first, second] = folders.each_ref().map(|folder| tree(folder.path()));
    assert!(first.len() == 3 + 3 + 4 && first == second);
}

#[test]
fn appending_writes_the_same_bytes_as_one_recording() {
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    record(whole.path());
    // Two, two and one episodes: the same files as in one recording.
    for numbers in [0..2, 2..4, 4..5] {
        let mut writer = DatasetWriter::create(parts.path(), spec(), WriteMode::Append).unwrap();
        assert_eq!(writer.episodes(), numbers.start);
        for number in numbers {
            writer.add_episode(&episode(number, LENGTHS[number])).unwrap();
        }
        writer.finish().unwrap();
    }
    assert!(tree(whole.path()) == tree(parts.path()));
}

#[test]
fn appending_records_another_seed_and_task() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path());
    let other = mindseye_episodes::DatasetSpec { sidecar: Some(sidecar(8)), task: "come back".into(), ..spec() };
    let mut writer = DatasetWriter::create(folder.path(), other, WriteMode::Append).unwrap();
    writer.add_episode(&episode(5, 3)).unwrap();
    writer.finish().unwrap();
    let dataset = Dataset::open(folder.path()).unwrap();
    let recordings = &dataset.sidecar().unwrap().recordings;
    assert_eq!((recordings.len(), recordings[1].first_episode, recordings[1].seed), (2, 5, Seed::new(8)));
    assert_eq!(dataset.tasks(), ["reach the other room", "come back"]);
    assert_eq!((dataset.episode(4).unwrap().tasks, dataset.episode(5).unwrap().tasks), {
        (vec!["reach the other room".to_string()], vec!["come back".to_string()])
    });
}

#[test]
fn appending_other_features_scenes_or_rates_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path());
    let before = tree(folder.path());
    let mut narrow = spec();
    narrow.state_names.pop();
    let mut elsewhere = sidecar(7);
    elsewhere.scene = "push_t".into();
    let elsewhere = mindseye_episodes::DatasetSpec { sidecar: Some(elsewhere), ..spec() };
    let faster = mindseye_episodes::DatasetSpec { frames_per_second: 20, ..spec() };
    for (other, named) in [(narrow, "angle_rad"), (elsewhere, "push_t"), (faster, "fps")] {
        let error = DatasetWriter::create(folder.path(), other, WriteMode::Append).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
    assert!(tree(folder.path()) == before);
}

#[test]
fn only_data_sets_are_overwritten_and_only_on_request() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path());
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    let before = tree(folder.path());
    let error = DatasetWriter::create(folder.path(), spec(), WriteMode::Error).unwrap_err();
    assert!(error.to_string().contains("overwrite"), "{error}");
    assert!(tree(folder.path()) == before);
    let mut writer = DatasetWriter::create(folder.path(), spec(), WriteMode::Overwrite).unwrap();
    writer.add_episode(&episode(3, 2)).unwrap();
    writer.finish().unwrap();
    assert_eq!(read_all(folder.path()), [episode(3, 2)]);
    assert!(folder.path().join("notes.txt").exists());

    let foreign = tempfile::tempdir().unwrap();
    fs::create_dir(foreign.path().join("data")).unwrap();
    fs::write(foreign.path().join("data/photo.jpg"), "sun").unwrap();
    for mode in [WriteMode::Error, WriteMode::Overwrite, WriteMode::Append] {
        assert!(DatasetWriter::create(foreign.path(), spec(), mode).is_err());
    }
    assert_eq!(tree(foreign.path()).len(), 1);
}

#[test]
fn an_interrupted_recording_keeps_complete_files_and_can_be_continued() {
    let (whole, cut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    record(whole.path());
    let mut writer = DatasetWriter::create(cut.path(), spec(), WriteMode::Error).unwrap();
    assert!(read_all(cut.path()).is_empty());
    for episode in &episodes()[..3] {
        writer.add_episode(episode).unwrap();
    }
    drop(writer); // the crash: episode 2 is pending
    assert_eq!(read_all(cut.path()), episodes()[..2]);
    // A crash in the middle of a write: half a file under its temporary name, a complete one that info.json does not
    // count yet.
    let second = |file: &str| file.replace("file-000", "file-001");
    fs::write(cut.path().join(format!("{}.partial", second(DATA))), "half").unwrap();
    fs::write(cut.path().join(format!("{}.partial", second(EPISODES))), "half").unwrap();
    for file in [DATA, EPISODES] {
        fs::copy(whole.path().join(second(file)), cut.path().join(second(file))).unwrap();
    }
    assert_eq!(read_all(cut.path()), episodes()[..2]);

    let mut writer = DatasetWriter::create(cut.path(), spec(), WriteMode::Append).unwrap();
    for episode in &episodes()[writer.episodes()..] {
        writer.add_episode(episode).unwrap();
    }
    writer.finish().unwrap();
    assert!(tree(whole.path()) == tree(cut.path()));
}

#[test]
fn an_episode_that_does_not_fit_is_refused_and_changes_nothing() {
    let (folder, clean) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    record(clean.path());
    let mut writer = DatasetWriter::create(folder.path(), spec(), WriteMode::Error).unwrap();
    let good = episodes();
    writer.add_episode(&good[0]).unwrap();
    let broken = |change: &dyn Fn(&mut mindseye_episodes::EpisodeData)| {
        let mut bad = good[1].clone();
        change(&mut bad);
        bad
    };
    let cases = [
        (broken(&|bad| bad.actions[2][1] = f32::NAN), "action at frame 2"),
        (broken(&|bad| bad.states[3][0] = f32::INFINITY), "state at frame 3"),
        (broken(&|bad| bad.proprioception[0][0] = f32::NAN), "proprioception at frame 0"),
        (broken(&|bad| bad.actions[1][0] = 1.5), "action at frame 1"),
        (broken(&|bad| bad.actions.truncate(3)), "action"),
        (broken(&|bad| bad.states[2].truncate(2)), "state"),
        (broken(&|bad| bad.frames[1] = Image::filled(ImageSize::square(5).unwrap(), [0; 3])), "image at frame 1"),
        (Default::default(), "frames"),
    ];
    for (bad, named) in cases {
        let error = writer.add_episode(&bad).unwrap_err();
        assert!(matches!(error, Error::Episode { episode: 1, .. }) && error.to_string().contains(named), "{error}");
    }
    good[1..].iter().for_each(|episode| writer.add_episode(episode).unwrap());
    writer.finish().unwrap();
    assert!(tree(folder.path()) == tree(clean.path()));
}

#[test]
fn an_invalid_spec_is_refused_before_a_file_exists() {
    let folder = tempfile::tempdir().unwrap();
    let with = |change: &dyn Fn(&mut mindseye_episodes::DatasetSpec)| {
        let mut bad = spec();
        change(&mut bad);
        bad
    };
    let cases = [
        (with(&|bad| bad.frames_per_second = 0), "frames_per_second"),
        (with(&|bad| bad.camera = "../front".into()), "camera"),
        (with(&|bad| bad.action_names.clear()), "action_names"),
        (with(&|bad| bad.task.clear()), "task"),
        (with(&|bad| bad.episodes_per_file = 0), "episodes_per_file"),
        (with(&|bad| bad.action_names.truncate(1)), "action_space"),
        (with(&|bad| bad.sidecar.as_mut().unwrap().control_step_secs = f64::NAN), "control_step_secs"),
    ];
    for (bad, named) in cases {
        let error = DatasetWriter::create(folder.path(), bad, WriteMode::Error).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
    assert!(tree(folder.path()).is_empty());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Symptom: of two recordings that appended to one data set, none of its episodes could be read afterwards, the
/// finished ones neither. Cause: both wrote files of the same numbers under the same temporary names. Fix: a writer
/// locks the folder.
#[test]
fn a_second_writer_is_refused_and_the_data_set_stays_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = DatasetWriter::create(folder.path(), spec(), WriteMode::Append).unwrap();
    first.add_episode(&episode(0, LENGTHS[0])).unwrap();
    for mode in [WriteMode::Append, WriteMode::Error, WriteMode::Overwrite] {
        let error = DatasetWriter::create(folder.path(), spec(), mode).unwrap_err().to_string();
        assert!(error.contains("is being written by process") && !error.contains('\n'), "{error}");
    }
    first.finish().unwrap();
    let mut second = DatasetWriter::create(folder.path(), spec(), WriteMode::Append).unwrap();
    second.add_episode(&episode(1, LENGTHS[1])).unwrap();
    second.finish().unwrap();
    assert_eq!(read_all(folder.path()), episodes()[..2]);
}

/// Symptom: a recording whose folder was removed or moved went on in a new one, said "400 episodes", and could not be
/// read. Cause: every write made the folders that were missing. Fix: the writer knows its folder.
#[cfg(unix)]
#[test]
fn a_recording_ends_when_its_folder_is_moved_away() {
    let parent = tempfile::tempdir().unwrap();
    let (folder, away) = (parent.path().join("data"), parent.path().join("away"));
    let mut writer = DatasetWriter::create(&folder, spec(), WriteMode::Error).unwrap();
    (0..2).for_each(|number| writer.add_episode(&episode(number, LENGTHS[number])).unwrap());
    fs::rename(&folder, &away).unwrap();
    let error = writer.add_episode(&episode(2, LENGTHS[2])).unwrap_err().to_string();
    assert!(error.contains("data: the folder was removed or moved"), "{error}");
    assert!(writer.flush().is_ok(), "nothing is pending");
    drop(writer);
    assert_eq!((folder.exists(), read_all(&away)), (false, episodes()[..2].to_vec()));
}

#[test]
fn a_recording_that_ends_before_its_first_episode_leaves_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("deep/data");
    drop(DatasetWriter::create(&folder, spec(), WriteMode::Append).unwrap());
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    // One that was finished without an episode is a data set, to which episodes can be appended.
    DatasetWriter::create(&folder, spec(), WriteMode::Append).unwrap().finish().unwrap();
    drop(DatasetWriter::create(&folder, spec(), WriteMode::Append).unwrap());
    assert!(read_all(&folder).is_empty());
}

#[test]
fn a_recording_that_was_killed_before_its_description_was_written_can_be_given_again() {
    // Symptom: killed 30 ms after its start, `record --append` was refused from then on: "files that are no data set".
    // Cause: the folder of the description was there without it. Fix: an empty one is none of anybody's data.
    for mode in [WriteMode::Append, WriteMode::Error, WriteMode::Overwrite] {
        let folder = tempfile::tempdir().unwrap();
        let meta = folder.path().join("meta");
        fs::create_dir(&meta).unwrap();
        let left_over = mindseye_interface::files::Partial::create(&meta.join("info.json")).unwrap();
        let name = left_over.temporary().file_name().unwrap().to_owned();
        drop(left_over);
        fs::write(meta.join(name), "half a descrip").unwrap();
        let mut writer = DatasetWriter::create(folder.path(), spec(), mode).unwrap();
        writer.add_episode(&episode(0, LENGTHS[0])).unwrap();
        writer.finish().unwrap();
        assert_eq!(Dataset::open(folder.path()).unwrap().len(), 1);
    }
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("meta")).unwrap();
    fs::write(folder.path().join("meta/notes.txt"), "mine").unwrap();
    let refused = DatasetWriter::create(folder.path(), spec(), WriteMode::Append);
    assert!(refused.is_err_and(|error| error.to_string().contains("files that are no data set")));
    assert_eq!(fs::read_to_string(folder.path().join("meta/notes.txt")).unwrap(), "mine");
}

#[test]
fn the_old_data_set_stays_until_the_new_one_has_an_episode() {
    // Symptom: --overwrite deleted the old episodes, and then could not record; killed while it deleted, it left a
    // data set of which nothing could be read. Cause: the old files were deleted first, one by one. Fix: they are
    // moved aside when the first file of the new ones is written, and come back where it is not.
    let folder = tempfile::tempdir().unwrap();
    record(folder.path());
    let before = tree(folder.path());
    drop(DatasetWriter::create(folder.path(), spec(), WriteMode::Overwrite).unwrap());
    assert!(tree(folder.path()) == before, "ended before its first episode");
    let mut writer = DatasetWriter::create(folder.path(), spec(), WriteMode::Overwrite).unwrap();
    writer.begin_task("another").unwrap();
    writer.add_episode(&episode(3, 2)).unwrap();
    drop(writer);
    assert!(tree(folder.path()) == before, "crashed before its first file");
    // Killed while files were moved aside, and while the first file of the new data set was written.
    let aside = folder.path().join(".replaced");
    let files = ["meta/stats.json", "meta/tasks.parquet", "meta/mindseye.json"];
    let moved = [&["meta/info.json", "data", "meta/episodes"], &files[..]].concat();
    fs::create_dir(&aside).unwrap();
    for count in 1..=moved.len() {
        let part = moved[count - 1];
        fs::rename(folder.path().join(part), aside.join(part.replace('/', "+"))).unwrap();
        let copy = tempfile::tempdir().unwrap();
        crate::support::copy(folder.path(), copy.path());
        drop(DatasetWriter::create(copy.path(), spec(), WriteMode::Append).unwrap());
        assert_eq!(read_all(copy.path()), episodes(), "killed after {count} renames");
    }
    let new = tempfile::tempdir().unwrap();
    drop(DatasetWriter::create(new.path(), spec(), WriteMode::Error).unwrap());
    fs::create_dir_all(folder.path().join("data/chunk-000")).unwrap();
    fs::write(folder.path().join("data/chunk-000/file-000.parquet"), "half").unwrap();
    fs::write(folder.path().join("meta/info.json"), empty_info(&before)).unwrap();
    drop(DatasetWriter::create(folder.path(), spec(), WriteMode::Append).unwrap());
    assert_eq!(read_all(folder.path()), episodes(), "killed before the new one had an episode");
    let mut writer = DatasetWriter::create(folder.path(), spec(), WriteMode::Overwrite).unwrap();
    writer.add_episode(&episode(3, 2)).unwrap();
    writer.finish().unwrap();
    assert_eq!(read_all(folder.path()), [episode(3, 2)]);
    assert!(!aside.exists());
}

/// The description of the data set `files` without its episodes.
fn empty_info(files: &std::collections::BTreeMap<std::path::PathBuf, Vec<u8>>) -> String {
    let info = files.iter().find(|(path, _)| path.ends_with("meta/info.json")).unwrap().1;
    let mut info: serde_json::Value = serde_json::from_slice(info).unwrap();
    (info["total_episodes"], info["total_frames"]) = (0.into(), 0.into());
    info.to_string()
}

/// Symptom: a file of finished episodes was removed under way, and the recording ended with all episodes counted.
/// Cause: nobody looked at files that were written before. Fix: every flush and the end do.
#[test]
fn a_recording_ends_when_a_file_of_finished_episodes_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = DatasetWriter::create(folder.path(), spec(), WriteMode::Error).unwrap();
    writer.add_episode(&episodes()[0]).unwrap();
    writer.flush().unwrap();
    fs::remove_file(folder.path().join("data/chunk-000/file-000.parquet")).unwrap();
    let error = writer.finish().unwrap_err().to_string();
    assert!(error.contains("file-000.parquet") && error.contains("removed"), "{error}");
}

#[test]
fn a_recording_ends_when_a_folder_inside_is_removed() {
    // Symptom: with `data` or `meta/episodes` removed under way, a recording went on and ended well, and nothing in it
    // could be read. Cause: folders inside of the data set were made anew for each file. Fix: only new ones are made.
    for removed in ["data", "data/chunk-000", "meta/episodes", "meta"] {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = DatasetWriter::create(folder.path(), spec(), WriteMode::Error).unwrap();
        let mut written = episodes();
        written.iter().take(2).for_each(|episode| writer.add_episode(episode).unwrap());
        fs::remove_dir_all(folder.path().join(removed)).unwrap();
        let error = written.drain(2..4).map(|episode| writer.add_episode(&episode)).find_map(Result::err);
        let error = error.unwrap_or_else(|| panic!("{removed} was removed")).to_string();
        assert!(error.contains(removed), "{error}");
        drop(writer);
        assert!(!folder.path().join(removed).join("chunk-001").exists());
    }
}
