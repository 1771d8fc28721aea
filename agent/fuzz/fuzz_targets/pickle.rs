//! The list of tensors in a PyTorch file.
#![no_main]

libfuzzer_sys::fuzz_target!(|list: &[u8]| {
    if let Err(reason) = mindseye_world_model::testing::tensors_in_pickle(list) {
        assert!(!reason.is_empty());
    }
});
