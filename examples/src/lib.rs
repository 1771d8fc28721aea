//! Runnable stories, in reading order: `cargo run --release --example 1_look`, then 2, 3 and 4.
//!
//! | story | tells |
//! |---|---|
//! | `1_look` | a scene, its actions, its camera |
//! | `2_plan_in_the_true_world` | the six modules, with the simulator as world model |
//! | `3_record_and_read` | episodes on disk, and windows of them |
//! | `4_imagine` | a learned model: see, imagine, compare with what happens |
