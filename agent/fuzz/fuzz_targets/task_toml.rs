//! A task.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    mindseye_fuzz::accepted(mindseye_interface::config::parse::<mindseye_agent::Task>(text));
});
