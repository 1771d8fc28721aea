//! What is wanted and what is forbidden of named dimensions of the state, ready for the cost: names have become
//! indices.

/// Goals of one directive over the state `[K]` that an estimator reads; the cost terms `pose`, `region`, `keep_out` and
/// `workspace` measure the distance to them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StateGoals {
    /// Target values.
    pub pose: Vec<StateTarget>,
    /// Intervals to be in.
    pub region: Vec<Interval>,
    /// Boxes to keep out of.
    pub keep_out: Vec<KeepOutBox>,
    /// Intervals to stay in all the time.
    pub workspace: Vec<Interval>,
}

/// A value that one dimension of the state should have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StateTarget {
    /// Index of the dimension in the state.
    pub dimension: usize,
    /// The value, in the dimension's unit.
    pub value: f32,
    /// The distance that costs 1, in the dimension's unit.
    pub scale: f32,
    /// Whether it is an angle: differences go the short way round.
    pub angle: bool,
}

/// Values of one dimension of the state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Their middle. Its scale is the distance beyond a bound that costs 1.
    pub middle: StateTarget,
    /// From the middle to either bound, in the dimension's unit.
    pub half: f32,
}

/// A box of states: a state is in it where all its intervals contain it.
#[derive(Debug, Clone, PartialEq)]
pub struct KeepOutBox {
    /// One interval per dimension of the box; at least one.
    pub sides: Vec<Interval>,
    /// The distance from the box that already costs.
    pub margin: f32,
}

impl StateTarget {
    /// From the target to the value in `state [K]`, in the dimension's unit.
    pub fn difference(&self, state: &[f32]) -> f32 {
        let difference = state.get(self.dimension).map_or(f32::NAN, |value| value - self.value);
        if self.angle { difference.sin().atan2(difference.cos()) } else { difference }
    }
}

impl Interval {
    /// How far `state [K]` is beyond the nearest bound, in the dimension's unit; negative inside.
    pub fn beyond(&self, state: &[f32]) -> f32 {
        self.middle.difference(state).abs() - self.half
    }
}

impl StateGoals {
    /// Whether `state [K]` is within the region.
    pub fn is_in_region(&self, state: &[f32]) -> bool {
        self.region.iter().all(|side| side.beyond(state) <= 0.0)
    }

    /// Whether `state [K]` is in a box to keep out of, or outside the workspace; margins do not count.
    pub fn violates(&self, state: &[f32]) -> bool {
        self.is_near_forbidden(state, 0.0)
    }

    /// Whether `state [K]` is in a box to keep out of or so near that it costs, or outside the workspace.
    pub fn is_too_near(&self, state: &[f32]) -> bool {
        self.is_near_forbidden(state, 1.0)
    }

    fn is_near_forbidden(&self, state: &[f32], margins: f32) -> bool {
        let within = |place: &KeepOutBox| place.sides.iter().all(|side| side.beyond(state) < margins * place.margin);
        self.keep_out.iter().any(within) || self.workspace.iter().any(|side| side.beyond(state) > 0.0)
    }
}
