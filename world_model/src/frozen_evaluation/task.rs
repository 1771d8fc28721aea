//! Which label is read.

use std::fmt;

/// A label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeTask {
    /// All dimensions of the true state at the last frame.
    State,
    /// One of them, by name. A column of whole numbers, at most 64 different ones, is a class.
    Column(String),
    /// The mean action between the last two frames.
    Action,
    /// Whether the clip runs forwards or backwards.
    Order,
}

impl ProbeTask {
    /// The task called `name`: `state`, `action`, `order`, or a column of the true state.
    pub fn named(name: &str) -> Self {
        match name {
            "state" => Self::State,
            "action" => Self::Action,
            "order" => Self::Order,
            column => Self::Column(column.to_owned()),
        }
    }
}

impl fmt::Display for ProbeTask {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str(match self {
            Self::State => "state",
            Self::Action => "action",
            Self::Order => "order",
            Self::Column(name) => name,
        })
    }
}
