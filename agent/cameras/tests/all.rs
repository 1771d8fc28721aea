//! The tests of this crate as one program: they link it once.

mod actions;
mod address;
mod mjpeg;
mod recording;
mod sources;
