//! What everybody expects of objects, and films of its violation: matched sets of possible and impossible clips, after
//! the method of IntPhys (Riochet et al. 2018), with Rapier as the physics of both.
//!
//! A [`Quadruple`] has two possible and two impossible clips of one [`Concept`]. Every image of an impossible clip is
//! an image of a possible one at the same time or follows from one by a change that nobody could see (behind a screen)
//! or that no law allows (in the open), so that only the order of events tells them apart: over the four clips, each
//! kind of beginning goes with each kind of end once possibly and once impossibly.
//!
//! ```
//! use mindseye_interface::{ImageSize, Seed};
//! use mindseye_sim::intuition::{Concept, quadruple};
//!
//! let films = quadruple(Concept::Permanence, Seed::new(3), ImageSize::square(32)?);
//! let (possible, impossible, at) = (&films.possible[0].images, &films.impossible[0].images, films.breaks[0]);
//! assert_eq!(possible[..at], impossible[..at]);
//! assert_ne!(possible[at], impossible[at]);
//! # Ok::<(), mindseye_interface::Error>(())
//! ```

mod concepts;
mod physics;
mod stage;

use mindseye_interface::{Error, Image, ImageSize, Result, Seed};

use rand::Rng as _;

use concepts::scenarios;
use stage::{Scenario, Stage};

/// Images of a clip.
pub const FRAMES: usize = 32;
/// Time between two images, seconds.
pub const FRAME_SECS: f64 = 0.1;

/// What is expected of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Concept {
    /// An object behind a screen is still there.
    Permanence,
    /// It does not get from one place to another without being in between.
    Continuity,
    /// It does not pass through another.
    Solidity,
    /// It keeps its shape.
    ShapeConstancy,
    /// It keeps its colour.
    ColourConstancy,
    /// What is thrown comes down on a parabola.
    Gravity,
    /// What has nothing below it falls, and what has something does not.
    Support,
}

impl Concept {
    /// All concepts with their names.
    pub const ALL: [(&'static str, Self); 7] = [
        ("permanence", Self::Permanence),
        ("continuity", Self::Continuity),
        ("solidity", Self::Solidity),
        ("shape_constancy", Self::ShapeConstancy),
        ("colour_constancy", Self::ColourConstancy),
        ("gravity", Self::Gravity),
        ("support", Self::Support),
    ];

    /// Its name in options and reports.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, concept)| *concept == self).map_or("", |(name, _)| name)
    }
}

impl std::str::FromStr for Concept {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, concept)| *concept);
        known.ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|(name, _)| *name).collect();
            Error::field("concept", format!("one of {}", names.join(", ")), name)
        })
    }
}

/// A film without sound, actions or cuts.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// [`FRAMES`] images, [`FRAME_SECS`] apart.
    pub images: Vec<Image>,
}

/// Four clips of one concept in the same surroundings.
#[derive(Debug, Clone, PartialEq)]
pub struct Quadruple {
    /// What they are about.
    pub concept: Concept,
    /// Two that can happen.
    pub possible: [Clip; 2],
    /// Two that cannot: each begins as the possible one with its number.
    pub impossible: [Clip; 2],
    /// The first image of each impossible clip that differs from the possible one with its number.
    pub breaks: [usize; 2],
}

/// The four clips of `concept` that follow from `seed`: colours, sizes, speeds, directions and places vary.
pub fn quadruple(concept: Concept, seed: Seed, size: ImageSize) -> Quadruple {
    let scenarios = scenarios(concept, seed);
    let film = |scenario: &Scenario| Clip { images: Stage::new(&scenarios.look, scenario, size).film(scenario) };
    let films = |two: &[Scenario; 2]| [film(&two[0]), film(&two[1])];
    let (possible, impossible) = (films(&scenarios.possible), films(&scenarios.impossible));
    let breaks = [0, 1].map(|number| {
        let mut pairs = possible[number].images.iter().zip(&impossible[number].images);
        pairs.position(|(possible, impossible)| possible != impossible).unwrap_or(FRAMES)
    });
    Quadruple { concept, possible, impossible, breaks }
}

/// A possible clip of any concept, for learning what is usual.
pub fn possible_clip(seed: Seed, size: ImageSize) -> Clip {
    let mut rng = seed.child("which").rng();
    let (_, concept) = Concept::ALL[rng.random_range(0..Concept::ALL.len())];
    let scenarios = scenarios(concept, seed);
    let scenario = &scenarios.possible[rng.random_range(0..2)];
    Clip { images: Stage::new(&scenarios.look, scenario, size).film(scenario) }
}
