//! Named weights: drawn from a seed or taken from a file by the same constructor code, always in the order of their names.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor, Var};
use mindseye_interface::Seed;
use rand::Rng;

use crate::ops::with_values;
use crate::{Error, Result};

/// Weights by name, sorted: `BTreeMap` because optimisers, norms and hashes must see them in the same order every time.
pub type Weights = BTreeMap<String, Var>;

/// All values of `weights`, in the order of their names: for comparing networks.
///
/// # Errors
/// When a weight is not on the CPU.
pub fn values_of(weights: &Weights) -> Result<Vec<f32>> {
    let mut values = Vec::new();
    for weight in weights.values() {
        with_values(weight, |weight| values.extend_from_slice(weight))?;
    }
    Ok(values)
}

/// How a fresh weight is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Initial {
    /// The same number everywhere.
    Constant(f32),
    /// Uniform in `+-bound`.
    Uniform {
        /// Largest absolute value.
        bound: f32,
    },
}

impl Initial {
    /// Uniform in `+-1 / sqrt(inputs)`, PyTorch's default for linear and convolution layers.
    pub fn for_inputs(inputs: usize) -> Self {
        Self::Uniform { bound: 1.0 / (inputs as f32).sqrt() }
    }
}

enum Origin {
    Fresh(Seed),
    Stored(BTreeMap<String, Tensor>),
}

/// Where the constructor of a network takes its weights from.
pub struct Source {
    origin: Origin,
    prefix: String,
    weights: Weights,
}

impl Source {
    /// Draws every weight from its own child of `seed`, so that adding a layer changes no other.
    pub fn fresh(seed: Seed) -> Self {
        Self { origin: Origin::Fresh(seed), prefix: String::new(), weights: Weights::new() }
    }

    /// Takes every weight from `stored`.
    pub fn stored(stored: BTreeMap<String, Tensor>) -> Self {
        Self { origin: Origin::Stored(stored), prefix: String::new(), weights: Weights::new() }
    }

    /// Builds something whose weights are all named `name.…`.
    ///
    /// # Errors
    /// Whatever `build` returns.
    pub fn within<T>(&mut self, name: &str, build: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let outer = std::mem::take(&mut self.prefix);
        self.prefix = format!("{outer}{name}.");
        let built = build(self);
        self.prefix = outer;
        built
    }

    /// The weight called `name` here.
    ///
    /// # Errors
    /// When it is not stored, or stored with another shape.
    pub fn weight(&mut self, name: &str, shape: &[usize], initial: Initial) -> Result<Tensor> {
        let full_name = format!("{}{name}", self.prefix);
        let tensor = match &mut self.origin {
            Origin::Fresh(seed) => {
                let mut rng = seed.child(&full_name).rng();
                let count = shape.iter().product();
                let values: Vec<f32> = match initial {
                    Initial::Constant(value) => vec![value; count],
                    Initial::Uniform { bound } => (0..count).map(|_| rng.random_range(-bound..=bound)).collect(),
                };
                Tensor::from_vec(values, shape, &Device::Cpu)?
            }
            Origin::Stored(stored) => {
                let tensor = stored.remove(&full_name).ok_or_else(|| Error::Shape {
                    operation: "loading weights",
                    expected: format!("a weight {full_name}"),
                    got: "none".into(),
                })?;
                if tensor.dims() != shape {
                    return Err(Error::Shape {
                        operation: "loading weights",
                        expected: format!("{full_name} of shape {shape:?}"),
                        got: format!("{:?}", tensor.dims()),
                    });
                }
                tensor
            }
        };
        let var = Var::from_tensor(&tensor)?;
        let weight = var.as_tensor().clone();
        self.weights.insert(full_name, var);
        Ok(weight)
    }

    /// All weights handed out.
    ///
    /// # Errors
    /// When stored weights are left over: the file belongs to another model.
    pub fn finish(self) -> Result<Weights> {
        if let Origin::Stored(stored) = &self.origin
            && let Some(name) = stored.keys().next()
        {
            let expected = "only weights of this model".into();
            return Err(Error::Shape { operation: "loading weights", expected, got: format!("also {name}") });
        }
        Ok(self.weights)
    }
}
