//! The tests of this crate as one program: they link it once.

mod episodes;
mod queue;
mod refused;
mod runs;
mod support;
