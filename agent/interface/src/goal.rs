//! What the agent is asked to bring about.

use crate::Image;

/// A wished-for moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Goal {
    /// How the world should look.
    pub image: Image,
    /// The true state behind the picture, for judging success and for the oracle; the learned agent never reads it.
    pub state: Option<Vec<f64>>,
}
