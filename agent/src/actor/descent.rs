//! Steps down the gradient of the energy, within the bounds of the actions.

use serde::{Deserialize, Serialize};

/// How gradients become steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Optimiser {
    /// Every value moves by about the learning rate, whatever its gradient (Kingma and Ba 2015).
    #[default]
    Adam,
    /// A value moves by the learning rate times its gradient.
    Sgd,
}

const FIRST_DECAY: f32 = 0.9;
const SECOND_DECAY: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// A descent of some plans under way.
pub(super) struct Descent {
    optimiser: Optimiser,
    learning_rate: f32,
    first: Vec<f32>,
    second: Vec<f32>,
    steps: i32,
}

impl Descent {
    /// A descent of `values` numbers in all.
    pub fn new(optimiser: Optimiser, learning_rate: f32, values: usize) -> Self {
        Self { optimiser, learning_rate, first: vec![0.0; values], second: vec![0.0; values], steps: 0 }
    }

    /// One step of `sequences` against `gradients` (all sequences one after the other), back into [-1, 1]. A gradient
    /// that is not finite moves nothing.
    pub fn step(&mut self, sequences: &mut [Vec<f32>], gradients: &[f32]) {
        self.steps += 1;
        let corrections = (1.0 - FIRST_DECAY.powi(self.steps), 1.0 - SECOND_DECAY.powi(self.steps));
        let values = sequences.iter_mut().flatten().zip(gradients);
        for ((value, &gradient), (first, second)) in values.zip(self.first.iter_mut().zip(&mut self.second)) {
            if !gradient.is_finite() {
                continue;
            }
            let step = match self.optimiser {
                Optimiser::Sgd => gradient,
                Optimiser::Adam => {
                    *first = FIRST_DECAY * *first + (1.0 - FIRST_DECAY) * gradient;
                    *second = SECOND_DECAY * *second + (1.0 - SECOND_DECAY) * gradient * gradient;
                    *first / corrections.0 / ((*second / corrections.1).sqrt() + EPSILON)
                }
            };
            *value = (*value - self.learning_rate * step).clamp(-1.0, 1.0);
        }
    }
}
