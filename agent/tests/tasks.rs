//! Kinds of goals, what is forbidden, and turning from one task to another in the middle of a life.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

mod support;

use std::collections::BTreeMap;

use mindseye_agent::configurator::{GoalConfig, SequenceConfigurator, Switchboard};
use mindseye_agent::cost::TrueState;
use mindseye_agent::memory::RingMemory;
use mindseye_agent::{Agent, Latent, Modules, Task};
use mindseye_interface::config::parse;
use mindseye_interface::{ManualClock, Seed};
use support::{ACTION_BLOCK, PointMass, SPEED_M, modules, observation, task};

fn text(weights: &str, more: &str) -> String {
    format!(
        "name = \"a\"\nhorizon_blocks = 4\nbudget_ms = 9.0\n[weights]\n{weights}\n[planner]\nkind = \"icem\"\n{more}"
    )
}

fn read(weights: &str, more: &str) -> Task {
    parse(&text(weights, more)).unwrap()
}

fn reader() -> TrueState {
    TrueState::new(["x_m", "y_m", "turn_rad"].map(str::to_owned).to_vec())
}

fn run_goal() -> BTreeMap<String, f64> {
    [("x_m", 0.25), ("y_m", 0.5), ("turn_rad", 3.0)].map(|(name, value)| (name.to_owned(), value)).into()
}

#[test]
fn a_pose_takes_values_of_its_own_or_those_of_the_run() {
    let pose = "[goal]\nkind = \"pose\"\nstates = [\"turn_rad\"]\nvalues = { x_m = 0.75 }\nscales = { x_m = 0.5 }";
    let task = read("pose = 1.0", pose);
    assert!(task.goal.comes_with_the_run() && !task.goal.is_picture() && task.goal.term() == "pose");
    let aims = task.aims(&reader(), &run_goal()).unwrap();
    let found: Vec<(usize, f32, f32, bool)> =
        aims.pose.iter().map(|wanted| (wanted.dimension, wanted.value, wanted.scale, wanted.angle)).collect();
    assert_eq!(found, [(2, 3.0, 0.2, true), (0, 0.75, 0.5, false)], "a typical step where no scale is given");
    let error = task.aims(&reader(), &BTreeMap::new()).unwrap_err().to_string();
    assert!(error.contains("the run's goal") && error.contains("turn_rad"), "{error}");
}

#[test]
fn regions_places_and_workspaces_become_intervals() {
    let task = read(
        "region = 1.0\nkeep_out = 5.0\nworkspace = 2.0",
        "[goal]\nkind = \"region\"\naround = { x_m = 0.1 }\nbounds = { y_m = [0.2, 0.6] }\n[[keep_out]]\nmargin = 0.05\n\
         bounds = { x_m = [0.0, 0.5], y_m = [0.0, 1.0] }\n[workspace]\nx_m = [0.0, 1.0]",
    );
    let aims = task.aims(&reader(), &run_goal()).unwrap();
    assert!(aims.is_in_region(&[0.3, 0.59, 0.0]) && !aims.is_in_region(&[0.36, 0.59, 0.0]));
    assert!(aims.violates(&[0.49, 0.5, 0.0]) && !aims.violates(&[0.51, 0.5, 0.0]));
    assert!(aims.is_too_near(&[0.51, 0.5, 0.0]) && aims.violates(&[1.01, 0.5, 0.0]));
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
        let error = read(weights, more).aims(&reader(), &run_goal()).unwrap_err().to_string();
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
        ("goal_distance = 1.0", "[mode]\nkind = \"auto\"\nslack = nan", "mode.slack"),
        ("goal_distance = 1.0", "[focus]\nstates = []", "focus.states"),
        ("goal_distance = 1.0", "[focus]\nstates = [\"x_m\"]\nkeep = 2.0", "focus.keep"),
        ("region = 1.0", "[goal]\nkind = \"region\"\naround = { x_m = 1.0 }\n[focus]\nstates = [\"x_m\"]", "focus"),
        ("goal_distance = 1.0", "[mode]\nkind = \"auto\"\ncalm = 1.0", "calm"),
    ] {
        let error = parse::<Task>(&text(weights, more)).err().unwrap_or_else(|| panic!("{more} was accepted"));
        assert!(error.to_string().contains(field), "{more}: {error}");
    }
    assert_eq!(read("goal_distance = 1.0", "").goal, GoalConfig::Image);
}

#[test]
fn a_frozen_configurator_stays_with_its_first_goal() {
    let goals = [[0.6, 0.0], [0.6, 0.6]];
    let last_of = |task: &Task| {
        let mut modules = modules(&goals, Box::new(PointMass));
        modules.configurator = support::configurator(task, &goals);
        let (mut agent, clock, mut place) = (Agent::new(modules, Seed::new(0)), ManualClock::default(), [0.0f32; 2]);
        for _ in 0..12 {
            let report = agent.tick(&observation(Some(place)), &clock);
            place = moved(place, &report.block);
        }
        place
    };
    let near = |place: [f32; 2], goal: [f32; 2]| (place[0] - goal[0]).hypot(place[1] - goal[1]) < 0.15;
    let (free, frozen) = (last_of(&task("")), last_of(&task("sub_goals = { frozen = true }")));
    assert!(near(free, goals[1]) && near(frozen, goals[0]), "{free:?} {frozen:?}");
}

fn moved(place: [f32; 2], block: &[f32]) -> [f32; 2] {
    let step = |place: [f32; 2], action: &[f32]| [place[0] + SPEED_M * action[0], place[1] + SPEED_M * action[1]];
    block.chunks_exact(2).fold(place, step)
}

#[test]
fn a_task_can_be_switched_between_ticks_and_what_is_remembered_stays() {
    let sequence = |goals: &[[f32; 2]]| {
        let goals = goals.iter().map(|goal| Latent::global(goal.to_vec())).collect();
        SequenceConfigurator::new(&task(""), goals, ACTION_BLOCK, 2).unwrap()
    };
    let home = [[-0.5, 0.5]];
    let tasks = vec![("out".to_owned(), sequence(&[[1.0, -0.5], [1.0, 0.5]])), ("home".to_owned(), sequence(&home))];
    let (switchboard, assigner) = Switchboard::new(tasks).unwrap();
    let modules = Modules {
        configurator: Box::new(switchboard),
        memory: Box::new(RingMemory::new(100)),
        ..modules(&home, Box::new(PointMass))
    };
    let (mut agent, clock, mut place) = (Agent::new(modules, Seed::new(0)), ManualClock::default(), [0.0f32; 2]);
    let mut pursued = Vec::new();
    for tick in 0..20 {
        match tick {
            2 => assigner.assign("home").unwrap(),
            10 => assigner.assign("out").unwrap(),
            _ => {}
        }
        let report = agent.tick(&observation(Some(place)), &clock);
        pursued.push((report.directive.sub_goal, report.directive.goal.values().to_vec()));
        place = moved(place, &report.block);
        if tick == 9 {
            assert!((place[0] - home[0][0]).hypot(place[1] - home[0][1]) < 0.1, "{place:?}");
        }
    }
    assert_eq!(pursued[1], (0, vec![1.0, -0.5]));
    assert_eq!(pursued[2], (2, home[0].to_vec()), "the very next tick, under a number of its own");
    assert_eq!(pursued[10], (3, vec![1.0, -0.5]), "from its first goal again");
    assert!((place[0] - 1.0).hypot(place[1] - 0.5) < 0.15, "{place:?}: and through its sequence");
    assert_eq!(agent.memory().len(), 20, "nothing was forgotten");
    let error = assigner.assign("abroad").unwrap_err().to_string();
    assert!(error.contains("out, home") && error.contains("abroad"), "{error}");
    drop(agent);
    assert!(assigner.assign("home").unwrap_err().to_string().contains("gone"));
    assert!(Switchboard::new(Vec::new()).is_err());
}
