//! Acting at once or after thinking (LeCun 2022, section 3.1): what a task allows, and what a tick is told.

use mindseye_interface::Result;
use mindseye_interface::config::require_range;
use serde::{Deserialize, Serialize};

use crate::memory::Memory;

/// How a tick decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// What the policy proposes is done.
    #[serde(rename = "mode_1")]
    Mode1,
    /// Plans are imagined, judged and improved.
    #[serde(rename = "mode_2")]
    Mode2,
}

/// Why a tick decided that way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModeReason {
    /// The task says so.
    Task,
    /// The policy's plan is imagined to be as good as what the last plan promised.
    PromiseKept,
    /// It is not.
    PromiseBroken,
    /// There is no last plan towards this goal that could have promised anything.
    NoPromise,
    /// There is no proposal: no policy, or it knows nothing of such goals.
    NoProposal,
    /// Something happened lately that had not been expected.
    Surprised,
    /// Planning takes longer than there is time.
    NoTime,
}

/// What a task allows.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", deny_unknown_fields)]
pub enum ModeConfig {
    /// Always think.
    #[default]
    #[serde(rename = "mode_2")]
    Mode2,
    /// Never think.
    #[serde(rename = "mode_1")]
    Mode1,
    /// Do what the policy proposes where that is confidently good; think else.
    #[serde(rename = "auto")]
    Auto(Confidence),
}

/// When the policy is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Confidence {
    /// No surprise of the last ticks was larger than this (mean squared difference per dimension of the latent, as
    /// [`crate::agent::TickReport::surprise`]).
    pub calm_below: f32,
    /// So many ticks are the last ones.
    pub calm_ticks: usize,
    /// The policy's plan may be imagined to cost so much more than the rest of the last plan (1 is the mean goal distance of one action block).
    pub slack: f32,
}

impl Default for Confidence {
    fn default() -> Self {
        Self { calm_below: 0.1, calm_ticks: 2, slack: 0.0 }
    }
}

/// What a tick is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ModeOrder {
    /// This mode, and why.
    Use(Mode, ModeReason),
    /// Mode-1 if the policy's plan keeps the last plan's promise up to this slack, or if there is no time to think; else Mode-2.
    Weigh {
        /// See [`Confidence::slack`].
        slack: f32,
    },
}

impl ModeConfig {
    pub(super) fn validate(self) -> Result<()> {
        let Self::Auto(Confidence { calm_below, calm_ticks, slack }) = self else { return Ok(()) };
        require_range("mode.calm_below", calm_below, 0.0, 1e9)?;
        require_range("mode.calm_ticks", calm_ticks, 1, 1_000_000)?;
        require_range("mode.slack", slack, 0.0, 1e9)
    }

    /// The order for the next tick, by what is remembered of the last ones.
    pub(super) fn order(self, memory: &dyn Memory) -> ModeOrder {
        match self {
            Self::Mode1 => ModeOrder::Use(Mode::Mode1, ModeReason::Task),
            Self::Mode2 => ModeOrder::Use(Mode::Mode2, ModeReason::Task),
            Self::Auto(confidence) => {
                let recent = memory.recent(confidence.calm_ticks);
                // A surprise that is no number is no reason for calm.
                let calm = |surprise: f32| surprise <= confidence.calm_below;
                if recent.iter().filter_map(|moment| moment.surprise).all(calm) {
                    ModeOrder::Weigh { slack: confidence.slack }
                } else {
                    ModeOrder::Use(Mode::Mode2, ModeReason::Surprised)
                }
            }
        }
    }
}
