//! Distance to the goal in latent space.

use mindseye_world_model::ops::matmul::{Matrix, matmul};

use super::{Fingerprint, IntrinsicTerm, Slopes};
use crate::configurator::Directive;
use crate::latent::{Plans, Rollouts};
use crate::{Error, Result};

/// `|L (z - g)|²` with a fixed factor `L` of the latent metric (identity: squared Euclidean distance).
#[derive(Debug, Clone)]
pub struct GoalDistance {
    factor: Vec<f32>,
    width: usize,
}

impl GoalDistance {
    /// Name of the term.
    pub const NAME: &'static str = "goal_distance";

    /// The metric whose factor is `factor [D, D]`, row-major, where `D` is all values of a state.
    ///
    /// # Errors
    /// [`Error::Shape`] unless the factor is square.
    pub fn new(factor: Vec<f32>) -> Result<Self> {
        let width = factor.len().isqrt();
        if width * width == factor.len() {
            Ok(Self { factor, width })
        } else {
            Err(Error::Shape {
                operation: "goal metric",
                expected: "a square factor".into(),
                got: factor.len().to_string(),
            })
        }
    }

    /// Squared Euclidean distance between states of `width` values.
    pub fn euclidean(width: usize) -> Self {
        let mut factor = vec![0.0; width * width];
        factor.iter_mut().step_by(width + 1).for_each(|value| *value = 1.0);
        Self { factor, width }
    }
}

impl GoalDistance {
    /// `L (z - g)` of every state.
    fn measured(&self, rollouts: &Rollouts, directive: &Directive) -> Result<Vec<f32>> {
        let goal = directive.goal.values();
        if goal.len() != self.width || rollouts.state_len() != self.width {
            return Err(Error::Shape {
                operation: "goal distance",
                expected: format!("states and a goal of {} values", self.width),
                got: format!("states of {}, a goal of {}", rollouts.state_len(), goal.len()),
            });
        }
        let mut differences = rollouts.values().to_vec();
        for state in differences.chunks_exact_mut(self.width) {
            state.iter_mut().zip(goal).for_each(|(value, goal)| *value -= goal);
        }
        let mut measured = vec![0.0; differences.len()];
        let states = Matrix::new(&differences, rollouts.states(), self.width);
        matmul(&mut measured, states, Matrix::new(&self.factor, self.width, self.width).transposed(), false);
        Ok(measured)
    }
}

impl IntrinsicTerm for GoalDistance {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn energy(&self, rollouts: &Rollouts, _plans: &Plans, directive: &Directive) -> Result<Vec<f32>> {
        let measured = self.measured(rollouts, directive)?;
        Ok(measured.chunks_exact(self.width).map(|state| state.iter().map(|value| value * value).sum()).collect())
    }

    fn add_slopes(
        &self,
        rollouts: &Rollouts,
        _plans: &Plans,
        directive: &Directive,
        pull: &[f32],
        slopes: &mut Slopes,
    ) -> Result<()> {
        let mut measured = self.measured(rollouts, directive)?;
        for (state, pull) in measured.chunks_exact_mut(self.width).zip(pull) {
            state.iter_mut().for_each(|value| *value *= 2.0 * pull);
        }
        let measured = Matrix::new(&measured, rollouts.states(), self.width);
        matmul(&mut slopes.states, measured, Matrix::new(&self.factor, self.width, self.width), true);
        Ok(())
    }

    fn describe(&self, fingerprint: &mut Fingerprint) {
        fingerprint.name(Self::NAME);
        fingerprint.numbers(&self.factor);
    }
}
