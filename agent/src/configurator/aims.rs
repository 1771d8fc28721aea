//! What is wanted and what is forbidden of the state as people name it, ready for the cost: a task's names have become places in what is read.

use super::Focus;

/// Aims of one directive; the cost terms `pose`, `region`, `keep_out` and `workspace` say what it costs to miss them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Aims {
    /// Values to bring about.
    pub pose: Vec<Wanted>,
    /// Where to be.
    pub region: Vec<Interval>,
    /// Places not to be in.
    pub keep_out: Vec<Place>,
    /// Where to stay all the time.
    pub workspace: Vec<Interval>,
    /// What of the goal picture counts; everything where there is none.
    pub focus: Option<Focus>,
}

/// A value that one dimension of the state should have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wanted {
    /// Index of the dimension in what is read.
    pub dimension: usize,
    /// The value, in the dimension's unit.
    pub value: f32,
    /// How far away costs 1, in the dimension's unit.
    pub scale: f32,
    /// Whether it is an angle: differences go the short way round.
    pub angle: bool,
}

/// Values of one dimension of the state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Their middle. Its scale says how far beyond the border costs 1.
    pub middle: Wanted,
    /// From the middle to either border, in the dimension's unit.
    pub half: f32,
}

/// A box of values: a state is in it where all its intervals have it.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// One interval per dimension that the box is about; at least one.
    pub sides: Vec<Interval>,
    /// How far from the box is already too near.
    pub margin: f32,
}

impl Wanted {
    /// From the value to that in `state [K]`, in the dimension's unit.
    pub fn off(&self, state: &[f32]) -> f32 {
        let off = state.get(self.dimension).map_or(f32::NAN, |value| value - self.value);
        if self.angle { off.sin().atan2(off.cos()) } else { off }
    }
}

impl Interval {
    /// How far `state [K]` is beyond the border, in the dimension's unit; negative inside.
    pub fn beyond(&self, state: &[f32]) -> f32 {
        self.middle.off(state).abs() - self.half
    }
}

impl Aims {
    /// Whether `state [K]` is within the region.
    pub fn is_in_region(&self, state: &[f32]) -> bool {
        self.region.iter().all(|side| side.beyond(state) <= 0.0)
    }

    /// Whether `state [K]` is in a place to keep out of, or outside the workspace; margins do not count.
    pub fn violates(&self, state: &[f32]) -> bool {
        self.is_near_forbidden(state, 0.0)
    }

    /// Whether `state [K]` is in a place to keep out of or so near that it costs, or outside the workspace.
    pub fn is_too_near(&self, state: &[f32]) -> bool {
        self.is_near_forbidden(state, 1.0)
    }

    fn is_near_forbidden(&self, state: &[f32], margins: f32) -> bool {
        let within = |place: &Place| place.sides.iter().all(|side| side.beyond(state) < margins * place.margin);
        self.keep_out.iter().any(within) || self.workspace.iter().any(|side| side.beyond(state) > 0.0)
    }
}
