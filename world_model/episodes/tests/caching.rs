//! A cache holds the content of the data set at the requested size and stride.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and does not recognise helpers as tests

mod support;

use std::sync::Mutex;

use mindseye_episodes::{CacheOptions, Dataset, FrameCache, Mapping, Windows, open_with};
use mindseye_interface::ImageSize;
use support::{episodes, record};

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
                assert_eq!(thin.image(timestep), whole.image(timestep));
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
    assert_eq!(sparse.gather(&thin, &[0, 1, 2, 3, 4, 5, 6]), dense.gather(&whole, &every_second));
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
