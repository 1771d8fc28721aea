//! Scripted behaviour, for recording episodes to learn from.

mod explorer;
mod paced;

pub(crate) use explorer::{Explorer, SmoothWalk};
use mindseye_interface::{Action, Observation, Result, Seed, Simulator};
pub(crate) use paced::Paced;

/// Something that acts knowing the true state: a script, not an agent.
pub trait Demonstrator {
    /// Begins the episode of `seed`, the seed that the scene was reset with.
    fn begin(&mut self, seed: Seed);

    /// The next action in `state`.
    fn act(&mut self, state: &[f64]) -> Action;
}

/// One moment of an episode: what was seen, what was true, what was done next.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// What was seen; `None` in a blind episode.
    pub observation: Option<Observation>,
    /// The true state `[K]`.
    pub state: Vec<f64>,
    /// The action taken at this moment.
    pub action: Action,
}

/// Plays an episode of `steps` control steps: `steps` moments, the last action included. A `blind` episode renders nothing and
/// has the same states and actions.
///
/// # Errors
/// The simulator's.
pub fn demonstrate(
    simulator: &mut dyn Simulator,
    demonstrator: &mut dyn Demonstrator,
    seed: Seed,
    steps: usize,
    blind: bool,
) -> Result<Vec<Moment>> {
    let mut observation = Some(simulator.reset(seed)?).filter(|_| !blind);
    demonstrator.begin(seed);
    let mut moments = Vec::with_capacity(steps);
    for _ in 0..steps {
        let state = simulator.state();
        let action = demonstrator.act(&state);
        let next = if blind {
            simulator.step_blind(&action)?;
            None
        } else {
            Some(simulator.step(&action)?.observation)
        };
        moments.push(Moment { observation: std::mem::replace(&mut observation, next), state, action });
    }
    Ok(moments)
}

/// An action from finite numbers.
pub(crate) fn clamped_action(values: [f32; 2]) -> Action {
    Action::new(values.to_vec()).unwrap_or_else(|_| Action::zeros(2))
}
