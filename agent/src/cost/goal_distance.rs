//! Distance to the goal in latent space.

use mindseye_world_model::{Matrix, matmul};

use super::{Fingerprint, Gradients, IntrinsicTerm};
use crate::directive::{Directive, terms};
use crate::latent::{Plans, Rollouts};
use crate::{Error, Result};

/// The mean over tokens of `|L (z - g)|²`, with a fixed factor `L` of the latent metric (identity: squared Euclidean
/// distance).
#[derive(Debug, Clone)]
pub struct GoalDistance {
    factor: Vec<f32>,
    width: usize,
}

impl GoalDistance {
    /// Name of the term.
    pub const NAME: &'static str = terms::GOAL_DISTANCE;

    /// The metric whose factor is `factor [D, D]`, row-major, where `D` is the width of a token.
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

    /// Squared Euclidean distance between tokens of `width` values.
    pub fn euclidean(width: usize) -> Self {
        let mut factor = vec![0.0; width * width];
        factor.iter_mut().step_by(width + 1).for_each(|value| *value = 1.0);
        Self { factor, width }
    }
}

impl GoalDistance {
    /// `L (z - g)` of every token of every state.
    fn measured(&self, rollouts: &Rollouts, directive: &Directive) -> Result<Vec<f32>> {
        let goal = &directive.goal;
        if rollouts.width() != self.width || (goal.tokens(), goal.width()) != (rollouts.tokens(), rollouts.width()) {
            let (tokens, width) = (rollouts.tokens(), rollouts.width());
            return Err(Error::Shape {
                operation: "goal distance",
                expected: format!("states and a goal of tokens of {} values", self.width),
                got: format!("states of {tokens}x{width}, a goal of {}", goal.shape()),
            });
        }
        let mut differences = rollouts.values().to_vec();
        for state in differences.chunks_exact_mut(rollouts.state_len().max(1)) {
            state.iter_mut().zip(goal.values()).for_each(|(value, goal)| *value -= goal);
        }
        let mut measured = vec![0.0; differences.len()];
        let tokens = Matrix::new(&differences, rollouts.states() * rollouts.tokens(), self.width);
        matmul(&mut measured, tokens, Matrix::new(&self.factor, self.width, self.width).transposed(), false);
        Ok(measured)
    }
}

impl IntrinsicTerm for GoalDistance {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn energy(&self, rollouts: &Rollouts, _plans: &Plans, directive: &Directive) -> Result<Vec<f32>> {
        let measured = self.measured(rollouts, directive)?;
        let share = 1.0 / rollouts.tokens().max(1) as f32;
        let square = |state: &[f32]| share * state.iter().map(|value| value * value).sum::<f32>();
        Ok(measured.chunks_exact(rollouts.state_len().max(1)).map(square).collect())
    }

    fn add_gradients(
        &self,
        rollouts: &Rollouts,
        _plans: &Plans,
        directive: &Directive,
        upstream: &[f32],
        gradients: &mut Gradients,
    ) -> Result<()> {
        let mut measured = self.measured(rollouts, directive)?;
        let share = 1.0 / rollouts.tokens().max(1) as f32;
        for (state, upstream) in measured.chunks_exact_mut(rollouts.state_len().max(1)).zip(upstream) {
            state.iter_mut().for_each(|value| *value *= 2.0 * upstream * share);
        }
        let measured = Matrix::new(&measured, rollouts.states() * rollouts.tokens(), self.width);
        matmul(&mut gradients.states, measured, Matrix::new(&self.factor, self.width, self.width), true);
        Ok(())
    }

    fn describe(&self, fingerprint: &mut Fingerprint) {
        fingerprint.name(Self::NAME);
        fingerprint.numbers(&self.factor);
    }
}
