//! A reactive policy: from a state and a goal straight to a plan, without imagining anything (LeCun 2022, section 3.1, Mode-1).
//!
//! It learns what a planner looks for, once for all states and goals instead of anew for each: its plans are imagined and judged, and the slopes
//! of their energy, the same that a planner by gradient descends, change the weights that they came from. (To imitate plans that were found, as
//! section 3.1.3 has it, teaches little here: which way through a block is found is chance; see `docs/experiments.md`.)
//!
//! It makes several guesses, since there are several ways round a thing and their mean leads into it. The best guess learns most (multiple choice
//! learning; Guzman-Rivera et al. 2012), and every guess says how good it takes itself to be: the best is known without imagining any.

use std::ops::Range;

use candle_core::Tensor;
use mindseye_interface::Seed;
use mindseye_interface::config::require_range;
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
    /// Guesses `K`: plans that differ.
    #[serde(default = "one_guess")]
    pub guesses: usize,
}

/// Policies that were made before there were several guesses have one.
fn one_guess() -> usize {
    1
}

impl PolicyConfig {
    /// The policy for a model, with plans of `horizon_blocks`.
    pub fn for_model(model: &ModelConfig, horizon_blocks: usize) -> Self {
        let (latent_width, block_width) = (model.latent_width, model.block_width());
        Self { latent_width, horizon_blocks, block_width, hidden: 384, layers: 3, guesses: 4 }
    }

    fn plan_width(&self) -> usize {
        self.horizon_blocks * self.block_width
    }

    /// A single guess needs no word on how good it is.
    fn words(&self) -> usize {
        if self.guesses > 1 { self.guesses } else { 0 }
    }
}

/// `plans = tanh(W trunk([z; g; g - z]))`, and how good they are.
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
        require_range("policy.guesses", config.guesses, 1, 64)?;
        let (trunk, output) = source.within("policy", |source| {
            let trunk = GatedTrunk::new(source, 3 * config.latent_width, config.hidden, config.layers)?;
            let outputs = config.guesses * config.plan_width() + config.words();
            Ok((trunk, Linear::new(source, "output", config.hidden, outputs, 1.0)?))
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
    /// `states [B, D]`, `goals [B, D]` → plans `[B, K * H * A]` within -1 and 1, and the logarithm of the energy that it expects of each, `[B, K]`.
    fn forward(&self, states: &Tensor, goals: &Tensor) -> Result<(Tensor, Option<Tensor>)> {
        let input = Tensor::cat(&[states, goals, &(goals - states)?], 1)?;
        let output = self.output.forward(&self.trunk.forward(&input)?)?;
        let (values, words) = (self.config.guesses * self.config.plan_width(), self.config.words());
        let marks = if words > 0 { Some(output.narrow(1, values, words)?) } else { None };
        Ok((output.narrow(1, 0, values)?.tanh()?, marks))
    }

    /// Guesses `[H, A]` for getting from each of `states [N, D]` to that of `goals [N, D]`, by situation, the one that is taken for the best first.
    ///
    /// # Errors
    /// [`Error::Shape`] when the latents have another width, or there are more of one than of the other.
    pub fn guesses(&self, states: &[f32], goals: &[f32]) -> Result<Vec<Vec<Vec<f32>>>> {
        let PolicyConfig { latent_width: width, guesses, .. } = self.config;
        if states.len() != goals.len() || !states.len().is_multiple_of(width) || states.is_empty() {
            return Err(Error::Shape {
                operation: "asking the policy",
                expected: format!("latents of {width}, as many goals as states"),
                got: format!("{} and {} values", states.len(), goals.len()),
            });
        }
        let rows = |values: &[f32]| tensor(values.to_vec(), (values.len() / width, width));
        let (plans, marks) = self.forward(&rows(states)?, &rows(goals)?)?;
        let marks = match marks {
            Some(marks) => with_values(&marks, <[f32]>::to_vec)?,
            None => vec![0.0; states.len() / width],
        };
        let ordered = |plans: &[f32], marks: &[f32]| {
            let mut order: Vec<usize> = (0..guesses).collect();
            order.sort_by(|&a, &b| marks[a].total_cmp(&marks[b]));
            order.into_iter().map(|guess| plans[self.of(guess)].to_vec()).collect()
        };
        Ok(with_values(&plans, |plans| {
            let situations = plans.chunks_exact(guesses * self.config.plan_width()).zip(marks.chunks_exact(guesses));
            situations.map(|(plans, marks)| ordered(plans, marks)).collect()
        })?)
    }

    /// Where guess `guess` lies among all values.
    fn of(&self, guess: usize) -> Range<usize> {
        let width = self.config.plan_width();
        guess * width..(guess + 1) * width
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

/// The energies `[N]` of plans, and their slopes `[N, H * A]`.
pub type Judged = (Vec<f32>, Vec<f32>);

/// From states `[N, D]`, goals `[N, D]` and plans `[N, H * A]` to the energies of these.
pub type Judge<'a> = dyn Fn(&Situations, &[f32]) -> Result<Judged> + Sync + 'a;

/// What a policy is taught by.
pub struct Teacher<'a> {
    /// Draws `count` situations for what the policy is now.
    pub draw: &'a (dyn Fn(&Policy, usize, Seed) -> Result<Situations> + Sync),
    /// Judges a plan for every situation.
    pub judge: &'a Judge<'a>,
    /// What an energy is large against. An energy counts by its logarithm, so that the last centimetres weigh as much as the first; of energies
    /// that are smaller than this, differences count.
    pub floor: f32,
}

/// Situations per step.
const BATCH: usize = 64;
/// Share of what is learnt that goes to guesses that are not the best.
const OTHERS: f32 = 0.2;
/// Slopes of one plan's logarithmic energy are no longer than this: most are shorter, and the few that are much longer (a block about to be touched)
/// would be all that is heard.
const LONGEST_SLOPE: f32 = 0.1;
/// What the squared errors of the expected energies count: less than the plans themselves.
const MARKS: f64 = 0.03;

/// Trains a policy; the mean energy of its best guesses over the last tenth of the steps. `go_on` hears of every step and that energy; when it says
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
        let part = Situations { states: situations.states[of.clone()].to_vec(), goals: situations.goals[of].to_vec() };
        let (energy, mut gradients) = gradients_of_part(&policy, teacher, part)?;
        gradients.values_mut().flatten().for_each(|value| *value /= BATCH as f32);
        Ok((energy / BATCH as f64, gradients))
    };
    let energy = fitting.run_on(PARTS, draw, share, || Ok(()), &mut go_on)?;
    Ok(energy.map(|energy| (policy, energy)))
}

/// The sum of the energies of the policy's best guesses for some situations, and what its weights have to do with it.
fn gradients_of_part(policy: &Policy, teacher: &Teacher<'_>, situations: Situations) -> Result<(f64, Gradients)> {
    let PolicyConfig { latent_width: width, guesses, .. } = policy.config;
    let plan_width = policy.config.plan_width();
    let count = situations.states.len() / width;
    let rows = |values: &[f32]| tensor(values.to_vec(), (count, width));
    let (plans, marks) = policy.forward(&rows(&situations.states)?, &rows(&situations.goals)?)?;
    let repeated = |values: &[f32]| values.chunks_exact(width).flat_map(|row| row.repeat(guesses)).collect();
    let situations = Situations { states: repeated(&situations.states), goals: repeated(&situations.goals) };
    let (energies, mut slopes) = with_values(&plans, |plans| (teacher.judge)(&situations, plans))??;
    let mut energy = 0.0;
    for (energies, slopes) in energies.chunks_exact(guesses).zip(slopes.chunks_exact_mut(guesses * plan_width)) {
        let best = (0..guesses).min_by(|&a, &b| energies[a].total_cmp(&energies[b])).unwrap_or(0);
        // What is no number in any of them ends the lesson.
        let finite = energies.iter().all(|energy| energy.is_finite());
        energy += if finite { f64::from(energies[best]) } else { f64::NAN };
        for (guess, slopes) in slopes.chunks_exact_mut(plan_width).enumerate() {
            let share = match (guesses, guess == best) {
                (1, _) => 1.0,
                (_, true) => 1.0 - OTHERS,
                (_, false) => OTHERS / (guesses - 1) as f32,
            };
            let share = share / (energies[guess].max(0.0) + teacher.floor); // the slope of the logarithm
            let length = share * slopes.iter().map(|slope| slope * slope).sum::<f32>().sqrt();
            let share = if length > LONGEST_SLOPE { share * LONGEST_SLOPE / length } else { share };
            slopes.iter_mut().for_each(|slope| *slope *= share);
        }
    }
    // The sum of plan times slope has the energy's gradient on the weights.
    let mut loss = (&plans * tensor(slopes, (count, guesses * plan_width))?)?.sum_all()?;
    if let Some(marks) = marks {
        let logarithms = energies.iter().map(|energy| (energy.max(0.0) + teacher.floor).ln()).collect();
        let squares = (marks - tensor(logarithms, (count, guesses))?)?.sqr()?.sum_all()?;
        loss = (loss + squares * MARKS)?;
    }
    let store = loss.backward()?;
    let mut gradients = Gradients::new();
    collect(&mut gradients, policy.weights.iter(), &store)?;
    Ok((energy, gradients))
}
