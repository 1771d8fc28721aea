//! A LeRobot folder (v2.1): the first byte chooses the file that is replaced by the others.
#![no_main]

use std::sync::LazyLock;

use mindseye_fuzz::DataSet;

static DATA: LazyLock<DataSet> = LazyLock::new(|| {
    let files = [
        "meta/info.json",
        "meta/episodes.jsonl",
        "meta/tasks.jsonl",
        "meta/episodes_stats.jsonl",
        "data/chunk-000/episode_000000.parquet",
    ];
    DataSet::of_fixture("lerobot_v21_tiny", &files)
});

libfuzzer_sys::fuzz_target!(init: mindseye_fuzz::begin(), |input: &[u8]| {
    if let [file, bytes @ ..] = input {
        DATA.read_with(*file, bytes);
    }
});
