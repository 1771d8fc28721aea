//! What a body makes of an action: an affine map of commanded actions.
//!
//! A motor that goes half as far as it is commanded, or one that is mounted askew, changes every prediction in a way
//! that a handful of numbers describes: the model is right about the actions that are applied.

use nalgebra::DVector;

use crate::{Error, Result};

/// `a' = M a + b` at every control step.
#[derive(Debug, Clone, PartialEq)]
pub struct AffineActionMap {
    /// `[A, A]`.
    matrix: Vec<f32>,
    /// `[A]`.
    offset: Vec<f32>,
}

impl AffineActionMap {
    /// Actions of `width` that are applied as commanded.
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
                operation: "affine action map",
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

    /// The applied actions when `commanded [.., A]` are commanded.
    pub fn applied(&self, commanded: &[f32]) -> Vec<f32> {
        let width = self.offset.len();
        let mut applied = Vec::with_capacity(commanded.len());
        for action in commanded.chunks_exact(width) {
            for (row, offset) in self.matrix.chunks_exact(width).zip(&self.offset) {
                applied.push(offset + row.iter().zip(action).map(|(weight, value)| weight * value).sum::<f32>());
            }
        }
        applied
    }

    /// From gradients on applied actions, `[.., A]`, to those on commanded actions.
    pub fn gradients_on_commanded(&self, on_applied: &[f32]) -> Vec<f32> {
        let width = self.offset.len();
        let mut on_commanded = Vec::with_capacity(on_applied.len());
        for gradients in on_applied.chunks_exact(width) {
            for column in 0..width {
                let terms = gradients.iter().enumerate();
                on_commanded.push(terms.map(|(row, gradient)| self.matrix[row * width + column] * gradient).sum());
            }
        }
        on_commanded
    }

    /// All parameters, `M` before `b`.
    pub(super) fn values(&self) -> DVector<f64> {
        DVector::from_iterator(
            self.matrix.len() + self.offset.len(),
            self.matrix.iter().chain(&self.offset).map(|&value| f64::from(value)),
        )
    }

    /// The map with these parameters.
    pub(super) fn of_values(values: &DVector<f64>, width: usize) -> Self {
        let mut values = values.iter().map(|&value| value as f32);
        Self { matrix: values.by_ref().take(width * width).collect(), offset: values.collect() }
    }
}
