//! `config.json` of a checkpoint of either family.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &[u8]| drop(mindseye_world_model::testing::checkpoint_config(text)));
