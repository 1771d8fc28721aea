//! The tests of this crate as one program: they link it once.

#[path = "support/html.rs"]
mod html;
mod reports;
#[path = "../../evaluation/tests/support/mod.rs"]
mod support;
