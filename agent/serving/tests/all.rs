//! The tests of this crate as one program: they link it once.

mod bodies;
mod lying_bodies;
mod page;
mod policy_messages;
mod policy_server;
mod real_time;
mod support;
mod watch;
