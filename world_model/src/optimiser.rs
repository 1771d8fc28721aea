//! AdamW (Loshchilov and Hutter 2019) with warm-up, cosine decay and clipping of the global gradient norm.

use std::collections::BTreeMap;

use candle_core::Var;
use candle_core::backprop::GradStore;
use mindseye_interface::config::require_range;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::ops::{tensor, vectorised, with_values};
use crate::{Error, Result};

/// Settings of the optimiser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimiserConfig {
    /// Largest learning rate, reached after the warm-up.
    pub learning_rate: f64,
    /// Steps of linear warm-up.
    pub warmup_steps: usize,
    /// Fraction of the learning rate left at the last step of the cosine.
    pub final_fraction: f64,
    /// Decoupled weight decay, on matrices only.
    pub weight_decay: f64,
    /// Weight decay at the last step, reached along half a cosine; none (default): it stays the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub final_weight_decay: Option<f64>,
    /// Largest norm of the whole gradient; longer ones are scaled down to it.
    pub clip_norm: f64,
}

impl Default for OptimiserConfig {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            warmup_steps: 100,
            final_fraction: 0.03,
            weight_decay: 1e-4,
            final_weight_decay: None,
            clip_norm: 1.0,
        }
    }
}

impl OptimiserConfig {
    pub(crate) fn validate(&self) -> mindseye_interface::Result<()> {
        require_range("optimiser.learning_rate", self.learning_rate, 1e-8, 1.0)?;
        require_range("optimiser.final_fraction", self.final_fraction, 0.0, 1.0)?;
        require_range("optimiser.weight_decay", self.weight_decay, 0.0, 10.0)?;
        require_range("optimiser.final_weight_decay", self.final_weight_decay.unwrap_or(0.0), 0.0, 10.0)?;
        require_range("optimiser.clip_norm", self.clip_norm, 1e-6, 1e9)
    }

    /// Learning rate at `step` of `steps`.
    pub(crate) fn learning_rate_at(&self, step: usize, steps: usize) -> f64 {
        if step < self.warmup_steps {
            return self.learning_rate * (step + 1) as f64 / self.warmup_steps as f64;
        }
        let progress = (step - self.warmup_steps) as f64 / steps.saturating_sub(self.warmup_steps).max(1) as f64;
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress.min(1.0)).cos());
        self.learning_rate * (self.final_fraction + (1.0 - self.final_fraction) * cosine)
    }

    /// Weight decay at `step` of `steps`.
    pub(crate) fn weight_decay_at(&self, step: usize, steps: usize) -> f64 {
        let Some(last) = self.final_weight_decay else { return self.weight_decay };
        let progress = (step as f64 / steps.saturating_sub(1).max(1) as f64).min(1.0);
        last + (self.weight_decay - last) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
    }
}

/// Running means of gradients and their squares, by weight name.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct AdamState {
    /// First moments.
    pub first: BTreeMap<String, Vec<f32>>,
    /// Second moments.
    pub second: BTreeMap<String, Vec<f32>>,
}

impl AdamState {
    /// Refuses moments read from a file unless there are those of every weight with a gradient, and no others: a step
    /// with a moment that began anew would give other weights, silently.
    ///
    /// # Errors
    /// [`Error::Shape`] naming the first weight.
    pub(crate) fn require_averages_of(&self, gradients: &Gradients) -> Result<()> {
        let refused = |expected: String, got: String| Error::Shape { operation: "resuming", expected, got };
        if let Some(name) = gradients.keys().find(|name| !self.first.contains_key(*name)) {
            return Err(refused(
                format!("the moments first.{name} and second.{name} in the saved state"),
                "none".into(),
            ));
        }
        match self.first.keys().find(|name| !gradients.contains_key(*name)) {
            None => Ok(()),
            Some(name) => Err(refused("moments of trained weights only".into(), format!("also first.{name}"))),
        }
    }
}

const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// Gradients by weight name.
pub(crate) type Gradients = BTreeMap<String, Vec<f32>>;

/// Adds the gradients of `weights` in `store` to `gradients`.
pub(crate) fn collect<'a>(
    gradients: &mut Gradients,
    weights: impl Iterator<Item = (&'a String, &'a Var)>,
    store: &GradStore,
) -> Result<()> {
    for (name, var) in weights {
        if let Some(gradient) = store.get(var) {
            add(gradients, name.clone(), with_values(gradient, <[f32]>::to_vec)?);
        }
    }
    Ok(())
}

/// Adds `values` to the gradient of `name`.
pub(crate) fn add(gradients: &mut Gradients, name: String, values: Vec<f32>) {
    match gradients.get_mut(&name) {
        Some(sum) => sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value),
        None => {
            gradients.insert(name, values);
        }
    }
}

/// Scales `gradients` down to `clip_norm`; returns their norm before.
pub(crate) fn clip(gradients: &mut Gradients, clip_norm: f64) -> f64 {
    let squares = |values: &Vec<f32>| values.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>();
    let values: Vec<&Vec<f32>> = gradients.values().collect();
    let squares: Vec<f64> = values.into_par_iter().map(squares).collect();
    let norm = squares.into_iter().sum::<f64>().sqrt();
    if norm > clip_norm {
        let factor = (clip_norm / norm) as f32;
        let values: Vec<&mut Vec<f32>> = gradients.values_mut().collect();
        values.into_par_iter().for_each(|values| values.iter_mut().for_each(|value| *value *= factor));
    }
    norm
}

/// One step of AdamW on every weight that has a gradient, on the current rayon pool. `step` counts from 0.
///
/// # Errors
/// When a weight cannot be written.
pub(crate) fn adamw<'a>(
    weights: impl Iterator<Item = (&'a String, &'a Var)>,
    gradients: &Gradients,
    state: &mut AdamState,
    config: &OptimiserConfig,
    learning_rate: f64,
    step: usize,
) -> Result<()> {
    let power = i32::try_from(step + 1).unwrap_or(i32::MAX);
    let correction_1 = 1.0 - BETA_1.powi(power);
    let correction_2 = 1.0 - BETA_2.powi(power);
    let rate = learning_rate as f32;
    let weights: BTreeMap<&String, (&Var, &Vec<f32>)> =
        weights.filter_map(|(name, var)| Some((name, (var, gradients.get(name)?)))).collect();
    for (name, (_, gradient)) in &weights {
        for kind in [&mut state.first, &mut state.second] {
            kind.entry((*name).clone()).or_insert_with(|| vec![0.0; gradient.len()]);
        }
    }
    let firsts = state.first.iter_mut().filter(|(name, _)| weights.contains_key(name));
    let seconds = state.second.iter_mut().filter(|(name, _)| weights.contains_key(name));
    let work: Vec<_> = weights.values().zip(firsts).zip(seconds).collect();
    work.into_par_iter().try_for_each(|((&(var, gradient), (_, first)), (_, second))| {
        let mut values = with_values(var, <[f32]>::to_vec)?;
        let decay = if var.rank() > 1 { 1.0 - rate * config.weight_decay as f32 } else { 1.0 };
        vectorised(
            #[inline(always)]
            || {
                for (((value, gradient), first), second) in values.iter_mut().zip(gradient).zip(first).zip(second) {
                    *first = BETA_1 * *first + (1.0 - BETA_1) * gradient;
                    *second = BETA_2 * *second + (1.0 - BETA_2) * gradient * gradient;
                    let step = (*first / correction_1) / ((*second / correction_2).sqrt() + EPSILON);
                    *value = *value * decay - rate * step;
                }
            },
        );
        Ok(var.set(&tensor(values, var.shape().clone())?)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_warms_up_and_ends_low() {
        let config = OptimiserConfig { warmup_steps: 10, ..OptimiserConfig::default() };
        let rates: Vec<f64> = (0..100).map(|step| config.learning_rate_at(step, 100)).collect();
        assert!(rates[..10].windows(2).all(|pair| pair[0] < pair[1]));
        assert!(rates[10..].windows(2).all(|pair| pair[0] > pair[1]));
        assert!((rates[9] - 1e-3).abs() < 1e-9 && rates[99] < 4e-5);
    }

    #[test]
    fn adamw_reaches_the_minimum_of_a_quadratic() {
        let config = OptimiserConfig { weight_decay: 0.0, ..OptimiserConfig::default() };
        let name = "x".to_owned();
        let var = Var::from_tensor(&tensor(vec![3.0, -2.0], 2).unwrap()).unwrap();
        let mut state = AdamState::default();
        for step in 0..2000 {
            let gradient = with_values(&var, |values| vec![values[0] - 1.0, 10.0 * values[1]]).unwrap();
            let gradients = Gradients::from([(name.clone(), gradient)]);
            adamw([(&name, &var)].into_iter(), &gradients, &mut state, &config, 0.01, step).unwrap();
        }
        let end = with_values(&var, <[f32]>::to_vec).unwrap();
        assert!((end[0] - 1.0).abs() < 1e-2 && end[1].abs() < 1e-2, "{end:?}");
    }

    #[test]
    fn clipping_keeps_the_direction() {
        let mut gradients = Gradients::from([("a".to_owned(), vec![3.0]), ("b".to_owned(), vec![-4.0])]);
        assert!((clip(&mut gradients, 1.0) - 5.0).abs() < 1e-6);
        assert!((gradients["a"][0] - 0.6).abs() < 1e-6 && (gradients["b"][0] + 0.8).abs() < 1e-6);
    }
}
