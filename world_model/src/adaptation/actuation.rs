//! What a body makes of an action: learnt from what came of those that were done.
//!
//! A motor that goes half as far as it is told, or one that is mounted askew, changes every prediction in a way that a handful of numbers says: the model is
//! right about what it does not do. `a' = M a + b`, the same at every control step, is fitted by Gauss-Newton with differences for
//! slopes; the predictor stays as it was trained.

use nalgebra::{DMatrix, DVector};

use super::{Adaptation, AdaptationConfig, Adapter, Experience};
use crate::{Error, Result};

/// `a' = M a + b` at every control step.
#[derive(Debug, Clone, PartialEq)]
pub struct Actuation {
    /// `[A, A]`.
    matrix: Vec<f32>,
    /// `[A]`.
    offset: Vec<f32>,
}

impl Actuation {
    /// A body that does what it is told, with actions of `width`.
    pub fn exact(width: usize) -> Self {
        let matrix = (0..width * width).map(|index| f32::from(u8::from(index % (width + 1) == 0))).collect();
        Self { matrix, offset: vec![0.0; width] }
    }

    /// `matrix [A, A]` and `offset [A]`.
    ///
    /// # Errors
    /// [`Error::Shape`] when they do not fit together.
    pub fn new(matrix: Vec<f32>, offset: Vec<f32>) -> Result<Self> {
        if offset.is_empty() || matrix.len() != offset.len() * offset.len() {
            return Err(Error::Shape {
                operation: "what actions do",
                expected: "a square matrix and as many offsets as it has rows".into(),
                got: format!("{} and {} values", matrix.len(), offset.len()),
            });
        }
        Ok(Self { matrix, offset })
    }

    /// `M`, `[A, A]`, and `b`, `[A]`.
    pub fn parts(&self) -> (&[f32], &[f32]) {
        (&self.matrix, &self.offset)
    }

    /// What is really done when `actions [.., A]` are told.
    pub fn done(&self, actions: &[f32]) -> Vec<f32> {
        let width = self.offset.len();
        let mut done = Vec::with_capacity(actions.len());
        for action in actions.chunks_exact(width) {
            for (row, offset) in self.matrix.chunks_exact(width).zip(&self.offset) {
                done.push(offset + row.iter().zip(action).map(|(weight, value)| weight * value).sum::<f32>());
            }
        }
        done
    }

    /// From slopes on what is done, `[.., A]`, to those on what is told.
    pub fn slopes_on_told(&self, on_done: &[f32]) -> Vec<f32> {
        let width = self.offset.len();
        let mut told = Vec::with_capacity(on_done.len());
        for slopes in on_done.chunks_exact(width) {
            for column in 0..width {
                told.push(
                    slopes.iter().enumerate().map(|(row, slope)| self.matrix[row * width + column] * slope).sum(),
                );
            }
        }
        told
    }

    /// All parameters, and back.
    fn values(&self) -> DVector<f64> {
        DVector::from_iterator(
            self.matrix.len() + self.offset.len(),
            self.matrix.iter().chain(&self.offset).map(|&value| f64::from(value)),
        )
    }

    fn of_values(values: &DVector<f64>, width: usize) -> Self {
        let mut values = values.iter().map(|&value| value as f32);
        Self { matrix: values.by_ref().take(width * width).collect(), offset: values.collect() }
    }
}

/// Steps of Gauss-Newton.
const STEPS: usize = 4;
/// Difference by which slopes are measured.
const DIFFERENCE: f64 = 1e-2;

impl Adapter {
    /// What the body makes of actions of `width`, after `experience`. Half of the moments are foreseen from the other half, each in turn; where that is no
    /// better than the body that does what it is told (by the config's `gain`), that one stays.
    ///
    /// # Errors
    /// [`Error::Shape`] when the experience does not fit the predictor.
    pub fn actuation(
        &self,
        experience: &Experience,
        width: usize,
        config: &AdaptationConfig,
    ) -> Result<(Actuation, Adaptation)> {
        let count = self.moments(experience)?;
        let block_width = self.engine.block_width();
        if width == 0 || !block_width.is_multiple_of(width) {
            let (expected, got) = (format!("a width that divides {block_width}"), width.to_string());
            return Err(Error::Shape { operation: "learning what actions do", expected, got });
        }
        let exact = Actuation::exact(width);
        let halves = [0, 1].map(|half| (half..count).step_by(2).collect::<Vec<usize>>());
        let (mut before, mut after) = (0.0, 0.0);
        for (half, other) in [(&halves[0], &halves[1]), (&halves[1], &halves[0])] {
            let (learnt, asked) = (self.some(experience, half), self.some(experience, other));
            before += self.misses(&asked, &exact)?.norm_squared();
            after += self.misses(&asked, &self.fitted(&learnt, width, config)?)?.norm_squared();
        }
        let values = (count * self.engine.latent_width()) as f64;
        let adopted = after.is_finite() && after < before * (1.0 - f64::from(config.gain));
        let found = Adaptation { before: (before / values) as f32, after: (after / values) as f32, adopted };
        Ok((if adopted { self.fitted(experience, width, config)? } else { exact }, found))
    }

    /// The body that explains `experience` best.
    fn fitted(&self, experience: &Experience, width: usize, config: &AdaptationConfig) -> Result<Actuation> {
        let told = Actuation::exact(width).values();
        let (mut values, parameters) = (told.clone(), told.len());
        let mut misses = self.misses(experience, &Actuation::of_values(&values, width))?;
        for _ in 0..STEPS {
            let mut slopes = DMatrix::zeros(misses.len(), parameters);
            for parameter in 0..parameters {
                let mut moved = values.clone();
                moved[parameter] += DIFFERENCE;
                let column = (self.misses(experience, &Actuation::of_values(&moved, width))? - &misses) / DIFFERENCE;
                slopes.set_column(parameter, &column);
            }
            let gram = slopes.transpose() * &slopes;
            // A weak pull towards doing what it is told, where nothing says otherwise.
            let pull = f64::from(config.ridge) * gram.trace() / parameters as f64 / 10.0;
            let downhill = slopes.transpose() * &misses + (&values - &told) * pull;
            let hessian = gram + DMatrix::identity(parameters, parameters) * pull.max(f64::MIN_POSITIVE);
            let Some(step) = hessian.cholesky().map(|factor| factor.solve(&downhill)) else { break };
            let next = &values - step;
            let next_misses = self.misses(experience, &Actuation::of_values(&next, width))?;
            let energy = |misses: &DVector<f64>, values: &DVector<f64>| {
                misses.norm_squared() + pull * (values - &told).norm_squared()
            };
            let better = energy(&next_misses, &next) < energy(&misses, &values);
            if !better {
                break;
            }
            (values, misses) = (next, next_misses);
        }
        Ok(Actuation::of_values(&values, width))
    }

    /// By how much predictions of what came miss it, `[N * D]`, if the body is `actuation`.
    fn misses(&self, experience: &Experience, actuation: &Actuation) -> Result<DVector<f64>> {
        let (_, predicted) = self.engine.activations(&experience.states, &actuation.done(&experience.blocks))?;
        let misses = predicted.iter().zip(&experience.next).map(|(predicted, came)| f64::from(predicted - came));
        Ok(DVector::from_iterator(predicted.len(), misses))
    }

    /// The moments `chosen`.
    fn some(&self, experience: &Experience, chosen: &[usize]) -> Experience {
        let (width, block_width) = (self.engine.latent_width(), self.engine.block_width());
        let mut some = Experience::default();
        for &moment in chosen {
            let latent = |values: &'_ [f32]| values[moment * width..(moment + 1) * width].to_vec();
            let block = &experience.blocks[moment * block_width..(moment + 1) * block_width];
            some.push(&latent(&experience.states), block, &latent(&experience.next));
        }
        some
    }
}
