//! Factors of variation: what may differ from episode to episode, each by name, all off by default, all from the
//! episode's seed. Start states are not a factor: they always follow from the seed.

use mindseye_interface::{Error, Result, Rng, Seed};
use rand::Rng as _;
use serde::{Deserialize, Serialize};

/// By how much [`Factor::RotatedActions`] rotates actions, rad.
pub(crate) const ACTION_ROTATION_RAD: f64 = std::f64::consts::FRAC_PI_6;

/// `motion`, rotated from the first axis towards the second.
pub(crate) fn rotated(motion: [f64; 2], by_rad: f64) -> [f64; 2] {
    let (sin, cos) = by_rad.sin_cos();
    [cos * motion[0] - sin * motion[1], sin * motion[0] + cos * motion[1]]
}

/// Something that varies from episode to episode when it is switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Factor {
    /// Colour of the agent.
    AgentColor,
    /// Colour of walls.
    WallColor,
    /// Colour of the floor.
    FloorColor,
    /// Size of the agent.
    AgentRadius,
    /// Speed at a full action.
    AgentSpeed,
    /// Where the door is in its wall.
    DoorPosition,
    /// Where the wall is between the rooms.
    WallPosition,
    /// How thick the wall is.
    WallThickness,
    /// Friction: between agent and walls, or under the block.
    Friction,
    /// Colour of the block.
    BlockColor,
    /// Size of the block.
    BlockSize,
    /// Outline of the block.
    BlockShape,
    /// Twice the friction, in every episode: a world that has changed.
    DoubledFriction,
    /// Three times the friction, in every episode.
    TripledFriction,
    /// An agent of twice the mass, in every episode.
    DoubledMass,
    /// A floor of another colour, the same in every episode.
    #[serde(alias = "tinted_floor")]
    RecolouredFloor,
    /// An agent that goes half as far as commanded, in every episode.
    #[serde(alias = "halved_reach")]
    HalvedActionGain,
    /// An agent whose actions are rotated by 30 degrees, in every episode, as by a robot that is mounted askew.
    #[serde(alias = "turned_axes")]
    RotatedActions,
}

impl Factor {
    /// All factors with their names.
    pub const ALL: [(&'static str, Factor); 18] = [
        ("agent_color", Factor::AgentColor),
        ("wall_color", Factor::WallColor),
        ("floor_color", Factor::FloorColor),
        ("agent_radius", Factor::AgentRadius),
        ("agent_speed", Factor::AgentSpeed),
        ("door_position", Factor::DoorPosition),
        ("wall_position", Factor::WallPosition),
        ("wall_thickness", Factor::WallThickness),
        ("friction", Factor::Friction),
        ("block_color", Factor::BlockColor),
        ("block_size", Factor::BlockSize),
        ("block_shape", Factor::BlockShape),
        ("doubled_friction", Factor::DoubledFriction),
        ("tripled_friction", Factor::TripledFriction),
        ("doubled_mass", Factor::DoubledMass),
        ("recoloured_floor", Factor::RecolouredFloor),
        ("halved_action_gain", Factor::HalvedActionGain),
        ("rotated_actions", Factor::RotatedActions),
    ];

    /// Names that options and reports of before have; they are still accepted.
    const FORMER_NAMES: [(&'static str, Factor); 3] = [
        ("tinted_floor", Factor::RecolouredFloor),
        ("halved_reach", Factor::HalvedActionGain),
        ("turned_axes", Factor::RotatedActions),
    ];

    /// Whether it is the same in every episode: a world that has changed, not one that varies.
    pub fn is_fixed(self) -> bool {
        matches!(
            self,
            Self::DoubledFriction
                | Self::TripledFriction
                | Self::DoubledMass
                | Self::RecolouredFloor
                | Self::HalvedActionGain
                | Self::RotatedActions
        )
    }

    /// The name used in options and data sets.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, factor)| *factor == self).map_or("", |(name, _)| name)
    }
}

impl std::str::FromStr for Factor {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let mut known = Self::ALL.iter().chain(&Self::FORMER_NAMES);
        let known = known.find(|(known, _)| *known == name).map(|(_, factor)| *factor);
        known.ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|(name, _)| *name).collect();
            Error::field("factor", format!("one of {}", names.join(", ")), name)
        })
    }
}

/// The factors that are switched on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Factors(pub Vec<Factor>);

impl Factors {
    /// Their names, in their order.
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|factor| factor.name().to_owned()).collect()
    }

    /// The random stream of `factor` in the episode of `seed`, if the factor is on. Each factor has its own, so that
    /// switching one on changes no other. The stream has the factor's name: a factor that draws from it keeps its name.
    fn stream(&self, factor: Factor, seed: Seed) -> Option<Rng> {
        self.0.contains(&factor).then(|| seed.child("factors").child(factor.name()).rng())
    }

    /// Calls `draw` with the random stream of `factor` in the episode of `seed`, if the factor is on.
    pub(crate) fn vary(&self, seed: Seed, factor: Factor, draw: impl FnOnce(&mut Rng)) {
        if let Some(mut stream) = self.stream(factor, seed) {
            draw(&mut stream);
        }
    }
}

/// Any colour with its channels in `range`.
pub(crate) fn colour(rng: &mut Rng, range: std::ops::RangeInclusive<u8>) -> [u8; 3] {
    [0; 3].map(|_: u8| rng.random_range(range.clone()))
}

/// One channel strong, one dark, one between: never like a wall (all dark) or a floor (all bright).
pub(crate) fn vivid_colour(rng: &mut Rng) -> [u8; 3] {
    let strong = rng.random_range(0..3);
    let dark = (strong + rng.random_range(1..3)) % 3;
    let mut rgb = [0; 3].map(|_: u8| rng.random());
    rgb[strong] = rng.random_range(200..=255);
    rgb[dark] = rng.random_range(0..=50);
    rgb
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renamed_factors_are_found_by_their_former_names() {
        for (former, factor) in Factor::FORMER_NAMES {
            assert_eq!(former.parse::<Factor>().unwrap(), factor);
            assert_ne!(factor.name(), former);
            let read: std::collections::BTreeMap<String, Factors> =
                toml::from_str(&format!("old = [\"{former}\"]\nnew = [\"{}\"]", factor.name())).unwrap();
            assert_eq!((&read["old"], &read["new"]), (&Factors(vec![factor]), &Factors(vec![factor])));
        }
        let error = "dancing_floor".parse::<Factor>().unwrap_err().to_string();
        assert!(error.contains("recoloured_floor") && !error.contains("tinted_floor"), "{error}");
    }

    #[test]
    fn a_quarter_rotation_takes_the_first_axis_to_the_second() {
        let [x, y] = rotated([1.0, 0.0], std::f64::consts::FRAC_PI_2);
        assert!(x.abs() < 1e-15 && (y - 1.0).abs() < 1e-15, "({x}, {y})");
    }
}
