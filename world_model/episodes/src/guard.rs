//! Panics of libraries on broken data, caught and reported as errors of the file.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::{Error, Result};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic on this thread would be caught and become an [`Error::File`]. A panic hook need not print such a
/// panic.
pub fn is_guarded() -> bool {
    GUARDED.get()
}

/// Runs `work` on the file at `path`. A panic in it becomes an [`Error::File`]; its partial result is dropped.
pub(crate) fn guarded<T>(path: &Path, operation: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let before = GUARDED.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(before);
    done.unwrap_or_else(|panic| Err(Error::file(path, operation, reason(panic.as_ref()))))
}

fn reason(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref::<String>().cloned());
    format!("broken in a way that its library does not expect ({})", text.unwrap_or_default().replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_that_names_the_file() {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !is_guarded() {
                hook(info);
            }
        }));
        let error = guarded(Path::new("table"), "reading", || -> Result<()> { panic!("offset + len\nout of bounds") });
        let message = error.map_err(|error| error.to_string());
        let expected = "table: reading: broken in a way that its library does not expect (offset + len out of bounds)";
        assert_eq!(message, Err(expected.into()));
        assert!(!is_guarded());
        assert!(guarded(Path::new("table"), "reading", || Ok(is_guarded())).is_ok_and(|inside| inside));
    }
}
