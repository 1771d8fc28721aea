//! The scenes: one folder and one line in [`ALL`] each.

pub mod bridge;
mod disc;
mod drawing;
mod overhead;
pub mod push_t;
mod saved;
mod simulator;
pub mod two_room;

use std::collections::BTreeMap;

use mindseye_interface::text::did_you_mean;
use mindseye_interface::{Error, ImageSize, Result, Seed, Simulator};

use crate::demonstration::{Demonstrator, NamedDemonstrator};
use crate::factors::{Factor, Factors};
use crate::figure::Figure;
pub use simulator::{SceneParts, SceneSimulator};

/// All scenes.
pub static ALL: [&Scene; 3] = [&two_room::SCENE, &push_t::SCENE, &bridge::SCENE];

/// Names of all scenes, in the order of [`ALL`].
pub static SCENES: [&str; ALL.len()] = {
    let mut names = [""; ALL.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = ALL[index].name;
        index += 1;
    }
    names
};

/// Name of the camera that every scene has.
const CAMERA: &str = "top";

/// What a scene is built with.
#[derive(Debug, Clone, PartialEq)]
pub struct SceneOptions {
    /// Pixels of the camera's images.
    pub image_size: ImageSize,
    /// What varies from episode to episode.
    pub factors: Factors,
}

impl SceneOptions {
    /// Square images of `side` pixels, no variation.
    ///
    /// # Errors
    /// [`Error::ImageSize`] unless the side is that of an image.
    pub fn with_side(side: usize) -> Result<Self> {
        Ok(Self { image_size: ImageSize::square(side)?, factors: Factors::default() })
    }
}

/// One scene: its name, factors of variation, simulator, demonstrators and hard pairs.
#[derive(Debug)]
pub struct Scene {
    /// Its name, for example `two_room`.
    pub name: &'static str,
    /// The factors of variation that it has.
    pub factors: &'static [Factor],
    /// Its demonstrators; the first is the default for recording.
    pub demonstrators: &'static [NamedDemonstrator],
    /// Builds the simulator; the factors are checked before.
    build: fn(&SceneOptions) -> Box<dyn Simulator>,
    /// What the episode of a seed looks like.
    figure: fn(Seed, &Factors) -> Figure,
    /// A start and a goal of a hard pair in the episode of a seed, where the scene has hard pairs.
    hard_pair: Option<fn(&Factors, Seed) -> StartAndGoal>,
    /// The move of the scene's object that a goal requires, where there is an object.
    object_move: Option<ObjectMoveOf>,
}

/// A start and a goal, true states `[K]`.
type StartAndGoal = (Vec<f64>, Vec<f64>);

/// The move of the object that a goal requires, from a start and a goal; `None` where these are not states.
type ObjectMoveOf = fn(&[f64], &[f64]) -> Option<ObjectMove>;

/// The move of the object that a goal requires, from a start to a goal.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ObjectMove {
    /// Whether the object has to be moved at all: at the start it is not yet at its goal, by the task's predicate.
    pub needed: bool,
    /// Measures of the move by name.
    pub metrics: BTreeMap<&'static str, f64>,
}

impl Scene {
    /// Builds the scene.
    ///
    /// # Errors
    /// [`Error::Field`] where the scene has no such factor; the error lists those it has.
    pub fn make(&self, options: &SceneOptions) -> Result<Box<dyn Simulator>> {
        self.require_factors(&options.factors)?;
        Ok((self.build)(options))
    }

    /// What the episode of a seed looks like; the images of its simulator are drawn from it.
    ///
    /// # Errors
    /// As [`Scene::make`].
    pub fn figure(&self, factors: &Factors, episode: Seed) -> Result<Figure> {
        self.require_factors(factors)?;
        Ok((self.figure)(episode, factors))
    }

    /// Refuses factors that the scene does not have.
    pub(crate) fn require_factors(&self, factors: &Factors) -> Result<()> {
        match factors.0.iter().find(|factor| !self.factors.contains(factor)) {
            None => Ok(()),
            Some(factor) => {
                let known = self.factors.iter().map(|factor| factor.name());
                unknown(&format!("factor of {}", self.name), known, factor.name())
            }
        }
    }

    /// Builds the demonstrator called `name`, for worlds that vary in `factors`.
    ///
    /// # Errors
    /// [`Error::Field`] where the scene has no such demonstrator; the error lists those it has.
    pub fn demonstrator(&self, name: &str, factors: &Factors) -> Result<Box<dyn Demonstrator>> {
        match self.demonstrators.iter().find(|known| known.is_called(name)) {
            Some(known) => Ok(known.build(factors)),
            None => unknown("policy", self.demonstrators.iter().map(|known| known.name), name),
        }
    }

    /// Whether the scene has hard pairs.
    pub fn has_hard_pairs(&self) -> bool {
        self.hard_pair.is_some()
    }

    /// A start and a goal, true states `[K]`, of a hard pair in the episode of `seed`: for `two_room` any position, and
    /// any one in the *other* room; for `bridge` one on the left and one on the right of the river, both near the
    /// bridge.
    ///
    /// # Errors
    /// [`Error::Field`] where the scene has no hard pairs; the error lists the scenes that have.
    pub fn hard_pair(&self, factors: &Factors, seed: Seed) -> Result<(Vec<f64>, Vec<f64>)> {
        match self.hard_pair {
            Some(hard_pair) => Ok(hard_pair(factors, seed)),
            None => {
                let known = ALL.iter().filter(|scene| scene.has_hard_pairs()).map(|scene| scene.name);
                unknown("scene with hard pairs", known, self.name)
            }
        }
    }

    /// The move of the object from `start` that `goal` requires; `None` in scenes without an object, and where these
    /// are not states.
    pub(crate) fn object_move(&self, start: &[f64], goal: &[f64]) -> Option<ObjectMove> {
        self.object_move.and_then(|object_move| object_move(start, goal))
    }
}

fn unknown<T>(field: &str, known: impl Iterator<Item = &'static str>, got: &str) -> Result<T> {
    let known: Vec<&str> = known.collect();
    let got = format!("{got}{}", did_you_mean(got, known.iter().copied()));
    Err(Error::field(field, format!("one of {}", known.join(", ")), got))
}

/// The scene called `name`.
///
/// # Errors
/// [`Error::Field`] when there is no such scene; the error lists them.
pub fn scene(name: &str) -> Result<&'static Scene> {
    match ALL.iter().find(|scene| scene.name == name) {
        Some(scene) => Ok(scene),
        None => unknown("scene", SCENES.into_iter(), name),
    }
}

/// Builds the scene called `name`.
///
/// # Errors
/// When there is no such scene, or the scene has no such factor; the error lists what there is.
pub fn make(name: &str, options: &SceneOptions) -> Result<Box<dyn Simulator>> {
    scene(name)?.make(options)
}

/// The factors of variation that the scene called `name` has.
///
/// # Errors
/// When there is no such scene; the error lists them.
pub fn factors(name: &str) -> Result<&'static [Factor]> {
    Ok(scene(name)?.factors)
}

/// Builds the demonstrator called `policy` of the scene called `name`.
///
/// # Errors
/// When there is no such scene or policy; the error lists them.
pub fn demonstrator(name: &str, policy: &str, options: &SceneOptions) -> Result<Box<dyn Demonstrator>> {
    scene(name)?.demonstrator(policy, &options.factors)
}

/// Whether the scene called `name` has hard pairs; see [`Scene::hard_pair`].
pub fn has_cross_pairs(name: &str) -> bool {
    scene(name).is_ok_and(Scene::has_hard_pairs)
}

/// A hard pair of the scene called `name`; see [`Scene::hard_pair`].
///
/// # Errors
/// When there is no such scene, or it has no hard pairs.
pub fn cross_pair(name: &str, options: &SceneOptions, seed: Seed) -> Result<(Vec<f64>, Vec<f64>)> {
    scene(name)?.hard_pair(&options.factors, seed)
}
