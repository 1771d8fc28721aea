//! Where the values of weights come from when a vision transformer is built: a folder, or a seed.

use std::collections::BTreeMap;

use mindseye_interface::Seed;
use rand_distr::{Distribution, StandardNormal};

use crate::ops::{InferenceLinear, Precision};
use crate::parameters::Shapes;
use crate::tensor_files::TensorFiles;
use crate::{Error, Result};

/// Values of weights by their inner names.
pub(in crate::families) trait Parameters {
    /// All values of the weight `name`.
    ///
    /// # Errors
    /// When there is none, or a value is not finite.
    fn values(&mut self, name: &str) -> Result<Vec<f32>>;

    /// Whether there is a weight `name`.
    fn has(&self, name: &str) -> bool;
}

/// Weights in files, read when they are asked for.
pub(in crate::families) struct StoredParameters<'a> {
    /// The files.
    pub files: &'a mut TensorFiles,
    /// Stored names of the pieces of each weight.
    pub pieces: &'a BTreeMap<String, Vec<String>>,
}

impl Parameters for StoredParameters<'_> {
    fn values(&mut self, name: &str) -> Result<Vec<f32>> {
        let pieces = self.pieces.get(name).ok_or_else(|| missing(name))?;
        match pieces.as_slice() {
            [one] => self.files.values(one),
            several => {
                let mut values = Vec::new();
                for piece in several {
                    values.extend(self.files.values(piece)?);
                }
                Ok(values)
            }
        }
    }

    fn has(&self, name: &str) -> bool {
        self.pieces.contains_key(name)
    }
}

/// Random weights of given shapes, each from its own child of a seed. For measuring speed and for tests.
pub(in crate::families) struct DrawnParameters {
    /// The root.
    pub seed: Seed,
    /// Shapes by name.
    pub shapes: Shapes,
}

impl Parameters for DrawnParameters {
    fn values(&mut self, name: &str) -> Result<Vec<f32>> {
        let shape = self.shapes.get(name).ok_or_else(|| missing(name))?;
        let mut rng = self.seed.child(name).rng();
        let is_gain = name.ends_with(".weight") && shape.len() == 1;
        let (middle, spread) = match shape.as_slice() {
            [_, inputs] => (0.0, 1.0 / (*inputs as f32).sqrt()),
            _ if is_gain => (1.0, 0.1),
            _ => (0.0, 0.1),
        };
        let draw = |_| -> f32 {
            let drawn: f32 = StandardNormal.sample(&mut rng);
            middle + spread * drawn
        };
        Ok((0..shape.iter().product::<usize>()).map(draw).collect())
    }

    fn has(&self, name: &str) -> bool {
        self.shapes.contains_key(name)
    }
}

pub(in crate::families) fn missing(name: &str) -> Error {
    Error::Shape { operation: "loading weights", expected: format!("a weight {name}"), got: "none".into() }
}

/// Scale and shift of a layer norm.
#[derive(Debug, Clone)]
pub(in crate::families) struct Norm {
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
}

impl Norm {
    /// The norm `name`.
    pub fn read(parameters: &mut dyn Parameters, name: &str) -> Result<Self> {
        let scale = parameters.values(&format!("{name}.weight"))?;
        Ok(Self { scale, shift: parameters.values(&format!("{name}.bias"))? })
    }
}

/// The map `name`, in `precision`; without a stored bias of zeros.
pub(in crate::families) fn linear(
    parameters: &mut dyn Parameters,
    name: &str,
    precision: Precision,
) -> Result<InferenceLinear> {
    scaled_linear(parameters, name, None, precision)
}

/// The map `name` with its outputs multiplied by the vector `scale`, if there is one: LayerScale costs nothing then.
pub(in crate::families) fn scaled_linear(
    parameters: &mut dyn Parameters,
    name: &str,
    scale: Option<&[f32]>,
    precision: Precision,
) -> Result<InferenceLinear> {
    let mut weight = parameters.values(&format!("{name}.weight"))?;
    let bias = format!("{name}.bias");
    let mut bias = match parameters.has(&bias) {
        true => parameters.values(&bias)?,
        false => vec![0.0; outputs_of(parameters, name, &weight)?],
    };
    if let Some(scale) = scale {
        let inputs = weight.len() / scale.len().max(1);
        for (row, scale) in weight.chunks_exact_mut(inputs.max(1)).zip(scale) {
            row.iter_mut().for_each(|value| *value *= scale);
        }
        bias.iter_mut().zip(scale).for_each(|(value, scale)| *value *= scale);
    }
    if bias.is_empty() || !weight.len().is_multiple_of(bias.len()) {
        let expected = format!("{name} with a bias per output");
        let got = format!("{} weights, {} biases", weight.len(), bias.len());
        return Err(Error::Shape { operation: "loading weights", expected, got });
    }
    Ok(InferenceLinear::new(&weight, &bias, precision))
}

/// Outputs of a map without a bias: of queries, keys and values, whose inputs are a norm's width.
fn outputs_of(parameters: &mut dyn Parameters, name: &str, weight: &[f32]) -> Result<usize> {
    let norm = name.replace("attn.qkv", "norm1.weight");
    let inputs = parameters.values(&norm)?.len();
    Ok(weight.len() / inputs.max(1))
}
