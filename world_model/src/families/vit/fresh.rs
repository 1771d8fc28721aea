//! How fresh weights of a vision transformer are drawn: as training begins, and for the untrained encoder beside a
//! trained one.

use mindseye_interface::Seed;

use super::parameters::{Parameters, missing};
use crate::Result;
use crate::parameters::{Initial, Shapes, draw};

/// Bound of class, register and mask tokens and of tables of positions.
const SMALL: f32 = 0.03;

/// How the weight called `name` (or whose name ends so) of this shape is drawn: matrices uniformly by their inputs and
/// outputs (Glorot and Bengio 2010), scales 1, biases 0.
pub(super) fn fresh(name: &str, shape: &[usize]) -> Initial {
    let is_table = ["pos_embed", "_token", "_tokens", "mod_embed"].iter().any(|end| name.ends_with(end));
    match shape {
        _ if is_table => Initial::Uniform { bound: SMALL },
        [outputs, rest @ ..] if !rest.is_empty() => {
            let inputs: usize = rest.iter().product();
            Initial::Uniform { bound: (6.0 / (inputs + outputs) as f32).sqrt() }
        }
        _ if name.ends_with("weight") || name.ends_with(".ls1") || name.ends_with(".ls2") => Initial::Constant(1.0),
        _ => Initial::Constant(0.0),
    }
}

/// Fresh weights of given shapes, each from its own child of a seed.
pub(super) struct FreshParameters {
    /// The root.
    pub seed: Seed,
    /// Shapes by name.
    pub shapes: Shapes,
}

impl Parameters for FreshParameters {
    fn values(&mut self, name: &str) -> Result<Vec<f32>> {
        let shape = self.shapes.get(name).ok_or_else(|| missing(name))?;
        Ok(draw(fresh(name, shape), shape.iter().product(), self.seed.child(name)))
    }

    fn has(&self, name: &str) -> bool {
        self.shapes.contains_key(name)
    }
}
