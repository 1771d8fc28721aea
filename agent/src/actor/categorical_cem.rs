//! Cross-entropy search for discrete actions: a categorical distribution over a list of actions at every moment, fitted to the best
//! plans (Rubinstein 1999; de Boer et al. 2005, "A tutorial on the cross-entropy method", section 3).

use mindseye_interface::config::require_range;
use mindseye_interface::{Error as BorderError, Result as BorderResult, Rng};
use rand::Rng as _;
use serde::{Deserialize, Serialize};

use super::search::{LastPlan, Search};
use super::{Actor, Choice, Deadline, Imagination};
use crate::{Error, Result};

/// Settings of categorical CEM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CategoricalCemConfig {
    /// Plans imagined per iteration.
    pub samples: usize,
    /// Rounds of sampling and refitting.
    pub iterations: usize,
    /// Best plans that the next distribution is fitted to.
    pub elites: usize,
    /// Share of the old probabilities that survives a refit.
    pub momentum: f32,
    /// Share of every probability that is spread evenly, so that no action is ever ruled out.
    pub smoothing: f32,
    /// Control steps for which an action is kept.
    pub repeat: usize,
    /// The actions there are, normalised to [-1, 1]. By default every combination of -1, 0 and 1 (for at most 4 numbers an action).
    pub actions: Vec<Vec<f32>>,
}

impl Default for CategoricalCemConfig {
    fn default() -> Self {
        Self { samples: 64, iterations: 5, elites: 10, momentum: 0.1, smoothing: 0.05, repeat: 1, actions: Vec::new() }
    }
}

/// Numbers per action up to which the default list of actions is made.
const MOST_COMBINED: usize = 4;

impl CategoricalCemConfig {
    pub(crate) fn validate(&self) -> BorderResult<()> {
        require_range("planner.samples", self.samples, 2, 1_000_000)?;
        require_range("planner.iterations", self.iterations, 1, 1000)?;
        require_range("planner.elites", self.elites, 1, self.samples)?;
        require_range("planner.momentum", self.momentum, 0.0, 0.999)?;
        require_range("planner.smoothing", self.smoothing, 0.0, 1.0)?;
        require_range("planner.repeat", self.repeat, 1, 1000)?;
        let legal = |action: &Vec<f32>| action.iter().all(|value| (-1.0..=1.0).contains(value));
        match self.actions.iter().position(|action| !legal(action)) {
            None => Ok(()),
            Some(index) => Err(BorderError::field(
                format!("planner.actions[{index}]"),
                "numbers in [-1, 1]",
                format!("{:?}", self.actions[index]),
            )),
        }
    }

    /// The list of actions of `width` numbers.
    fn list(&self, width: usize) -> Result<Vec<Vec<f32>>> {
        let refused = |expected: String, got: String| Error::Shape { operation: "planner.actions", expected, got };
        if let Some(action) = self.actions.iter().find(|action| action.len() != width) {
            return Err(refused(format!("actions of {width} numbers"), format!("one of {}", action.len())));
        }
        if !self.actions.is_empty() {
            return Ok(self.actions.clone());
        }
        if width > MOST_COMBINED {
            return Err(refused(format!("a list, for actions of more than {MOST_COMBINED} numbers"), "none".into()));
        }
        let mut list = vec![Vec::new()];
        for _ in 0..width {
            let longer = |action: &Vec<f32>| [-1.0, 0.0, 1.0].map(|value| [action.as_slice(), &[value]].concat());
            list = list.iter().flat_map(longer).collect();
        }
        Ok(list)
    }
}

/// The planner; the last plan, shifted, takes part in the next tick's first round.
pub struct CategoricalCem {
    config: CategoricalCemConfig,
    last: LastPlan,
}

impl CategoricalCem {
    /// A planner that has not planned yet.
    pub fn new(config: CategoricalCemConfig) -> Self {
        Self { config, last: LastPlan::default() }
    }
}

impl Actor for CategoricalCem {
    fn act(&mut self, imagination: &Imagination<'_>, rng: &mut Rng, deadline: &Deadline<'_>) -> Result<Choice> {
        let config = &self.config;
        let actions = config.list(imagination.directive.action_width)?;
        let mut search = Search::new(imagination, deadline, &self.last);
        let kept_for = config.repeat * imagination.directive.action_width;
        let even = 1.0 / actions.len() as f32;
        let mut odds = vec![vec![even; actions.len()]; search.plan_len().div_ceil(kept_for)];
        let mut guesses: Vec<Vec<usize>> =
            search.guesses().iter().map(|plan| nearest(plan, &actions, kept_for)).collect();
        for _ in 0..config.iterations {
            let mut choices = std::mem::take(&mut guesses);
            while choices.len() < config.samples {
                choices.push(odds.iter().map(|odds| draw(odds, rng)).collect());
            }
            let spelled = |choice: &Vec<usize>| spell(choice, &actions, config.repeat, search.plan_len());
            let Some(mut candidates) = search.judge(choices.iter().map(spelled).collect())? else { break };
            candidates.truncate(config.elites);
            let elites: Vec<Vec<usize>> =
                candidates.iter().map(|elite| nearest(&elite.actions, &actions, kept_for)).collect();
            for (moment, odds) in odds.iter_mut().enumerate() {
                for (action, odds) in odds.iter_mut().enumerate() {
                    let share = elites.iter().filter(|elite| elite[moment] == action).count() as f32;
                    let fitted = config.momentum * *odds + (1.0 - config.momentum) * share / elites.len() as f32;
                    *odds = config.smoothing * even + (1.0 - config.smoothing) * fitted;
                }
            }
        }
        search.finish(&mut self.last)
    }

    fn reset(&mut self) {
        self.last.forget();
    }
}

/// An index drawn with probabilities `odds`.
fn draw(odds: &[f32], rng: &mut Rng) -> usize {
    let mut left: f32 = rng.random_range(0.0..odds.iter().sum::<f32>().max(f32::MIN_POSITIVE));
    odds.iter()
        .position(|odds| {
            left -= odds;
            left < 0.0
        })
        .unwrap_or(odds.len() - 1)
}

/// The plan of `length` values that keeps each chosen action for `repeat` control steps.
fn spell(choice: &[usize], actions: &[Vec<f32>], repeat: usize, length: usize) -> Vec<f32> {
    let kept = choice.iter().flat_map(|&action| std::iter::repeat_n(&actions[action], repeat));
    kept.flatten().copied().take(length).collect()
}

/// The action nearest to each part of `plan` that lasts `kept_for` values (its first action counts).
fn nearest(plan: &[f32], actions: &[Vec<f32>], kept_for: usize) -> Vec<usize> {
    let nearest = |part: &[f32]| {
        let distance = |action: &Vec<f32>| action.iter().zip(part).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
        let order = |&a: &usize, &b: &usize| distance(&actions[a]).total_cmp(&distance(&actions[b]));
        (0..actions.len()).min_by(order).unwrap_or(0)
    };
    plan.chunks(kept_for.max(1)).map(nearest).collect()
}
