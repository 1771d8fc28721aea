//! A folder of stable-worldmodel: the first byte chooses the file that is replaced by the others. From 128 on these are
//! an array, which is put into an archive with a valid checksum.
#![no_main]

use std::io::{Cursor, Write as _};
use std::sync::LazyLock;

use mindseye_fuzz::DataSet;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

static DATA: LazyLock<DataSet> = LazyLock::new(|| {
    let files = ["action.npz", "ep_len.npz", "ep_offset.npz", "state.npz", "pixels/ep_0_step_0.jpeg"];
    DataSet::of_fixture("swm_folder_tiny", &files)
});

libfuzzer_sys::fuzz_target!(init: mindseye_fuzz::begin(), |input: &[u8]| {
    match input {
        [file @ ..128, bytes @ ..] => DATA.read_with(*file, bytes),
        [file, array @ ..] => DATA.read_with(*file - 128, &archive(array)),
        [] => (),
    }
});

fn archive(array: &[u8]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    archive.start_file("arr_0.npy", options).expect("an archive in memory");
    archive.write_all(array).expect("an archive in memory");
    archive.finish().expect("an archive in memory").into_inner()
}
