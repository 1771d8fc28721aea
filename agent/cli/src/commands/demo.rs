//! `mindseye demo`: the shipped agent at work, with a film of what it observes and imagines.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail};
use clap::Args;
use mindseye_assets as assets;
use mindseye_evaluation::{LearnedAgent, MeasuredRate, hold_out};
use mindseye_interface::GoalKind;
use mindseye_interface::config::require_range;
use mindseye_plots::{Demo, DemoEpisode, DemoReport, film_path, is_film};
use mindseye_sim::scenes::{push_t, two_room};
use mindseye_world_model::Checkpoint;
use mindseye_worlds::WorldArguments;

use super::{SceneArguments, load_task, pool, print_json};
use crate::progress::{Interrupted, stop_on_ctrl_c};
use crate::streams::say;

/// Watch the agent work: it solves fresh episodes in simulation, planning in imagination at every action chunk.
///
/// Needs no network and no display. Prints every episode with its planning time and writes a film: the camera, the
/// goal, the plan as the agent imagines it (drawn by a decoder that planning never uses), the goal cost and the true
/// distance. The episodes are the first ones of `mindseye evaluate` with the same --seed (of hard goals where the scene
/// has them), and have the same outcomes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    mindseye demo\n  \
    mindseye demo push_t --episodes 6 --out push_t.gif\n  \
    mindseye demo --out films\n  \
    mindseye demo two_room --switch-after 20")]
pub struct DemoArguments {
    /// Name of the scene: two_room, push_t or bridge; the first two by default.
    scene: Option<String>,
    #[command(flatten)]
    world: WorldArguments,
    /// Folder of the checkpoint, whose scene is then shown; by default the shipped one.
    #[arg(long)]
    checkpoint: Option<PathBuf>,
    /// Task file (TOML); by default the shipped one of the scene.
    #[arg(long)]
    task: Option<PathBuf>,
    /// Episodes to solve.
    #[arg(long, default_value_t = 6)]
    episodes: usize,
    /// Root of every random choice; another seed gives other episodes.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The film: a name that ends in .gif (without a scene: of two_room), or a folder for mindseye_demo_SCENE.gif; by
    /// default the current folder.
    #[arg(long)]
    out: Option<PathBuf>,
    /// After so many control steps of every episode the goal becomes where the episode began: the very next plan is for
    /// the new goal, and nothing is loaded anew.
    #[arg(long)]
    switch_after: Option<usize>,
    /// Threads for planning.
    #[arg(long, default_value_t = super::default_threads())]
    threads: usize,
    /// Print one JSON document on stdout: of one scene, or a list of them.
    #[arg(long)]
    json: bool,
}

/// Scenes that are shown if none is named; the first one if the film is one file.
const SHOWN: [&str; 2] = [two_room::NAME, push_t::NAME];
/// Control steps from start to goal, in scenes without hard pairs of their own: as `mindseye evaluate` has it.
const GOAL_OFFSET: usize = 25;
/// Side of the floor that the camera shows, in all scenes, metres.
const FLOOR_SIDE_M: f64 = 1.0;
/// Latest change of the goal, control steps.
const LATEST_SWITCH: usize = 99;

/// Runs the command.
///
/// # Errors
/// When an argument makes no sense, the checkpoint is broken or of another scene, or the film cannot be written.
pub fn run(arguments: &DemoArguments) -> Result<()> {
    require_range("--episodes", arguments.episodes, 1, 50)?;
    require_range("--threads", arguments.threads, 1, 1024)?;
    require_range("--switch-after", arguments.switch_after.unwrap_or(1), 1, LATEST_SWITCH)?;
    let stop = stop_on_ctrl_c()?;
    let one_film = arguments.out.as_deref().is_some_and(is_film);
    let scenes: Vec<String> = match &arguments.scene {
        Some(scene) => vec![scene.clone()],
        None if arguments.world.world.is_some() => vec!["the world".to_owned()], // it says its name itself
        None if arguments.task.is_some() => bail!("--task: expected a scene or --world, got none"),
        None if arguments.checkpoint.is_some() => {
            let folder = assets::checkpoint_or(arguments.checkpoint.as_deref(), SHOWN[0])?;
            vec![Checkpoint::load_config(&folder)?.scene]
        }
        None if one_film => vec![SHOWN[0].to_owned()],
        None => SHOWN.map(str::to_owned).to_vec(),
    };
    let mut reports: Vec<DemoReport> = Vec::new();
    for scene in &scenes {
        if !reports.iter().any(|report| report.interrupted) {
            reports.push(show(arguments, scene, stop)?);
        }
    }
    match (&reports[..], arguments.json) {
        (_, false) => {}
        ([report], true) => print_json(report)?,
        (reports, true) => print_json(&reports)?,
    }
    if stop.load(Ordering::Relaxed) && reports.iter().any(|report| report.interrupted) {
        let done: usize = reports.iter().map(|report| report.episodes.len()).sum();
        let of = arguments.episodes * scenes.len();
        let film = if done == 0 { "there is no film" } else { "the film shows them" };
        return Err(Interrupted(format!("stopped after {done} of {of} episodes; {film}")).into());
    }
    Ok(())
}

/// One scene.
fn show(arguments: &DemoArguments, scene: &str, stop: &AtomicBool) -> Result<DemoReport> {
    let world = arguments.world.clone();
    match (&world.world, &arguments.checkpoint) {
        (None, _) => drop(mindseye_sim::scene(scene)?),
        (Some(_), Some(_)) => {}
        (Some(_), None) => bail!("--world: expected --checkpoint, got none"),
    }
    let folder = assets::checkpoint_or(arguments.checkpoint.as_deref(), scene)?;
    let image_side = Checkpoint::load_config(&folder)?.model.image_side;
    let mut opened = SceneArguments { scene: scene.to_owned(), image_side, factors: Vec::new(), world }.open()?;
    let scene = &*opened.name.clone();
    let checkpoint = Arc::new(Checkpoint::load_for_scene(&folder, scene)?);
    hold_out(opened.benchmark.as_mut(), &LearnedAgent::new(checkpoint.clone()), &arguments.world.data)?;
    let benchmark = opened.benchmark.as_ref();
    let task = load_task(arguments.task.as_deref(), scene)?;
    let film = film_path(arguments.out.as_deref(), scene)?;
    let goals = if benchmark.has_hard_pairs() { GoalKind::Hard } else { GoalKind::Offset { goal_offset: GOAL_OFFSET } };
    let is_like_measured = arguments.switch_after.is_none();
    let demo = Demo {
        benchmark,
        checkpoint,
        task: &task,
        goals,
        episodes: arguments.episodes,
        budget_steps: arguments.switch_after.unwrap_or(0) + goals.default_budget(),
        switch_after: arguments.switch_after,
        seed: arguments.seed,
        threads: arguments.threads,
        floor_side_m: FLOOR_SIDE_M,
        measured: if is_like_measured { MeasuredRate::find(&folder, &task.name, goals)? } else { None },
        stop,
    };
    if !arguments.json {
        let back = |after: usize| format!("; after {after} control steps the goal becomes the start");
        let back = arguments.switch_after.map_or_else(String::new, back);
        say!("{scene}: {} held-out episodes, {goals}, given as images{back}", arguments.episodes);
    }
    let mut done = |number: usize, episode: &DemoEpisode| {
        if !arguments.json {
            say!("  {number}: {episode}");
        }
    };
    let report = pool(arguments.threads)?.install(|| demo.run(&film, &mut done))?;
    if !arguments.json {
        say!("{report}");
    }
    Ok(report)
}
