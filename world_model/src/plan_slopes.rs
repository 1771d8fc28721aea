//! Slopes of an energy on plans, through the predictor: for planning by gradients.

use candle_core::{Tensor, Var};
use rayon::prelude::*;

use crate::jepa::Jepa;
use crate::ops::{tensor, with_values};
use crate::predictor::Predictor;
use crate::{Error, Result};

/// Plans per task: fixed, so that the number of threads changes nothing but the time.
const GROUP: usize = 16;

/// A predictor whose weights stay as they are.
#[derive(Debug, Clone)]
pub struct PlanSlopes {
    predictor: Predictor,
    latent_width: usize,
    block_width: usize,
}

/// A group of plans rolled out, with the way back.
struct Unrolled {
    /// `[n, A]` for every block.
    blocks: Vec<Var>,
    /// `[n, D]` after every block.
    states: Vec<Tensor>,
}

impl PlanSlopes {
    /// The predictor of `model`.
    pub fn new(model: &Jepa) -> Self {
        let config = model.config();
        Self {
            predictor: model.predictor().frozen(),
            latent_width: config.latent_width,
            block_width: config.block_width(),
        }
    }

    /// The slopes `[N, H, A]` of an energy on `plans [N, H, A]` that start from `start [D]`. `judge` gets the latents after every block,
    /// `[N, H, D]`, and says the energy's slopes on them. On `threads` > 1 groups of plans are shared out on the current rayon pool.
    ///
    /// # Errors
    /// [`Error::Shape`] when the sizes do not fit, and `judge`'s errors.
    pub fn of<E: From<Error>>(
        &self,
        start: &[f32],
        plans: &[f32],
        horizon: usize,
        threads: usize,
        judge: impl FnOnce(Vec<f32>) -> std::result::Result<Vec<f32>, E>,
    ) -> std::result::Result<Vec<f32>, E> {
        let plan_len = horizon * self.block_width;
        if start.len() != self.latent_width || plan_len == 0 || !plans.len().is_multiple_of(plan_len) {
            return Err(Error::Shape {
                operation: "slopes of plans",
                expected: format!("a start of {} values, plans of {plan_len}", self.latent_width),
                got: format!("a start of {} values, {} values of plans", start.len(), plans.len()),
            }
            .into());
        }
        let groups: Vec<&[f32]> = plans.chunks(GROUP * plan_len).collect();
        let unroll = |group: &&[f32]| self.unroll(start, group, horizon);
        let unrolled: Vec<Unrolled> = shared_out(&groups, threads, unroll)?;
        let mut latents = Vec::with_capacity(plans.len() / self.block_width * self.latent_width);
        for group in &unrolled {
            let states: Vec<Tensor> = group.states.iter().map(Tensor::detach).collect();
            let stacked = Tensor::stack(&states, 1).map_err(Error::from)?; // [n, H, D]
            with_values(&stacked, |values| latents.extend_from_slice(values)).map_err(Error::from)?;
        }
        let slopes = judge(latents)?;
        if slopes.len() != plans.len() / self.block_width * self.latent_width {
            return Err(Error::Shape {
                operation: "slopes of plans",
                expected: "a slope for every value of a latent".into(),
                got: format!("{} slopes", slopes.len()),
            }
            .into());
        }
        let parts: Vec<(&Unrolled, &[f32])> =
            unrolled.iter().zip(slopes.chunks(GROUP * horizon * self.latent_width)).collect();
        let back = |(group, slopes): &(&Unrolled, &[f32])| self.back(group, slopes);
        Ok(shared_out(&parts, threads, back)?.concat())
    }

    fn unroll(&self, start: &[f32], plans: &[f32], horizon: usize) -> Result<Unrolled> {
        let count = plans.len() / (horizon * self.block_width);
        let mut state = tensor(start.repeat(count), (count, self.latent_width))?;
        let (mut blocks, mut states) = (Vec::with_capacity(horizon), Vec::with_capacity(horizon));
        for step in 0..horizon {
            let of_plan = |plan: &[f32]| plan[step * self.block_width..(step + 1) * self.block_width].to_vec();
            let values = plans.chunks_exact(horizon * self.block_width).flat_map(of_plan).collect();
            let block = Var::from_tensor(&tensor(values, (count, self.block_width))?)?;
            state = self.predictor.forward(&state, block.as_tensor())?;
            states.push(state.clone());
            blocks.push(block);
        }
        Ok(Unrolled { blocks, states })
    }

    /// Slopes `[n, H, A]` of a group from those on its states `[n, H, D]`.
    fn back(&self, group: &Unrolled, slopes: &[f32]) -> Result<Vec<f32>> {
        let horizon = group.states.len();
        let count = slopes.len() / (horizon * self.latent_width);
        let pull = tensor(slopes.to_vec(), (count, horizon, self.latent_width))?;
        let pulled = (Tensor::stack(&group.states, 1)? * pull)?.sum_all()?;
        let gradients = pulled.backward()?;
        let mut result = vec![0.0; count * horizon * self.block_width];
        for (step, block) in group.blocks.iter().enumerate() {
            let Some(gradient) = gradients.get(block.as_tensor()) else { continue }; // an energy that asks nothing of it
            with_values(gradient, |values| {
                for (plan, values) in values.chunks_exact(self.block_width).enumerate() {
                    let place = (plan * horizon + step) * self.block_width;
                    result[place..place + self.block_width].copy_from_slice(values);
                }
            })?;
        }
        Ok(result)
    }
}

/// `work` on every part, in their order; on `threads` > 1 shared out on the current rayon pool.
fn shared_out<P: Sync, T: Send>(
    parts: &[P],
    threads: usize,
    work: impl Fn(&P) -> Result<T> + Sync + Send,
) -> Result<Vec<T>> {
    if threads > 1 { parts.par_iter().map(work).collect() } else { parts.iter().map(work).collect() }
}
