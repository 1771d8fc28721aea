//! Planners side by side: the same pairs, the same costs, the same number of plans per tick.

mod display;

use std::collections::BTreeMap;

use mindseye_agent::Task;
use mindseye_agent::configurator::PlannerConfig;
use mindseye_interface::{GoalKind, Progress};
use serde::Serialize;

use crate::interval::{PairedDifference, Percentiles, SuccessRate};
use crate::{Error, Evaluation, EvaluationReport, Method, MethodIdentity, Protocol, Result};

/// A planner with a number of plans, and how it did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannerRow {
    /// Name of the planner.
    pub name: String,
    /// Plans per tick that it was scaled to.
    pub plans: usize,
    /// Its settings.
    pub planner: PlannerConfig,
    /// States predicted per tick.
    pub predicted_states_per_tick: f64,
    /// Planning time of a tick on one thread, with as many episodes at a time as there were threads.
    pub planning_ms: Percentiles,
    /// The task's predicate at some step.
    pub moderate: SuccessRate,
    /// Moderate success less that of the first planner with as many plans, on the same pairs; none of the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_first: Option<PairedDifference>,
    /// The tighter predicate at the end.
    pub strict: SuccessRate,
    /// The benchmark's further predicates by name: each held at some step.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, SuccessRate>,
}

/// Planners that were compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannerComparison {
    /// Version of this crate.
    pub version: &'static str,
    /// The agent whose planner was replaced.
    pub method: MethodIdentity,
    /// Name of the benchmark.
    pub benchmark: String,
    /// Factors of variation of the benchmark that were on.
    pub factors: Vec<String>,
    /// How starts and goals were chosen.
    pub goals: GoalKind,
    /// Episodes per seed.
    pub episodes: usize,
    /// Root seeds of the held-out episodes.
    pub seeds: Vec<u64>,
    /// Episodes that ran at the same time.
    pub threads: usize,
    /// The task; each row's planner replaced its own.
    pub task: Task,
    /// Planner by planner, from few plans to many.
    pub rows: Vec<PlannerRow>,
}

/// Compares `planners` (with their names) at each number of `plans` per tick, in the agent `method` and the setting
/// of `evaluation`. Everything but the planner is the task's; `method` should be an agent whose
/// search begins without a policy's proposals.
///
/// # Errors
/// The evaluator's, and [`Error::HeldStill`] when a planner fails in a tick: its success would say nothing.
pub fn compare_planners(
    evaluation: &Evaluation<'_>,
    method: &dyn Method,
    planners: &[(String, PlannerConfig)],
    plans: &[usize],
    progress: &dyn Progress,
) -> Result<PlannerComparison> {
    let protocol = &evaluation.protocol;
    let each = protocol.seeds.len() * protocol.episodes;
    progress.begin("compare", planners.len() * plans.len() * each, "episodes");
    let number_of_plans = plans.len();
    let mut rows = Vec::new();
    // Whether the first planner succeeded, by number of plans and pair.
    let mut first: Vec<Vec<bool>> = Vec::new();
    for (number, (name, planner)) in planners.iter().enumerate() {
        for (place, &plans) in plans.iter().enumerate() {
            let planner = planner.scaled_to(plans);
            let note = format!("{name}, {plans} plans");
            let part = PartialProgress { progress, before: rows.len() * each, note: &note };
            let of = planners.len() * number_of_plans * each;
            let report = evaluate_planner(evaluation, method, &planner, &part)
                .map_err(|error| error.within(rows.len() * each, of))?;
            if let Some(errors) = report.errors.into_values().next() {
                return Err(Error::HeldStill {
                    method: note,
                    ticks: errors.ticks,
                    first: errors.first.unwrap_or_default(),
                });
            }
            let episodes = report.results.len() as f64;
            let reached: Vec<bool> = report.results.iter().map(|result| result.first_success_step.is_some()).collect();
            let to_first = (number > 0).then(|| PairedDifference::of(&reached, &first[place]));
            if number == 0 {
                first.push(reached);
            }
            rows.push(PlannerRow {
                name: name.clone(),
                plans,
                planner,
                predicted_states_per_tick: report.predicted_states_per_episode * episodes / report.ticks as f64,
                planning_ms: report.planning_ms,
                moderate: report.rates.model.moderate,
                to_first,
                strict: report.rates.model.strict,
                metrics: report.rates.model.metrics,
            });
        }
    }
    progress.end();
    let Protocol { goals, episodes, ref seeds, threads, .. } = *protocol;
    Ok(PlannerComparison {
        version: env!("CARGO_PKG_VERSION"),
        method: MethodIdentity::of(method),
        benchmark: evaluation.benchmark.name().to_owned(),
        factors: evaluation.factors.clone(),
        goals,
        episodes,
        seeds: seeds.clone(),
        threads,
        task: evaluation.task.clone(),
        rows,
    })
}

fn evaluate_planner(
    evaluation: &Evaluation<'_>,
    method: &dyn Method,
    planner: &PlannerConfig,
    progress: &dyn Progress,
) -> Result<EvaluationReport> {
    let task = Task { planner: planner.clone(), planner_with_policy: None, ..evaluation.task.clone() };
    let evaluation = Evaluation {
        benchmark: evaluation.benchmark,
        factors: evaluation.factors.clone(),
        task: &task,
        protocol: evaluation.protocol.clone(),
        perturbation: evaluation.perturbation,
        journal: evaluation.journal,
    };
    Ok(evaluation.run(&[method], progress)?.report)
}

/// One evaluation's share of the progress of several: its count goes on from `before`.
pub(crate) struct PartialProgress<'a> {
    pub progress: &'a dyn Progress,
    pub before: usize,
    pub note: &'a str,
}

impl Progress for PartialProgress<'_> {
    fn begin(&self, _stage: &str, _total: usize, _unit: &str) {}

    fn advance(&self, done: usize, _note: &str) -> bool {
        self.progress.advance(self.before + done, self.note)
    }

    fn end(&self) {}
}
