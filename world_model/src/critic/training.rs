//! How a critic learns: from pieces of lives, with goals given in hindsight.
//!
//! What is to come from a state is what the next ones cost, and what is to come from there (temporal differences, with slowly following
//! copies of the networks on the right-hand side). What was lived was rarely the best way: steps that lead on more cheaply than expected
//! pull harder than dearer ones (expectile regression; Kostrikov et al. 2021, "Offline reinforcement learning with implicit Q-learning"). Lessons
//! may be imagined as well: whoever draws them sees what the critic believes by then.

use mindseye_interface::Seed;

use super::{CriticConfig, CriticNetwork, of};
use crate::fitting::{Fitting, PARTS};
use crate::ops::{tensor, with_values};
use crate::optimiser::{Gradients, OptimiserConfig, collect};
use crate::parameters::{Source, Weights};
use crate::part::Part;
use crate::{Error, Result};

/// A piece of a life, lived or imagined, with a goal.
#[derive(Debug, Clone, PartialEq)]
pub struct CriticLesson {
    /// The state before, `[D]`.
    pub state: Vec<f32>,
    /// The state at the end, `[D]`.
    pub next: Vec<f32>,
    /// The goal, `[D]`.
    pub goal: Vec<f32>,
    /// What it cost by every term, `[T]`, unweighted: `(1 - γ) Σ γ^j e_j` over its blocks.
    pub energies: Vec<f32>,
    /// What counts of what is to come after it: `γ^n` after `n` blocks, 0 where the goal was reached.
    pub tail: f32,
}

/// Many lessons, side by side.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lessons {
    states: Vec<f32>,
    next: Vec<f32>,
    goals: Vec<f32>,
    energies: Vec<f32>,
    tails: Vec<f32>,
}

impl FromIterator<CriticLesson> for Lessons {
    fn from_iter<I: IntoIterator<Item = CriticLesson>>(lessons: I) -> Self {
        let mut all = Self::default();
        for lesson in lessons {
            all.states.extend(lesson.state);
            all.next.extend(lesson.next);
            all.goals.extend(lesson.goal);
            all.energies.extend(lesson.energies);
            all.tails.push(lesson.tail);
        }
        all
    }
}

/// How a critic is taught.
#[derive(Debug, Clone, PartialEq)]
pub struct CriticTraining {
    /// Optimiser steps.
    pub steps: usize,
    /// Lessons per step.
    pub batch: usize,
    /// How much harder cheaper steps pull than dearer ones: 0.5 learns what was lived on average, towards 1 the best of it.
    pub expectile: f32,
    /// What the terms weigh when cheaper and dearer are told apart, `[T]`.
    pub weights: Vec<f32>,
    /// Share of the way that the copies follow the networks at each step.
    pub follow: f32,
}

/// Draws lessons for what a critic believes by now: how many, from which seed.
pub type Drawing<'a> = dyn Fn(&CriticNetwork, usize, Seed) -> Result<Lessons> + Sync + 'a;

/// Trains a critic on what `lessons` draws; the mean loss over the last tenth of the steps. `go_on` hears of every
/// step and its loss; when it says no, training stops and gives nothing. The result does not depend on the number of threads.
///
/// # Errors
/// The lessons'; [`Error::Diverged`] when a loss is not finite; [`Error::Shape`] when they do not fit the critic.
pub fn train_critic(
    config: CriticConfig,
    training: &CriticTraining,
    lessons: &Drawing<'_>,
    seed: Seed,
    threads: usize,
    mut go_on: impl FnMut(usize, f64) -> bool,
) -> Result<Option<(CriticNetwork, f64)>> {
    let fresh = |seed: Seed| CriticNetwork::build(config.clone(), Source::fresh(seed));
    let (critic, copy) = (fresh(seed.child("critic"))?, fresh(seed.child("critic"))?);
    let optimiser = OptimiserConfig::default();
    let fitting = Fitting { weights: critic.weights(), optimiser: &optimiser, steps: training.steps, threads };
    let draw = |step: usize| {
        let lessons = lessons(&copy, training.batch, seed.child("lessons").index(step as u64))?;
        require_shape(&config, &lessons)?;
        Ok(lessons)
    };
    // Every member learns from the lessons in some parts.
    let share = |lessons: &Lessons, index: usize| {
        let count = lessons.tails.len();
        let size = count.div_ceil(PARTS);
        let first = (index % PARTS * size).min(count);
        gradients_of_part((&critic, &copy), index / PARTS, lessons, (first, size.min(count - first)), training)
    };
    let after = || follow(copy.weights(), critic.weights(), training.follow);
    let loss = fitting.run_on(critic.members.len() * PARTS, draw, share, after, &mut go_on)?;
    Ok(loss.map(|loss| (critic, loss)))
}

fn require_shape(config: &CriticConfig, lessons: &Lessons) -> Result<()> {
    let (width, terms) = (config.latent_width, config.terms.len());
    let count = lessons.tails.len();
    let sizes = [lessons.states.len(), lessons.next.len(), lessons.goals.len(), lessons.energies.len()];
    if count > 0 && sizes == [count * width, count * width, count * width, count * terms] {
        return Ok(());
    }
    Err(Error::Shape {
        operation: "teaching a critic",
        expected: format!("lessons of {width} values per latent and {terms} energies"),
        got: format!("{sizes:?} values of {count} lessons"),
    })
}

/// What `rows` lessons from `first` on say to a member: their share of the loss, and its gradients.
fn gradients_of_part(
    (critic, copy): (&CriticNetwork, &CriticNetwork),
    member: usize,
    lessons: &Lessons,
    (first, rows): (usize, usize),
    training: &CriticTraining,
) -> Result<(f64, Gradients)> {
    if rows == 0 {
        return Ok((0.0, Gradients::new()));
    }
    let (config, share) = (critic.config(), rows as f64 / lessons.tails.len() as f64 / critic.members.len() as f64);
    let (width, terms) = (config.latent_width, config.terms.len());
    let latents = |values: &[f32]| tensor(values[first * width..(first + rows) * width].to_vec(), (rows, width));
    let (states, next, goals) = (latents(&lessons.states)?, latents(&lessons.next)?, latents(&lessons.goals)?);
    let to_come = with_values(&copy.forward(member, &next, &goals)?.detach(), <[f32]>::to_vec)?;
    let expected = critic.forward(member, &states, &goals)?;
    let values = with_values(&expected, <[f32]>::to_vec)?;
    let (mut targets, mut pulls) = (Vec::with_capacity(rows * terms), Vec::with_capacity(rows * terms));
    for row in 0..rows {
        let (own, lesson) = (of(row, terms), first + row);
        let mut cheaper = 0.0;
        for (term, ((energy, to_come), value)) in
            lessons.energies[of(lesson, terms)].iter().zip(&to_come[own.clone()]).zip(&values[own]).enumerate()
        {
            let scale = config.scales[term];
            let target = energy / scale + lessons.tails[lesson] * to_come;
            cheaper += training.weights.get(term).copied().unwrap_or(0.0) * scale * (value - target);
            targets.push(target);
        }
        let pull = if cheaper > 0.0 { training.expectile } else { 1.0 - training.expectile };
        pulls.extend(std::iter::repeat_n(2.0 * pull, terms));
    }
    let error = (expected - tensor(targets, (rows, terms))?)?;
    let loss = (error.sqr()? * tensor(pulls, (rows, terms))?)?.mean_all()?;
    let store = (&loss * share)?.backward()?;
    let mut gradients = Gradients::new();
    collect(&mut gradients, critic.weights().iter(), &store)?;
    Ok((share * f64::from(loss.to_scalar::<f32>()?), gradients))
}

/// Moves the weights of the copy a `share` of the way towards those they were copied from.
fn follow(copy: &Weights, weights: &Weights, share: f32) -> Result<()> {
    for (name, var) in copy {
        let Some(ahead) = weights.get(name) else { continue };
        let mut values = with_values(var, <[f32]>::to_vec)?;
        with_values(ahead, |ahead| {
            values.iter_mut().zip(ahead).for_each(|(value, ahead)| *value += share * (ahead - *value));
        })?;
        var.set(&tensor(values, var.shape().clone())?)?;
    }
    Ok(())
}
