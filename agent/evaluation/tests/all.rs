//! The tests of this crate as one program: they link it once.

mod episodes;
mod kept;
mod reports;
mod studies;
mod support;
