//! Latent states, plans and rollouts: what models, costs and planners exchange.
//!
//! Letters: `P` tokens per state (1 for a global latent), `D` width of a token, `N` plans, `S` samples per plan, `H`
//! horizon in action chunks, `A` width of an action chunk (control steps times action width). All values are row-major
//! `f32` on the host. Shapes are checked in the constructors; afterwards the types are trusted.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

fn require(operation: &'static str, expected: usize, values: &[f32]) -> Result<()> {
    if values.len() == expected {
        Ok(())
    } else {
        Err(Error::Shape { operation, expected: format!("{expected} values"), got: values.len().to_string() })
    }
}

/// Shape of a latent state, `[P, D]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatentShape {
    /// Tokens `P`: 1 for a global latent, 256 for a 16x16 patch encoder.
    pub tokens: usize,
    /// Width `D` of a token.
    pub width: usize,
}

impl LatentShape {
    /// A global latent, `[1, D]`.
    pub fn global(width: usize) -> Self {
        Self { tokens: 1, width }
    }

    /// Values of a state, `P * D`.
    pub fn values(self) -> usize {
        self.tokens * self.width
    }
}

impl std::fmt::Display for LatentShape {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}x{}", self.tokens, self.width)
    }
}

/// A state of the world as the model represents it, `[P, D]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Latent {
    tokens: usize,
    width: usize,
    values: Vec<f32>,
}

impl Latent {
    /// Takes `values [P, D]`.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there are `tokens * width` values.
    pub fn new(tokens: usize, width: usize, values: Vec<f32>) -> Result<Self> {
        require("latent", tokens * width, &values)?;
        Ok(Self { tokens, width, values })
    }

    /// A global latent, `[1, D]`.
    pub fn global(values: Vec<f32>) -> Self {
        Self { tokens: 1, width: values.len(), values }
    }

    /// Tokens `P` and width `D`.
    pub fn shape(&self) -> LatentShape {
        LatentShape { tokens: self.tokens, width: self.width }
    }

    /// Tokens `P`.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Width `D` of a token.
    pub fn width(&self) -> usize {
        self.width
    }

    /// All values, `[P, D]`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Mean squared difference per value; infinite between latents of different shapes.
    pub fn mean_square_distance(&self, other: &Self) -> f32 {
        if self.shape() != other.shape() || self.values.is_empty() {
            return f32::INFINITY;
        }
        let squares = self.values.iter().zip(&other.values).map(|(a, b)| (a - b) * (a - b));
        squares.sum::<f32>() / self.values.len() as f32
    }
}

/// One sequence of action chunks, `[H, A]`, in normalised actions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    horizon: usize,
    #[serde(alias = "block_width")]
    chunk_width: usize,
    values: Vec<f32>,
}

impl Plan {
    /// Takes `values [H, A]`.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there are `horizon * chunk_width` values.
    pub fn new(horizon: usize, chunk_width: usize, values: Vec<f32>) -> Result<Self> {
        require("plan", horizon * chunk_width, &values)?;
        Ok(Self { horizon, chunk_width, values })
    }

    /// Zeros for `horizon` chunks. A normalised action of 0 is the middle of its bounds; see
    /// [`ActionSpace`](mindseye_interface::ActionSpace) for the action that holds still.
    pub fn zeros(horizon: usize, chunk_width: usize) -> Self {
        Self { horizon, chunk_width, values: vec![0.0; horizon * chunk_width] }
    }

    /// Horizon `H`, chunks.
    pub fn horizon(&self) -> usize {
        self.horizon
    }

    /// Width `A` of a chunk.
    pub fn chunk_width(&self) -> usize {
        self.chunk_width
    }

    /// All values, `[H, A]`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The chunk to execute now, `[A]`; empty if the horizon is 0.
    pub fn first_chunk(&self) -> &[f32] {
        &self.values[..self.chunk_width.min(self.values.len())]
    }

    /// The plan after its first chunk was executed: without that chunk, with zeros as the last one.
    pub fn shifted(&self) -> Self {
        let mut values = self.values[self.first_chunk().len()..].to_vec();
        values.resize(self.values.len(), 0.0);
        Self { values, ..*self }
    }
}

/// Candidate plans, `[N, H, A]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Plans {
    count: usize,
    horizon: usize,
    chunk_width: usize,
    values: Vec<f32>,
}

impl Plans {
    /// Takes `values [N, H, A]`.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there are `count * horizon * chunk_width` values.
    pub fn new(count: usize, horizon: usize, chunk_width: usize, values: Vec<f32>) -> Result<Self> {
        require("plans", count * horizon * chunk_width, &values)?;
        Ok(Self { count, horizon, chunk_width, values })
    }

    /// Number of plans `N`.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Horizon `H`, chunks.
    pub fn horizon(&self) -> usize {
        self.horizon
    }

    /// Width `A` of a chunk.
    pub fn chunk_width(&self) -> usize {
        self.chunk_width
    }

    /// All values, `[N, H, A]`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Plan `index`, `[H, A]`.
    pub fn plan(&self, index: usize) -> Plan {
        let length = self.horizon * self.chunk_width;
        let values = self.values[index * length..(index + 1) * length].to_vec();
        Plan { horizon: self.horizon, chunk_width: self.chunk_width, values }
    }
}

impl From<&Plan> for Plans {
    fn from(plan: &Plan) -> Self {
        Self { count: 1, horizon: plan.horizon, chunk_width: plan.chunk_width, values: plan.values.clone() }
    }
}

/// Predicted states, `[N, S, H, P, D]`: the state after each chunk of each sample of each plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollouts {
    plans: usize,
    samples: usize,
    horizon: usize,
    tokens: usize,
    width: usize,
    values: Vec<f32>,
}

impl Rollouts {
    /// Takes `values [N, S, H, P, D]`, with `shape` these five numbers.
    ///
    /// # Errors
    /// [`Error::Shape`] when the number of values is another.
    pub fn new(shape: [usize; 5], values: Vec<f32>) -> Result<Self> {
        require("rollouts", shape.iter().product(), &values)?;
        let [plans, samples, horizon, tokens, width] = shape;
        Ok(Self { plans, samples, horizon, tokens, width, values })
    }

    /// A rollout that consists of one state, for costs of the current state.
    pub fn of_state(latent: &Latent) -> Self {
        let values = latent.values().to_vec();
        Self { plans: 1, samples: 1, horizon: 1, tokens: latent.tokens(), width: latent.width(), values }
    }

    /// `N`, `S`, `H`, `P` and `D`.
    pub fn shape(&self) -> [usize; 5] {
        [self.plans, self.samples, self.horizon, self.tokens, self.width]
    }

    /// Number of plans `N`.
    pub fn plans(&self) -> usize {
        self.plans
    }

    /// Samples per plan `S`.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Horizon `H`, chunks.
    pub fn horizon(&self) -> usize {
        self.horizon
    }

    /// Number of predicted states, `N * S * H`.
    pub fn states(&self) -> usize {
        self.plans * self.samples * self.horizon
    }

    /// Tokens `P` of a state.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Width `D` of a token.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Values per state, `P * D`.
    pub fn state_len(&self) -> usize {
        self.tokens * self.width
    }

    /// All values, `[N, S, H, P, D]`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The state after chunk `chunk` of sample `sample` of plan `plan`.
    pub fn state(&self, plan: usize, sample: usize, chunk: usize) -> Latent {
        let length = self.state_len();
        let index = (plan * self.samples + sample) * self.horizon + chunk;
        let values = self.values[index * length..(index + 1) * length].to_vec();
        Latent { tokens: self.tokens, width: self.width, values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constructors_refuse_a_wrong_number_of_values() {
        assert!(Latent::new(2, 3, vec![0.0; 5]).is_err());
        assert!(Plans::new(2, 3, 4, vec![0.0; 23]).unwrap_err().to_string().contains("24"));
        assert!(Rollouts::new([1, 2, 3, 4, 5], vec![0.0; 120]).is_ok());
    }

    #[test]
    fn a_shifted_plan_drops_its_first_chunk() {
        let plan = Plan::new(3, 2, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        assert_eq!(plan.shifted().values(), [3.0, 4.0, 5.0, 6.0, 0.0, 0.0]);
    }

    #[test]
    fn a_state_of_a_rollout_has_all_its_tokens() {
        let values: Vec<f32> = (0..2 * 3 * 2 * 4 * 5).map(|value| value as f32).collect();
        let rollouts = Rollouts::new([2, 3, 2, 4, 5], values).unwrap();
        let state = rollouts.state(1, 2, 0);
        assert_eq!(state.shape(), LatentShape { tokens: 4, width: 5 });
        assert_eq!(state.values()[0], ((3 + 2) * 2 * 20) as f32);
    }
}
