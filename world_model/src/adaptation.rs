//! Online adaptation: the agent estimates from its newest transitions which action the robot applies when one is
//! commanded ([`AffineActionMap`]).
//!
//! Where a motor is weaker than in the training data, or is mounted askew, all predictions miss in the same way. The
//! model stays as it was trained; plans are corrected before they are predicted ([`CorrectedDynamics`]).

mod affine_action_map;
mod config;
mod corrected_dynamics;
mod online_correction;

use serde::{Deserialize, Serialize};

pub use affine_action_map::AffineActionMap;
pub use config::AdaptationConfig;
pub use corrected_dynamics::CorrectedDynamics;
pub use online_correction::OnlineCorrection;

/// Transitions to learn from, `N` of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Transitions {
    /// States, `[N, P, D]`.
    pub states: Vec<f32>,
    /// Commanded chunks, `[N, A]`.
    pub chunks: Vec<f32>,
    /// States one chunk later, `[N, P, D]`.
    pub next: Vec<f32>,
}

impl Transitions {
    /// Adds a transition: a state `[P, D]`, the chunk that was commanded there `[A]`, and the next state `[P, D]`.
    pub fn push(&mut self, state: &[f32], chunk: &[f32], next: &[f32]) {
        self.states.extend_from_slice(state);
        self.chunks.extend_from_slice(chunk);
        self.next.extend_from_slice(next);
    }
}

/// Result of an adaptation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Adaptation {
    /// Mean square error per value of the predicted states, without a correction.
    pub before: f32,
    /// The same with corrections that were fitted to other transitions: each half is predicted with the correction of
    /// the other half.
    pub after: f32,
    /// Whether the correction is in use.
    pub adopted: bool,
}
