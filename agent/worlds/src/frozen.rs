//! A copy of a world without snapshots: it knows the state, and predicts that nothing moves. Baselines that act without
//! a search need no more; whatever plans with true dynamics is refused by [`Simulator::has_snapshots`].

use mindseye_interface::{
    Action, ActionSpace, Environment, GoalCheck, Image, Observation, Result, Seed, Simulator, Snapshot, StateSchema,
    Step,
};

use crate::connection::failure;

/// The state of a world at one timestep.
pub(crate) struct Frozen {
    scene: String,
    space: ActionSpace,
    control_step_secs: f64,
    state_names: Vec<String>,
    proprioception_names: Vec<String>,
    state: Vec<f64>,
    image: Image,
}

impl Frozen {
    /// The state of `world`, and its image.
    pub fn of(world: &dyn Simulator, image: Image) -> Self {
        Self {
            scene: world.scene().to_owned(),
            space: world.action_space().clone(),
            control_step_secs: world.control_step_secs(),
            state_names: world.state_names(),
            proprioception_names: world.proprioception_names(),
            state: world.state(),
            image,
        }
    }

    fn refused<T>(&self, operation: &str) -> Result<T> {
        Err(failure(&format!("{operation} in a copy: {} has no snapshots, so nothing plans in it", self.scene)))
    }
}

impl Environment for Frozen {
    fn reset(&mut self, _seed: Seed) -> Result<Observation> {
        self.refused("reset")
    }

    fn observe(&mut self) -> Result<Observation> {
        self.refused("observe")
    }

    fn step(&mut self, _action: &Action) -> Result<Step> {
        self.refused("step")
    }

    fn action_space(&self) -> &ActionSpace {
        &self.space
    }

    fn control_step_secs(&self) -> f64 {
        self.control_step_secs
    }
}

impl Simulator for Frozen {
    fn scene(&self) -> &str {
        &self.scene
    }

    fn state(&self) -> Vec<f64> {
        self.state.clone()
    }

    fn state_names(&self) -> Vec<String> {
        self.state_names.clone()
    }

    fn proprioception_names(&self) -> Vec<String> {
        self.proprioception_names.clone()
    }

    fn set_state(&mut self, _state: &[f64]) -> Result<Observation> {
        self.refused("set_state")
    }

    fn render(&mut self) -> Image {
        self.image.clone()
    }

    fn step_blind(&mut self, _action: &Action) -> Result<()> {
        Ok(())
    }

    fn snapshot(&self) -> Result<Snapshot> {
        Ok(Snapshot(self.state.iter().flat_map(|value| value.to_le_bytes()).collect()))
    }

    fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        let values = snapshot.0.chunks_exact(8).map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap_or_default()));
        let state: Vec<f64> = values.collect();
        if state.len() != self.state_names.len() {
            return self.refused("restore");
        }
        self.state = state;
        Ok(())
    }

    fn fork(&self) -> Result<Box<dyn Simulator>> {
        Ok(Box::new(Self::of(self, self.image.clone())))
    }

    fn check_goal(&self, goal: &[f64]) -> GoalCheck {
        let distance = self.goal_energy(&self.state, goal);
        GoalCheck { moderate: false, strict: false, distance, metrics: Default::default() }
    }

    /// The plain distance of states.
    fn goal_energy(&self, state: &[f64], goal: &[f64]) -> f64 {
        let dimensions = StateSchema::named(&self.state_names).0;
        let away = dimensions.iter().zip(state.iter().zip(goal)).map(|(of, (from, to))| of.difference(*from, *to));
        away.map(|away| away * away).sum::<f64>().sqrt()
    }

    fn has_snapshots(&self) -> bool {
        false
    }
}
