//! Agents that live outside a simulator: a policy server, a client, robots behind `Environment`, a web page.
//!
//! - [`watch`] compares what a camera shows with what a model predicted (`docs/guides/watch.md`), [`page`] shows it.

pub mod page;
pub mod watch;
mod watch_error;
