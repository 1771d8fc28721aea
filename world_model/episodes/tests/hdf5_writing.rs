//! Writing of HDF5 files for stable-worldmodel: everything is read back.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and does not recognise helpers as tests

use std::path::Path;

use crate::support::{LENGTHS, episode, episodes, read_all, record, sidecar, spec, tree};
use mindseye_episodes::{
    CacheOptions, Dataset, DatasetSpec, DatasetWriter, EpisodeData, EpisodeSource, Error, FrameCache, SwmWriter,
    WriteMode, open,
};

fn write(path: &Path, spec: &DatasetSpec, episodes: &[EpisodeData]) {
    let mut writer = SwmWriter::create(path, spec, WriteMode::Error).unwrap();
    episodes.iter().for_each(|episode| writer.add_episode(episode).unwrap());
    assert_eq!(writer.episodes(), episodes.len());
    assert_eq!(writer.finish().unwrap(), episodes.len());
}

fn read(path: &Path) -> Vec<EpisodeData> {
    let source = open(path).unwrap();
    (0..source.len()).map(|index| source.read_episode(index).unwrap()).collect()
}

#[test]
fn an_hdf5_file_holds_everything_that_the_lerobot_folder_holds() {
    let folder = tempfile::tempdir().unwrap();
    let (lerobot, swm) = (folder.path().join("lerobot"), folder.path().join("all.h5"));
    record(&lerobot);
    write(&swm, &spec(), &read_all(&lerobot));
    assert_eq!(read(&swm), episodes());
    let (one, other) = (open(&lerobot).unwrap(), open(&swm).unwrap());
    assert_eq!(other.sidecar(), Some(&sidecar(7)));
    let known = |source: &dyn EpisodeSource| {
        let names = [source.state_names(), source.proprioception_names(), source.action_names()];
        let episodes: Vec<_> = (0..source.len()).map(|index| source.episode(index).unwrap()).collect();
        (*source.shape(), source.frames_per_second(), names, source.sidecar().cloned(), episodes)
    };
    assert_eq!(known(one.as_ref()), known(other.as_ref()));
    let summary = other.summary().unwrap();
    assert_eq!((summary.frames_per_second, summary.tasks), (Some(10.0), vec!["reach the other room".to_string()]));
    // The caches for training are equal.
    let load = |source: &dyn EpisodeSource| FrameCache::load(source, &CacheOptions::default(), &|_, _| ()).unwrap();
    let (one, other) = (load(one.as_ref()), load(other.as_ref()));
    assert_eq!((one.episodes(), one.actions(), one.len()), (other.episodes(), other.actions(), other.len()));
    assert!((0..one.len()).all(|timestep| one.image(timestep).unwrap() == other.image(timestep).unwrap()));
}

#[test]
fn hdf5_columns_have_the_names_and_types_of_the_official_recorder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.h5");
    write(&path, &spec(), &episodes());
    let file = hdf5_pure::File::open(&path).unwrap();
    let official = hdf5_pure::File::open(crate::support::fixture("swm_hdf5_tiny").join("toy_push.h5")).unwrap();
    let mut names = file.root().datasets().unwrap();
    names.sort();
    let expected =
        ["action", "ep_len", "ep_offset", "episode_idx", "pixels", "proprio", "state", "step_idx"].map(String::from);
    assert_eq!(names, expected);
    for name in names.iter().filter(|name| *name != "state") {
        let kind = |file: &hdf5_pure::File| file.dataset(name).unwrap().dtype().unwrap();
        assert_eq!(kind(&file), kind(&official), "{name}");
    }
    let column = |name: &str| file.dataset(name).unwrap();
    assert_eq!(column("pixels").shape().unwrap(), [27, 6, 8, 3]);
    assert_eq!(column("ep_len").read_i64().unwrap(), LENGTHS.map(|length| length as i64));
    assert_eq!(column("ep_offset").read_i64().unwrap(), [0, 7, 11, 12, 21]);
    let numbered =
        || LENGTHS.into_iter().enumerate().flat_map(|(episode, length)| (0..length).map(move |step| (episode, step)));
    let whole = |values: Vec<usize>| values.into_iter().map(|value| value as i64).collect::<Vec<_>>();
    assert_eq!(column("episode_idx").read_i64().unwrap(), whole(numbered().map(|(episode, _)| episode).collect()));
    assert_eq!(column("step_idx").read_i64().unwrap(), whole(numbered().map(|(_, step)| step).collect()));
}

#[test]
fn hdf5_rows_of_several_chunks_keep_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.h5");
    let long: Vec<EpisodeData> =
        [700, 1500, 1, 900].into_iter().enumerate().map(|(n, length)| episode(n, length)).collect();
    write(&path, &spec(), &long);
    assert_eq!(read(&path), long);
}

#[test]
fn empty_proprioception_and_state_have_no_hdf5_column() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bare.h5");
    let bare_spec = DatasetSpec { proprioception_names: Vec::new(), state_names: Vec::new(), sidecar: None, ..spec() };
    let bare = |mut episode: EpisodeData| {
        episode.proprioception.iter_mut().chain(&mut episode.states).for_each(Vec::clear);
        episode
    };
    let all: Vec<EpisodeData> = episodes().into_iter().map(bare).collect();
    write(&path, &bare_spec, &all);
    assert_eq!(read(&path), all);
    let source = open(&path).unwrap();
    assert_eq!((source.shape().state, source.shape().proprioception, source.sidecar()), (0, 0, None));
    assert_eq!(source.summary().unwrap().features.len(), 6);
}

#[test]
fn conversion_to_hdf5_and_back_to_lerobot_is_lossless() {
    let folder = tempfile::tempdir().unwrap();
    let (first, swm, last) = (folder.path().join("first"), folder.path().join("all.h5"), folder.path().join("last"));
    record(&first);
    write(&swm, &spec(), &read_all(&first));
    let source = open(&swm).unwrap();
    let again = DatasetSpec { sidecar: source.sidecar().cloned(), ..spec() };
    let mut writer = DatasetWriter::create(&last, again, WriteMode::Error).unwrap();
    for index in 0..source.len() {
        writer.begin_task(&source.episode(index).unwrap().tasks[0]).unwrap();
        writer.add_episode(&source.read_episode(index).unwrap()).unwrap();
    }
    writer.finish().unwrap();
    assert!(tree(&first) == tree(&last));
}

#[test]
fn hdf5_tasks_are_kept_per_episode() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.h5");
    let mut writer = SwmWriter::create(&path, &spec(), WriteMode::Error).unwrap();
    let tasks = ["there", "there", "back", "there"];
    for (number, task) in tasks.into_iter().enumerate() {
        writer.begin_task(task).unwrap();
        writer.add_episode(&episode(number, 3)).unwrap();
    }
    writer.finish().unwrap();
    let source = open(&path).unwrap();
    assert_eq!((0..4).map(|index| source.episode(index).unwrap().tasks[0].clone()).collect::<Vec<_>>(), tasks);
    assert_eq!(source.summary().unwrap().tasks, ["there", "back"]);
}

#[test]
fn hdf5_attributes_of_any_length_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.h5");
    let long = "push the block ".repeat(10_000);
    write(&path, &DatasetSpec { task: long.clone(), ..spec() }, &episodes());
    assert_eq!(open(&path).unwrap().episode(4).unwrap().tasks, [long]);
}

#[test]
fn interrupted_hdf5_writing_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.h5");
    let mut writer = SwmWriter::create(&path, &spec(), WriteMode::Error).unwrap();
    writer.add_episode(&episode(0, 4)).unwrap();
    assert!(!path.exists(), "a file has its name when it is whole");
    drop(writer);
    assert!(tree(folder.path()).is_empty());
    let writer = SwmWriter::create(&path, &spec(), WriteMode::Error).unwrap();
    assert!(writer.finish().unwrap_err().to_string().contains("episodes"));
    assert!(tree(folder.path()).is_empty());
    // A file that a crash left under the temporary name is replaced.
    std::fs::write(folder.path().join("all.h5.partial"), "half").unwrap();
    write(&path, &spec(), &episodes());
    assert_eq!(tree(folder.path()).len(), 1);
    assert_eq!(read(&path), episodes());
}

#[test]
fn episodes_beyond_the_memory_limit_are_refused_and_the_others_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.h5");
    let bytes_of_a_frame = 6 * 8 * 3 + 4 * 6;
    let writer = SwmWriter::create(&path, &spec(), WriteMode::Error).unwrap();
    let mut writer = writer.with_limit_bytes(3 * 11 * bytes_of_a_frame);
    for (number, episode) in episodes().iter().enumerate() {
        let added = writer.add_episode(episode);
        assert_eq!(added.is_ok(), number < 2);
        assert!(number < 2 || matches!(added.unwrap_err(), Error::Memory { .. }));
    }
    writer.finish().unwrap();
    assert_eq!(read(&path), episodes()[..2]);
}

#[test]
fn only_hdf5_files_are_overwritten_and_only_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.h5");
    write(&path, &spec(), &episodes());
    let before = tree(folder.path());
    for (mode, named) in [(WriteMode::Error, "overwrite"), (WriteMode::Append, "append")] {
        let error = SwmWriter::create(&path, &spec(), mode).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
    let mut writer = SwmWriter::create(&path, &spec(), WriteMode::Overwrite).unwrap();
    writer.add_episode(&episode(3, 2)).unwrap();
    assert!(tree(folder.path())[Path::new("all.h5")] == before[Path::new("all.h5")], "until it is finished");
    writer.finish().unwrap();
    assert_eq!(read(&path), [episode(3, 2)]);
    let photo = folder.path().join("photo.jpg");
    std::fs::write(&photo, "sun").unwrap();
    for mode in [WriteMode::Error, WriteMode::Overwrite, WriteMode::Append] {
        assert!(SwmWriter::create(&photo, &spec(), mode).is_err());
    }
    assert_eq!(std::fs::read(&photo).unwrap(), b"sun");
}

#[test]
fn an_episode_that_does_not_fit_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (path, clean) = (folder.path().join("all.h5"), folder.path().join("clean.h5"));
    write(&clean, &spec(), &episodes());
    let mut writer = SwmWriter::create(&path, &spec(), WriteMode::Error).unwrap();
    writer.add_episode(&episodes()[0]).unwrap();
    let mut bad = [episode(1, 4), episode(1, 4), episode(1, 4), EpisodeData::default()];
    bad[0].actions[2][1] = f32::NAN;
    bad[1].actions[1][0] = 1.5;
    bad[2].states[3].pop();
    for bad in bad {
        assert!(matches!(writer.add_episode(&bad).unwrap_err(), Error::Episode { episode: 1, .. }));
    }
    episodes()[1..].iter().for_each(|episode| writer.add_episode(episode).unwrap());
    writer.finish().unwrap();
    let files = tree(folder.path());
    assert!(files[Path::new("all.h5")] == files[Path::new("clean.h5")], "equal data give equal bytes");
}

#[test]
fn hdf5_attributes_that_contradict_the_columns_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.h5");
    write(&path, &spec(), &episodes());
    let with = |from: &str, to: &str| {
        let file = hdf5_pure::File::open_rw(&path).unwrap();
        let text = file.root().attrs().unwrap()["mindseye"].as_str().unwrap().to_owned();
        assert!(text.contains(from), "{text}");
        file.root().set_attr("mindseye", hdf5_pure::AttrValue::VarLenString(text.replace(from, to))).unwrap();
        file.commit().unwrap();
        file.close().unwrap();
        let error = open(&path).map(drop).unwrap_err().to_string();
        let file = hdf5_pure::File::open_rw(&path).unwrap();
        file.root().set_attr("mindseye", hdf5_pure::AttrValue::VarLenString(text)).unwrap();
        file.commit().unwrap();
        file.close().unwrap();
        assert!(error.contains("all.h5") && error.contains("mindseye") && !error.contains('\n'), "{error}");
        error
    };
    assert!(with("\"version\":1", "\"version\":2").contains("version"));
    assert!(with("10.0", "-10.0").contains("frames_per_second"));
    assert!(with("\"x_m\",", "").contains("state_names"));
    assert!(with("{\"version", "{version").contains("valid fields"));
    assert_eq!(read(&path), episodes());
    assert!(Dataset::open(&path).is_err());
}
