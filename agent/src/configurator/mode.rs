//! Acting at once or after planning (LeCun 2022, section 3.1): what a task allows.

use mindseye_interface::Result;
use mindseye_interface::config::require_range;
use serde::{Deserialize, Serialize};

use crate::directive::{Mode, ModeOrder, ModeReason};
use crate::memory::Memory;

/// What a task allows.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", deny_unknown_fields)]
pub enum ModeConfig {
    /// Always plan.
    #[default]
    #[serde(rename = "mode_2")]
    Mode2,
    /// Never plan: the policy acts.
    #[serde(rename = "mode_1")]
    Mode1,
    /// The policy acts where that is confidently good; otherwise plan.
    #[serde(rename = "auto")]
    Auto(Confidence),
}

/// When the policy is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Confidence {
    /// No surprise of the newest ticks was larger than this (mean squared difference per dimension of the latent, as
    /// [`crate::TickReport::surprise`]). 0.1 by default; lower means more planning.
    #[serde(alias = "calm_below")]
    pub surprise_below: f32,
    /// Number of these ticks, 1 or more; 2 by default.
    #[serde(alias = "calm_ticks")]
    pub surprise_ticks: usize,
    /// The policy's plan may have an energy higher than the rest of the previous plan by so much (1 is the mean goal
    /// distance of one action chunk). 0 by default; higher means less planning.
    #[serde(alias = "slack")]
    pub margin: f32,
}

impl Default for Confidence {
    fn default() -> Self {
        Self { surprise_below: 0.1, surprise_ticks: 2, margin: 0.0 }
    }
}

impl ModeConfig {
    /// The name under which task files know it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mode1 => "mode_1",
            Self::Mode2 => "mode_2",
            Self::Auto(_) => "auto",
        }
    }

    pub(super) fn validate(self) -> Result<()> {
        let Self::Auto(Confidence { surprise_below, surprise_ticks, margin }) = self else { return Ok(()) };
        require_range("mode.surprise_below", surprise_below, 0.0, 1e9)?;
        require_range("mode.surprise_ticks", surprise_ticks, 1, 1_000_000)?;
        require_range("mode.margin", margin, 0.0, 1e9)
    }

    /// The order for the next tick, by what is remembered of the last ones.
    pub(super) fn order(self, memory: &dyn Memory) -> ModeOrder {
        match self {
            Self::Mode1 => ModeOrder::Use(Mode::Mode1, ModeReason::Task),
            Self::Mode2 => ModeOrder::Use(Mode::Mode2, ModeReason::Task),
            Self::Auto(confidence) => {
                let recent = memory.recent(confidence.surprise_ticks);
                // A NaN is not below the threshold.
                let calm = |surprise: f32| surprise <= confidence.surprise_below;
                if recent.iter().filter_map(|transition| transition.surprise).all(calm) {
                    ModeOrder::Compare { margin: confidence.margin }
                } else {
                    ModeOrder::Use(Mode::Mode2, ModeReason::Surprised)
                }
            }
        }
    }
}
