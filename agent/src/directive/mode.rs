//! Acting at once or after planning (LeCun 2022, section 3.1): what a tick is ordered to do, and why.

use std::fmt::{Display, Formatter};

use serde::{Deserialize, Serialize};

/// How a tick decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// The policy's proposal is executed.
    #[serde(rename = "mode_1")]
    Mode1,
    /// Plans are imagined, scored and improved.
    #[serde(rename = "mode_2")]
    Mode2,
}

/// Why a tick decided that way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModeReason {
    /// The task says so.
    Task,
    /// The policy's plan has no higher energy than the rest of the previous plan.
    PolicyGoodEnough,
    /// It has a higher one.
    PolicyNotGoodEnough,
    /// There is no previous plan towards this goal to compare with.
    NoPreviousPlan,
    /// There is no proposal: no policy, or none for such goals.
    NoProposal,
    /// One of the newest ticks was surprising.
    Surprised,
    /// There is no time to compare the two, let alone to plan.
    NoTime,
}

impl Display for Mode {
    fn fmt(&self, text: &mut Formatter<'_>) -> std::fmt::Result {
        text.write_str(match self {
            Self::Mode1 => "Mode-1",
            Self::Mode2 => "Mode-2",
        })
    }
}

/// The reason as the end of a sentence.
impl Display for ModeReason {
    fn fmt(&self, text: &mut Formatter<'_>) -> std::fmt::Result {
        text.write_str(match self {
            Self::Task => "as the task says",
            Self::PolicyGoodEnough => "the policy's plan is good enough",
            Self::PolicyNotGoodEnough => "the policy's plan is not good enough",
            Self::NoPreviousPlan => "there is no previous plan",
            Self::NoProposal => "the policy proposes nothing",
            Self::Surprised => "a surprise",
            Self::NoTime => "no time",
        })
    }
}

/// What a tick is ordered to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ModeOrder {
    /// This mode, and why.
    Use(Mode, ModeReason),
    /// Mode-1 if the energy of the policy's plan is at most that of the previous plan's rest plus this margin, or if
    /// there is no time to plan; else Mode-2.
    Compare {
        /// See [`crate::configurator::Confidence::margin`].
        margin: f32,
    },
}
