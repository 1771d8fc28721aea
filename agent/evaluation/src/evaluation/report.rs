//! The evaluator's report: a number without this document is not a number.

use std::collections::BTreeMap;

use mindseye_agent::Task;
use mindseye_interface::{GoalKind, StartGoal};
use serde::Serialize;

use crate::interval::{Histogram, Percentiles, SuccessRate};
use crate::protocol::subsets;
use crate::{
    CriticAccuracy, EpisodeResult, Evaluation, Method, MethodIdentity, MethodReport, Perturbation, Rates, TickErrors,
};

/// How the evaluation was set up.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Settings {
    /// Name of the benchmark.
    pub benchmark: String,
    /// Factors of variation of the benchmark that were on.
    pub factors: Vec<String>,
    /// Height and width of the first camera's images, pixels.
    pub image_size: [usize; 2],
    /// How starts and goals were chosen.
    pub goals: GoalKind,
    /// Control steps per episode.
    pub budget_steps: usize,
    /// Episodes per seed.
    pub episodes: usize,
    /// Root seeds of the held-out episodes.
    pub seeds: Vec<u64>,
    /// Episodes that the method under test acted in before each that counts.
    pub warmup_episodes: usize,
    /// Episodes that ran at the same time.
    pub threads: usize,
    /// How observations were perturbed.
    pub perturbation: Perturbation,
    /// What was to be done, with planner and costs.
    pub task: Task,
}

/// Success within a number of control steps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SuccessWithin {
    /// Control steps.
    pub steps: usize,
    /// The moderate predicate held after one of them.
    #[serde(flatten)]
    pub rate: SuccessRate,
}

/// One pair and how the method under test did on it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairReport {
    /// Start and goal.
    #[serde(flatten)]
    pub pair: StartGoal,
    /// Control steps to success: the first after which the moderate predicate held; none without success.
    pub first_success_step: Option<usize>,
    /// Whether the strict predicate held over the last control steps.
    pub strict: bool,
    /// The benchmark's further predicates by name: whether each held at some step.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reached: BTreeMap<String, bool>,
    /// Where the task asks for a region: whether the true state was in it at some step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<bool>,
    /// Where the task forbids states: control steps after which the true state was forbidden.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub violating_steps: Option<usize>,
    /// In scenes with several routes: those that the robot was on, the first one first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
    /// Distance to the goal at the end, in the task's unit.
    pub final_distance: f64,
    /// Ticks in which the method held still because of an error.
    pub error_ticks: usize,
    /// The first such error.
    pub error: Option<String>,
}

/// The evaluator's report. What is not in `rates`, `subsets` or `errors` is about the method under test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvaluationReport {
    /// Version of this crate.
    pub version: &'static str,
    /// The methods, the one under test first.
    pub methods: Vec<MethodIdentity>,
    /// Success on all pairs, of the method under test and of the baselines.
    #[serde(flatten)]
    pub rates: Rates,
    /// Methods that held still because of errors, by name.
    pub errors: BTreeMap<String, TickErrors>,
    /// Success on parts of the pairs, by name: in `push_t`, where the block has to turn by more than 20 degrees, and
    /// where not.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub subsets: BTreeMap<String, Rates>,
    /// In scenes with several routes: share of the episodes in which the robot was on each.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub routes: BTreeMap<String, SuccessRate>,
    /// Control steps to success, of the episodes that succeeded.
    pub steps_to_success: Percentiles,
    /// Success within every fifth of the budget.
    pub success_within: Vec<SuccessWithin>,
    /// Time from observation to decision, milliseconds.
    pub planning_ms: Percentiles,
    /// The same, counted.
    pub planning_histogram: Histogram,
    /// Ticks that took longer than the task's budget. Evaluations run without a deadline, so that equal seeds give
    /// equal results on any machine: such a tick was not cut short.
    pub deadline_misses: usize,
    /// Ticks whose plan is not the result of a search.
    pub fallbacks: usize,
    /// Ticks that executed the policy's proposal without a search (Mode-1).
    pub mode_1_ticks: usize,
    /// Ticks in all.
    pub ticks: usize,
    /// Difference between observed and predicted latents, mean squared per dimension.
    pub surprise: Percentiles,
    /// How well the critic predicted the costs that followed, where the task weighs a critic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub critic_accuracy: Option<CriticAccuracy>,
    /// Ticks without an image.
    pub missing_frames: usize,
    /// Ticks whose image was rejected as too far from the prediction.
    pub rejected_frames: usize,
    /// Mean number of states predicted per episode.
    pub predicted_states_per_episode: f64,
    /// How the evaluation was set up.
    pub settings: Settings,
    /// Every pair.
    pub results: Vec<PairReport>,
}

impl EvaluationReport {
    /// The report of `results`, one list per method in the order of `methods`, each with one result per pair.
    pub(crate) fn new(
        evaluation: &Evaluation<'_>,
        methods: &[&dyn Method],
        pairs: &[StartGoal],
        results: &[Vec<EpisodeResult>],
    ) -> Self {
        let all: Vec<usize> = (0..pairs.len()).collect();
        let rates = |places: &[usize]| rates(methods, results, places);
        let identities = methods.iter().map(|method| MethodIdentity::of(*method)).collect();
        let errors = methods.iter().zip(results).map(|(method, results)| (method.name(), TickErrors::of(results)));
        let errors = errors.filter(|(_, errors)| errors.ticks > 0);
        let tested = results.first().map_or(&[][..], Vec::as_slice);
        let sum = |count: &dyn Fn(&EpisodeResult) -> usize| tested.iter().map(count).sum::<usize>();
        let planning_ms: Vec<f64> = tested.iter().flat_map(|result| result.planning_ms.iter().copied()).collect();
        let surprises = tested.iter().flat_map(|result| result.surprises.iter().map(|&value| f64::from(value)));
        let success_steps: Vec<usize> = tested.iter().filter_map(|result| result.first_success_step).collect();
        let success_within = |steps: usize| {
            let successes = success_steps.iter().filter(|step| **step <= steps).count();
            SuccessWithin { steps, rate: SuccessRate::of(successes, tested.len()) }
        };
        let discount = methods.first().and_then(|method| method.critic_discount());
        Self {
            version: env!("CARGO_PKG_VERSION"),
            methods: identities,
            rates: rates(&all),
            errors: errors.map(|(name, errors)| (name.to_owned(), errors)).collect(),
            subsets: subsets(pairs).into_iter().map(|(name, places)| (name, rates(&places))).collect(),
            routes: routes(tested),
            steps_to_success: Percentiles::of(success_steps.iter().map(|&step| step as f64).collect()),
            success_within: evaluation.protocol.within_steps().into_iter().map(success_within).collect(),
            deadline_misses: sum(&|result| result.deadline_misses),
            fallbacks: sum(&|result| result.fallbacks),
            mode_1_ticks: sum(&|result| result.mode_1_ticks),
            ticks: planning_ms.len(),
            planning_histogram: Histogram::of(&planning_ms),
            planning_ms: Percentiles::of(planning_ms),
            surprise: Percentiles::of(surprises.collect()),
            critic_accuracy: discount.and_then(|discount| CriticAccuracy::of(tested.iter(), f64::from(discount))),
            missing_frames: sum(&|result| result.missing_frames),
            rejected_frames: sum(&|result| result.rejected_frames),
            predicted_states_per_episode: sum(&|result| result.predicted_states) as f64 / tested.len().max(1) as f64,
            settings: Settings::of(evaluation, tested),
            results: pairs.iter().zip(tested).map(|(pair, result)| PairReport::of(pair, result)).collect(),
        }
    }
}

/// Success of all methods on the pairs at `places`.
fn rates(methods: &[&dyn Method], results: &[Vec<EpisodeResult>], places: &[usize]) -> Rates {
    let report = |results: &Vec<EpisodeResult>| {
        MethodReport::of(&places.iter().filter_map(|&place| results.get(place)).collect::<Vec<_>>())
    };
    let baselines = methods.iter().zip(results).skip(1);
    Rates {
        model: results.first().map_or_else(|| MethodReport::of(&[]), report),
        baselines: baselines.map(|(method, results)| (method.name().to_owned(), report(results))).collect(),
    }
}

/// Share of the episodes in which the robot was on each route.
fn routes(results: &[EpisodeResult]) -> BTreeMap<String, SuccessRate> {
    let names = results.iter().flat_map(|result| result.routes.iter().cloned());
    let share = |route| {
        let count = results.iter().filter(|result| result.routes.contains(&route)).count();
        (route, SuccessRate::of(count, results.len()))
    };
    names.map(share).collect()
}

impl Settings {
    fn of(evaluation: &Evaluation<'_>, results: &[EpisodeResult]) -> Self {
        let protocol = &evaluation.protocol;
        let size = results.first().map(|result| result.images[0].size());
        Self {
            benchmark: evaluation.benchmark.name().to_owned(),
            factors: evaluation.factors.clone(),
            image_size: size.map_or([0, 0], |size| [size.height(), size.width()]),
            goals: protocol.goals,
            budget_steps: protocol.budget_steps,
            episodes: protocol.episodes,
            seeds: protocol.seeds.clone(),
            warmup_episodes: protocol.warmup_episodes,
            threads: protocol.threads,
            perturbation: evaluation.perturbation,
            task: evaluation.task.clone(),
        }
    }
}

impl PairReport {
    fn of(pair: &StartGoal, result: &EpisodeResult) -> Self {
        Self {
            pair: pair.clone(),
            first_success_step: result.first_success_step,
            strict: result.strict,
            reached: result.reached.clone(),
            region: result.region,
            violating_steps: result.violating_steps,
            routes: result.routes.clone(),
            final_distance: result.final_distance,
            error_ticks: result.error_ticks,
            error: result.error.clone(),
        }
    }
}
