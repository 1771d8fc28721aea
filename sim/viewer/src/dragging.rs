//! A state that a person is making by hand: the goal's, or the world's.

use bevy::prelude::Resource;

/// What a person holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// The goal.
    Goal,
    /// The world.
    World,
}

/// A state that a person is making by hand.
#[derive(Resource, Debug, Default)]
pub struct Dragging(pub Option<Drag>);

/// What is being dragged.
#[derive(Debug)]
pub struct Drag {
    /// Whose state it is.
    pub held: Held,
    /// The state `[K]` as it is now.
    pub state: Vec<f64>,
    /// Places of the body's x and y in the state.
    pub position: [usize; 2],
    /// Place of its angle, where it has one.
    pub angle: Option<usize>,
    /// Places of what moves along: a goal keeps its shape.
    pub carried: Vec<[usize; 2]>,
    /// From the pointer to the body's origin, metres.
    pub offset_m: [f64; 2],
    /// Whether the pointer has moved since it was taken.
    pub moved: bool,
}

impl Dragging {
    /// The goal that is being made.
    pub fn goal(&self) -> Option<&[f64]> {
        self.0.as_ref().filter(|drag| drag.held == Held::Goal).map(|drag| drag.state.as_slice())
    }

    /// The world's state that is being made.
    pub fn world(&self) -> Option<&[f64]> {
        self.0.as_ref().filter(|drag| drag.held == Held::World).map(|drag| drag.state.as_slice())
    }
}
