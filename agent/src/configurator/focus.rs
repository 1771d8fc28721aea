//! Priming: which directions of the latent the goal distance looks at (LeCun 2022, section 3: the configurator modulates the other modules).

use mindseye_interface::Result;
use mindseye_interface::config::require_range;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::cost::StateReader;
use crate::latent::Latent;

/// What of a goal picture counts, by names of the state's dimensions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FocusConfig {
    /// Dimensions that count.
    pub states: Vec<String>,
    /// How much of a difference in any other direction of the latent is left, 0 to 1.
    #[serde(default)]
    pub keep: f32,
}

impl FocusConfig {
    pub(super) fn validate(&self) -> Result<()> {
        require_range("focus.states", self.states.len(), 1, 4096)?;
        require_range("focus.keep", self.keep, 0.0, 1.0)
    }
}

/// Gains on differences of latents, `[P * D, P * D]`, symmetric: 1 along directions in which the states in focus change at the goal, less along
/// others.
#[derive(Debug, Clone, PartialEq)]
pub struct Focus {
    gains: Vec<f32>,
}

/// A direction that is this much shorter once those before it are taken out says nothing new.
const NOTHING_NEW: f32 = 1e-3;

impl Focus {
    /// The focus of `config` on `goal`, whose state `reader` reads.
    ///
    /// # Errors
    /// [`Error::Unknown`] naming a dimension that is not read; when the goal does not fit the reader.
    pub fn on(config: &FocusConfig, reader: &dyn StateReader, goal: &Latent) -> crate::Result<Self> {
        let (names, width) = (reader.names(), goal.values().len());
        let mut directions: Vec<Vec<f32>> = Vec::new();
        for name in &config.states {
            let dimension = names.iter().position(|known| known == name).ok_or_else(|| Error::Unknown {
                field: "focus.states",
                expected: names.join(", "),
                got: name.clone(),
            })?;
            let mut pull = vec![0.0; names.len()];
            pull[dimension] = 1.0;
            let mut direction = vec![0.0; width];
            reader.add_slopes(goal.values(), &pull, &mut direction)?;
            let whole = length(&direction);
            for before in &directions {
                let along: f32 = direction.iter().zip(before).map(|(a, b)| a * b).sum();
                direction.iter_mut().zip(before).for_each(|(value, before)| *value -= along * before);
            }
            let left = length(&direction);
            if left > NOTHING_NEW * whole {
                direction.iter_mut().for_each(|value| *value /= left);
                directions.push(direction);
            }
        }
        let mut gains = vec![0.0; width * width];
        gains.iter_mut().step_by(width + 1).for_each(|gain| *gain = config.keep);
        for direction in &directions {
            for (row, &value) in gains.chunks_exact_mut(width).zip(direction) {
                row.iter_mut().zip(direction).for_each(|(gain, other)| *gain += (1.0 - config.keep) * value * other);
            }
        }
        Ok(Self { gains })
    }

    /// The gains, `[P * D, P * D]`.
    pub fn gains(&self) -> &[f32] {
        &self.gains
    }
}

fn length(values: &[f32]) -> f32 {
    values.iter().map(|value| value * value).sum::<f32>().sqrt()
}
