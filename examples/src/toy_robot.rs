//! A robot for people without a robot.

use mindseye_interface::{Action, ActionSpace, Environment, Observation, Result, Seed, Simulator, Step};
use mindseye_sim::{SceneOptions, make};

/// A small robot on a floor with two rooms, and a camera above them. It implements [`Environment`] and is no
/// [`Simulator`]: an agent can observe it, move it and stop it, but cannot read, set, copy or save its state.
///
/// The world is a simulated one, so that there is something to observe; it is private. A real robot has its motors and
/// its camera in this place. Observations are the camera's image alone: the scene's proprioception is the true position
/// and is left out.
pub struct ToyRobot {
    world: Box<dyn Simulator>,
}

impl ToyRobot {
    /// The robot, with a camera of `image_side` x `image_side` pixels.
    ///
    /// # Errors
    /// When the side is not that of an image.
    pub fn new(image_side: usize) -> Result<Self> {
        Ok(Self { world: make("two_room", &SceneOptions::with_side(image_side)?)? })
    }

    /// Puts the robot at `position_m` by hand, x and y in metres from the floor's top left corner, and observes it.
    ///
    /// # Errors
    /// When the position is outside the floor or in a wall.
    pub fn place(&mut self, position_m: [f64; 2]) -> Result<Observation> {
        Ok(image_only(self.world.set_state(&position_m)?))
    }

    /// Measures the distance from the robot to `position_m`, metres.
    pub fn distance_m(&self, position_m: [f64; 2]) -> f64 {
        self.world.check_goal(&position_m).distance
    }
}

/// `observation` without proprioception.
fn image_only(observation: Observation) -> Observation {
    Observation { proprioception: Vec::new(), ..observation }
}

impl Environment for ToyRobot {
    fn reset(&mut self, seed: Seed) -> Result<Observation> {
        Ok(image_only(self.world.reset(seed)?))
    }

    fn observe(&mut self) -> Result<Observation> {
        Ok(image_only(self.world.observe()?))
    }

    fn step(&mut self, action: &Action) -> Result<Step> {
        let Step { observation, terminated } = self.world.step(action)?;
        Ok(Step { observation: image_only(observation), terminated })
    }

    fn action_space(&self) -> &ActionSpace {
        self.world.action_space()
    }

    fn control_step_secs(&self) -> f64 {
        self.world.control_step_secs()
    }
}
