//! A LeRobot folder (v3.0): the first byte chooses the file that is replaced by the others.
#![no_main]

use std::sync::LazyLock;

use mindseye_fuzz::DataSet;

static DATA: LazyLock<DataSet> = LazyLock::new(|| {
    let files = [
        "meta/info.json",
        "meta/tasks.parquet",
        "meta/stats.json",
        "meta/episodes/chunk-000/file-000.parquet",
        "data/chunk-000/file-000.parquet",
    ];
    DataSet::of_fixture("lerobot_v3_tiny_image", &files)
});

libfuzzer_sys::fuzz_target!(init: mindseye_fuzz::begin(), |input: &[u8]| {
    if let [file, bytes @ ..] = input {
        DATA.read_with(*file, bytes);
    }
});
