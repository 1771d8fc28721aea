//! A file of decoded frames, whatever it has become since it was written.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use mindseye_episodes::{CacheOptions, EpisodeSource, FrameCache, open};
use mindseye_fuzz::{DataSet, FOLDER, accepted};
use mindseye_interface::ImageSize;

struct Frames {
    source: Box<dyn EpisodeSource>,
    options: CacheOptions,
    file: PathBuf,
}

static FRAMES: LazyLock<Frames> = LazyLock::new(|| {
    let data = DataSet::of_fixture("swm_folder_tiny", &[]);
    let folder = FOLDER.join("frames");
    let source = open(&data.path).expect("a fixture");
    let image_size = ImageSize::square(2).ok();
    let options = CacheOptions { folder: Some(folder.clone()), image_size, ..CacheOptions::default() };
    FrameCache::load(source.as_ref(), &options, &|_, _| ()).expect("a fixture");
    let mut files = fs::read_dir(folder).expect("a folder of frames").map(|entry| entry.expect("a file").path());
    let file = files.find(|path| path.extension().is_some_and(|end| end == "frames")).expect("a file of frames");
    Frames { source, options, file }
});

libfuzzer_sys::fuzz_target!(init: mindseye_fuzz::begin(), |bytes: &[u8]| {
    let Frames { source, options, file } = &*FRAMES;
    fs::write(file, bytes).expect("a file in memory");
    // Changed frames are no error: they are decoded again.
    let cache = FrameCache::load(source.as_ref(), options, &|_, _| ()).expect("frames");
    (0..cache.len()).for_each(|index| drop(accepted(cache.image(index))));
});
