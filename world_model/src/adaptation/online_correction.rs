//! Learns an affine action map from transitions, by Gauss-Newton with finite differences. The model stays as it was
//! trained.

use std::sync::Arc;

use nalgebra::{DMatrix, DVector};

use super::{Adaptation, AdaptationConfig, AffineActionMap, Transitions};
use crate::families::jepa::JepaDynamics;
use crate::families::jepa::Predictor;
use crate::latent::{Latent, LatentShape, Plans};
use crate::model::{Context, Dynamics, InferenceOptions};
use crate::{Error, Result};

/// Steps of Gauss-Newton.
const STEPS: usize = 4;
/// Step of the finite differences.
const DIFFERENCE: f64 = 1e-2;

/// Finds the affine action map that explains transitions best under some dynamics.
#[derive(Debug, Clone)]
pub struct OnlineCorrection {
    dynamics: Arc<dyn Dynamics>,
    shape: LatentShape,
    chunk_width: usize,
}

impl OnlineCorrection {
    /// For a JEPA's `predictor` of latents `[D]` and chunks `[A]`.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub fn new(predictor: &Predictor, latent_width: usize, chunk_width: usize) -> Result<Self> {
        let options = InferenceOptions::default();
        let dynamics = JepaDynamics::of_predictor(predictor, latent_width, chunk_width, &options)?;
        Ok(Self::of_dynamics(Arc::new(dynamics), LatentShape::global(latent_width), chunk_width))
    }

    /// For `dynamics` of states of `shape` and chunks `[A]`, with one sample per plan.
    pub fn of_dynamics(dynamics: Arc<dyn Dynamics>, shape: LatentShape, chunk_width: usize) -> Self {
        Self { dynamics, shape, chunk_width }
    }

    /// The map of actions of `width` after `transitions`. Half of the transitions are predicted with the map that the
    /// other half gives, each in turn; where that does not reduce the error (by the config's `gain`), actions are taken
    /// to be applied as commanded.
    ///
    /// # Errors
    /// [`Error::Shape`] when the transitions do not fit the dynamics.
    pub fn affine_action_map(
        &self,
        transitions: &Transitions,
        width: usize,
        config: &AdaptationConfig,
    ) -> Result<(AffineActionMap, Adaptation)> {
        let count = self.count(transitions)?;
        if width == 0 || !self.chunk_width.is_multiple_of(width) {
            let (expected, got) = (format!("a width that divides {}", self.chunk_width), width.to_string());
            return Err(Error::Shape { operation: "learning an affine action map", expected, got });
        }
        let exact = AffineActionMap::exact(width);
        let halves = [0, 1].map(|half| (half..count).step_by(2).collect::<Vec<usize>>());
        let (mut before, mut after) = (0.0, 0.0);
        for (half, other) in [(&halves[0], &halves[1]), (&halves[1], &halves[0])] {
            let (training, held_out) = (self.selected(transitions, half)?, self.selected(transitions, other)?);
            before += self.errors(&held_out, &exact)?.norm_squared();
            after += self.errors(&held_out, &self.fitted(&training, width, config)?)?.norm_squared();
        }
        let values = (count * self.shape.values()) as f64;
        let adopted = after.is_finite() && after < before * (1.0 - f64::from(config.gain));
        let found = Adaptation { before: (before / values) as f32, after: (after / values) as f32, adopted };
        let all = (0..count).collect::<Vec<usize>>();
        let map = if adopted { self.fitted(&self.selected(transitions, &all)?, width, config)? } else { exact };
        Ok((map, found))
    }

    /// The map that explains `transitions` best.
    fn fitted(&self, transitions: &Selected, width: usize, config: &AdaptationConfig) -> Result<AffineActionMap> {
        let exact = AffineActionMap::exact(width).values();
        let (mut values, parameters) = (exact.clone(), exact.len());
        let mut errors = self.errors(transitions, &AffineActionMap::of_values(&values, width))?;
        for _ in 0..STEPS {
            let mut jacobian = DMatrix::zeros(errors.len(), parameters);
            for parameter in 0..parameters {
                let mut moved = values.clone();
                moved[parameter] += DIFFERENCE;
                let column =
                    (self.errors(transitions, &AffineActionMap::of_values(&moved, width))? - &errors) / DIFFERENCE;
                jacobian.set_column(parameter, &column);
            }
            let gram = jacobian.transpose() * &jacobian;
            // Weak regularisation towards the identity map, where the transitions do not determine the map.
            let ridge = f64::from(config.ridge) * gram.trace() / parameters as f64 / 10.0;
            let gradient = jacobian.transpose() * &errors + (&values - &exact) * ridge;
            let hessian = gram + DMatrix::identity(parameters, parameters) * ridge.max(f64::MIN_POSITIVE);
            let Some(step) = hessian.cholesky().map(|factor| factor.solve(&gradient)) else { break };
            let next = &values - step;
            let next_errors = self.errors(transitions, &AffineActionMap::of_values(&next, width))?;
            let energy = |errors: &DVector<f64>, values: &DVector<f64>| {
                errors.norm_squared() + ridge * (values - &exact).norm_squared()
            };
            let better = energy(&next_errors, &next) < energy(&errors, &values);
            if !better {
                break;
            }
            (values, errors) = (next, next_errors);
        }
        Ok(AffineActionMap::of_values(&values, width))
    }

    /// Prediction errors of `transitions`, `[N * P * D]`, with actions mapped by `map`.
    fn errors(&self, transitions: &Selected, map: &AffineActionMap) -> Result<DVector<f64>> {
        let Selected { states, chunks, next } = transitions;
        let contexts: Vec<Context<'_>> = states.iter().map(Context::of).collect();
        if contexts.is_empty() {
            return Ok(DVector::zeros(0));
        }
        let plans = Plans::new(states.len(), 1, self.chunk_width, map.applied(chunks))?;
        let predicted = self.dynamics.rollout_each(&contexts, &plans)?;
        let errors = predicted.values().iter().zip(next).map(|(predicted, next)| f64::from(predicted - next));
        Ok(DVector::from_iterator(next.len(), errors))
    }

    /// The transitions with these numbers.
    fn selected(&self, transitions: &Transitions, numbers: &[usize]) -> Result<Selected> {
        let (values, chunk) = (self.shape.values(), self.chunk_width);
        let mut selected = Selected { states: Vec::new(), chunks: Vec::new(), next: Vec::new() };
        for &number in numbers {
            let state = transitions.states[number * values..(number + 1) * values].to_vec();
            selected.states.push(Latent::new(self.shape.tokens, self.shape.width, state)?);
            selected.chunks.extend_from_slice(&transitions.chunks[number * chunk..(number + 1) * chunk]);
            selected.next.extend_from_slice(&transitions.next[number * values..(number + 1) * values]);
        }
        Ok(selected)
    }

    /// Number of transitions.
    fn count(&self, transitions: &Transitions) -> Result<usize> {
        let (values, chunk) = (self.shape.values(), self.chunk_width);
        let count = transitions.states.len() / values.max(1);
        let sizes = (transitions.states.len(), transitions.chunks.len(), transitions.next.len());
        if count > 0 && sizes == (count * values, count * chunk, count * values) {
            return Ok(count);
        }
        Err(Error::Shape {
            operation: "learning an affine action map",
            expected: format!("transitions of {values} and {chunk} and {values} values"),
            got: format!("{}, {} and {} values", sizes.0, sizes.1, sizes.2),
        })
    }
}

/// Some transitions.
struct Selected {
    states: Vec<Latent>,
    /// `[N, A]`.
    chunks: Vec<f32>,
    /// `[N, P, D]`.
    next: Vec<f32>,
}
