//! Named weights: drawn from a seed or taken from a file by the same constructor code, always in the order of their
//! names.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{DType, Device, Tensor, Var};
use mindseye_interface::Seed;
use mindseye_interface::memory::{product, sum};
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

/// The weights of `weights` that training changes, in order of their names: all but the constants of a model, which are
/// under `whitening.` and `proprioception.`.
pub(crate) fn trained(weights: &Weights) -> impl Iterator<Item = (&String, &Var)> {
    weights.iter().filter(|(name, _)| !name.starts_with("whitening.") && !name.starts_with("proprioception."))
}

/// How a fresh weight is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Initial {
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
    pub(crate) fn for_inputs(inputs: usize) -> Self {
        Self::Uniform { bound: 1.0 / (inputs as f32).sqrt() }
    }
}

/// `count` fresh values from `seed`.
pub(crate) fn draw(initial: Initial, count: usize, seed: Seed) -> Vec<f32> {
    let mut rng = seed.rng();
    match initial {
        Initial::Constant(value) => vec![value; count],
        Initial::Uniform { bound } => (0..count).map(|_| rng.random_range(-bound..=bound)).collect(),
    }
}

enum Origin {
    Fresh(Seed),
    Stored(BTreeMap<String, Tensor>),
    Listed(Arc<Mutex<Shapes>>),
}

/// Shapes of weights by name.
pub(crate) type Shapes = BTreeMap<String, Vec<usize>>;

/// Names and shapes of the weights that `build` takes, without memory for them: what a network needs is known before
/// anything is allocated or read.
///
/// # Errors
/// Whatever `build` returns.
pub(crate) fn shapes_of<T>(build: impl FnOnce(WeightSource) -> Result<T>) -> Result<Shapes> {
    let shapes = Arc::new(Mutex::new(Shapes::new()));
    let origin = Origin::Listed(shapes.clone());
    build(WeightSource { origin, prefix: String::new(), weights: Weights::new() })?;
    let listed = std::mem::take(&mut *shapes.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(listed)
}

/// Number of values of weights of these shapes; see [`product`] about overflow.
pub(crate) fn values_in(shapes: &Shapes) -> u128 {
    sum(&shapes.values().map(|shape| product(shape)).collect::<Vec<u128>>())
}

/// Where the constructor of a network takes its weights from.
pub struct WeightSource {
    origin: Origin,
    prefix: String,
    weights: Weights,
}

impl WeightSource {
    /// Draws every weight from its own child of `seed`, so that adding a layer changes no other.
    pub fn fresh(seed: Seed) -> Self {
        Self { origin: Origin::Fresh(seed), prefix: String::new(), weights: Weights::new() }
    }

    /// Takes every weight from `stored`.
    pub fn stored(stored: BTreeMap<String, Tensor>) -> Self {
        Self { origin: Origin::Stored(stored), prefix: String::new(), weights: Weights::new() }
    }

    /// Builds a part whose weights are all named `name.…`.
    ///
    /// # Errors
    /// Whatever `build` returns.
    pub(crate) fn within<T>(&mut self, name: &str, build: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let outer = std::mem::take(&mut self.prefix);
        self.prefix = format!("{outer}{name}.");
        let built = build(self);
        self.prefix = outer;
        built
    }

    /// The weight called `name` here, as a tensor of shape `used` with as many values as `shape`.
    ///
    /// # Errors
    /// As [`WeightSource::weight`].
    pub(crate) fn weight_as(
        &mut self,
        name: &str,
        shape: &[usize],
        used: &[usize],
        initial: Initial,
    ) -> Result<Tensor> {
        let weight = self.weight(name, shape, initial)?;
        match &self.origin {
            // Reshaping copies what is not contiguous: here it would allocate what is only listed.
            Origin::Listed(_) => Ok(Tensor::zeros(1, DType::F32, &Device::Cpu)?.broadcast_as(used)?),
            _ => Ok(weight.reshape(used)?),
        }
    }

    /// The weight called `name` here.
    ///
    /// # Errors
    /// When it is not stored, or stored with another shape.
    pub(crate) fn weight(&mut self, name: &str, shape: &[usize], initial: Initial) -> Result<Tensor> {
        let full_name = format!("{}{name}", self.prefix);
        let tensor = match &mut self.origin {
            Origin::Fresh(seed) => {
                let values = draw(initial, shape.iter().product(), seed.child(&full_name));
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
            Origin::Listed(shapes) => {
                shapes.lock().unwrap_or_else(PoisonError::into_inner).insert(full_name, shape.to_vec());
                return Ok(Tensor::zeros(1, DType::F32, &Device::Cpu)?.broadcast_as(shape)?); // one value, seen often
            }
        };
        let var = Var::from_tensor(&tensor)?;
        let weight = var.as_tensor().clone();
        self.weights.insert(full_name, var);
        Ok(weight)
    }

    /// All weights that were taken.
    ///
    /// # Errors
    /// When stored weights are left over: the file belongs to another model.
    pub(crate) fn finish(self) -> Result<Weights> {
        if let Origin::Stored(stored) = &self.origin
            && let Some(name) = stored.keys().next()
        {
            let expected = "only weights of this model".into();
            return Err(Error::Shape { operation: "loading weights", expected, got: format!("also {name}") });
        }
        Ok(self.weights)
    }
}
