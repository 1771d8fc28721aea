//! What each of the six modules is worth: the same episodes with it, and with something in its place that does nothing.

use std::sync::Arc;

use anyhow::Result;
use mindseye_agent::Task;
use mindseye_agent::configurator::PlannerConfig;
use mindseye_agent::cost::{CRITIC, Reduction};
use mindseye_sim::{SceneOptions, has_cross_pairs};
use mindseye_world_model::{Checkpoint, LatentMetric};
use serde::Serialize;

use super::interval::SuccessRate;
use super::{Disturbance, Evaluation, EvaluationReport, Method, PairKind};

/// A module of the agent, with nothing in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Without {
    /// Remembers nothing.
    Memory,
    /// Believes that nothing it does changes anything.
    WorldModel,
}

/// What is compared: how the agent is, and how it is without something.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// The module whose part is taken away.
    pub module: &'static str,
    /// What is taken away.
    pub off: String,
    /// Under what conditions.
    pub under: String,
    /// The score that is to fall.
    pub score: Score,
    with: Setting,
    without: Setting,
}

/// How often the task was solved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// The task's predicate at some step.
    Moderate,
    /// Half the distance, held at the end.
    Strict,
}

#[derive(Debug, Clone)]
struct Setting {
    method: Method,
    task: Task,
    pairs: PairKind,
    disturbance: Disturbance,
}

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AblationRow {
    /// The module.
    pub module: &'static str,
    /// What was taken away.
    pub off: String,
    /// Under what conditions both were measured.
    pub under: String,
    /// What was counted.
    pub score: Score,
    /// With it.
    pub with: SuccessRate,
    /// Without it.
    pub without: SuccessRate,
    /// Imagined states per episode, with and without.
    pub imagined_states: [f64; 2],
    /// Whether the intervals lie apart: what was lost is not chance.
    pub lost: bool,
}

/// Share of the pictures that are lost where seeing is made hard.
const DROPPED: f64 = 0.3;
/// Control steps to goals that are far away, where there is no other room for them to be in.
const FAR: usize = 75;
/// Blocks ahead where the critic has to see what the horizon does not.
const SHORT_BLOCKS: usize = 2;
/// What it counts there, as in the shipped task with a critic.
const CRITIC_WEIGHT: f32 = 2.0;

/// All comparisons that `checkpoint` and `task` allow in the scene called `scene`.
pub fn comparisons(scene: &str, checkpoint: &Arc<Checkpoint>, task: &Task) -> Vec<Comparison> {
    let offset = PairKind::Offset { goal_offset: 25 };
    let crosses = has_cross_pairs(scene);
    let hard = if crosses { PairKind::Cross } else { PairKind::Offset { goal_offset: FAR } };
    let whole = Setting {
        method: Method::Model(checkpoint.clone()),
        task: task.clone(),
        pairs: offset,
        disturbance: Disturbance::default(),
    };
    let dropping = Setting { disturbance: Disturbance { drop_frames: DROPPED, occlude_steps: 0 }, ..whole.clone() };
    let crossing = Setting { pairs: hard, ..whole.clone() };
    let judged = if crosses { &crossing } else { &whole };
    let in_turn = Setting { pairs: PairKind::Sequence { goal_offset: 25 }, ..whole.clone() };
    let with_task = |setting: &Setting, change: &dyn Fn(&mut Task)| {
        let mut changed = setting.clone();
        change(&mut changed.task);
        changed
    };
    let ablated = |setting: &Setting, without| Setting {
        method: Method::Without(checkpoint.clone(), without),
        ..setting.clone()
    };
    let row = |module, off: &str, under: &str, score, with: &Setting, without: Setting| Comparison {
        module,
        off: off.into(),
        under: under.into(),
        score,
        with: with.clone(),
        without,
    };
    let dropped = format!("{:.0} % of the pictures are lost", 100.0 * DROPPED);
    let mut rows = vec![
        row(
            "configurator",
            "moving on: the first goal is kept",
            "three goals in turn",
            Score::Moderate,
            &in_turn,
            with_task(&in_turn, &|task| task.sub_goals.frozen = true),
        ),
        row(
            "perception",
            "completion: where nothing is seen, the last picture counts",
            &dropped,
            Score::Strict,
            &dropping,
            with_task(&dropping, &|task| {
                task.completion.predict = false;
                task.completion.doubt_above = None;
            }),
        ),
        row(
            "world model",
            "consequences: nothing that is done changes anything",
            "as shipped",
            Score::Moderate,
            &whole,
            ablated(&with_task(&whole, &|task| task.proposals = false), Without::WorldModel),
        ),
        row(
            "cost",
            "metric, saturation and reduction: plain distance of the last state",
            if crosses { "goals on the other side" } else { "as shipped" },
            if crosses { Score::Strict } else { Score::Moderate },
            judged,
            with_task(judged, &|task| {
                (task.metric, task.goal_saturation) = (LatentMetric::Euclidean, None);
                task.reduction = Reduction::Last;
            }),
        ),
        row(
            "memory",
            "all of it: no moment is remembered",
            "three goals in turn",
            Score::Moderate,
            &in_turn,
            ablated(&in_turn, Without::Memory),
        ),
    ];
    if checkpoint.policy.is_some() {
        rows.push(row(
            "actor",
            "the policy's proposals",
            "as shipped",
            Score::Strict,
            &whole,
            with_task(&whole, &|task| {
                task.planner = task.with_policy.clone().unwrap_or_else(|| task.planner.clone());
                task.proposals = false;
            }),
        ));
        rows.push(row(
            "actor",
            "planning: the policy alone acts",
            "as shipped",
            Score::Strict,
            &whole,
            with_task(&whole, &|task| {
                (task.planner, task.with_policy) = (PlannerConfig::Policy, None);
            }),
        ));
    }
    if checkpoint.critic.is_some() {
        let short = with_task(&crossing, &|task| {
            task.horizon_blocks = SHORT_BLOCKS;
            task.weights.insert(CRITIC.into(), CRITIC_WEIGHT);
        });
        let far = if crosses { "goals on the other side".into() } else { format!("goals {FAR} steps away") };
        let under = format!("{far}, {SHORT_BLOCKS} blocks ahead");
        rows.push(row(
            "cost",
            "the critic",
            &under,
            Score::Strict,
            &short,
            with_task(&short, &|task| {
                task.weights.remove(CRITIC);
            }),
        ));
    }
    rows
}

impl Comparison {
    /// Plays both on the same pairs.
    ///
    /// # Errors
    /// The evaluator's.
    pub fn run(
        &self,
        scene: &str,
        options: &SceneOptions,
        (episodes, seeds): (usize, &[u64]),
        threads: usize,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<AblationRow> {
        let play = |setting: &Setting| -> Result<EvaluationReport> {
            let evaluation = Evaluation {
                scene: scene.to_owned(),
                options: options.clone(),
                model: setting.method.clone(),
                task: setting.task.clone(),
                pairs: setting.pairs,
                budget_steps: setting.pairs.default_budget(),
                episodes,
                seeds: seeds.to_vec(),
                threads,
                lived: 0,
                baselines: false,
                disturbance: setting.disturbance,
            };
            Ok(evaluation.run(progress)?.0)
        };
        let (with, without) = (play(&self.with)?, play(&self.without)?);
        let rate = |report: &EvaluationReport| match self.score {
            Score::Moderate => report.rates.model.moderate,
            Score::Strict => report.rates.model.strict,
        };
        let imagined_states = [&with, &without].map(|report| report.predictor_rows_per_episode);
        let (with, without) = (rate(&with), rate(&without));
        Ok(AblationRow {
            module: self.module,
            off: self.off.clone(),
            under: self.under.clone(),
            score: self.score,
            with,
            without,
            imagined_states,
            lost: without.high < with.low,
        })
    }
}
