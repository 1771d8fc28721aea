//! Scripted behaviour, for recording episodes to learn from.

mod explorer;
mod variable_speed;

pub(crate) use explorer::{Explorer, SmoothWalk};
/// A script that acts on the true state: no agent.
pub use mindseye_interface::Script as Demonstrator;
use mindseye_interface::{Action, Observation, Result, Seed, Simulator};
pub(crate) use variable_speed::VariableSpeed;

use crate::factors::Factors;

/// One line in a scene's list of demonstrators.
#[derive(Debug)]
pub struct NamedDemonstrator {
    /// Its name, for example `mixture`.
    pub name: &'static str,
    /// The name that recordings of before have, where it was another one; it is still accepted.
    former_name: Option<&'static str>,
    build: fn(&Factors) -> Box<dyn Demonstrator>,
}

impl NamedDemonstrator {
    pub(crate) const fn new(name: &'static str, build: fn(&Factors) -> Box<dyn Demonstrator>) -> Self {
        Self { name, former_name: None, build }
    }

    pub(crate) const fn formerly(self, name: &'static str) -> Self {
        Self { former_name: Some(name), ..self }
    }

    /// Whether `name` is its name, or its former name.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.name == name || self.former_name == Some(name)
    }

    /// Builds it for worlds that vary in `factors`.
    pub(crate) fn build(&self, factors: &Factors) -> Box<dyn Demonstrator> {
        (self.build)(factors)
    }
}

/// One timestep of an episode: the observation, the true state, and the action taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Timestep {
    /// What was observed; `None` in a blind episode.
    pub observation: Option<Observation>,
    /// The true state `[K]`.
    pub state: Vec<f64>,
    /// The action taken in this state.
    pub action: Action,
}

/// Plays an episode of `steps` control steps: `steps` timesteps, the last action included. A `blind` episode renders
/// nothing and has the same states and actions.
///
/// # Errors
/// The simulator's.
pub fn demonstrate(
    simulator: &mut dyn Simulator,
    demonstrator: &mut dyn Demonstrator,
    seed: Seed,
    steps: usize,
    blind: bool,
) -> Result<Vec<Timestep>> {
    let mut observation = Some(simulator.reset(seed)?).filter(|_| !blind);
    demonstrator.begin(seed);
    let mut timesteps = Vec::with_capacity(steps);
    for _ in 0..steps {
        let state = simulator.state();
        let action = demonstrator.act(&state);
        let next = if blind {
            simulator.step_blind(&action)?;
            None
        } else {
            Some(simulator.step(&action)?.observation)
        };
        timesteps.push(Timestep { observation: std::mem::replace(&mut observation, next), state, action });
    }
    Ok(timesteps)
}

/// The action with these normalised values `[A]`, clamped; zeros where a value is not finite.
pub(crate) fn clamped_action(values: &[f32]) -> Action {
    Action::new(values.to_vec()).unwrap_or_else(|_| Action::zeros(values.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_of_any_width_are_clamped_and_bad_ones_become_zeros() {
        assert_eq!(clamped_action(&[0.5, -3.0, 2.0]).values(), [0.5, -1.0, 1.0]);
        assert_eq!(clamped_action(&[0.5, f32::NAN, 2.0, 0.0]).values(), [0.0; 4]);
        assert_eq!(clamped_action(&[]).values(), [0.0; 0]);
    }

    #[test]
    fn a_demonstrator_is_found_by_its_name_and_its_former_one() {
        let named = NamedDemonstrator::new("new", |_| Box::new(Explorer::<2>::new(Seed::new(0).rng()))).formerly("old");
        assert!(named.is_called("new") && named.is_called("old") && !named.is_called("other"));
    }
}
