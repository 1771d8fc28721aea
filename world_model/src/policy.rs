//! A reactive policy: from a state and a goal straight to a plan, without imagining anything (LeCun 2022, section 3.1, Mode-1).
//!
//! It learns what a planner looks for, once for all states and goals instead of anew for each: its plans are imagined and judged, and the slopes
//! of their energy, the same that a planner by gradient descends, change the weights that they came from. (To imitate plans that were found, as
//! section 3.1.3 has it, teaches little here: which way through a block is found is chance; see `docs/experiments.md`.)

use candle_core::Tensor;
use mindseye_interface::Seed;
use mindseye_interface::config::require_range;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::fitting::{Fitting, PARTS};
use crate::jepa::ModelConfig;
use crate::layers::{GatedTrunk, Linear};
use crate::ops::{tensor, with_values};
use crate::optimiser::{Gradients, OptimiserConfig, collect};
use crate::parameters::{Source, Weights};
use crate::part::{Part, require_sizes};
use crate::{Error, Result};

/// Shape of the policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// Width `D` of the latents.
    pub latent_width: usize,
    /// Blocks `H` of a plan.
    pub horizon_blocks: usize,
    /// Width `A` of an action block.
    pub block_width: usize,
    /// Width of the hidden layers.
    pub hidden: usize,
    /// Residual hidden layers after the first.
    pub layers: usize,
}

impl PolicyConfig {
    /// The policy for a model, with plans of `horizon_blocks`.
    pub fn for_model(model: &ModelConfig, horizon_blocks: usize) -> Self {
        let (latent_width, block_width) = (model.latent_width, model.block_width());
        Self { latent_width, horizon_blocks, block_width, hidden: 256, layers: 2 }
    }

    fn plan_width(&self) -> usize {
        self.horizon_blocks * self.block_width
    }
}

/// `plan = tanh(W trunk([z; g; g - z]))`.
#[derive(Debug)]
pub struct Policy {
    config: PolicyConfig,
    trunk: GatedTrunk,
    output: Linear,
    weights: Weights,
}

impl Part for Policy {
    type Config = PolicyConfig;

    const FILE: &'static str = "policy.safetensors";

    fn build(config: PolicyConfig, mut source: Source) -> Result<Self> {
        require_range("policy.latent_width", config.latent_width, 1, 4096)?;
        require_range("policy.horizon_blocks", config.horizon_blocks, 1, 1000)?;
        require_range("policy.block_width", config.block_width, 1, 25_600)?;
        require_range("policy.hidden", config.hidden, 1, 8192)?;
        require_range("policy.layers", config.layers, 0, 64)?;
        let (trunk, output) = source.within("policy", |source| {
            let trunk = GatedTrunk::new(source, 3 * config.latent_width, config.hidden, config.layers)?;
            Ok((trunk, Linear::new(source, "output", config.hidden, config.plan_width(), 1.0)?))
        })?;
        let weights = source.finish()?;
        Ok(Self { config, trunk, output, weights })
    }

    fn config(&self) -> &PolicyConfig {
        &self.config
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn require_fit(&self, model: &ModelConfig) -> Result<()> {
        let PolicyConfig { latent_width, block_width, .. } = self.config;
        let sizes =
            [("latent_width", latent_width, model.latent_width), ("block_width", block_width, model.block_width())];
        require_sizes("policy", &sizes)
    }
}

impl Policy {
    /// `states [B, D]`, `goals [B, D]` → plans `[B, H * A]` within -1 and 1.
    fn forward(&self, states: &Tensor, goals: &Tensor) -> Result<Tensor> {
        let input = Tensor::cat(&[states, goals, &(goals - states)?], 1)?;
        Ok(self.output.forward(&self.trunk.forward(&input)?)?.tanh()?)
    }

    /// The plan `[H, A]` for getting from `state [D]` to `goal [D]`.
    ///
    /// # Errors
    /// [`Error::Shape`] when a latent has another width.
    pub fn plan(&self, state: &[f32], goal: &[f32]) -> Result<Vec<f32>> {
        let width = self.config.latent_width;
        if (state.len(), goal.len()) != (width, width) {
            return Err(Error::Shape {
                operation: "asking the policy",
                expected: format!("latents of {width}"),
                got: format!("{} and {}", state.len(), goal.len()),
            });
        }
        let row = |values: &[f32]| tensor(values.to_vec(), (1, width));
        Ok(with_values(&self.forward(&row(state)?, &row(goal)?)?, <[f32]>::to_vec)?)
    }
}

/// States and goals to learn from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Situations {
    /// `[N, D]`.
    pub states: Vec<f32>,
    /// `[N, D]`.
    pub goals: Vec<f32>,
}

/// The energy of a plan, and its slopes `[H * A]`.
pub type Judged = (f32, Vec<f32>);

/// From a state `[D]`, a goal `[D]` and a plan `[H * A]` to its energy.
pub type Judge<'a> = dyn Fn(&[f32], &[f32], &[f32]) -> Result<Judged> + Sync + 'a;

/// What a policy is taught by.
pub struct Teacher<'a> {
    /// Draws `count` situations for what the policy is now.
    pub draw: &'a (dyn Fn(&Policy, usize, Seed) -> Result<Situations> + Sync),
    /// Judges the plan `[H * A]` for getting from a state `[D]` to a goal `[D]`.
    pub judge: &'a Judge<'a>,
}

/// Situations per step.
const BATCH: usize = 256;

/// Trains a policy; the mean energy of its plans over the last tenth of the steps. `go_on` hears of every step and its mean energy; when it says
/// no, training stops and gives nothing. The result does not depend on the number of threads.
///
/// # Errors
/// The teacher's; [`Error::Diverged`] when an energy is not finite.
pub fn train_policy(
    config: PolicyConfig,
    teacher: &Teacher<'_>,
    steps: usize,
    seed: Seed,
    threads: usize,
    mut go_on: impl FnMut(usize, f64) -> bool,
) -> Result<Option<(Policy, f64)>> {
    let policy = Policy::build(config, Source::fresh(seed.child("policy")))?;
    let optimiser = OptimiserConfig::default();
    let fitting = Fitting { weights: &policy.weights, optimiser: &optimiser, steps, threads };
    let draw = |step: usize| (teacher.draw)(&policy, BATCH, seed.child("situations").index(step as u64));
    let share = |situations: &Situations, part: usize| {
        let size = situations.states.len() / PARTS;
        let of = part * size..(part + 1) * size;
        let (energy, mut gradients) =
            gradients_of_part(&policy, teacher, &situations.states[of.clone()], &situations.goals[of])?;
        gradients.values_mut().flatten().for_each(|value| *value /= BATCH as f32);
        Ok((energy / BATCH as f64, gradients))
    };
    let energy = fitting.run_on(PARTS, draw, share, || Ok(()), &mut go_on)?;
    Ok(energy.map(|energy| (policy, energy)))
}

/// The sum of the energies of the policy's plans for some situations, and what its weights have to do with it.
fn gradients_of_part(
    policy: &Policy,
    teacher: &Teacher<'_>,
    states: &[f32],
    goals: &[f32],
) -> Result<(f64, Gradients)> {
    let (width, plan_width) = (policy.config.latent_width, policy.config.plan_width());
    let count = states.len() / width;
    let rows = |values: &[f32]| tensor(values.to_vec(), (count, width));
    let plans = policy.forward(&rows(states)?, &rows(goals)?)?;
    let values = with_values(&plans, <[f32]>::to_vec)?;
    let judge = |index: usize| {
        let of = |values: &'_ [f32], width: usize| values[index * width..(index + 1) * width].to_vec();
        (teacher.judge)(&of(states, width), &of(goals, width), &of(&values, plan_width))
    };
    let judged: Vec<Judged> = (0..count).into_par_iter().map(judge).collect::<Result<_>>()?;
    let energy = judged.iter().map(|(energy, _)| f64::from(*energy)).sum();
    let slopes: Vec<f32> = judged.into_iter().flat_map(|(_, slopes)| slopes).collect();
    // The sum of plan times slope has the energy's gradient on the weights.
    let store = (&plans * tensor(slopes, (count, plan_width))?)?.sum_all()?.backward()?;
    let mut gradients = Gradients::new();
    collect(&mut gradients, policy.weights.iter(), &store)?;
    Ok((energy, gradients))
}
