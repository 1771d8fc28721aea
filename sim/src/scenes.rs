//! The scenes: one folder each, one line in each list here.

pub mod bridge;
pub mod push_t;
mod saved;
pub mod two_room;

use mindseye_interface::{Error, ImageSize, Result, Seed, Simulator};

use crate::demonstration::Demonstrator;
use crate::factors::{Factor, Factors};

/// Names of all scenes.
pub const SCENES: [&str; 3] = [two_room::NAME, push_t::NAME, bridge::NAME];

/// What a scene is built with.
#[derive(Debug, Clone, PartialEq)]
pub struct SceneOptions {
    /// Pixels of the camera's pictures; 64x64 by default.
    pub image_size: ImageSize,
    /// What varies from episode to episode; nothing by default.
    pub factors: Factors,
}

impl SceneOptions {
    /// Square pictures of `side` pixels, no variation.
    ///
    /// # Errors
    /// When the side is not a picture's.
    pub fn with_side(side: usize) -> Result<Self> {
        Ok(Self { image_size: ImageSize::square(side)?, factors: Factors::default() })
    }
}

fn unknown<T>(field: &str, expected: &[&str], got: &str) -> Result<T> {
    Err(Error::field(field, format!("one of {}", expected.join(", ")), got))
}

/// Builds the scene called `scene`.
///
/// # Errors
/// When there is no such scene, or the scene has no such factor; the error lists what there is.
pub fn make(scene: &str, options: &SceneOptions) -> Result<Box<dyn Simulator>> {
    let known = factors(scene)?;
    if let Some(factor) = options.factors.0.iter().find(|factor| !known.contains(factor)) {
        let names: Vec<&str> = known.iter().map(|factor| factor.name()).collect();
        return unknown(&format!("factor of {scene}"), &names, factor.name());
    }
    match scene {
        two_room::NAME => Ok(Box::new(two_room::TwoRoom::new(options)?)),
        push_t::NAME => Ok(Box::new(push_t::PushT::new(options)?)),
        bridge::NAME => Ok(Box::new(bridge::Bridge::new(options)?)),
        other => unknown("scene", &SCENES, other),
    }
}

/// The factors of variation that `scene` knows.
///
/// # Errors
/// When there is no such scene; the error lists them.
pub fn factors(scene: &str) -> Result<&'static [Factor]> {
    match scene {
        two_room::NAME => Ok(&two_room::FACTORS),
        push_t::NAME => Ok(&push_t::FACTORS),
        bridge::NAME => Ok(&bridge::FACTORS),
        other => unknown("scene", &SCENES, other),
    }
}

/// Builds the demonstrator called `policy` of the scene called `scene`.
///
/// # Errors
/// When there is no such scene or policy; the error lists them.
pub fn demonstrator(scene: &str, policy: &str, options: &SceneOptions) -> Result<Box<dyn Demonstrator>> {
    match scene {
        two_room::NAME => match two_room::demonstrators::make(policy, &options.factors) {
            Some(demonstrator) => Ok(demonstrator),
            None => unknown("policy", &two_room::demonstrators::POLICIES, policy),
        },
        push_t::NAME => match push_t::demonstrators::make(policy, &options.factors) {
            Some(demonstrator) => Ok(demonstrator),
            None => unknown("policy", &push_t::demonstrators::POLICIES, policy),
        },
        bridge::NAME => match bridge::demonstrators::make(policy) {
            Some(demonstrator) => Ok(demonstrator),
            None => unknown("policy", &bridge::demonstrators::POLICIES, policy),
        },
        other => unknown("scene", &SCENES, other),
    }
}

/// Whether the scene called `scene` has hard pairs of its own.
pub fn has_cross_pairs(scene: &str) -> bool {
    CROSSED.contains(&scene)
}

/// Scenes with hard pairs of their own.
const CROSSED: [&str; 2] = [two_room::NAME, bridge::NAME];

/// A start and a goal state for the scene's hard pairs, in the episode of `seed`: for `two_room` any place, and any place in the
/// *other* room; for `bridge` a place on the left and one on the right of the river, both near the bridge.
///
/// # Errors
/// When the scene has no such pairs.
pub fn cross_pair(scene: &str, options: &SceneOptions, seed: Seed) -> Result<(Vec<f64>, Vec<f64>)> {
    match scene {
        two_room::NAME => Ok(two_room::Layout::of_episode(seed, &options.factors).cross_pair(seed)),
        bridge::NAME => Ok(bridge::cross_pair(seed)),
        other => unknown("scene with cross pairs", &CROSSED, other),
    }
}
