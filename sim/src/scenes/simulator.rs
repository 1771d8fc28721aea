//! What all scenes have in common: episodes, steps, observations, snapshots.

use std::sync::{Arc, LazyLock};

use mindseye_interface::{
    Action, ActionSpace, Environment, Frame, GoalCheck, Image, Observation, Result, Seed, Simulator, Snapshot, Step,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::drawing::Drawing;
use super::saved::{Saved, refuse};
use super::{CAMERA, SceneOptions, overhead};
use crate::factors::Factors;
use crate::figure::Figure;

/// What a scene brings of its own; the rest is [`SceneSimulator`].
///
/// `K` numbers are the true state, in the order of [`SceneParts::STATE_NAMES`].
pub trait SceneParts: 'static {
    /// Name of the scene.
    const NAME: &'static str;
    /// Side of the square floor, which is as wide as the image, metres.
    const SIDE_M: f64;
    /// Duration of one control step, seconds.
    const CONTROL_STEP_SECS: f64;
    /// Names of the state's dimensions.
    const STATE_NAMES: &'static [&'static str];
    /// So many of the state's first dimensions are proprioception.
    const PROPRIOCEPTION: usize;

    /// Everything that is decided when an episode begins and stays: sizes, shapes, colours.
    type Layout: PartialEq + Serialize + DeserializeOwned + Send;
    /// Everything that moves, hidden parts of the state included. The next step depends on this and the layout alone.
    type Physics: Serialize + DeserializeOwned + Send;

    /// The layout of the episode of `seed`.
    fn layout(seed: Seed, factors: &Factors) -> Self::Layout;

    /// Meaning and bounds of actions.
    fn action_space(layout: &Self::Layout) -> ActionSpace;

    /// The start of the episode of `seed`.
    fn start(layout: &Self::Layout, seed: Seed) -> Self::Physics;

    /// The true state `[K]`; `None` in a damaged snapshot that lacks a body.
    fn state(physics: &Self::Physics) -> Option<Vec<f64>>;

    /// `state` at rest; hidden parts of the state stay as in `physics`.
    ///
    /// # Errors
    /// When the state has another length, is not finite, or lies outside the world.
    fn at_state(layout: &Self::Layout, physics: &Self::Physics, state: &[f64]) -> Result<Self::Physics>;

    /// One control step.
    ///
    /// # Errors
    /// [`Error::Length`](mindseye_interface::Error::Length) for an action of another width; nothing has moved then.
    fn step(physics: &mut Self::Physics, layout: &Self::Layout, space: &ActionSpace, action: &Action) -> Result<()>;

    /// What an episode of `layout` looks like.
    fn figure(layout: &Self::Layout) -> Figure;

    /// Where the object of the task is in `state [K]`: x and y, metres.
    fn object(state: &[f64]) -> Option<[f64; 2]>;

    /// The task's predicate between `physics` and `goal [K]`.
    fn check_goal(physics: &Self::Physics, goal: &[f64]) -> GoalCheck;

    /// The oracle planner's energy of `state [K]` with `goal [K]`; infinite where these are not states.
    fn goal_energy(layout: &Self::Layout, physics: &Self::Physics, state: &[f64], goal: &[f64]) -> f64;

    /// In scenes with several routes: the one that the robot is on in `physics`.
    fn route(_physics: &Self::Physics) -> Option<&'static str> {
        None
    }

    /// Draws hidden parts of the state again from `seed`, where there are any.
    fn resample_hidden(_physics: &mut Self::Physics, _seed: Seed) {}
}

/// A scene that can be simulated.
pub struct SceneSimulator<P: SceneParts> {
    options: SceneOptions,
    action_space: ActionSpace,
    layout: P::Layout,
    physics: P::Physics,
    /// Built when the first image of a layout is needed.
    drawing: Option<Drawing>,
    tick: u64,
}

impl<P: SceneParts> SceneSimulator<P> {
    /// The scene, in the episode of seed 0.
    pub fn new(options: &SceneOptions) -> Self {
        let seed = Seed::new(0);
        let layout = P::layout(seed, &options.factors);
        Self {
            options: options.clone(),
            action_space: P::action_space(&layout),
            physics: P::start(&layout, seed),
            layout,
            drawing: None,
            tick: 0,
        }
    }

    /// Sizes, shapes and colours of this episode.
    pub fn layout(&self) -> &P::Layout {
        &self.layout
    }

    /// Takes over a layout. If it equals the last one, the drawing is kept.
    fn adopt(&mut self, layout: P::Layout) {
        if layout != self.layout {
            self.action_space = P::action_space(&layout);
            self.layout = layout;
            self.drawing = None;
        }
    }

    fn sense(&mut self) -> Observation {
        static NAME: LazyLock<Arc<str>> = LazyLock::new(|| CAMERA.into());
        let time_secs = self.tick as f64 * P::CONTROL_STEP_SECS;
        let state = self.state();
        Observation {
            frames: vec![Frame::new(&NAME, self.render(), time_secs)],
            proprioception: state.iter().take(P::PROPRIOCEPTION).map(|value| *value as f32).collect(),
            tick: self.tick,
            time_secs,
        }
    }
}

impl<P: SceneParts> Environment for SceneSimulator<P> {
    fn reset(&mut self, seed: Seed) -> Result<Observation> {
        self.adopt(P::layout(seed, &self.options.factors));
        self.physics = P::start(&self.layout, seed);
        self.tick = 0;
        Ok(self.sense())
    }

    fn observe(&mut self) -> Result<Observation> {
        Ok(self.sense())
    }

    fn step(&mut self, action: &Action) -> Result<Step> {
        self.step_blind(action)?;
        Ok(Step { observation: self.sense(), terminated: false })
    }

    fn action_space(&self) -> &ActionSpace {
        &self.action_space
    }

    fn control_step_secs(&self) -> f64 {
        P::CONTROL_STEP_SECS
    }
}

impl<P: SceneParts> Simulator for SceneSimulator<P> {
    fn scene(&self) -> &str {
        P::NAME
    }

    fn state(&self) -> Vec<f64> {
        // Bodies are never removed, and `restore` refuses worlds that lack one.
        P::state(&self.physics).unwrap_or_else(|| vec![f64::NAN; P::STATE_NAMES.len()])
    }

    fn state_names(&self) -> Vec<String> {
        P::STATE_NAMES.iter().map(|name| (*name).to_owned()).collect()
    }

    fn proprioception_names(&self) -> Vec<String> {
        P::STATE_NAMES.iter().take(P::PROPRIOCEPTION).map(|name| (*name).to_owned()).collect()
    }

    fn set_state(&mut self, state: &[f64]) -> Result<Observation> {
        self.physics = P::at_state(&self.layout, &self.physics, state)?;
        Ok(self.sense())
    }

    fn render(&mut self) -> Image {
        let make = || Drawing::new(P::figure(&self.layout), self.options.image_size);
        let drawing = self.drawing.get_or_insert_with(make);
        drawing.draw(&P::state(&self.physics).unwrap_or_default())
    }

    fn step_blind(&mut self, action: &Action) -> Result<()> {
        P::step(&mut self.physics, &self.layout, &self.action_space, action)?;
        self.tick += 1;
        Ok(())
    }

    fn snapshot(&self) -> Result<Snapshot> {
        Saved { scene: P::NAME, tick: self.tick, layout: &self.layout, physics: &self.physics }.pack()
    }

    fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        let saved: Saved<&str, P::Layout, P::Physics> = Saved::unpack(snapshot, P::NAME)?;
        if !P::state(&saved.physics).is_some_and(|state| state.iter().all(|value| value.is_finite())) {
            return refuse(format!("expected a {} world with all its bodies, got one without", P::NAME));
        }
        self.adopt(saved.layout);
        (self.tick, self.physics) = (saved.tick, saved.physics);
        Ok(())
    }

    fn fork(&self) -> Result<Box<dyn Simulator>> {
        let mut other = Self::new(&self.options);
        other.restore(&self.snapshot()?)?;
        Ok(Box::new(other))
    }

    fn check_goal(&self, goal: &[f64]) -> GoalCheck {
        P::check_goal(&self.physics, goal)
    }

    fn goal_energy(&self, state: &[f64], goal: &[f64]) -> f64 {
        P::goal_energy(&self.layout, &self.physics, state, goal)
    }

    fn occlusion_target(&self) -> Option<[f64; 2]> {
        overhead::in_image(P::SIDE_M, self.options.image_size, P::object(&self.state())?)
    }

    fn route(&self) -> Option<&'static str> {
        P::route(&self.physics)
    }

    fn resample_hidden(&mut self, seed: Seed) {
        P::resample_hidden(&mut self.physics, seed);
    }
}
