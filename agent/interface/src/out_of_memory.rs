//! What is said when the system has no more memory to give.

use std::alloc::{GlobalAlloc, Layout};
use std::io::Write as _;

/// An allocator that ends the process with one line and exit code 1 where `A` has no memory: the standard library would
/// abort it, as it still does where a new thread gets no stack. Outputs are built beside their places, so none is left
/// half.
pub struct EndsWithALine<A>(pub A);

/// `pointer`, where there is one. Nothing here allocates.
fn given(pointer: *mut u8, bytes: usize) -> *mut u8 {
    if pointer.is_null() {
        let mut line = [0_u8; 120];
        let (mut rest, mib) = (&mut line[..], bytes.div_ceil(1 << 20));
        let _ = writeln!(rest, "error: memory: {mib} MiB more are needed, the system has none to give");
        let unused = rest.len();
        let _ = std::io::stderr().write_all(&line[..line.len() - unused]); // the exit code says it, too
        std::process::exit(1);
    }
    pointer
}

// SAFETY: pointers are those of `A`, and its requirements are passed on to the caller.
#[allow(unsafe_code)]
unsafe impl<A: GlobalAlloc> GlobalAlloc for EndsWithALine<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's layout is not of size 0.
        given(unsafe { self.0.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's layout is not of size 0.
        given(unsafe { self.0.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: `pointer` is of this allocator and of `layout`, and `size` is not 0.
        given(unsafe { self.0.realloc(pointer, layout, size) }, size)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` is of this allocator and of `layout`.
        unsafe { self.0.dealloc(pointer, layout) }
    }
}
