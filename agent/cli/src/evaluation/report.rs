//! What the evaluator says: a number without this document is not a number.

use std::collections::BTreeMap;

use mindseye_agent::Task;
use mindseye_sim::Factors;
use serde::Serialize;

use super::Evaluation;
use super::course::Violations;
use super::disturbance::Disturbance;
use super::episode::{EpisodeResult, Method};
use super::foresight::Foresight;
use super::interval::{Histogram, Percentiles, SuccessRate};
use super::pairs::{Pair, PairKind};

/// Success of one method on all pairs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MethodReport {
    /// The task's predicate held at some step.
    pub moderate: SuccessRate,
    /// The tighter predicate held over the last control steps.
    pub strict: SuccessRate,
    /// In scenes with a block: it was where it should be at some step, wherever the body was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block: Option<SuccessRate>,
    /// Where the task wants a region: the true state was in it at some step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<SuccessRate>,
    /// Where the task forbids something: how often it was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub violations: Option<Violations>,
}

impl MethodReport {
    /// Counts successes.
    pub fn of<'a>(results: impl Iterator<Item = &'a EpisodeResult> + Clone) -> Self {
        let count = |of: &dyn Fn(&EpisodeResult) -> bool| {
            SuccessRate::of(results.clone().filter(|result| of(result)).count(), results.clone().count())
        };
        let with_block = results.clone().any(|result| result.block.is_some());
        let with_region = results.clone().any(|result| result.region.is_some());
        let violating = || results.clone().filter_map(|result| result.violating_steps);
        let steps: usize = results.clone().map(|result| result.steps).sum();
        let violations = Violations {
            steps: violating().sum::<usize>() as f64 / steps.max(1) as f64,
            episodes: count(&|result| result.violating_steps.is_some_and(|steps| steps > 0)),
        };
        Self {
            moderate: count(&|result| result.moderate_step.is_some()),
            strict: count(&|result| result.strict),
            block: with_block.then(|| count(&|result| result.block == Some(true))),
            region: with_region.then(|| count(&|result| result.region == Some(true))),
            violations: violating().next().map(|_| violations),
        }
    }
}

/// How the episodes of every method went one by one, on the same pairs.
#[derive(Debug, Clone)]
pub struct MethodResults {
    /// The agent with the learned model.
    pub model: Vec<EpisodeResult>,
    /// Random actions, no action, and the oracle; unless they were switched off.
    pub baselines: Option<[Vec<EpisodeResult>; 3]>,
}

/// Success of every method on some of the pairs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rates {
    /// The agent with the learned model.
    #[serde(flatten)]
    pub model: MethodReport,
    /// Baselines on the same pairs, unless they were switched off.
    pub baselines: Option<Baselines>,
}

impl Rates {
    /// Counts successes on the pairs that are `wanted`.
    fn of(results: &MethodResults, wanted: impl Fn(usize) -> bool) -> Self {
        let count = |results: &[EpisodeResult]| {
            MethodReport::of(results.iter().enumerate().filter(|(index, _)| wanted(*index)).map(|(_, result)| result))
        };
        let baselines = results.baselines.as_ref().map(|[random, nothing, oracle]| Baselines {
            random: count(random),
            nothing: count(nothing),
            oracle: count(oracle),
        });
        Self { model: count(&results.model), baselines }
    }
}

/// Success by what a goal asks of the block.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ByRotation {
    /// The block has to turn by more than 20 degrees.
    pub turned: Rates,
    /// It does not.
    pub others: Rates,
}

/// What success costs without a learned model, on the same pairs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Baselines {
    /// Uniformly random actions.
    pub random: MethodReport,
    /// No action.
    pub nothing: MethodReport,
    /// The same planner in the true world.
    pub oracle: MethodReport,
}

/// How the evaluation was set up.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Settings {
    /// Name of the scene.
    pub scene: String,
    /// Factors of variation that were on.
    pub factors: Factors,
    /// How starts and goals were chosen.
    pub pairs: PairKind,
    /// Control steps per episode.
    pub budget_steps: usize,
    /// Episodes per seed.
    pub episodes: usize,
    /// Root seeds of the held-out episodes.
    pub seeds: Vec<u64>,
    /// Episodes that the agent had lived through in the same world before each.
    #[serde(skip_serializing_if = "is_zero")]
    pub lived: usize,
    /// Episodes played at the same time.
    pub threads: usize,
    /// Whether the agent imagined in the simulator instead of the learned dynamics.
    pub true_dynamics: bool,
    /// How seeing was disturbed.
    #[serde(skip_serializing_if = "Disturbance::is_none")]
    pub disturbance: Disturbance,
    /// What the agent was to do, with planner and costs.
    pub task: Task,
    /// Seed the model was trained with; none where that is not known.
    pub training_seed: Option<u64>,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// One pair and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairReport {
    /// Start and goal.
    #[serde(flatten)]
    pub pair: Pair,
    /// First control step at which the moderate predicate held.
    pub moderate_step: Option<usize>,
    /// Whether the strict predicate held over the last control steps.
    pub strict: bool,
    /// In scenes with a block: whether it was where it should be at some step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_reached: Option<bool>,
    /// Where the task wants a region: whether the true state was in it at some step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<bool>,
    /// Where the task forbids something: control steps at which the true state was where it must not be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub violating_steps: Option<usize>,
    /// In scenes with more ways than one: those that the body was on, the first one first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ways: Vec<&'static str>,
    /// Distance to the goal at the end, in the task's unit.
    pub final_distance: f64,
    /// Why the agent held still, if it did.
    pub error: Option<String>,
}

/// The evaluator's document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvaluationReport {
    /// Success on all pairs, the model's and the baselines'.
    #[serde(flatten)]
    pub rates: Rates,
    /// In scenes with a block: the same for pairs in which it has to turn, and for the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_rotation: Option<ByRotation>,
    /// In scenes with more ways than one: share of the model's episodes in which the body was on each.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ways: BTreeMap<&'static str, SuccessRate>,
    /// Control steps to success, of the episodes that succeeded.
    pub steps_to_success: Percentiles,
    /// Time from observation to decision, milliseconds.
    pub planning_ms: Percentiles,
    /// The same, counted.
    pub planning_histogram: Histogram,
    /// Ticks that took longer than the task's budget.
    pub deadline_misses: usize,
    /// Ticks without a plan that was thought out: something else was done.
    pub fallbacks: usize,
    /// Ticks that did at once what the policy proposed (Mode-1).
    pub mode_1_ticks: usize,
    /// Ticks in all.
    pub ticks: usize,
    /// How far what was seen was from what had been predicted, mean squared difference per dimension of the latent.
    pub surprise: Percentiles,
    /// How well the critic foresaw what came, where it has a say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub foresight: Option<Foresight>,
    /// Ticks without a picture.
    pub dropped_ticks: usize,
    /// Ticks whose picture was not believed.
    pub doubted_ticks: usize,
    /// Mean number of states imagined per episode.
    pub predictor_rows_per_episode: f64,
    /// How the evaluation was set up.
    pub settings: Settings,
    /// Every pair.
    pub results: Vec<PairReport>,
}

impl EvaluationReport {
    pub(super) fn new(evaluation: &Evaluation, pairs: &[Pair], methods: &MethodResults) -> Self {
        let results = &methods.model;
        let turned = |index: usize| pairs.get(index).and_then(Pair::turns_block);
        let by_rotation = pairs.iter().any(|pair| pair.block.is_some()).then(|| ByRotation {
            turned: Rates::of(methods, |index| turned(index) == Some(true)),
            others: Rates::of(methods, |index| turned(index) == Some(false)),
        });
        let planning_ms: Vec<f64> = results.iter().flat_map(|result| result.planning_ms.iter().copied()).collect();
        let rows: usize = results.iter().map(|result| result.predictor_rows).sum();
        Self {
            rates: Rates::of(methods, |_| true),
            by_rotation,
            ways: ways(results),
            steps_to_success: Percentiles::of(
                results.iter().filter_map(|result| result.moderate_step).map(|step| step as f64).collect(),
            ),
            surprise: Percentiles::of(
                results.iter().flat_map(|result| result.surprises.iter().map(|&value| f64::from(value))).collect(),
            ),
            foresight: evaluation
                .model
                .critic_discount()
                .and_then(|discount| Foresight::of(results.iter(), f64::from(discount))),
            dropped_ticks: results.iter().map(|result| result.unseen[0]).sum(),
            doubted_ticks: results.iter().map(|result| result.unseen[1]).sum(),
            ticks: planning_ms.len(),
            planning_histogram: Histogram::of(&planning_ms),
            planning_ms: Percentiles::of(planning_ms),
            mode_1_ticks: results.iter().map(|result| result.mode_1_ticks).sum(),
            fallbacks: results.iter().map(|result| result.fallbacks).sum(),
            deadline_misses: results.iter().map(|result| result.deadline_misses).sum(),
            predictor_rows_per_episode: rows as f64 / results.len().max(1) as f64,
            settings: Settings {
                scene: evaluation.scene.clone(),
                factors: evaluation.options.factors.clone(),
                pairs: evaluation.pairs,
                budget_steps: evaluation.budget_steps,
                episodes: evaluation.episodes,
                seeds: evaluation.seeds.clone(),
                lived: evaluation.lived,
                threads: evaluation.threads,
                true_dynamics: matches!(evaluation.model, Method::TrueDynamics(_)),
                disturbance: evaluation.disturbance,
                task: evaluation.task.clone(),
                training_seed: evaluation.model.training_seed(),
            },
            results: pairs
                .iter()
                .zip(results)
                .map(|(pair, result)| PairReport {
                    pair: pair.clone(),
                    moderate_step: result.moderate_step,
                    strict: result.strict,
                    block_reached: result.block,
                    region: result.region,
                    violating_steps: result.violating_steps,
                    ways: result.ways.clone(),
                    final_distance: result.final_distance,
                    error: result.error.clone(),
                })
                .collect(),
        }
    }
}

/// Share of the episodes in which the body was on each way.
fn ways(results: &[EpisodeResult]) -> BTreeMap<&'static str, SuccessRate> {
    let names = results.iter().flat_map(|result| result.ways.iter().copied());
    let share = |way| {
        let on_it = results.iter().filter(|result| result.ways.contains(&way)).count();
        (way, SuccessRate::of(on_it, results.len()))
    };
    names.map(share).collect()
}
