//! What happens where the system has no memory to give.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::alloc::{GlobalAlloc, Layout, System};
use std::process::Command;

use mindseye_interface::out_of_memory::EndsWithALine;

/// The system's allocator on a machine with less than this to give at once, bytes.
const LIMIT: usize = 1 << 30;

struct Limited;

// SAFETY: pointers are those of the system's allocator, or null.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as required of the caller.
        if layout.size() < LIMIT { unsafe { System.alloc(layout) } } else { std::ptr::null_mut() }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as required of the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: EndsWithALine<Limited> = EndsWithALine(Limited);

/// Which way the process that this test starts asks for too much.
const WAY: &str = "MINDSEYE_TEST_ASKS_BY";

/// Symptom: with less memory than needed the program was aborted (exit code 134). Cause: the standard library aborts
/// where the allocator has none to give. Fix: `out_of_memory.rs`.
#[test]
fn a_process_without_memory_ends_in_one_line() {
    if let Ok(way) = std::env::var(WAY) {
        let asked = match way.as_str() {
            "alloc" => Vec::with_capacity(LIMIT),
            "alloc_zeroed" => vec![0_u8; LIMIT],
            _ => {
                let mut grown = vec![1_u8; 16];
                grown.reserve_exact(LIMIT);
                grown
            }
        };
        panic!("there was memory: {}", std::hint::black_box(asked).capacity());
    }
    for way in ["alloc", "alloc_zeroed", "realloc"] {
        let mut program = Command::new(std::env::current_exe().unwrap());
        let program = program.args(["--exact", "a_process_without_memory_ends_in_one_line"]).env(WAY, way);
        let output = program.output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{way}: {errors}");
        let more = if way == "realloc" { 1025 } else { 1024 };
        assert_eq!(
            errors,
            format!("error: memory: {more} MiB more are needed, the system has none to give\n"),
            "{way}"
        );
    }
}
