//! `mindseye plan`: a plan from an image of now to an image of the goal, without a simulator.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use mindseye_agent::ModelSource;
use mindseye_agent::session::{CameraImage, MAX_LINE_BYTES, PlanRequest, PlannedActions, PlanningSession, SessionPlan};
use mindseye_assets as assets;
use mindseye_evaluation::verdict::Verdict;
use mindseye_interface::config::require_range;
use mindseye_interface::inputs::next_line;
use mindseye_interface::text::printable;
use mindseye_interface::{Seed, SystemClock};
use mindseye_plots::{PlanSheet, write_png};
use mindseye_world_model::{AnyCheckpoint, LoadOptions};
use serde::Serialize;

use super::{load_task, lock_folder, print_json};
use crate::streams::{have_ended, note, say};

/// Plan from an image of now to an image of the goal: actions in the robot's units, and images of what is imagined.
///
/// Needs no simulator: images come from files, of any size (they are scaled as in training), and whoever asks executes
/// the actions. With --see - one agent answers line by line and remembers what it observed. A line of JSON on stdin,
/// `{"image": "now.png", "proprioception": [0.1], "executed": [[0.2], [0.3]], "goal": "goal.png"}`, gives a line with
/// the plan on stdout, or one `{"error": "why"}`. All fields may be left out; images are paths, or PNG or JPEG in
/// base64. What was executed since the last plan is the action of each control step, or their number; by default the
/// first action chunk.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    mindseye plan --checkpoint runs/robot --see now.png --goal goal.png\n  \
    mindseye plan --checkpoint runs/arm --see now.png --goal goal.png --proprioception=96.4,-61.5,89.2\n  \
    mindseye plan --checkpoint runs/arm --see top=t.png --see wrist=w.png --goal top=tg.png --goal wrist=wg.png\n  \
    mindseye plan --checkpoint runs/robot --see - --goal goal.png < lines.jsonl")]
pub struct PlanArguments {
    /// Folder of the checkpoint, or of a LeWorldModel.
    #[arg(long)]
    checkpoint: PathBuf,
    /// What the camera shows now: a PNG or JPEG file; CAMERA=FILE for each of several cameras. -: read JSON lines.
    #[arg(long, required = true)]
    see: Vec<String>,
    /// What it is to show; several cameras as above. With --see - a line can name it too.
    #[arg(long)]
    goal: Vec<String>,
    /// Measurements of the robot itself now, in the units of the recordings, for models that take them (and to hold an
    /// absolutely commanded joint).
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true)]
    proprioception: Vec<f32>,
    /// The same at the goal.
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true)]
    goal_proprioception: Vec<f32>,
    /// Task file (TOML): planner and costs. By default that of the checkpoint's scene, else the shipped
    /// `recorded`, or `plain_distances` for a model without statistics of its latent space.
    #[arg(long)]
    task: Option<PathBuf>,
    /// Root of every random choice: with equal images, equal plans.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Stop searching after so many milliseconds, as on a robot. By default the search is never cut short.
    #[arg(long)]
    deadline_ms: Option<f64>,
    /// Numbers per action, for a LeWorldModel without a mindseye.json.
    #[arg(long)]
    action_width: Option<usize>,
    /// Folder for imagination.png (now, imagined states, goal); by default the current folder, and with --json or
    /// --see - none.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print one JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// A plan as JSON.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    plan: &'a PlannedActions,
    /// What was done to the images, where it was not said before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// When the checkpoint is broken, an image or an argument makes no sense, or no plan can be made.
pub fn run(arguments: &PlanArguments) -> Result<()> {
    require_range("--deadline-ms", arguments.deadline_ms.unwrap_or(1.0), 0.1, 1e6)?;
    let options = LoadOptions { action_width: arguments.action_width, ..LoadOptions::default() };
    let checkpoint = Arc::new(AnyCheckpoint::load_with(&assets::resolve(&arguments.checkpoint), &options)?);
    let source = ModelSource::from(&checkpoint);
    let task = load_task(arguments.task.as_deref(), source.task_scene(arguments.task.is_some()))?;
    let seed = Seed::new(arguments.seed);
    let mut session = PlanningSession::new(&source, &task, seed, arguments.deadline_ms)?;
    let folder = assets::resolve(&arguments.checkpoint);
    session.note_novelty(&folder)?;
    let mut notes: Vec<String> = Verdict::caution(&folder).into_iter().collect();
    if !arguments.goal.is_empty() {
        notes.extend(session.set_goal(images("--goal", &arguments.goal)?, &arguments.goal_proprioception)?);
    }
    if arguments.see == ["-"] {
        notes.iter().for_each(|text| note!("{text}"));
        return answer_lines(arguments, &checkpoint, &mut session);
    }
    if arguments.goal.is_empty() {
        bail!("--goal: expected an image of what is wanted, got none");
    }
    let see = images("--see", &arguments.see)?;
    let (plan, more) = session.plan(see, &arguments.proprioception, &SystemClock::start())?;
    notes.extend(more);
    let _lock = arguments.out.as_deref().map(|out| lock_folder(out, "plan")).transpose()?;
    let folder = arguments.out.as_deref().or((!arguments.json).then_some(Path::new("")));
    let drawn = folder.map(|folder| draw(folder, &checkpoint, &session, &plan)).transpose()?;
    if arguments.json {
        notes.extend(drawn);
        return print_json(&Answer { plan: &plan.actions, notes });
    }
    notes.iter().for_each(|text| say!("{text}"));
    say!("{}", plan.actions);
    drawn.iter().for_each(|text| say!("{text}"));
    Ok(())
}

/// The images that `arguments` name.
fn images(field: &'static str, arguments: &[String]) -> Result<Vec<CameraImage>> {
    arguments.iter().map(|argument| Ok(CameraImage::of_argument(field, argument)?)).collect()
}

/// Writes imagination.png to `folder`; what to say of it.
fn draw(folder: &Path, checkpoint: &AnyCheckpoint, session: &PlanningSession, plan: &SessionPlan) -> Result<String> {
    let path = folder.join("imagination.png");
    let Some(sheet) = PlanSheet::of(checkpoint, session, plan)? else {
        return Ok(format!("{}: {}", path.display(), PlanSheet::WITHOUT_DECODER));
    };
    write_png(&path, sheet.draw()?.image())?;
    Ok(format!("{}: now, what is imagined, the goal", path.display()))
}

/// Answers every line of stdin by a line on stdout, until there are no more.
fn answer_lines(arguments: &PlanArguments, checkpoint: &AnyCheckpoint, session: &mut PlanningSession) -> Result<()> {
    let lock = arguments.out.as_deref().map(|out| lock_folder(out, "plan")).transpose()?;
    let clock = SystemClock::start();
    let mut said = Vec::new();
    let mut stdin = std::io::stdin().lock();
    while let Some(line) = next_line(&mut stdin, MAX_LINE_BYTES).context("reading stdin")? {
        let answer = line.map_err(|error| anyhow!(error)).and_then(|line| Ok(PlanRequest::parse(&line)?));
        let answer = answer.and_then(|request| {
            let (plan, mut notes) = session.answer(&request, &clock)?;
            if let (Some(out), Some(_)) = (&arguments.out, &lock) {
                notes.push(draw(out, checkpoint, session, &plan)?);
            }
            notes.retain(|text| !said.contains(text));
            said.extend(notes.iter().cloned());
            Ok(serde_json::to_string(&Answer { plan: &plan.actions, notes })?)
        });
        match answer {
            Ok(line) => say!("{line}"),
            Err(error) => say!("{}", serde_json::json!({ "error": printable(&format!("{error:#}")) })),
        }
        if have_ended() {
            break; // nobody reads the plans any more
        }
    }
    Ok(())
}
