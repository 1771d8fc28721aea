//! Costs about named things: to be in a pose, to be in a region, to keep out of places, to stay in the workspace.
//!
//! All of them read imagined states with the same readout; what they are about comes with the directive, how they count is theirs and does not
//! change. Safety (places and workspace) counts in every block of a plan: nothing that happens on the way is forgiven.

use super::{Fingerprint, IntrinsicTerm, SharedReader, Slopes};
use crate::Result;
use crate::configurator::{Aims, Directive, Interval, Place, Wanted};
use crate::latent::{Plans, Rollouts};

/// The energy of one state `[K]`, and the slopes it has on it.
type Energy = fn(&Aims, &[f32], &mut dyn FnMut(usize, f32)) -> f32;

/// A term that reads states.
pub struct Named {
    name: &'static str,
    every_block: bool,
    reader: SharedReader,
    energy: Energy,
}

impl Named {
    /// Name of the term that wants values: the mean over wanted dimensions of the squared distance in their scales.
    pub const POSE: &'static str = "pose";
    /// Name of the term that wants to be in a region: the mean over its sides of the squared distance beyond them.
    pub const REGION: &'static str = "region";
    /// Name of the term that keeps out of places: the square of how deep the state is in a place that has grown by its margin.
    pub const KEEP_OUT: &'static str = "keep_out";
    /// Name of the term that stays in the workspace: the sum over its sides of the squared distance beyond them.
    pub const WORKSPACE: &'static str = "workspace";
    /// All of them.
    pub const ALL: [&'static str; 4] = [Self::POSE, Self::REGION, Self::KEEP_OUT, Self::WORKSPACE];

    /// Wants the directive's pose.
    pub fn pose(reader: SharedReader) -> Self {
        Self {
            name: Self::POSE,
            every_block: false,
            reader,
            energy: |aims, state, slope| pose(&aims.pose, state, slope),
        }
    }

    /// Wants to be in the directive's region.
    pub fn region(reader: SharedReader) -> Self {
        let energy: Energy = |aims, state, slope| {
            let share = 1.0 / aims.region.len().max(1) as f32;
            beyond(&aims.region, share, state, slope)
        };
        Self { name: Self::REGION, every_block: false, reader, energy }
    }

    /// Keeps out of the directive's places.
    pub fn keep_out(reader: SharedReader) -> Self {
        let energy: Energy = |aims, state, slope| aims.keep_out.iter().map(|place| within(place, state, slope)).sum();
        Self { name: Self::KEEP_OUT, every_block: true, reader, energy }
    }

    /// Stays in the directive's workspace.
    pub fn workspace(reader: SharedReader) -> Self {
        let energy: Energy = |aims, state, slope| beyond(&aims.workspace, 1.0, state, slope);
        Self { name: Self::WORKSPACE, every_block: true, reader, energy }
    }
}

impl IntrinsicTerm for Named {
    fn name(&self) -> &'static str {
        self.name
    }

    fn every_block(&self) -> bool {
        self.every_block
    }

    fn energy(&self, rollouts: &Rollouts, _plans: &Plans, directive: &Directive) -> Result<Vec<f32>> {
        let states = self.reader.read(rollouts.values())?;
        let states = states.chunks_exact(self.reader.names().len().max(1));
        Ok(states.map(|state| (self.energy)(&directive.aims, state, &mut |_, _| ())).collect())
    }

    fn add_slopes(
        &self,
        rollouts: &Rollouts,
        _plans: &Plans,
        directive: &Directive,
        pull: &[f32],
        slopes: &mut Slopes,
    ) -> Result<()> {
        let width = self.reader.names().len().max(1);
        let states = self.reader.read(rollouts.values())?;
        let mut on_states = vec![0.0; states.len()];
        let rows = states.chunks_exact(width).zip(on_states.chunks_exact_mut(width)).zip(pull);
        for ((state, on_state), pull) in rows {
            (self.energy)(&directive.aims, state, &mut |dimension, slope| on_state[dimension] += pull * slope);
        }
        self.reader.add_slopes(rollouts.values(), &on_states, &mut slopes.states)
    }

    fn describe(&self, fingerprint: &mut Fingerprint) {
        fingerprint.name(self.name);
        self.reader.describe(fingerprint);
    }
}

fn pose(pose: &[Wanted], state: &[f32], slope: &mut dyn FnMut(usize, f32)) -> f32 {
    let share = 1.0 / pose.len().max(1) as f32;
    let one = |wanted: &Wanted| {
        let off = wanted.off(state) / wanted.scale;
        slope(wanted.dimension, 2.0 * share * off / wanted.scale);
        share * off * off
    };
    pose.iter().map(one).sum()
}

/// `share` of the squared distances beyond the sides.
fn beyond(sides: &[Interval], share: f32, state: &[f32], slope: &mut dyn FnMut(usize, f32)) -> f32 {
    let one = |side: &Interval| {
        let Wanted { dimension, scale, .. } = side.middle;
        // `f32::max` would forget a NaN.
        let beyond = side.beyond(state);
        let beyond = if beyond < 0.0 { 0.0 } else { beyond / scale };
        slope(dimension, 2.0 * share * beyond / scale * side.middle.off(state).signum());
        share * beyond * beyond
    };
    sides.iter().map(one).sum()
}

/// The square of how far it is from `state` to the nearest side of the grown place; nothing outside.
fn within(place: &Place, state: &[f32], slope: &mut dyn FnMut(usize, f32)) -> f32 {
    let depth = |side: &Interval| (place.margin - side.beyond(state)) / side.middle.scale;
    let shallower = |a: (f32, Wanted), b: (f32, Wanted)| if b.0 < a.0 || b.0.is_nan() { b } else { a };
    let depths = place.sides.iter().map(|side| (depth(side), side.middle));
    let Some((depth, nearest)) = depths.reduce(shallower).filter(|(depth, _)| depth.is_nan() || *depth > 0.0) else {
        return 0.0;
    };
    slope(nearest.dimension, -2.0 * depth / nearest.scale * nearest.off(state).signum());
    depth * depth
}
