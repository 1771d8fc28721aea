//! The tests of this crate as one program: they link it once.

mod files;
mod inputs;
mod lock;
mod staging;
mod support;
