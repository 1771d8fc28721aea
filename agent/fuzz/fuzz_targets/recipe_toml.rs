//! A recipe, and the memory that it asks for.
#![no_main]

use mindseye_interface::MemoryLimit;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let limit = MemoryLimit::from_bytes(1 << 30);
    if let Err(reason) = mindseye_world_model::testing::recipe(text, limit) {
        assert!(!reason.contains('\n'), "{reason}");
    }
});
