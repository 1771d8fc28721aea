//! What the modules exchange. Letters: `P` tokens per state (1 for a global latent), `D` latent width, `N` plans, `S` futures per
//! plan, `H` horizon in action blocks, `A` width of an action block (control steps times action width).
//!
//! Everything is row-major `f32` on the host; shapes are checked here once and trusted afterwards.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

fn require(operation: &'static str, expected: usize, values: &[f32]) -> Result<()> {
    if values.len() == expected {
        Ok(())
    } else {
        Err(Error::Shape { operation, expected: format!("{expected} values"), got: values.len().to_string() })
    }
}

/// A state of the world as the agent represents it, `[P, D]`.
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

    /// Tokens `P`.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Width `D`.
    pub fn width(&self) -> usize {
        self.width
    }

    /// All values, `[P, D]`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Mean squared difference per value; infinite between latents of different shapes.
    pub fn mean_square_distance(&self, other: &Self) -> f32 {
        if (self.tokens, self.width) != (other.tokens, other.width) || self.values.is_empty() {
            return f32::INFINITY;
        }
        let squares = self.values.iter().zip(&other.values).map(|(a, b)| (a - b) * (a - b));
        squares.sum::<f32>() / self.values.len() as f32
    }
}

/// One sequence of action blocks, `[H, A]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    horizon: usize,
    block_width: usize,
    values: Vec<f32>,
}

impl Plan {
    /// Takes `values [H, A]`.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there are `horizon * block_width` values.
    pub fn new(horizon: usize, block_width: usize, values: Vec<f32>) -> Result<Self> {
        require("plan", horizon * block_width, &values)?;
        Ok(Self { horizon, block_width, values })
    }

    /// Doing nothing for `horizon` blocks.
    pub fn zeros(horizon: usize, block_width: usize) -> Self {
        Self { horizon, block_width, values: vec![0.0; horizon * block_width] }
    }

    /// Horizon `H`, blocks.
    pub fn horizon(&self) -> usize {
        self.horizon
    }

    /// Width `A` of a block.
    pub fn block_width(&self) -> usize {
        self.block_width
    }

    /// All values, `[H, A]`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The block to execute now, `[A]`; empty if the horizon is 0.
    pub fn first_block(&self) -> &[f32] {
        &self.values[..self.block_width.min(self.values.len())]
    }

    /// The same plan one block later: its first block is done, its last does nothing.
    pub fn shifted(&self) -> Self {
        let mut values = self.values[self.first_block().len()..].to_vec();
        values.resize(self.values.len(), 0.0);
        Self { values, ..*self }
    }
}

/// Candidate plans, `[N, H, A]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Plans {
    count: usize,
    horizon: usize,
    block_width: usize,
    values: Vec<f32>,
}

impl Plans {
    /// Takes `values [N, H, A]`.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there are `count * horizon * block_width` values.
    pub fn new(count: usize, horizon: usize, block_width: usize, values: Vec<f32>) -> Result<Self> {
        require("plans", count * horizon * block_width, &values)?;
        Ok(Self { count, horizon, block_width, values })
    }

    /// Number of plans `N`.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Horizon `H`, blocks.
    pub fn horizon(&self) -> usize {
        self.horizon
    }

    /// Width `A` of a block.
    pub fn block_width(&self) -> usize {
        self.block_width
    }

    /// All values, `[N, H, A]`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Plan `index`, `[H, A]`.
    pub fn plan(&self, index: usize) -> Plan {
        let length = self.horizon * self.block_width;
        let values = self.values[index * length..(index + 1) * length].to_vec();
        Plan { horizon: self.horizon, block_width: self.block_width, values }
    }
}

impl From<&Plan> for Plans {
    fn from(plan: &Plan) -> Self {
        Self { count: 1, horizon: plan.horizon, block_width: plan.block_width, values: plan.values.clone() }
    }
}

/// Imagined futures, `[N, S, H, P, D]`: the state after each block.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollouts {
    plans: usize,
    futures: usize,
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
        let [plans, futures, horizon, tokens, width] = shape;
        Ok(Self { plans, futures, horizon, tokens, width, values })
    }

    /// A rollout that consists of one state: what there is now, judged like a future.
    pub fn of_state(latent: &Latent) -> Self {
        let values = latent.values().to_vec();
        Self { plans: 1, futures: 1, horizon: 1, tokens: latent.tokens(), width: latent.width(), values }
    }

    /// Number of plans `N`.
    pub fn plans(&self) -> usize {
        self.plans
    }

    /// Futures per plan `S`.
    pub fn futures(&self) -> usize {
        self.futures
    }

    /// Horizon `H`, blocks.
    pub fn horizon(&self) -> usize {
        self.horizon
    }

    /// Number of imagined states, `N * S * H`: rows of predictor work.
    pub fn states(&self) -> usize {
        self.plans * self.futures * self.horizon
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

    /// The state after block `block` of future `future` of plan `plan`.
    pub fn state(&self, plan: usize, future: usize, block: usize) -> Latent {
        let length = self.state_len();
        let index = (plan * self.futures + future) * self.horizon + block;
        let values = self.values[index * length..(index + 1) * length].to_vec();
        Latent { tokens: self.tokens, width: self.width, values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_checked() {
        assert!(Latent::new(2, 3, vec![0.0; 5]).is_err());
        assert!(Plans::new(2, 3, 4, vec![0.0; 23]).unwrap_err().to_string().contains("24"));
        assert!(Rollouts::new([1, 2, 3, 4, 5], vec![0.0; 120]).is_ok());
    }

    #[test]
    fn a_shifted_plan_drops_what_is_done() {
        let plan = Plan::new(3, 2, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        assert_eq!(plan.shifted().values(), [3.0, 4.0, 5.0, 6.0, 0.0, 0.0]);
    }
}
