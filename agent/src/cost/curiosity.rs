//! Seeking states whose outcome is uncertain (LeCun 2022, section 3.2: an intrinsic cost may drive exploration).

use mindseye_world_model::{Matrix, matmul};

use super::{Fingerprint, Gradients, IntrinsicTerm};
use crate::directive::{Directive, terms};
use crate::latent::{Plans, Rollouts};
use crate::{Error, Result};

/// Minus the disagreement among the samples of a plan: minus the mean of `|L (z - mean z)|²` over them and over tokens,
/// chunk by chunk, the same for every sample. `L` is the factor of a latent metric, as of [`super::GoalDistance`]. Zero
/// for a world model with one sample.
#[derive(Debug, Clone)]
pub struct Curiosity {
    factor: Vec<f32>,
    width: usize,
}

impl Curiosity {
    /// Name of the term.
    pub const NAME: &'static str = terms::CURIOSITY;

    /// The metric whose factor is `factor [D, D]`, row-major, where `D` is the width of a token.
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

    /// By squared Euclidean distance between tokens of `width` values.
    pub fn euclidean(width: usize) -> Self {
        let mut factor = vec![0.0; width * width];
        factor.iter_mut().step_by(width + 1).for_each(|value| *value = 1.0);
        Self { factor, width }
    }

    /// `L (z - mean z)` of every token of every state, where the mean is over the samples of its plan and chunk.
    fn measured(&self, rollouts: &Rollouts) -> Result<Vec<f32>> {
        if rollouts.width() != self.width {
            return Err(Error::Shape {
                operation: "curiosity",
                expected: format!("states of tokens of {} values", self.width),
                got: format!("states of {}x{}", rollouts.tokens(), rollouts.width()),
            });
        }
        let mut differences = rollouts.values().to_vec();
        let (sample_len, samples) = (rollouts.horizon() * rollouts.state_len(), rollouts.samples());
        for plan in differences.chunks_exact_mut((samples * sample_len).max(1)) {
            for at in 0..sample_len {
                let mean = plan.iter().skip(at).step_by(sample_len).sum::<f32>() / samples as f32;
                plan.iter_mut().skip(at).step_by(sample_len).for_each(|value| *value -= mean);
            }
        }
        let mut measured = vec![0.0; differences.len()];
        let tokens = Matrix::new(&differences, rollouts.states() * rollouts.tokens(), self.width);
        matmul(&mut measured, tokens, Matrix::new(&self.factor, self.width, self.width).transposed(), false);
        Ok(measured)
    }
}

/// Means of `values [N, S, H]` over samples, repeated for each of them: `[N, S, H]`.
fn mean_over_samples(values: &[f32], rollouts: &Rollouts) -> Vec<f32> {
    let (samples, horizon) = (rollouts.samples(), rollouts.horizon());
    let plans = values.chunks_exact((samples * horizon).max(1));
    let of_plan = |plan: &[f32]| -> Vec<f32> {
        let at = |chunk: usize| plan.iter().skip(chunk).step_by(horizon).sum::<f32>() / samples as f32;
        (0..horizon).map(at).collect::<Vec<f32>>().repeat(samples)
    };
    plans.flat_map(of_plan).collect()
}

impl IntrinsicTerm for Curiosity {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn energy(&self, rollouts: &Rollouts, _plans: &Plans, _directive: &Directive) -> Result<Vec<f32>> {
        let measured = self.measured(rollouts)?;
        let share = 1.0 / rollouts.tokens().max(1) as f32;
        let square = |state: &[f32]| -share * state.iter().map(|value| value * value).sum::<f32>();
        let squares: Vec<f32> = measured.chunks_exact(rollouts.state_len().max(1)).map(square).collect();
        Ok(mean_over_samples(&squares, rollouts))
    }

    fn add_gradients(
        &self,
        rollouts: &Rollouts,
        _plans: &Plans,
        _directive: &Directive,
        upstream: &[f32],
        gradients: &mut Gradients,
    ) -> Result<()> {
        let mut measured = self.measured(rollouts)?;
        // The mean moves with every sample; its contributions to their distances from it sum to zero.
        let upstream = mean_over_samples(upstream, rollouts);
        let share = 1.0 / rollouts.tokens().max(1) as f32;
        for (state, upstream) in measured.chunks_exact_mut(rollouts.state_len().max(1)).zip(upstream) {
            state.iter_mut().for_each(|value| *value *= -2.0 * upstream * share);
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
