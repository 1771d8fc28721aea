//! Tasks in files, and going from one sub-goal to the next.

mod support;

use std::path::Path;

use mindseye_agent::Task;
use mindseye_agent::configurator::{PlannerConfig, SequenceConfigurator};
use mindseye_agent::memory::{Memory, RingMemory};
use mindseye_interface::config::{self, parse};
use support::{configurator, moment, task};

const GOALS: [[f32; 2]; 3] = [[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]];
const SUB_GOALS: &str = "sub_goals = { reached_energy = 0.1, timeout_ticks = 3 }";

#[test]
fn the_shipped_tasks_are_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/tasks");
    let mut tasks = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        config::load::<Task>(&entry.unwrap().path()).unwrap();
        tasks += 1;
    }
    assert!(tasks > 0);
}

#[test]
fn an_unknown_field_is_refused_with_file_and_field() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("task.toml");
    let good = "name = \"a\"\nhorizon_blocks = 4\nbudget_ms = 9.0\n[weights]\n[planner]\nkind = \"icem\"\n";
    let load = |text: &str| {
        std::fs::write(&path, text).unwrap();
        config::load::<Task>(&path)
    };
    load(good).unwrap();
    for (text, field) in [
        (format!("horizn = 1\n{good}"), "horizn"),
        (format!("{good}sampels = 3\n"), "sampels"),
        (format!("{good}[sub_goals]\ntimeout = 3\n"), "timeout"),
        (good.replace("icem", "telepathy"), "telepathy"),
    ] {
        let error = load(&text).err().unwrap_or_else(|| panic!("{field} was accepted")).to_string();
        assert!(error.contains("task.toml") && error.contains(field), "{error}");
    }
}

#[test]
fn a_value_that_makes_no_sense_is_named() {
    let text = "name = \"a\"\nhorizon_blocks = 4\nbudget_ms = 9.0\n[weights]\neffort = 0.1\n[planner]\nkind = \"icem\"\nsamples = 9\n\
                elites = 3\n";
    parse::<Task>(text).unwrap();
    for (from, to, field) in [
        ("horizon_blocks = 4", "horizon_blocks = 0", "horizon_blocks"),
        ("budget_ms = 9.0", "budget_ms = nan", "budget_ms"),
        ("effort = 0.1", "effort = inf", "weights.effort"),
        ("samples = 9", "samples = 0", "planner.samples"),
        ("elites = 3", "elites = 10", "planner.elites"),
        ("elites = 3", "elites = 3\nmomentum = 1.5", "planner.momentum"),
        ("elites = 3", "elites = 3\nnoise_beta = nan", "planner.noise_beta"),
        ("[weights]", "[sub_goals]\ntimeout_ticks = 0\n[weights]", "sub_goals.timeout_ticks"),
    ] {
        let error = parse::<Task>(&text.replace(from, to)).err().unwrap_or_else(|| panic!("{to} was accepted"));
        assert!(error.to_string().contains(field), "{to}: {error}");
    }
}

#[test]
fn every_planner_can_be_asked_for() {
    for kind in ["icem", "cem", "random", "hold"] {
        let text =
            format!("name = \"a\"\nhorizon_blocks = 4\nbudget_ms = 9.0\n[weights]\n[planner]\nkind = \"{kind}\"\n");
        let _: PlannerConfig = parse::<Task>(&text).unwrap().planner;
    }
}

#[test]
fn a_reached_sub_goal_makes_way_for_the_next() {
    let (configurator, mut memory) = (configurator(&task(SUB_GOALS), &GOALS), RingMemory::new(100));
    assert_eq!(configurator.configure(&memory).sub_goal, 0);
    memory.remember(moment(0, [0.0; 2], 0, 0.5));
    assert_eq!(configurator.configure(&memory).sub_goal, 0);
    memory.remember(moment(1, [1.0, 0.0], 0, 0.05));
    let next = configurator.configure(&memory);
    assert_eq!((next.sub_goal, next.goal.values()), (1, &GOALS[1][..]));
}

#[test]
fn a_sub_goal_that_takes_too_long_is_given_up() {
    let (configurator, mut memory) = (configurator(&task(SUB_GOALS), &GOALS), RingMemory::new(100));
    let mut pursued = Vec::new();
    for tick in 0..10 {
        let directive = configurator.configure(&memory);
        pursued.push(directive.sub_goal);
        memory.remember(moment(tick, [9.0; 2], directive.sub_goal, 100.0));
    }
    assert_eq!(pursued, [0, 0, 0, 1, 1, 1, 2, 2, 2, 2], "three ticks each; the last is kept");
}

#[test]
fn the_directive_says_what_the_task_says() {
    let directive = configurator(&task(""), &GOALS).configure(&RingMemory::new(1));
    assert_eq!((directive.horizon_blocks, directive.action_block, directive.block_width()), (4, 5, 10));
    assert_eq!((directive.weight("effort"), directive.weight("curiosity")), (Some(0.001), None));
    assert_eq!(directive.budget_secs, 1.0);
    assert!(SequenceConfigurator::new(&task(""), Vec::new(), 5, 2).is_err(), "no goal at all");
}

#[test]
fn settings_of_a_planner_that_make_no_sense_are_named() {
    let planner = |lines: &str| parse::<PlannerConfig>(lines);
    for (kind, line) in [
        ("random_shooting", "samples = 0"),
        ("predictive_sampling", "iterations = 0"),
        ("mppi", "temperature = 0.0"),
        ("gradient", "learning_rate = nan"),
        ("gradient", "optimiser = \"newton\""),
        ("hybrid", "steps = 0"),
        ("hybrid", "refined = 1000"),
        ("categorical_cem", "smoothing = 1.5"),
        ("categorical_cem", "actions = [[0.0, 0.5], [0.0, 1.5]]"),
    ] {
        planner(&format!("kind = \"{kind}\"")).unwrap();
        let error =
            planner(&format!("kind = \"{kind}\"\n{line}")).err().unwrap_or_else(|| panic!("{line} was accepted"));
        let named = line.split(' ').next().unwrap();
        let said = error.to_string();
        assert!(said.contains(named) || said.contains("newton"), "{line}: {said}");
    }
}
