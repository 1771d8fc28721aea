//! An HDF5 file of stable-worldmodel or robomimic.
#![no_main]

use std::fs;

use mindseye_fuzz::FOLDER;

libfuzzer_sys::fuzz_target!(init: mindseye_fuzz::begin(), |bytes: &[u8]| {
    let path = FOLDER.join("data.h5");
    fs::write(&path, bytes).expect("a file in memory");
    mindseye_fuzz::read_all(&path);
});
