//! The tests of this crate as one program: they link it once.

mod commands;
mod display;
mod recorded;
mod same_bits;
mod saving;
mod support;
mod threads;
