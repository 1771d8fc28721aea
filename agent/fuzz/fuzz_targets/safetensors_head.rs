//! The file of a head, read as every kind of head.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| drop(mindseye_world_model::testing::head_file(bytes)));
