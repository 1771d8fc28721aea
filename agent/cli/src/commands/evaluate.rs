//! `mindseye evaluate`: success under the standard protocol.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use mindseye_agent::{ModelSource, Task};
use mindseye_assets as assets;
use mindseye_evaluation::{
    Evaluation, EvaluationEnd, GoalArguments, LearnedAgent, Method, NoOp, Oracle, OracleDynamics, Perturbation,
    Protocol, ProtocolArguments, RandomActions, hold_out,
};
use mindseye_interface::config::require_range;
use mindseye_interface::files;
use mindseye_plots::report::{FILE, Films, command_line, write_evaluation};
use mindseye_world_model::{ActionStatistics, Lewm, LoadOptions};

use super::branches::{self, BranchesArguments};
use super::resumable::ResumableStudy;
use super::{Opened, SceneArguments, load_task, print_json};
use crate::streams::{note, say};

/// Measure a world model: success of the agent that plans with it, on held-out episodes, beside its baselines.
///
/// Starts and goals are states of the same held-out episode, --goal-offset control steps apart (--goals hard: the
/// scene's hard pairs; --goals sequence: three goals in turn). Pairs that are solved at the start are dropped, and
/// every method gets the same pairs. In scenes with a block, only pairs count in which it has to be moved (--goals
/// robot-only has the others), and those in which it has to turn are reported apart. Moderate success: the task's
/// predicate at any step. Block: the same for the block alone. Strict: half the distance, held over the last 5
/// control steps. Where the task forbids states, pairs that start or end there are dropped, and violations are
/// counted on true states. Rates come with Wilson 95 % intervals.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Example: mindseye evaluate --scene two_room --checkpoint assets/checkpoints/two_room --episodes 100 \
                  --seeds 3 --json"
)]
pub struct EvaluateArguments {
    #[command(subcommand)]
    study: Option<Study>,
    #[command(flatten)]
    scene: SceneArguments,
    /// Folder of the checkpoint, or of a LeWorldModel (config.json with weights.pt or model.safetensors, and
    /// mindseye.json with statistics of its actions); by default the shipped one. A LeWorldModel needs images of its
    /// own size (--image-side), and a task with plain distances of its embeddings (assets/tasks/push_t_lewm.toml).
    #[arg(long)]
    checkpoint: Option<PathBuf>,
    /// Task file (TOML): planner, costs, horizon; by default the shipped one of the scene.
    #[arg(long)]
    task: Option<PathBuf>,
    #[command(flatten)]
    goals: GoalArguments,
    /// Control steps per episode; by default twice the offset (of every goal in turn), or 100 for hard pairs.
    #[arg(long)]
    budget: Option<usize>,
    #[command(flatten)]
    protocol: ProtocolArguments,
    /// Diagnosis: perception, cost and goals are the checkpoint's, the dynamics are the simulator's. What still fails
    /// is not the fault of the learned dynamics. Slow: every predicted state is rendered and encoded.
    #[arg(long, alias = "true-dynamics")]
    oracle_dynamics: bool,
    /// For a LeWorldModel: mean of the normalised actions that it was trained on, one number or one per action
    /// dimension, separated by commas. With --action-std it replaces the statistics in mindseye.json.
    #[arg(long, hide = true, value_delimiter = ',', allow_hyphen_values = true)]
    action_mean: Vec<f32>,
    /// For a LeWorldModel: their standard deviation.
    #[arg(long, hide = true, value_delimiter = ',')]
    action_std: Vec<f32>,
    /// Share of the images that never reach the agent, drawn at random for each.
    #[arg(long, default_value_t = 0.0)]
    drop_frames: f64,
    /// Control steps, once in an episode, for which a grey square covers the object of the task.
    #[arg(long, default_value_t = 0)]
    occlude: usize,
    /// Episodes that the agent acts in before each that counts, in the same world, on other pairs and unmeasured. It
    /// keeps what it learns there (tasks with a section `adaptation` learn).
    #[arg(long, alias = "lived", default_value_t = 0)]
    warmup_episodes: usize,
    /// Leave out the baselines.
    #[arg(long)]
    no_baselines: bool,
    /// Folder for evaluation.json, report.html (charts, the best and the worst episodes, every setting; one file, for
    /// any browser), sheet.png (start, goal and end of episodes, failures first) and, in scenes with a block,
    /// success.png (success by how far it has to move and to turn).
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print the whole report as one JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// Studies beside the standard evaluation.
#[derive(Debug, Subcommand)]
enum Study {
    Branches(BranchesArguments),
}

/// Runs the command.
///
/// # Errors
/// When an argument makes no sense, the checkpoint is broken or of another scene, a method cannot run the task, or an
/// output cannot be written.
pub fn run(arguments: &EvaluateArguments) -> Result<()> {
    if let Some(Study::Branches(arguments)) = &arguments.study {
        return branches::run(arguments);
    }
    arguments.protocol.validate()?;
    require_range("--warmup-episodes", arguments.warmup_episodes, 0, 10_000)?;
    require_range("--drop-frames", arguments.drop_frames, 0.0, 1.0)?;
    let goals = arguments.goals.kind()?;
    let mut scene = arguments.scene.open()?;
    let folder = assets::checkpoint_or(arguments.checkpoint.as_deref(), &scene.name)?;
    let (tested, side, task) = tested_method(arguments, &folder, &mut scene)?;
    let benchmark = scene.benchmark.as_ref();
    let has_snapshots = benchmark.environment()?.has_snapshots();
    require_range("--image-side (the checkpoint's)", arguments.scene.image_side, side, side)?;
    let budget_steps = arguments.budget.unwrap_or(goals.default_budget());
    require_range("--budget", budget_steps, 1, 1_000_000)?;
    let evaluation = Evaluation {
        benchmark,
        factors: scene.options.factors.names(),
        task: &task,
        protocol: Protocol {
            budget_steps,
            warmup_episodes: arguments.warmup_episodes,
            ..arguments.protocol.with_goals(goals)
        },
        perturbation: Perturbation { drop_frames: arguments.drop_frames, occlude_steps: arguments.occlude },
        journal: None,
    };
    let action_chunk = tested.action_chunk();
    let baselines = (RandomActions { action_chunk }, NoOp { action_chunk }, Oracle { action_chunk });
    let mut methods: Vec<&dyn Method> = vec![tested.as_ref()];
    if !arguments.no_baselines {
        methods.extend([&baselines.0 as &dyn Method, &baselines.1]);
        methods.extend(has_snapshots.then_some(&baselines.2 as &dyn Method));
    }
    if !has_snapshots && arguments.oracle_dynamics {
        bail!("--oracle-dynamics: expected a world with snapshots, got {} without", scene.name);
    } else if !has_snapshots && !arguments.no_baselines {
        note!("no oracle: {} has no snapshots, so nothing can plan in it", scene.name);
    }
    for (number, method) in methods.iter().enumerate() {
        let checked = method.check_task(&task).map_err(anyhow::Error::new);
        if number == 0 { checked? } else { checked.context("baselines (--no-baselines leaves them out)")? }
    }
    let study = ResumableStudy::begin("evaluate", arguments.out.as_deref())?;
    let evaluation = Evaluation { journal: study.journal(), ..evaluation };
    let outcome = match evaluation.run_until_stopped(&methods, &study.progress)? {
        EvaluationEnd::Complete(outcome) => *outcome,
        EvaluationEnd::Stopped { done, of, partial } => {
            if let Some(report) = partial.filter(|_| !arguments.json) {
                say!("INTERRUPTED: of the {} pairs that are done", report.results.len());
                say!("{report}");
            }
            return Err(study.interrupted(done, of));
        }
    };
    let report = &outcome.report;
    if let Some(folder) = &arguments.out {
        let text = serde_json::to_vec_pretty(report).context("evaluation.json")?;
        let path = folder.join("evaluation.json");
        files::write_whole(&path, &text).with_context(|| format!("{}", path.display()))?;
        let films = Films::of(&evaluation, tested.as_ref(), report, &study.progress);
        write_evaluation(folder, &outcome, &films, &command_line())?;
    }
    study.finish()?;
    if arguments.json {
        report.warnings().iter().for_each(|warning| note!("{warning}"));
        return print_json(report);
    }
    say!("{report}");
    arguments.out.iter().for_each(|folder| say!("report: {}", folder.join(FILE).display()));
    Ok(())
}

/// The method under test, the side of its images, pixels, and the task: the named one, or the one that fits the model.
fn tested_method(
    arguments: &EvaluateArguments,
    folder: &Path,
    scene: &mut Opened,
) -> Result<(Box<dyn Method>, usize, Task)> {
    let has_statistics = !arguments.action_mean.is_empty() || !arguments.action_std.is_empty();
    let mut options = LoadOptions::default();
    if Lewm::is_in(folder) {
        if arguments.oracle_dynamics {
            bail!("--oracle-dynamics: expected a checkpoint of mindseye, got a LeWorldModel ({})", folder.display());
        }
        options.action_width = Some(scene.benchmark.environment()?.action_space().width());
        let statistics = ActionStatistics { mean: arguments.action_mean.clone(), std: arguments.action_std.clone() };
        options.action_statistics = has_statistics.then_some(statistics);
    } else if has_statistics {
        bail!("--action-mean, --action-std: expected a LeWorldModel, got {}", folder.display());
    }
    let agent = LearnedAgent::load_with(folder, &scene.name, &options)?;
    if let Some(count) = hold_out(scene.benchmark.as_mut(), &agent, &arguments.scene.world.data)? {
        note!("starts and goals are of the {count} episodes of --data that the model was not trained on");
    }
    let side = agent.image_side();
    // A model of other recordings pursues what the scene's task says.
    let name = match agent.source() {
        _ if arguments.task.is_some() => &scene.name,
        ModelSource::Jepa(_) => &scene.name,
        source => source.task_scene(false),
    };
    let task = load_task(arguments.task.as_deref(), name)?;
    let method: Box<dyn Method> =
        if arguments.oracle_dynamics { Box::new(OracleDynamics { agent }) } else { Box::new(agent) };
    Ok((method, side, task))
}
