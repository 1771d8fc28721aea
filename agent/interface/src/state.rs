//! Names, units and kinds of the dimensions of a true state.

use serde::{Deserialize, Serialize};

/// How values of a dimension compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DimensionKind {
    /// Differences are plain differences.
    Linear,
    /// An angle, radians: differences go the short way round.
    Angle,
}

/// One dimension of a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateDimension {
    /// Its name, for example `block_x_m`.
    pub name: String,
    /// Its SI unit, for example `m`; empty where it is not known.
    pub unit: String,
    /// How its values compare.
    pub kind: DimensionKind,
}

/// The dimensions of a state, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StateSchema(pub Vec<StateDimension>);

/// Units that names end with, as `agent_x_m`.
const UNITS: [(&str, &str); 6] =
    [("_m", "m"), ("_rad", "rad"), ("_m_per_s", "m/s"), ("_rad_per_s", "rad/s"), ("_secs", "s"), ("_kg", "kg")];

impl StateDimension {
    /// The dimension called `name`. Unit and kind follow from the name's ending; this is the one place with that rule.
    pub fn named(name: &str) -> Self {
        let longest = UNITS.iter().filter(|(ending, _)| name.ends_with(ending)).max_by_key(|(ending, _)| ending.len());
        let unit = longest.map_or("", |(_, unit)| unit);
        let kind = if unit == "rad" { DimensionKind::Angle } else { DimensionKind::Linear };
        Self { name: name.to_owned(), unit: unit.to_owned(), kind }
    }

    /// Whether differences go the short way round.
    pub fn is_angle(&self) -> bool {
        self.kind == DimensionKind::Angle
    }

    /// From `from` to `to`, in the dimension's unit; for an angle within -π and π.
    pub fn difference(&self, from: f64, to: f64) -> f64 {
        let difference = to - from;
        if self.is_angle() { difference.sin().atan2(difference.cos()) } else { difference }
    }
}

impl StateSchema {
    /// The dimensions called `names`; see [`StateDimension::named`].
    pub fn named(names: &[String]) -> Self {
        Self(names.iter().map(|name| StateDimension::named(name)).collect())
    }

    /// The names, in their order.
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|dimension| dimension.name.clone()).collect()
    }

    /// Index of the dimension called `name`.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|dimension| dimension.name == name)
    }

    /// Number of dimensions `K`.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no dimensions.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_kinds_follow_from_endings() {
        let of = |name: &str| StateDimension::named(name);
        assert_eq!((of("agent_x_m").unit.as_str(), of("agent_x_m").is_angle()), ("m", false));
        assert_eq!((of("block_angle_rad").unit.as_str(), of("block_angle_rad").is_angle()), ("rad", true));
        assert_eq!((of("turn_rad_per_s").unit.as_str(), of("turn_rad_per_s").is_angle()), ("rad/s", false));
        assert_eq!(of("gripper").unit, "");
    }

    #[test]
    fn angles_differ_the_short_way_round() {
        let angle = StateDimension::named("block_angle_rad");
        assert!((angle.difference(3.0, -3.0) - (std::f64::consts::TAU - 6.0)).abs() < 1e-12);
        assert_eq!(StateDimension::named("x_m").difference(3.0, -3.0), -6.0);
    }
}
