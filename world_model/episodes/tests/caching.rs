//! A cache holds the content of the data set at the requested size and stride.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and does not recognise helpers as tests

use std::sync::Mutex;

use crate::support::{episodes, record};
use mindseye_episodes::{CacheOptions, Dataset, FrameCache, Mapping, Windows, open_with};
use mindseye_interface::ImageSize;

fn load(options: &CacheOptions) -> FrameCache {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path());
    FrameCache::load(&Dataset::open(folder.path()).unwrap(), options, &|_, _| ()).unwrap()
}

fn pushed(size: ImageSize) -> FrameCache {
    let names = ["x_m", "y_m", "angle_rad"].map(str::to_owned).to_vec();
    let cache = FrameCache::new(size, 2, 3, 1).with_state_names(names);
    let mut cache = cache.with_camera_names(vec!["front".into()]);
    episodes().iter().for_each(|episode| cache.push(episode).unwrap());
    cache
}

#[test]
fn a_loaded_cache_equals_one_filled_by_hand_at_any_size() {
    assert!(load(&CacheOptions::default()) == pushed(ImageSize::new(6, 8).unwrap()));
    for side in [3, 8] {
        let size = ImageSize::square(side).unwrap();
        assert!(load(&CacheOptions { image_size: Some(size), ..Default::default() }) == pushed(size));
    }
}

#[test]
fn a_stride_drops_images_and_keeps_all_numbers() {
    let (whole, thin) = (load(&CacheOptions::default()), load(&CacheOptions { stride: 2, ..Default::default() }));
    assert_eq!((thin.actions(), thin.states()), (whole.actions(), whole.states()));
    assert_eq!(thin.episodes(), whole.episodes());
    for range in whole.episodes() {
        for (step, timestep) in range.clone().enumerate() {
            assert_eq!(thin.has_image(timestep), step % 2 == 0);
            if thin.has_image(timestep) {
                assert_eq!(thin.image(timestep).unwrap(), whole.image(timestep).unwrap());
            }
        }
    }
}

#[test]
fn windows_of_a_cache_with_a_stride_start_at_kept_images() {
    let (whole, thin) = (load(&CacheOptions::default()), load(&CacheOptions { stride: 2, ..Default::default() }));
    // Episodes of 7 and 9 timesteps, windows that span 3 timesteps: starts 0, 2, 4 and 0, 2, 4, 6.
    let (dense, sparse) = (Windows::new(&whole, &[0, 3], 2, 2), Windows::new(&thin, &[0, 3], 2, 2));
    assert_eq!((dense.len(), sparse.len()), (5 + 7, 3 + 4));
    let every_second = [0, 2, 4, 5, 7, 9, 11];
    let sparse = sparse.gather(&thin, &[0, 1, 2, 3, 4, 5, 6]).unwrap();
    assert_eq!(sparse, dense.gather(&whole, &every_second).unwrap());
    assert!(Windows::new(&thin, &[0, 3], 2, 3).is_empty());
}

#[test]
fn cache_limits_on_episodes_and_memory_are_enforced() {
    let few = load(&CacheOptions { max_episodes: Some(2), ..Default::default() });
    assert_eq!((few.episodes().len(), few.len()), (2, 11));
    let folder = tempfile::tempdir().unwrap();
    record(folder.path());
    let dataset = Dataset::open(folder.path()).unwrap();
    let refuse = |options: CacheOptions| FrameCache::load(&dataset, &options, &|_, _| ()).unwrap_err().to_string();
    let error = refuse(CacheOptions { memory_limit_bytes: 1000, ..Default::default() });
    assert!(error.contains("frame cache") && error.contains("MiB"), "{error}");
    assert!(refuse(CacheOptions { stride: 0, ..Default::default() }).contains("stride"));
}

#[test]
fn cache_progress_ends_at_the_number_of_timesteps() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path());
    let seen = Mutex::new(Vec::new());
    let note = |done, all| seen.lock().unwrap().push((done, all));
    FrameCache::load(&Dataset::open(folder.path()).unwrap(), &CacheOptions::default(), &note).unwrap();
    let seen = seen.into_inner().unwrap();
    assert_eq!(seen.len(), 5);
    assert_eq!(seen.iter().max(), Some(&(27, 27)));
}

#[test]
fn cached_frames_of_one_mapping_are_not_used_for_another() {
    let (folder, frames) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    record(folder.path());
    let options = CacheOptions { folder: Some(frames.path().to_path_buf()), ..Default::default() };
    let names = |names: [&str; 2]| Some(names.map(|name| format!("action[{name}]")).to_vec());
    for action in [names(["0..1", "1..2"]), names(["1..2", "0..1"])] {
        let source = open_with(folder.path(), &Mapping { action, ..Default::default() }).unwrap();
        let fresh = FrameCache::load(source.as_ref(), &CacheOptions::default(), &|_, _| ()).unwrap();
        for _ in 0..2 {
            assert!(FrameCache::load(source.as_ref(), &options, &|_, _| ()).unwrap() == fresh);
        }
    }
    assert_eq!(std::fs::read_dir(frames.path()).unwrap().count(), 2);
}

#[cfg(unix)]
#[test]
fn the_cache_key_follows_symbolic_links() {
    let [target, links, frames] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    record(target.path());
    for entry in std::fs::read_dir(target.path()).unwrap() {
        let entry = entry.unwrap();
        std::os::unix::fs::symlink(entry.path(), links.path().join(entry.file_name())).unwrap();
    }
    let options = CacheOptions { folder: Some(frames.path().to_path_buf()), ..Default::default() };
    let load = || FrameCache::load(&Dataset::open(links.path()).unwrap(), &options, &|_, _| ()).unwrap();
    let first = load();
    let info = target.path().join("meta/info.json");
    std::fs::write(&info, std::fs::read_to_string(&info).unwrap() + "\n").unwrap();
    assert!(load() == first);
    assert_eq!(std::fs::read_dir(frames.path()).unwrap().count(), 2);
}

/// A data set and a folder for its decoded frames.
struct Cached {
    data: tempfile::TempDir,
    frames: tempfile::TempDir,
}

impl Cached {
    fn new() -> Self {
        let cached = Self { data: tempfile::tempdir().unwrap(), frames: tempfile::tempdir().unwrap() };
        record(cached.data.path());
        cached
    }

    fn load(&self) -> FrameCache {
        let options = CacheOptions { folder: Some(self.frames.path().to_path_buf()), ..Default::default() };
        FrameCache::load(&Dataset::open(self.data.path()).unwrap(), &options, &|_, _| ()).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.frames.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }

    fn file(&self) -> std::path::PathBuf {
        assert_eq!(self.names().len(), 1, "{:?}", self.names());
        self.frames.path().join(&self.names()[0])
    }
}

fn all_images(cache: &FrameCache) -> mindseye_episodes::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    (0..cache.len()).try_for_each(|timestep| cache.append_image(timestep, &mut bytes))?;
    Ok(bytes)
}

/// Symptom: a file of decoded frames with changed pixels, or 1e30 as an action, was trained on without a word. Cause:
/// nothing compared its content. Fix: checksums, of the numbers when it is opened and of each image when it is read.
#[test]
fn changed_frames_are_refused_by_name_and_changed_numbers_are_decoded_again() {
    let cached = Cached::new();
    let whole = load(&CacheOptions::default());
    assert!(cached.load() == whole);
    let path = cached.file();
    let good = std::fs::read(&path).unwrap();
    let change = |place: usize| {
        let mut bytes = good.clone();
        bytes[place] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    };
    change(4096 + 200); // images begin at 4096
    let error = all_images(&cached.load()).unwrap_err().to_string();
    assert!(error.contains(".frames: decoded frame 1: expected the bytes that were decoded"), "{error}");
    assert!(!path.exists(), "the next start decodes them again");
    assert!(cached.load() == whole && std::fs::read(&path).unwrap() == good);
    let numbers = 4096 + 27 * 3 * 6 * 8;
    for place in [0, 23, 24, 33, 60, numbers, numbers + 50, good.len() - 100, good.len() - 1] {
        change(place);
        let cache = cached.load();
        assert!(cache == whole && cache.notes().len() == 1 && cache.notes()[0].contains("made anew"), "byte {place}");
        assert!(std::fs::read(&path).unwrap() == good, "byte {place}");
    }
    // Found by fuzzing: a header of more bytes than follow, and fewer than the file has, was an error.
    let long = [&good[..24], &40u64.to_le_bytes(), &[0; 20]].concat();
    for bytes in [&good[..good.len() - 1], &long] {
        std::fs::write(&path, bytes).unwrap();
        assert!(cached.load() == whole);
    }
    assert!(cached.load().notes().is_empty());
}

/// Symptom: training ended with "Bus error" when its file of frames was cut off. Cause: it was mapped. Fix: it is read.
#[test]
fn a_file_of_frames_that_is_cut_off_while_it_is_in_use_is_an_error_that_names_it() {
    let cached = Cached::new();
    let cache = cached.load();
    let file = std::fs::OpenOptions::new().write(true).open(cached.file()).unwrap();
    file.set_len(4096 + 1000).unwrap();
    let error = all_images(&cache).unwrap_err().to_string();
    assert!(error.contains(".frames: reading decoded frames: it was cut off while it was in use"), "{error}");
}

/// Symptom: every training that was killed while it decoded left a file as large as the frames, for ever. Cause: nobody
/// looked for them. Fix: they are locked while they are written, and the next training removes those without a lock.
#[test]
fn unfinished_files_of_dead_processes_are_removed_and_those_of_living_ones_stay() {
    let cached = Cached::new();
    let at = |name: &str| cached.frames.path().join(name);
    // Of this version, and of the one that named the process (there is none with the largest number).
    for name in ["0f.unfinished", "1f.unfinished-4194999", "2f.unfinished"] {
        std::fs::write(at(name), "half").unwrap();
    }
    let living = std::fs::File::open(at("2f.unfinished")).unwrap();
    living.lock().unwrap();
    let own = at(&format!("3f.unfinished-{}", std::process::id()));
    std::fs::write(&own, "half").unwrap();
    cached.load();
    let mut names = cached.names();
    names.retain(|name| !name.ends_with(".frames"));
    names.sort();
    let own = own.file_name().unwrap().to_string_lossy().into_owned();
    if cfg!(target_os = "linux") {
        assert_eq!(names, ["2f.unfinished", own.as_str()]);
    }
}

#[test]
fn of_two_that_load_at_once_one_decodes_and_both_have_all() {
    let cached = Cached::new();
    let whole = load(&CacheOptions::default());
    std::thread::scope(|scope| {
        let loads: Vec<_> = (0..4).map(|_| scope.spawn(|| cached.load())).collect();
        loads.into_iter().for_each(|load| assert!(load.join().unwrap() == whole));
    });
    assert_eq!(cached.names().len(), 1);
}

/// Symptom: a training was refused because its cache folder could not be made, though memory would have done. Fix:
/// memory is used, with a note.
#[test]
fn without_a_folder_for_frames_memory_is_used_where_it_suffices() {
    let data = tempfile::tempdir().unwrap();
    record(data.path());
    let dataset = Dataset::open(data.path()).unwrap();
    let folder = Some(data.path().join("meta/info.json/frames")); // below a file
    let options = CacheOptions { folder, ..Default::default() };
    let cache = FrameCache::load(&dataset, &options, &|_, _| ()).unwrap();
    assert!(cache == load(&CacheOptions::default()));
    assert!(cache.notes()[0].contains("kept in memory instead"), "{:?}", cache.notes());
    let options = CacheOptions { memory_limit_bytes: 1000, ..options };
    let error = FrameCache::load(&dataset, &options, &|_, _| ()).unwrap_err().to_string();
    assert!(error.contains("info.json/frames: creating"), "{error}");
}
