//! Distance to the goal in latent space.

use mindseye_world_model::ops::matmul::{Matrix, matmul};

use super::{Fingerprint, IntrinsicTerm, Slopes};
use crate::configurator::{Directive, Focus};
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
    /// `L (z - g)` of every state; with a focus, `L G (z - g)`.
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
        if let Some(focus) = &directive.aims.focus {
            differences = self.focused(focus, &differences)?;
        }
        let mut measured = vec![0.0; differences.len()];
        let states = Matrix::new(&differences, rollouts.states(), self.width);
        matmul(&mut measured, states, Matrix::new(&self.factor, self.width, self.width).transposed(), false);
        Ok(measured)
    }

    /// Rows `[M, D]` times the gains of `focus`, which are the same both ways.
    fn focused(&self, focus: &Focus, rows: &[f32]) -> Result<Vec<f32>> {
        let (gains, width) = (focus.gains(), self.width);
        if gains.len() != width * width {
            return Err(Error::Shape {
                operation: "focus",
                expected: format!("gains on states of {width} values"),
                got: format!("{} gains", gains.len()),
            });
        }
        let mut focused = vec![0.0; rows.len()];
        let rows = Matrix::new(rows, rows.len() / width.max(1), width);
        matmul(&mut focused, rows, Matrix::new(gains, width, width), false);
        Ok(focused)
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
        let factor = Matrix::new(&self.factor, self.width, self.width);
        let Some(focus) = &directive.aims.focus else {
            matmul(&mut slopes.states, measured, factor, true);
            return Ok(());
        };
        let mut on_differences = vec![0.0; rollouts.values().len()];
        matmul(&mut on_differences, measured, factor, false);
        let on_states = self.focused(focus, &on_differences)?;
        slopes.states.iter_mut().zip(on_states).for_each(|(sum, slope)| *sum += slope);
        Ok(())
    }

    fn describe(&self, fingerprint: &mut Fingerprint) {
        fingerprint.name(Self::NAME);
        fingerprint.numbers(&self.factor);
    }
}
