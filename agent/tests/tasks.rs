//! Kinds of goals, what is forbidden, and setting another goal during a run.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::collections::BTreeMap;

use crate::support::{ACTION_CHUNK, PointMass, SPEED_M, modules, observation, task};
use mindseye_agent::configurator::{Configurator, GoalConfig, SequenceConfigurator, SubGoal};
use mindseye_agent::cost::PrivilegedState;
use mindseye_agent::directive::terms;
use mindseye_agent::memory::RingMemory;
use mindseye_agent::{Agent, Latent, Modules, RunGoal, Task};
use mindseye_interface::config::parse;
use mindseye_interface::{Goal, ManualClock, Seed, StateTarget as NamedTarget};

fn text(weights: &str, more: &str) -> String {
    format!(
        "name = \"a\"\nhorizon_chunks = 4\nbudget_ms = 9.0\n[weights]\n{weights}\n[planner]\nkind = \"icem\"\n{more}"
    )
}

fn read(weights: &str, more: &str) -> Task {
    parse(&text(weights, more)).unwrap()
}

fn reader() -> PrivilegedState {
    PrivilegedState::new(["x_m", "y_m", "turn_rad"].map(str::to_owned).to_vec())
}

fn run_goal() -> BTreeMap<String, f64> {
    [("x_m", 0.25), ("y_m", 0.5), ("turn_rad", 3.0)].map(|(name, value)| (name.to_owned(), value)).into()
}

#[test]
fn a_pose_takes_values_of_its_own_or_those_of_the_run() {
    let pose = "[goal]\nkind = \"pose\"\nstates = [\"turn_rad\"]\nvalues = { x_m = 0.75 }\nscales = { x_m = 0.5 }";
    let task = read("pose = 1.0", pose);
    assert!(task.goal.comes_with_the_run() && !task.goal.is_image() && task.goal.term() == "pose");
    let state_goals = task.state_goals(&reader(), &run_goal()).unwrap();
    let found: Vec<(usize, f32, f32, bool)> =
        state_goals.pose.iter().map(|wanted| (wanted.dimension, wanted.value, wanted.scale, wanted.angle)).collect();
    assert_eq!(found, [(2, 3.0, 0.2, true), (0, 0.75, 0.5, false)], "a typical step where no scale is given");
    let error = task.state_goals(&reader(), &BTreeMap::new()).unwrap_err().to_string();
    assert!(error.contains("the run's goal") && error.contains("turn_rad"), "{error}");
}

#[test]
fn regions_places_and_workspaces_become_intervals() {
    let task = read(
        "region = 1.0\nkeep_out = 5.0\nworkspace = 2.0",
        "[goal]\nkind = \"region\"\naround = { x_m = 0.1 }\n\
         bounds = { y_m = [0.2, 0.6] }\n[[keep_out]]\nmargin = 0.05\n\
         bounds = { x_m = [0.0, 0.5], y_m = [0.0, 1.0] }\n[workspace]\nx_m = [0.0, 1.0]",
    );
    let state_goals = task.state_goals(&reader(), &run_goal()).unwrap();
    assert!(state_goals.is_in_region(&[0.3, 0.59, 0.0]) && !state_goals.is_in_region(&[0.36, 0.59, 0.0]));
    assert!(state_goals.violates(&[0.49, 0.5, 0.0]) && !state_goals.violates(&[0.51, 0.5, 0.0]));
    assert!(state_goals.is_too_near(&[0.51, 0.5, 0.0]) && state_goals.violates(&[1.01, 0.5, 0.0]));
}

#[test]
fn names_that_nothing_reads_are_refused_with_those_there_are() {
    for (weights, more, field) in [
        ("pose = 1.0", "[goal]\nkind = \"pose\"\nvalues = { z_m = 0.0 }", "goal.values"),
        ("pose = 1.0", "[goal]\nkind = \"pose\"\nvalues = { x_m = 0.0 }\nscales = { y_m = 1.0 }", "goal.scales"),
        ("region = 1.0", "[goal]\nkind = \"region\"\nbounds = { z_m = [0.0, 1.0] }", "goal.bounds"),
        ("keep_out = 1.0", "[[keep_out]]\nbounds = { z_m = [0.0, 1.0] }", "keep_out.bounds"),
        ("workspace = 1.0", "[workspace]\nz_m = [0.0, 1.0]", "workspace"),
    ] {
        let error = read(weights, more).state_goals(&reader(), &run_goal()).unwrap_err().to_string();
        assert!(error.contains(field) && error.contains("x_m"), "{more}: {error}");
    }
}

#[test]
fn tasks_that_make_no_sense_are_refused_by_field() {
    for (weights, more, field) in [
        ("goal_distance = 1.0", "[goal]\nkind = \"telepathy\"", "telepathy"),
        ("pose = 1.0", "[goal]\nkind = \"pose\"", "goal.states"),
        ("pose = 1.0", "[goal]\nkind = \"pose\"\nvalues = { x_m = nan }", "goal.values.x_m"),
        ("pose = 1.0", "[goal]\nkind = \"pose\"\nstates = [\"x_m\"]\nvalues = { x_m = 1.0 }", "goal.states"),
        ("pose = 1.0", "[goal]\nkind = \"pose\"\nstates = [\"x_m\"]\nscales = { x_m = 0.0 }", "goal.scales.x_m"),
        ("goal_distance = 1.0", "[goal]\nkind = \"pose\"\nstates = [\"x_m\"]", "weights.goal_distance"),
        ("", "[goal]\nkind = \"pose\"\nstates = [\"x_m\"]", "weights.pose"),
        ("pose = 1.0", "", "weights.pose"),
        ("region = 1.0", "[goal]\nkind = \"region\"\nbounds = { x_m = [1.0, 0.0] }", "goal.bounds.x_m"),
        ("region = 1.0", "[goal]\nkind = \"region\"\naround = { x_m = -1.0 }", "goal.around.x_m"),
        ("goal_distance = 1.0", "[goal]\nkind = \"key_frames\"\nfiles = []", "goal.files"),
        ("goal_distance = 1.0", "[[keep_out]]\nbounds = { x_m = [0.0, 1.0] }", "weights.keep_out"),
        ("keep_out = 1.0", "", "weights.keep_out"),
        ("keep_out = 1.0", "[[keep_out]]\nbounds = {}", "keep_out.bounds"),
        ("keep_out = 1.0", "[[keep_out]]\nbounds = { x_m = [0.0, 1.0] }\nmargin = -0.1", "keep_out.margin"),
        ("workspace = 1.0", "[workspace]\nx_m = [0.0, inf]", "workspace.x_m"),
        ("goal_distance = 1.0", "[mode]\nkind = \"auto\"\nslack = nan", "mode.margin"),
        ("goal_distance = 1.0", "[mode]\nkind = \"auto\"\ncalm = 1.0", "calm"),
    ] {
        let error = parse::<Task>(&text(weights, more)).err().unwrap_or_else(|| panic!("{more} was accepted"));
        assert!(error.to_string().contains(field), "{more}: {error}");
    }
    assert_eq!(read("goal_distance = 1.0", "").goal, GoalConfig::Image);
}

fn near(place: [f32; 2], goal: [f32; 2], within: f32) -> bool {
    (place[0] - goal[0]).hypot(place[1] - goal[1]) < within
}

fn moved(place: [f32; 2], chunk: &[f32]) -> [f32; 2] {
    let step = |place: [f32; 2], action: &[f32]| [place[0] + SPEED_M * action[0], place[1] + SPEED_M * action[1]];
    chunk.chunks_exact(2).fold(place, step)
}

#[test]
fn keeping_the_first_goal_never_reaches_the_second() {
    let goals = [[0.6, 0.0], [0.6, 0.6]];
    let last_of = |keep_first: bool| {
        let latents = goals.iter().map(|goal| Latent::global(goal.to_vec())).collect();
        let configurator = SequenceConfigurator::new(&task(""), latents, ACTION_CHUNK, 2).unwrap();
        let configurator = Box::new(configurator.keeping_first(keep_first));
        let modules = Modules { configurator, ..modules(&goals, Box::new(PointMass)) };
        let (mut agent, clock) = (Agent::new(modules, Seed::new(0)), ManualClock::default());
        (0..12).fold([0.0f32; 2], |place, _| moved(place, &agent.tick(&observation(Some(place)), &clock).action_chunk))
    };
    let (free, kept) = (last_of(false), last_of(true));
    assert!(near(free, goals[1], 0.15) && near(kept, goals[0], 0.15), "{free:?} {kept:?}");
}

/// A goal of the run at `place`: proprioception is what the point's perception takes.
fn at(place: [f32; 2]) -> RunGoal {
    RunGoal { observation: observation(Some(place)), ..RunGoal::default() }
}

#[test]
fn a_goal_can_be_set_between_ticks_and_memory_stays() {
    let out = [[1.0, -0.5], [1.0, 0.5]];
    let home = [-0.5, 0.5];
    let modules = Modules { memory: Box::new(RingMemory::new(100)), ..modules(&out, Box::new(PointMass)) };
    let (mut agent, clock, mut place) = (Agent::new(modules, Seed::new(0)), ManualClock::default(), [0.0f32; 2]);
    let mut pursued = Vec::new();
    for tick in 0..20 {
        match tick {
            2 => agent.set_run_goals(&[at(home)]).unwrap(),
            10 => agent.set_run_goals(&out.map(at)).unwrap(),
            _ => {}
        }
        let report = agent.tick(&observation(Some(place)), &clock);
        assert_eq!(report.error, None);
        pursued.push((report.directive.sub_goal, report.directive.goal.values().to_vec()));
        place = moved(place, &report.action_chunk);
        if tick == 9 {
            assert!(near(place, home, 0.1), "{place:?}");
        }
    }
    assert_eq!(pursued[1], (0, vec![1.0, -0.5]));
    assert_eq!(pursued[2], (2, home.to_vec()), "the very next tick, under a number of its own");
    assert_eq!(pursued[10], (3, vec![1.0, -0.5]), "from its first goal again");
    assert!(near(place, out[1], 0.15), "{place:?}: and through the sequence");
    assert_eq!(agent.memory().len(), 20, "nothing was forgotten");
    assert!(agent.set_run_goals(&[]).unwrap_err().to_string().contains("at least one goal"));
}

#[test]
fn a_goal_that_the_agent_cannot_read_is_refused_and_the_old_one_stays() {
    let mut agent = Agent::new(modules(&[[0.5, 0.0]], Box::new(PointMass)), Seed::new(0));
    let target = NamedTarget { name: "x_m".into(), value: 0.1, scale: None };
    let error = agent.set_goal(Goal::State(vec![target])).unwrap_err().to_string();
    assert!(error.starts_with("goal:") && error.contains("state probe"), "{error}");
    let error = agent.set_goal(Goal::Image(Vec::new())).unwrap_err().to_string();
    assert!(error.contains("goal: expected an image"), "{error}");
    let report = agent.tick(&observation(Some([0.0; 2])), &ManualClock::default());
    assert_eq!((report.directive.sub_goal, report.directive.goal.values()), (0, &[0.5, 0.0][..]));
}

#[test]
fn a_goal_of_another_kind_takes_over_the_weight_of_the_tasks_goal() {
    let task = read("goal_distance = 0.5\neffort = 0.1", "");
    let mut configurator = SequenceConfigurator::without_goal(&task, ACTION_CHUNK, 2);
    assert!(!configurator.has_goal() && configurator.set_goals(Vec::new()).is_err());
    let (latent, state_goals) = (Latent::global(Vec::new()), Default::default());
    configurator.set_goals(vec![SubGoal { latent, term: terms::POSE, state_goals }]).unwrap();
    let directive = configurator.configure(&RingMemory::new(1));
    let weights = ["goal_distance", "pose", "effort"].map(|name| directive.weight(name));
    assert_eq!((directive.goal_term, weights), ("pose", [None, Some(0.5), Some(0.1)]));
}

#[test]
fn without_a_goal_an_agent_holds_still_and_reports_why() {
    let configurator = Box::new(SequenceConfigurator::without_goal(&task(""), ACTION_CHUNK, 2));
    let modules = Modules { configurator, ..modules(&[[0.5, 0.0]], Box::new(PointMass)) };
    let report = Agent::new(modules, Seed::new(0)).tick(&observation(Some([0.0; 2])), &ManualClock::default());
    assert!(report.error.unwrap().contains("goal: expected one"));
    assert_eq!(report.action_chunk, [0.0; 10]);
}

#[test]
fn a_weight_can_be_changed_between_ticks() {
    let mut agent = Agent::new(modules(&[[0.5, 0.0]], Box::new(PointMass)), Seed::new(0));
    agent.set_weight("effort", 3.0).unwrap();
    let report = agent.tick(&observation(Some([0.0; 2])), &ManualClock::default());
    assert_eq!(report.directive.weight("effort"), Some(3.0));
    let error = agent.set_weight("curiosity", 1.0).unwrap_err().to_string();
    assert!(error.starts_with("weights.curiosity:") && error.contains("goal_distance, effort"), "{error}");
    assert!(agent.set_weight("effort", f32::NAN).is_err());
}
