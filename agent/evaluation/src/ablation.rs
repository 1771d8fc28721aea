//! What each of the six modules contributes: the same episodes with it, and with a part in its place that does
//! nothing.

mod report;

pub use self::report::AblationReport;
use std::sync::Arc;

use mindseye_agent::Task;
use mindseye_agent::assembly::Overrides;
use mindseye_agent::configurator::ModeConfig;
use mindseye_agent::cost::CRITIC;
use mindseye_agent::directive::{Imputation, Reduction};
use mindseye_interface::{Benchmark, GoalKind, PairSearch, Progress};
use mindseye_world_model::LatentMetric;
use serde::{Deserialize, Serialize};

use crate::comparison::PartialProgress;
use crate::interval::SuccessRate;
use crate::{Evaluation, EvaluationReport, Journal, LearnedAgent, Method, Perturbation, Protocol, Result};

/// A learned agent, and the same agent with a module replaced by a part that does nothing.
#[derive(Clone)]
pub struct AblatedAgents {
    /// The whole agent.
    pub whole: Arc<dyn Method>,
    /// The same with the first goal kept for ever.
    pub keeping_first_goal: Arc<dyn Method>,
    /// The same with the last observed state in place of a predicted one where an image is missing.
    pub without_prediction: Arc<dyn Method>,
    /// The same with a search that does not begin with the policy's proposals.
    pub without_proposals: Arc<dyn Method>,
    /// The same with a memory that keeps nothing.
    pub without_memory: Arc<dyn Method>,
    /// The same with a world model that predicts no change.
    pub without_world_model: Arc<dyn Method>,
    /// Whether its checkpoint has a policy.
    pub has_policy: bool,
    /// Whether its checkpoint has a critic.
    pub has_critic: bool,
}

impl AblatedAgents {
    /// All of them, of `agent`.
    pub fn of(agent: &LearnedAgent) -> Self {
        let all = Overrides::default();
        let without = |name, overrides| -> Arc<dyn Method> { Arc::new(agent.without(name, overrides)) };
        let imputation = Imputation::LastObserved;
        Self {
            whole: Arc::new(agent.clone()),
            keeping_first_goal: without("keeping_first_goal", Overrides { keep_first_goal: true, ..all }),
            without_prediction: without("without_prediction", Overrides { imputation, ..all }),
            without_proposals: without("without_proposals", Overrides { ignore_proposals: true, ..all }),
            without_memory: without("without_memory", Overrides { without_memory: true, ..all }),
            without_world_model: without(
                "without_world_model",
                Overrides { without_world_model: true, ignore_proposals: true, ..all },
            ),
            has_policy: agent.has_policy(),
            has_critic: agent.has_critic(),
        }
    }
}

/// What is compared: the agent as it is, and without a part.
#[derive(Clone)]
pub struct Ablation {
    /// The module that the part belongs to.
    pub module: &'static str,
    /// The part that is taken away.
    pub part: String,
    /// The conditions of both runs.
    pub conditions: String,
    /// The score that is to fall.
    pub score: Score,
    with: Setting,
    without: Setting,
}

/// Which success rate is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// The task's predicate at some step.
    Moderate,
    /// The tighter predicate, held at the end.
    Strict,
}

#[derive(Clone)]
struct Setting {
    method: Arc<dyn Method>,
    task: Task,
    goals: GoalKind,
    perturbation: Perturbation,
}

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AblationRow {
    /// The module.
    pub module: String,
    /// The part that was taken away.
    pub part: String,
    /// The conditions of both runs.
    pub conditions: String,
    /// The score.
    pub score: Score,
    /// With the part.
    pub with: SuccessRate,
    /// Without it.
    pub without: SuccessRate,
    /// Predicted states per episode, with and without.
    pub predicted_states: [f64; 2],
    /// Whether the intervals lie apart, so that the loss is not chance.
    pub is_significant: bool,
    /// Ticks in which the agent held still because of an error, with and without.
    pub error_ticks: [usize; 2],
}

/// Share of the images that are dropped where perception is made hard.
const DROPPED: f64 = 0.3;
/// Control steps from start to goal in most rows.
const GOAL_OFFSET: usize = 25;
/// Control steps to far goals, in benchmarks without hard pairs.
const FAR_GOAL_OFFSET: usize = 75;
/// Horizon, action chunks, at which the critic has to account for what the horizon leaves out.
const SHORT_HORIZON_CHUNKS: usize = 2;
/// The critic's weight there, as in the shipped task with a critic.
const CRITIC_WEIGHT: f32 = 2.0;

/// All ablations that `agents` and `task` allow on `benchmark`.
pub fn ablations(benchmark: &dyn Benchmark, agents: &AblatedAgents, task: &Task) -> Vec<Ablation> {
    let has_hard_pairs = benchmark.start_goal_pairs(&PairSearch::new(GoalKind::Hard, 1, 0)).is_ok();
    let (hard, hard_conditions) = if has_hard_pairs {
        (GoalKind::Hard, "hard goals".to_owned())
    } else {
        (GoalKind::Offset { goal_offset: FAR_GOAL_OFFSET }, format!("goals {FAR_GOAL_OFFSET} control steps away"))
    };
    let standard = Setting {
        method: agents.whole.clone(),
        task: task.clone(),
        goals: GoalKind::Offset { goal_offset: GOAL_OFFSET },
        perturbation: Perturbation::default(),
    };
    let far = Setting { goals: hard, ..standard.clone() };
    let sequence = Setting { goals: GoalKind::Sequence { goal_offset: GOAL_OFFSET }, ..standard.clone() };
    let mut rows = vec![
        configurator(&sequence, agents),
        perception(&standard, agents),
        world_model(&standard, agents),
        if has_hard_pairs {
            cost(&far, "hard goals", Score::Strict)
        } else {
            cost(&standard, AS_SHIPPED, Score::Moderate)
        },
        Ablation {
            module: "memory",
            part: "all of it: no transition is remembered".into(),
            conditions: IN_TURN.into(),
            score: Score::Moderate,
            without: Setting { method: agents.without_memory.clone(), ..sequence.clone() },
            with: sequence,
        },
    ];
    if agents.has_policy {
        rows.extend([actor_proposals(&standard, agents), actor_planning(&standard)]);
    }
    if agents.has_critic {
        rows.push(critic(&far, &hard_conditions));
    }
    rows
}

const AS_SHIPPED: &str = "as shipped";
const IN_TURN: &str = "three goals in turn";

impl Setting {
    fn with_task(&self, change: impl FnOnce(&mut Task)) -> Self {
        let mut changed = self.clone();
        change(&mut changed.task);
        changed
    }
}

fn configurator(setting: &Setting, agents: &AblatedAgents) -> Ablation {
    Ablation {
        module: "configurator",
        part: "moving on: the first goal is kept".into(),
        conditions: IN_TURN.into(),
        score: Score::Moderate,
        with: setting.clone(),
        without: Setting { method: agents.keeping_first_goal.clone(), ..setting.clone() },
    }
}

fn perception(setting: &Setting, agents: &AblatedAgents) -> Ablation {
    let perturbation = Perturbation { drop_frames: DROPPED, occlude_steps: 0 };
    let with = Setting { perturbation, ..setting.clone() };
    Ablation {
        module: "perception",
        part: "prediction of missing frames: the last image counts".into(),
        conditions: format!("{:.0} % of the images are lost", 100.0 * DROPPED),
        score: Score::Strict,
        without: Setting {
            method: agents.without_prediction.clone(),
            ..with.with_task(|task| task.missing_frames.innovation_gate = None)
        },
        with,
    }
}

fn world_model(setting: &Setting, agents: &AblatedAgents) -> Ablation {
    Ablation {
        module: "world model",
        part: "consequences: no action changes anything".into(),
        conditions: AS_SHIPPED.into(),
        score: Score::Moderate,
        with: setting.clone(),
        without: Setting { method: agents.without_world_model.clone(), ..setting.clone() },
    }
}

fn cost(setting: &Setting, conditions: &str, score: Score) -> Ablation {
    Ablation {
        module: "cost",
        part: "metric, saturation and reduction: plain distance of the last state".into(),
        conditions: conditions.into(),
        score,
        with: setting.clone(),
        without: setting.with_task(|task| {
            (task.metric, task.goal_saturation) = (LatentMetric::Euclidean, None);
            task.reduction = Reduction::Last;
        }),
    }
}

fn actor_proposals(setting: &Setting, agents: &AblatedAgents) -> Ablation {
    Ablation {
        module: "actor",
        part: "the policy's proposals".into(),
        conditions: AS_SHIPPED.into(),
        score: Score::Strict,
        with: setting.clone(),
        without: Setting {
            method: agents.without_proposals.clone(),
            ..setting.with_task(|task| {
                task.planner = task.planner_with_policy.clone().unwrap_or_else(|| task.planner.clone());
            })
        },
    }
}

fn actor_planning(setting: &Setting) -> Ablation {
    Ablation {
        module: "actor",
        part: "planning: the policy alone acts".into(),
        conditions: AS_SHIPPED.into(),
        score: Score::Strict,
        with: setting.clone(),
        without: setting.with_task(|task| task.mode = ModeConfig::Mode1),
    }
}

fn critic(setting: &Setting, conditions: &str) -> Ablation {
    let with = setting.with_task(|task| {
        task.horizon_chunks = SHORT_HORIZON_CHUNKS;
        task.weights.insert(CRITIC.into(), CRITIC_WEIGHT);
    });
    Ablation {
        module: "cost",
        part: "the critic".into(),
        conditions: format!("{conditions}, a horizon of {SHORT_HORIZON_CHUNKS} chunks"),
        score: Score::Strict,
        without: with.with_task(|task| {
            task.weights.remove(CRITIC);
        }),
        with,
    }
}

/// Runs `ablations` on `benchmark`, `episodes` on each of `seeds`, and `threads` episodes at a time. Finished episodes
/// are kept in `journal`.
///
/// # Errors
/// The evaluator's.
pub fn run_ablations(
    benchmark: &dyn Benchmark,
    ablations: &[Ablation],
    (episodes, seeds): (usize, &[u64]),
    threads: usize,
    journal: Option<&Journal>,
    progress: &dyn Progress,
) -> Result<Vec<AblationRow>> {
    let each = episodes * seeds.len();
    progress.begin("ablate", 2 * ablations.len() * each, "episodes");
    let mut done = 0;
    let mut evaluate = |setting: &Setting, note: &str| -> Result<EvaluationReport> {
        let protocol = Protocol { episodes, seeds: seeds.to_vec(), threads, ..Protocol::standard(setting.goals) };
        let evaluation = Evaluation {
            protocol,
            perturbation: setting.perturbation,
            journal,
            ..Evaluation::standard(benchmark, &setting.task, setting.goals)
        };
        let part = PartialProgress { progress, before: done, note };
        let run = evaluation.run(&[setting.method.as_ref()], &part);
        let report = run.map_err(|error| error.within(done, 2 * ablations.len() * each))?.report;
        done += each;
        Ok(report)
    };
    let mut rows = Vec::with_capacity(ablations.len());
    for ablation in ablations {
        let with = evaluate(&ablation.with, ablation.module)?;
        let without = evaluate(&ablation.without, ablation.module)?;
        rows.push(ablation.row(&with, &without));
    }
    progress.end();
    Ok(rows)
}

impl Ablation {
    fn row(&self, with: &EvaluationReport, without: &EvaluationReport) -> AblationRow {
        let both = [with, without];
        let [with, without] = both.map(|report| match self.score {
            Score::Moderate => report.rates.model.moderate,
            Score::Strict => report.rates.model.strict,
        });
        AblationRow {
            module: self.module.into(),
            part: self.part.clone(),
            conditions: self.conditions.clone(),
            score: self.score,
            with,
            without,
            predicted_states: both.map(|report| report.predicted_states_per_episode),
            is_significant: without.high < with.low,
            error_ticks: both.map(|report| report.errors.values().map(|errors| errors.ticks).sum()),
        }
    }
}
