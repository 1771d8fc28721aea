//! Goals: what the agent is asked to bring about.

use crate::{Frame, Observation};

/// A goal, given at run time.
#[derive(Debug, Clone, PartialEq)]
pub enum Goal {
    /// The world as these frames show it, one per camera.
    Image(Vec<Frame>),
    /// Goal images to be reached one after the other, each with one frame per camera.
    ImageSequence(Vec<Vec<Frame>>),
    /// Some dimensions of the state at values; the others are free.
    State(Vec<StateTarget>),
    /// Some dimensions of the state within bounds; the others are free.
    Region(Vec<StateInterval>),
}

/// A value that one dimension of the state should have.
#[derive(Debug, Clone, PartialEq)]
pub struct StateTarget {
    /// Name of the dimension, for example `block_x_m`.
    pub name: String,
    /// The value, in the dimension's unit.
    pub value: f64,
    /// The distance that costs 1, in the dimension's unit; by default a typical step of one action chunk.
    pub scale: Option<f64>,
}

/// Bounds that one dimension of the state should be within.
#[derive(Debug, Clone, PartialEq)]
pub struct StateInterval {
    /// Name of the dimension, for example `agent_x_m`.
    pub name: String,
    /// Lower bound, in the dimension's unit.
    pub low: f64,
    /// Upper bound, in the dimension's unit.
    pub high: f64,
    /// The distance beyond a bound that costs 1, in the dimension's unit; by default a typical step of one action
    /// chunk.
    pub scale: Option<f64>,
}

impl Goal {
    /// The world as `observation` shows it.
    pub fn image(observation: &Observation) -> Self {
        Self::Image(observation.frames.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Image, ImageSize};

    #[test]
    fn a_goal_image_has_the_frames_of_its_observation() {
        let image = Image::filled(ImageSize::square(2).unwrap(), [1, 2, 3]);
        let frames = vec![Frame::new(&"top".into(), image, 0.5)];
        let observation = Observation { frames: frames.clone(), tick: 5, ..Observation::default() };
        assert_eq!(Goal::image(&observation), Goal::Image(frames));
    }
}
