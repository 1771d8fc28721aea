//! Actions: normalised for the agent, physical for the robot, and the one that holds still.

use serde::{Deserialize, Serialize};

use crate::config::require_names;
use crate::config::{Validate, require_count, require_range};
use crate::error::require_finite;
use crate::{Error, Result};

/// The command for one control step: `A` finite numbers in `[-1, 1]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f32>", into = "Vec<f32>")]
pub struct Action(Vec<f32>);

impl Action {
    /// Takes normalised values and clamps them to `[-1, 1]`.
    ///
    /// # Errors
    /// [`Error::NotFinite`] for NaN and infinities.
    pub fn new(values: Vec<f32>) -> Result<Self> {
        require_finite("action", &values)?;
        Ok(Self(values.into_iter().map(|value| value.clamp(-1.0, 1.0)).collect()))
    }

    /// The middle of every bound. This holds still only where the bounds are symmetric around rest; use
    /// [`ActionSpace::hold`] for the command that holds still.
    pub fn zeros(width: usize) -> Self {
        Self(vec![0.0; width])
    }

    /// The normalised values, `[A]`.
    pub fn values(&self) -> &[f32] {
        &self.0
    }
}

impl TryFrom<Vec<f32>> for Action {
    type Error = Error;

    fn try_from(values: Vec<f32>) -> Result<Self> {
        Self::new(values)
    }
}

impl From<Action> for Vec<f32> {
    fn from(action: Action) -> Self {
        action.0
    }
}

/// What holds one dimension of an action still.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Neutral {
    /// This physical value, in the dimension's unit: 0 for a velocity or a displacement.
    Value(f64),
    /// The dimension commands an absolute position. The command that holds still is the position observed now, which is
    /// this value of [`Observation::proprioception`](crate::Observation::proprioception).
    HoldPosition {
        /// Index into proprioception.
        proprioception: usize,
    },
}

/// The physical meaning of an action: a name, a unit, bounds and the neutral value per dimension.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionSpace {
    /// One name per dimension, for example `velocity_x`.
    pub names: Vec<String>,
    /// One SI unit per dimension, for example `m/s`.
    pub units: Vec<String>,
    /// Physical value of a normalised -1, per dimension.
    pub low: Vec<f64>,
    /// Physical value of a normalised +1, per dimension.
    pub high: Vec<f64>,
    /// What holds still, per dimension. Empty (the default): the middle of the bounds, which is right for velocities
    /// and displacements with symmetric bounds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub neutral: Vec<Neutral>,
    /// The most that a command may differ from the one before, per dimension, in its unit; none where nothing is known.
    /// Plans keep to it: a joint that is commanded to absolute positions does not jump. Empty (the default): no limits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub max_step: Vec<Option<f64>>,
}

/// Largest physical value of an action, in any unit.
const MAX_PHYSICAL: f64 = 1e12;

impl Validate for ActionSpace {
    /// One name, unit and pair of finite bounds per dimension, the lower one first, and none or one neutral value.
    fn validate(&self) -> Result<()> {
        let width = self.width();
        for (field, got) in [("names", self.names.len()), ("units", self.units.len()), ("high", self.high.len())] {
            require_count(&format!("action_space.{field}"), got, width)?;
        }
        if !self.neutral.is_empty() {
            require_count("action_space.neutral", self.neutral.len(), width)?;
        }
        if !self.max_step.is_empty() {
            require_count("action_space.max_step", self.max_step.len(), width)?;
        }
        require_names("action_space.names", &self.names)?;
        require_names("action_space.units", &self.units)?;
        for (index, (&low, &high)) in self.low.iter().zip(&self.high).enumerate() {
            require_range(&format!("action_space.low[{index}]"), low, -MAX_PHYSICAL, MAX_PHYSICAL)?;
            require_range(&format!("action_space.high[{index}]"), high, low, MAX_PHYSICAL)?;
        }
        for (index, step) in self.max_step.iter().enumerate() {
            require_range(&format!("action_space.max_step[{index}]"), step.unwrap_or(0.0), 0.0, MAX_PHYSICAL)?;
        }
        for (index, neutral) in self.neutral.iter().enumerate() {
            if let Neutral::Value(value) = *neutral {
                require_range(&format!("action_space.neutral[{index}]"), value, -MAX_PHYSICAL, MAX_PHYSICAL)?;
            }
        }
        Ok(())
    }
}

impl ActionSpace {
    /// Number of dimensions `A`.
    pub fn width(&self) -> usize {
        self.low.len()
    }

    /// Whether any dimension can change. Of recordings without actions none can: models of them predict, and cannot
    /// plan.
    pub fn moves(&self) -> bool {
        self.low.iter().zip(&self.high).any(|(low, high)| low != high)
    }

    /// Physical values of `action`, in this space's units.
    ///
    /// # Errors
    /// [`Error::Length`] if the widths differ.
    pub fn denormalise(&self, action: &Action) -> Result<Vec<f64>> {
        self.require_width("action", action.values().len())?;
        let bounds = self.low.iter().zip(&self.high);
        let scaled = action.values().iter().zip(bounds);
        Ok(scaled.map(|(value, (low, high))| low + (f64::from(*value) + 1.0) / 2.0 * (high - low)).collect())
    }

    /// The action with these physical values `[A]`, clamped to the bounds. A dimension whose bounds are equal becomes
    /// 0.
    ///
    /// # Errors
    /// [`Error::Length`] if the widths differ, [`Error::NotFinite`] for NaN and infinities.
    pub fn normalise(&self, physical: &[f64]) -> Result<Action> {
        self.require_width("physical action", physical.len())?;
        let normalised = (0..physical.len()).map(|index| self.normalised(index, physical[index]));
        Action::new(normalised.collect())
    }

    /// The action that holds still where `proprioception` is observed.
    ///
    /// # Errors
    /// [`Error::Field`] where a dimension holds a position that is not among the values of `proprioception`, or is not
    /// finite there; [`Error::Length`] where `neutral` has another width than the bounds.
    pub fn hold(&self, proprioception: &[f32]) -> Result<Action> {
        if self.neutral.is_empty() {
            return Ok(Action::zeros(self.width()));
        }
        self.require_width("action_space.neutral", self.neutral.len())?;
        let held = self.neutral.iter().enumerate().map(|(index, neutral)| match *neutral {
            Neutral::Value(value) => Ok(self.normalised(index, value)),
            Neutral::HoldPosition { proprioception: at } => {
                match proprioception.get(at).filter(|value| value.is_finite()) {
                    Some(&value) => Ok(self.normalised(index, f64::from(value))),
                    None => {
                        let name = self.names.get(index).map_or("action", String::as_str);
                        let expected = format!("the position of {name} as value {at} of proprioception");
                        Err(Error::field("holding still", expected, format!("{} values", proprioception.len())))
                    }
                }
            }
        });
        Action::new(held.collect::<Result<_>>()?)
    }

    /// The most that a normalised command may differ from the one before `[A]`, infinite where there is no limit; empty
    /// where there are none.
    pub fn normalised_max_step(&self) -> Vec<f32> {
        let limit = |(index, step): (usize, &Option<f64>)| {
            let range = self.high[index] - self.low[index];
            step.filter(|_| range > 0.0).map_or(f32::INFINITY, |step| (2.0 * step / range) as f32)
        };
        self.max_step.iter().enumerate().map(limit).collect()
    }

    fn normalised(&self, index: usize, physical: f64) -> f32 {
        let (low, high) = (self.low[index], self.high[index]);
        let range = high - low;
        if range == 0.0 { 0.0 } else { (2.0 * (physical - low) / range - 1.0) as f32 }
    }

    fn require_width(&self, operation: &'static str, got: usize) -> Result<()> {
        if got == self.width() { Ok(()) } else { Err(Error::Length { operation, expected: self.width(), got }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_actions_are_refused_and_large_ones_clamped() {
        assert!(Action::new(vec![0.0, f32::NAN]).unwrap_err().to_string().contains("value 1"));
        assert_eq!(Action::new(vec![3.0, -7.0]).unwrap().values(), &[1.0, -1.0]);
    }

    fn space(neutral: Vec<Neutral>) -> ActionSpace {
        ActionSpace {
            names: vec!["speed".into()],
            units: vec!["m/s".into()],
            low: vec![-0.5],
            high: vec![1.5],
            neutral,
            max_step: Vec::new(),
        }
    }

    #[test]
    fn holding_still_is_the_neutral_value_or_the_observed_position_and_by_default_the_middle() {
        let held = |neutral, observed: &[f32]| space(neutral).hold(observed).map(|action| action.values()[0]);
        assert_eq!(held(vec![], &[]).unwrap(), 0.0);
        assert_eq!(held(vec![Neutral::Value(0.0)], &[]).unwrap(), -0.5);
        let position = || vec![Neutral::HoldPosition { proprioception: 1 }];
        assert_eq!(held(position(), &[9.0, 1.0]).unwrap(), 0.5);
        assert_eq!(held(position(), &[9.0, 7.0]).unwrap(), 1.0, "clamped to the bounds");
        let error = held(position(), &[9.0]).unwrap_err().to_string();
        assert!(error.contains("speed") && error.contains("proprioception"), "{error}");
        assert!(held(position(), &[9.0, f32::NAN]).is_err());
    }

    #[test]
    fn an_action_space_that_makes_no_sense_is_refused_by_its_field() {
        type Change = fn(&mut ActionSpace);
        let changes: [(Change, &str); 11] = [
            (|space| space.names.clear(), "names"),
            (|space| space.names[0] = "\u{1b}[31m".into(), "names"),
            (|space| space.units.push("m".into()), "units"),
            (|space| space.high.push(1.0), "high"),
            (|space| space.high[0] = -1.0, "high[0]"),
            (|space| space.low[0] = f64::NAN, "low[0]"),
            (|space| space.high[0] = f64::INFINITY, "high[0]"),
            (|space| space.neutral = vec![Neutral::Value(0.0); 2], "neutral"),
            (|space| space.neutral = vec![Neutral::Value(f64::NAN)], "neutral[0]"),
            (|space| space.max_step = vec![None; 2], "max_step"),
            (|space| space.max_step = vec![Some(-1.0)], "max_step[0]"),
        ];
        assert!(space(vec![]).validate().is_ok());
        for (change, field) in changes {
            let mut changed = space(vec![]);
            change(&mut changed);
            let error = changed.validate().unwrap_err().to_string();
            assert!(error.starts_with(&format!("action_space.{field}")), "{error}");
        }
    }

    #[test]
    fn normalising_undoes_denormalising() {
        let space = space(vec![]);
        for value in [-1.0, -0.25, 0.0, 0.5, 1.0] {
            let action = Action::new(vec![value]).unwrap();
            assert_eq!(space.normalise(&space.denormalise(&action).unwrap()).unwrap(), action);
        }
        assert_eq!(space.normalise(&[100.0]).unwrap().values(), [1.0]);
    }

    #[test]
    fn neutral_is_a_number_or_a_position_in_files() {
        let text = "neutral = [0.5, { proprioception = 3 }]";
        let parsed: std::collections::BTreeMap<String, Vec<Neutral>> = toml::from_str(text).unwrap();
        assert_eq!(parsed["neutral"], [Neutral::Value(0.5), Neutral::HoldPosition { proprioception: 3 }]);
    }

    #[test]
    fn normalised_ends_are_the_physical_bounds() {
        let space = space(vec![]);
        let physical = |value: f32| space.denormalise(&Action::new(vec![value]).unwrap()).unwrap()[0];
        assert_eq!((physical(-1.0), physical(0.0), physical(1.0)), (-0.5, 0.5, 1.5));
        assert!(space.denormalise(&Action::zeros(2)).is_err());
    }
}
