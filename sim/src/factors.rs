//! Factors of variation: what may differ from episode to episode, each by name, all off by default, all from the episode's seed.
//! Start states are not a factor: they always follow from the seed.

use mindseye_interface::{Error, Result, Rng, Seed};
use rand::Rng as _;
use serde::{Deserialize, Serialize};

/// How far the axes of a body that was mounted askew are turned, rad.
pub(crate) const TURN_RAD: f64 = std::f64::consts::FRAC_PI_6;

/// `motion`, turned from the first axis towards the second.
pub(crate) fn turned(motion: [f64; 2], by_rad: f64) -> [f64; 2] {
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
    /// An agent of twice the mass, in every episode.
    DoubledMass,
    /// A floor of another colour, the same in every episode.
    TintedFloor,
    /// An agent that goes half as far as it is told, in every episode.
    HalvedReach,
    /// An agent whose axes of motion are turned by 30 degrees, in every episode: mounted askew.
    TurnedAxes,
}

impl Factor {
    /// All factors with their names.
    pub const ALL: [(&'static str, Factor); 17] = [
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
        ("doubled_mass", Factor::DoubledMass),
        ("tinted_floor", Factor::TintedFloor),
        ("halved_reach", Factor::HalvedReach),
        ("turned_axes", Factor::TurnedAxes),
    ];

    /// Whether it is the same in every episode: a world that has changed, not one that varies.
    pub fn is_fixed(self) -> bool {
        matches!(
            self,
            Self::DoubledFriction | Self::DoubledMass | Self::TintedFloor | Self::HalvedReach | Self::TurnedAxes
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
        let known = Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, factor)| *factor);
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
    /// The random stream of `factor` in the episode of `seed`, if the factor is on. Each factor has its own, so that switching
    /// one on changes no other.
    pub fn stream(&self, factor: Factor, seed: Seed) -> Option<Rng> {
        self.0.contains(&factor).then(|| seed.child("factors").child(factor.name()).rng())
    }

    /// Lets `draw` decide what `factor` names in the episode of `seed`, if the factor is on.
    pub fn vary(&self, seed: Seed, factor: Factor, draw: impl FnOnce(&mut Rng)) {
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
