//! Costs of named dimensions of the state: to be in a pose, to be in a region, to keep out of boxes, to stay in the
//! workspace.
//!
//! All of them read imagined states with the same estimator; targets and boxes come with the directive, their energies
//! are fixed. Safety (boxes and workspace) counts in every chunk of a plan.

use super::{Fingerprint, Gradients, IntrinsicTerm, SharedEstimator};
use crate::Result;
use crate::directive::{Directive, Interval, KeepOutBox, StateGoals, StateTarget, terms};
use crate::latent::{Plans, Rollouts};

/// The energy of one state `[K]`, and the gradients it has on it.
type Energy = fn(&StateGoals, &[f32], &mut dyn FnMut(usize, f32)) -> f32;

/// A term of named dimensions of the state.
pub struct StateCost {
    name: &'static str,
    every_chunk: bool,
    reader: SharedEstimator,
    energy: Energy,
}

impl StateCost {
    /// Name of the term for target values: the mean over target dimensions of the squared distance in their scales.
    pub const POSE: &'static str = terms::POSE;
    /// Name of the term for a region: the mean over its sides of the squared distance beyond them.
    pub const REGION: &'static str = terms::REGION;
    /// Name of the term for boxes to keep out of: the squared depth of the state in a box that has grown by its margin.
    pub const KEEP_OUT: &'static str = terms::KEEP_OUT;
    /// Name of the term for the workspace: the sum over its sides of the squared distance beyond them.
    pub const WORKSPACE: &'static str = terms::WORKSPACE;
    /// All of them.
    pub const ALL: [&'static str; 4] = [Self::POSE, Self::REGION, Self::KEEP_OUT, Self::WORKSPACE];

    /// The distance to the directive's pose.
    pub fn pose(reader: SharedEstimator) -> Self {
        Self {
            name: Self::POSE,
            every_chunk: false,
            reader,
            energy: |state_goals, state, gradient| pose(&state_goals.pose, state, gradient),
        }
    }

    /// The distance to the directive's region.
    pub fn region(reader: SharedEstimator) -> Self {
        let energy: Energy = |state_goals, state, gradient| {
            let share = 1.0 / state_goals.region.len().max(1) as f32;
            beyond(&state_goals.region, share, state, gradient)
        };
        Self { name: Self::REGION, every_chunk: false, reader, energy }
    }

    /// The depth in the directive's boxes to keep out of.
    pub fn keep_out(reader: SharedEstimator) -> Self {
        let energy: Energy = |state_goals, state, gradient| {
            state_goals.keep_out.iter().map(|place| within(place, state, gradient)).sum()
        };
        Self { name: Self::KEEP_OUT, every_chunk: true, reader, energy }
    }

    /// The distance beyond the directive's workspace.
    pub fn workspace(reader: SharedEstimator) -> Self {
        let energy: Energy = |state_goals, state, gradient| beyond(&state_goals.workspace, 1.0, state, gradient);
        Self { name: Self::WORKSPACE, every_chunk: true, reader, energy }
    }
}

impl IntrinsicTerm for StateCost {
    fn name(&self) -> &'static str {
        self.name
    }

    fn every_chunk(&self) -> bool {
        self.every_chunk
    }

    fn energy(&self, rollouts: &Rollouts, _plans: &Plans, directive: &Directive) -> Result<Vec<f32>> {
        let states = self.reader.read(rollouts.values())?;
        let states = states.chunks_exact(self.reader.names().len().max(1));
        Ok(states.map(|state| (self.energy)(&directive.state_goals, state, &mut |_, _| ())).collect())
    }

    fn add_gradients(
        &self,
        rollouts: &Rollouts,
        _plans: &Plans,
        directive: &Directive,
        upstream: &[f32],
        gradients: &mut Gradients,
    ) -> Result<()> {
        let width = self.reader.names().len().max(1);
        let states = self.reader.read(rollouts.values())?;
        let mut on_states = vec![0.0; states.len()];
        let all = states.chunks_exact(width).zip(on_states.chunks_exact_mut(width)).zip(upstream);
        for ((state, on_state), upstream) in all {
            (self.energy)(&directive.state_goals, state, &mut |dimension, gradient| {
                on_state[dimension] += upstream * gradient
            });
        }
        self.reader.add_gradients(rollouts.values(), &on_states, &mut gradients.states)
    }

    fn describe(&self, fingerprint: &mut Fingerprint) {
        fingerprint.name(self.name);
        self.reader.describe(fingerprint);
    }
}

fn pose(pose: &[StateTarget], state: &[f32], gradient: &mut dyn FnMut(usize, f32)) -> f32 {
    let share = 1.0 / pose.len().max(1) as f32;
    let one = |target: &StateTarget| {
        let off = target.difference(state) / target.scale;
        gradient(target.dimension, 2.0 * share * off / target.scale);
        share * off * off
    };
    pose.iter().map(one).sum()
}

/// `share` of the squared distances beyond the sides.
fn beyond(sides: &[Interval], share: f32, state: &[f32], gradient: &mut dyn FnMut(usize, f32)) -> f32 {
    let one = |side: &Interval| {
        let StateTarget { dimension, scale, .. } = side.middle;
        // `f32::max` would forget a NaN.
        let beyond = side.beyond(state);
        let beyond = if beyond < 0.0 { 0.0 } else { beyond / scale };
        gradient(dimension, 2.0 * share * beyond / scale * side.middle.difference(state).signum());
        share * beyond * beyond
    };
    sides.iter().map(one).sum()
}

/// The squared distance from `state` to the nearest side of the grown box; 0 outside.
fn within(place: &KeepOutBox, state: &[f32], gradient: &mut dyn FnMut(usize, f32)) -> f32 {
    let depth = |side: &Interval| (place.margin - side.beyond(state)) / side.middle.scale;
    let shallower = |a: (f32, StateTarget), b: (f32, StateTarget)| if b.0 < a.0 || b.0.is_nan() { b } else { a };
    let depths = place.sides.iter().map(|side| (depth(side), side.middle));
    let Some((depth, nearest)) = depths.reduce(shallower).filter(|(depth, _)| depth.is_nan() || *depth > 0.0) else {
        return 0.0;
    };
    gradient(nearest.dimension, -2.0 * depth / nearest.scale * nearest.difference(state).signum());
    depth * depth
}
