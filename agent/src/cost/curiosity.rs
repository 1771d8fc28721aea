//! Wanting to go where one does not know what will happen (LeCun 2022, section 3.2: an intrinsic cost may drive exploration).

use mindseye_world_model::ops::matmul::{Matrix, matmul};

use super::{Fingerprint, IntrinsicTerm, Slopes};
use crate::configurator::Directive;
use crate::latent::{Plans, Rollouts};
use crate::{Error, Result};

/// The futures of a plan disagree: minus the mean of `|L (z - mean z)|²` over them, block by block, the same for every future. `L` is the factor of a latent
/// metric, as of [`super::GoalDistance`]. Zero where a world model has one future.
#[derive(Debug, Clone)]
pub struct Curiosity {
    factor: Vec<f32>,
    width: usize,
}

impl Curiosity {
    /// Name of the term.
    pub const NAME: &'static str = "curiosity";

    /// The metric whose factor is `factor [D, D]`, row-major, where `D` is all values of a state.
    ///
    /// # Errors
    /// [`Error::Shape`] unless the factor is square.
    pub fn new(factor: Vec<f32>) -> Result<Self> {
        let width = factor.len().isqrt();
        if width * width != factor.len() {
            let (expected, got) = ("a square factor".into(), factor.len().to_string());
            return Err(Error::Shape { operation: "metric of curiosity", expected, got });
        }
        Ok(Self { factor, width })
    }

    /// By squared Euclidean distance between states of `width` values.
    pub fn euclidean(width: usize) -> Self {
        let mut factor = vec![0.0; width * width];
        factor.iter_mut().step_by(width + 1).for_each(|value| *value = 1.0);
        Self { factor, width }
    }

    /// `L (z - mean z)` of every state, where the mean is over the futures of its plan and block.
    fn measured(&self, rollouts: &Rollouts) -> Result<Vec<f32>> {
        if rollouts.state_len() != self.width {
            return Err(Error::Shape {
                operation: "curiosity",
                expected: format!("states of {} values", self.width),
                got: format!("states of {}", rollouts.state_len()),
            });
        }
        let mut differences = rollouts.values().to_vec();
        let (future_len, futures) = (rollouts.horizon() * self.width, rollouts.futures());
        for plan in differences.chunks_exact_mut((futures * future_len).max(1)) {
            for at in 0..future_len {
                let mean = plan.iter().skip(at).step_by(future_len).sum::<f32>() / futures as f32;
                plan.iter_mut().skip(at).step_by(future_len).for_each(|value| *value -= mean);
            }
        }
        let mut measured = vec![0.0; differences.len()];
        let states = Matrix::new(&differences, rollouts.states(), self.width);
        matmul(&mut measured, states, Matrix::new(&self.factor, self.width, self.width).transposed(), false);
        Ok(measured)
    }
}

/// Sums of `values [N, S, H]` over futures, divided by their number, repeated for each of them: `[N, S, H]`.
fn mean_over_futures(values: &[f32], rollouts: &Rollouts) -> Vec<f32> {
    let (futures, horizon) = (rollouts.futures(), rollouts.horizon());
    let plans = values.chunks_exact((futures * horizon).max(1));
    let of_plan = |plan: &[f32]| -> Vec<f32> {
        let at = |block: usize| plan.iter().skip(block).step_by(horizon).sum::<f32>() / futures as f32;
        (0..horizon).map(at).collect::<Vec<f32>>().repeat(futures)
    };
    plans.flat_map(of_plan).collect()
}

impl IntrinsicTerm for Curiosity {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn energy(&self, rollouts: &Rollouts, _plans: &Plans, _directive: &Directive) -> Result<Vec<f32>> {
        let measured = self.measured(rollouts)?;
        let square = |state: &[f32]| -state.iter().map(|value| value * value).sum::<f32>();
        let squares: Vec<f32> = measured.chunks_exact(self.width.max(1)).map(square).collect();
        Ok(mean_over_futures(&squares, rollouts))
    }

    fn add_slopes(
        &self,
        rollouts: &Rollouts,
        _plans: &Plans,
        _directive: &Directive,
        pull: &[f32],
        slopes: &mut Slopes,
    ) -> Result<()> {
        let mut measured = self.measured(rollouts)?;
        // The mean moves with every future; what that adds to their distances from it adds up to nothing.
        let pull = mean_over_futures(pull, rollouts);
        for (state, pull) in measured.chunks_exact_mut(self.width.max(1)).zip(pull) {
            state.iter_mut().for_each(|value| *value *= -2.0 * pull);
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
