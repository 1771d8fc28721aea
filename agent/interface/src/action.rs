//! Actions, normalised at the agent's border.

use serde::{Deserialize, Serialize};

use crate::error::require_finite;
use crate::{Error, Result};

/// What the agent wants done during one control step: `A` numbers in `[-1, 1]`, finite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f32>", into = "Vec<f32>")]
pub struct Action(Vec<f32>);

impl Action {
    /// Takes normalised values; what lies outside `[-1, 1]` is clamped to it.
    ///
    /// # Errors
    /// [`Error::NotFinite`] for NaN and infinities.
    pub fn new(values: Vec<f32>) -> Result<Self> {
        require_finite("action", &values)?;
        Ok(Self(values.into_iter().map(|value| value.clamp(-1.0, 1.0)).collect()))
    }

    /// The middle of every bound: for a velocity, standing still.
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

/// The physical meaning of an action: a name, a unit and bounds per dimension.
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
}

impl ActionSpace {
    /// Number of dimensions `A`.
    pub fn width(&self) -> usize {
        self.low.len()
    }

    /// Physical values of `action`, in this space's units.
    ///
    /// # Errors
    /// [`Error::Length`] if the widths differ.
    pub fn denormalise(&self, action: &Action) -> Result<Vec<f64>> {
        if action.values().len() != self.width() {
            return Err(Error::Length { operation: "action", expected: self.width(), got: action.values().len() });
        }
        let bounds = self.low.iter().zip(&self.high);
        let scaled = action.values().iter().zip(bounds);
        Ok(scaled.map(|(value, (low, high))| low + (f64::from(*value) + 1.0) / 2.0 * (high - low)).collect())
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

    #[test]
    fn normalised_ends_are_the_physical_bounds() {
        let space =
            ActionSpace { names: vec!["speed".into()], units: vec!["m/s".into()], low: vec![-0.5], high: vec![1.5] };
        let physical = |value: f32| space.denormalise(&Action::new(vec![value]).unwrap()).unwrap()[0];
        assert_eq!((physical(-1.0), physical(0.0), physical(1.0)), (-0.5, 0.5, 1.5));
        assert!(space.denormalise(&Action::zeros(2)).is_err());
    }
}
