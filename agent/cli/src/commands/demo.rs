//! `mindseye demo`: the shipped agent at work, with a picture of what it sees and imagines.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use mindseye_interface::Seed;
use mindseye_interface::config::require_range;
use mindseye_sim::SceneOptions;
use mindseye_world_model::Checkpoint;
use serde::Serialize;

use super::{load_task, print_json};
use crate::assets;
use crate::evaluation::interval::Percentiles;
use crate::evaluation::{Disturbance, Episode, EpisodeResult, Method, Pair, PairKind, Switch, draw_pairs};
use crate::filming::Film;
use crate::pictures::write_gif;

/// Watch the agent work: it solves fresh episodes live, planning in imagination at every action block.
///
/// Needs no network and no display. Prints every episode with its planning time and writes an animated picture: the camera, the
/// goal, the plan as the agent imagines it (drawn by a decoder that planning never uses), and the goal distance falling.
#[derive(Debug, Args)]
#[command(after_help = "Example: mindseye demo push_t --episodes 6 --out demo.gif")]
pub struct DemoArguments {
    /// Name of the scene: two_room, push_t or bridge; the first two by default.
    scene: Option<String>,
    /// Folder of the checkpoint; by default the shipped one.
    #[arg(long, requires = "scene")]
    checkpoint: Option<PathBuf>,
    /// Task file (TOML); by default the shipped one of the scene.
    #[arg(long, requires = "scene")]
    task: Option<PathBuf>,
    /// Episodes to solve.
    #[arg(long, default_value_t = 6)]
    episodes: usize,
    /// Root of every random choice; another seed gives other episodes.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The animated picture (GIF); by default mindseye_demo_SCENE.gif here.
    #[arg(long, requires = "scene")]
    out: Option<PathBuf>,
    /// After so many control steps of every episode the agent is told to go back to where it began: the very next plan is for the new goal, and
    /// nothing is loaded anew.
    #[arg(long)]
    switch_after: Option<usize>,
    /// Threads that imagine.
    #[arg(long, default_value_t = super::default_threads())]
    threads: usize,
    /// Print one JSON document on stdout: of one scene, or a list of them.
    #[arg(long)]
    json: bool,
}

/// What the demo did.
#[derive(Debug, Serialize)]
struct DemoReport {
    scene: String,
    episodes: Vec<DemoEpisode>,
    solved: usize,
    planning_ms: Percentiles,
    picture: PathBuf,
}

#[derive(Debug, Serialize)]
struct DemoEpisode {
    start: Vec<f64>,
    goal: Vec<f64>,
    /// At the goal; where the agent was told to go back, at the start.
    arrived_after_steps: Option<usize>,
    held: bool,
    final_distance: f64,
    planning_ms: Percentiles,
}

/// Scenes that are shown unless one is named.
const SHOWN: [&str; 2] = [mindseye_sim::scenes::two_room::NAME, mindseye_sim::scenes::push_t::NAME];
/// Control steps per episode.
const BUDGET_STEPS: usize = 100;
/// Control steps from start to goal, in scenes without hard pairs of their own.
const GOAL_OFFSET: usize = 40;
/// Duration of a frame of the animation, hundredths of a second.
const FRAME_HUNDREDTHS: u16 = 30;

/// Runs the command.
///
/// # Errors
/// When an argument makes no sense, the checkpoint is broken or of another scene, or the picture cannot be written.
pub fn run(arguments: &DemoArguments) -> Result<()> {
    require_range("--episodes", arguments.episodes, 1, 50)?;
    require_range("--threads", arguments.threads, 1, 1024)?;
    require_range("--switch-after", arguments.switch_after.unwrap_or(1), 1, BUDGET_STEPS - 1)?;
    let reports: Vec<DemoReport> = match &arguments.scene {
        Some(scene) => vec![show(arguments, scene)?],
        None => SHOWN.iter().map(|scene| show(arguments, scene)).collect::<Result<_>>()?,
    };
    match (&reports[..], arguments.json) {
        (_, false) => Ok(()),
        ([report], true) => print_json(report),
        (reports, true) => print_json(&reports),
    }
}

/// One scene.
fn show(arguments: &DemoArguments, scene: &str) -> Result<DemoReport> {
    mindseye_sim::make(scene, &SceneOptions::with_side(64)?)?;
    let folder = arguments.checkpoint.clone().map_or_else(|| assets::checkpoint(scene), Ok)?;
    let checkpoint = Arc::new(Checkpoint::load_for_scene(&folder, scene)?);
    let task = load_task(arguments.task.as_deref(), scene)?;
    let options = SceneOptions::with_side(checkpoint.config.model.image_side)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(arguments.threads).build().context("starting threads")?;
    let root = Seed::new(arguments.seed).child("demo");
    let mut film = Film::new(checkpoint.clone());
    let mut episodes = Vec::new();
    if !arguments.json {
        let back = |after: usize| format!("; after {after} control steps it is told to go back to the start");
        let back = arguments.switch_after.map_or_else(String::new, back);
        println!("{scene}: {} fresh episodes, goals given as pictures{back}", arguments.episodes);
    }
    let mut planning_ms = Vec::new();
    let kind = if mindseye_sim::has_cross_pairs(scene) {
        PairKind::Cross
    } else {
        PairKind::Offset { goal_offset: GOAL_OFFSET }
    };
    for pair in draw_pairs(scene, &options, kind, arguments.episodes, root.value())? {
        let episode = Episode {
            scene,
            options: &options,
            method: &Method::Model(checkpoint.clone()),
            task: &task,
            pair: &pair,
            lived: &[],
            budget_steps: BUDGET_STEPS,
            seed: root.child("agent").index(pair.index as u64),
            threads: arguments.threads,
            real_time: true,
            stop_when_held: true,
            disturbance: Disturbance::default(),
            switch: arguments.switch_after.map(|after_steps| Switch { after_steps, goal: pair.start.clone() }),
        };
        film.begin(&format!("episode {} of {}", pair.index + 1, arguments.episodes));
        let result = pool.install(|| episode.play(&mut |glimpse| film.shoot(glimpse)))?;
        film.end(&result)?;
        planning_ms.extend_from_slice(&result.planning_ms);
        let done = summary(&pair, &result);
        if !arguments.json {
            say(&pair, &done);
        }
        episodes.push(done);
    }
    let picture = arguments.out.clone().unwrap_or_else(|| PathBuf::from(format!("mindseye_demo_{scene}.gif")));
    write_gif(&picture, film.frames(), FRAME_HUNDREDTHS)?;
    let solved = episodes.iter().filter(|episode| episode.arrived_after_steps.is_some()).count();
    let report =
        DemoReport { scene: scene.into(), solved, episodes, planning_ms: Percentiles::of(planning_ms), picture };
    if arguments.json {
        return Ok(report);
    }
    let planning = report.planning_ms;
    println!(
        "solved {solved} of {}; planning {:.1} ms median, {:.1} ms p95",
        report.episodes.len(),
        planning.p50,
        planning.p95
    );
    println!("picture: {}", report.picture.display());
    Ok(report)
}

fn summary(pair: &Pair, result: &EpisodeResult) -> DemoEpisode {
    DemoEpisode {
        start: pair.start.clone(),
        goal: pair.goal.clone(),
        arrived_after_steps: result.moderate_step,
        held: result.strict,
        final_distance: result.final_distance,
        planning_ms: Percentiles::of(result.planning_ms.clone()),
    }
}

fn say(pair: &Pair, episode: &DemoEpisode) {
    let place = |state: &[f64]| state.iter().map(|value| format!("{value:.2}")).collect::<Vec<_>>().join(", ");
    let outcome = match (episode.arrived_after_steps, episode.held) {
        (Some(step), true) => format!("arrived after {step} steps and stayed"),
        (Some(step), false) => format!("arrived after {step} steps"),
        (None, _) => format!("ended {:.3} away", episode.final_distance),
    };
    let planning = episode.planning_ms;
    println!(
        "  {}: ({}) -> ({}): {outcome}; planning {:.1} ms median, {:.1} ms at most",
        pair.index + 1,
        place(&pair.start),
        place(&pair.goal),
        planning.p50,
        planning.max
    );
}
