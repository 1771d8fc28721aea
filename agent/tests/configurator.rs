//! Tasks in files, and going from one sub-goal to the next.

use std::path::Path;

use crate::support::{configurator, task, transition};
use mindseye_agent::Task;
use mindseye_agent::configurator::{GoalConfig, PlannerConfig, SequenceConfigurator};
use mindseye_agent::memory::{Memory, RingMemory};
use mindseye_interface::config::{self, parse};

const GOALS: [[f32; 2]; 3] = [[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]];
const SUB_GOALS: &str = "sub_goals = { success_energy = 0.1, timeout_ticks = 3 }";

#[test]
fn the_shipped_tasks_are_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/tasks");
    let mut tasks = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        config::load::<Task>(&path).unwrap_or_else(|error| panic!("{error}"));
        tasks += 1;
    }
    assert!(tasks > 0);
}

#[test]
fn an_unknown_field_is_refused_with_file_and_field() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("task.toml");
    let good = "name = \"a\"\nhorizon_chunks = 4\nbudget_ms = 9.0\n[weights]\n[planner]\nkind = \"icem\"\n";
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
    let text = "name = \"a\"\nhorizon_chunks = 4\nbudget_ms = 9.0\n[weights]\neffort = 0.1\n\
                [planner]\nkind = \"icem\"\nsamples = 9\n\
                elites = 3\n";
    parse::<Task>(text).unwrap();
    for (from, to, field) in [
        ("horizon_chunks = 4", "horizon_chunks = 0", "horizon_chunks"),
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
fn a_field_that_was_removed_is_refused_with_what_to_use_instead() {
    let text = "name = \"a\"\nhorizon_chunks = 4\nbudget_ms = 9.0\n[weights]\n[planner]\nkind = \"icem\"\n";
    parse::<Task>(text).unwrap();
    for (line, field, advice) in [
        ("proposals = false", "proposals", "Overrides"),
        ("focus = { states = [\"x_m\"] }", "focus", "pose"),
        ("sub_goals = { frozen = true }", "frozen", "Overrides"),
        ("missing_frames = { predict = false }", "predict", "always"),
        ("completion = { predict = false }", "predict", "always"),
        ("adaptation = { critic = true }", "adaptation.critic", "removed"),
    ] {
        let error = parse::<Task>(&format!("{line}\n{text}")).unwrap_err().to_string();
        assert!(error.contains(field) && error.contains("removed") && error.contains(advice), "{line}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn fields_of_before_are_read_under_their_new_names() {
    let text = "name = \"a\"\nhorizon_blocks = 4\nbudget_ms = 9.0\ncompletion = { doubt_above = 0.5 }\n\
                reduction = { kind = \"soonest\", per_block = 0.5 }\nsub_goals = { reached_energy = 0.3 }\n\
                futures = { kind = \"latent\", samples = 3 }\nmode = { kind = \"auto\", calm_below = 0.2 }\n\
                with_policy = { kind = \"hold\" }\n[weights]\n[planner]\nkind = \"icem\"\n";
    let task: Task = parse(text).unwrap();
    assert_eq!((task.horizon_chunks, task.missing_frames.innovation_gate), (4, Some(0.5)));
    assert_eq!((task.sub_goals.success_energy, task.samples.unwrap().count), (0.3, 3));
    assert_eq!(task.planner_with_policy, Some(PlannerConfig::Hold));
    let again: Task = serde_json::from_value(serde_json::to_value(parse::<Task>(text).unwrap()).unwrap()).unwrap();
    assert_eq!(again, parse(text).unwrap(), "and written as they are read");
}

#[test]
fn every_shipped_task_has_a_name_of_its_own() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/tasks");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let task: Task = config::load(&path).unwrap();
        assert_eq!(Some(task.name.as_str()), path.file_stem().unwrap().to_str());
    }
}

#[test]
fn key_frames_are_relative_to_the_file_of_the_task() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("task.toml");
    let absolute = folder.path().join("b.png");
    let text = format!(
        "name = \"a\"\nhorizon_chunks = 4\nbudget_ms = 9.0\n\
         goal = {{ kind = \"key_frames\", files = [\"images/a.png\", \"{}\"] }}\n\
         [weights]\n[planner]\nkind = \"icem\"\n",
        absolute.display()
    );
    std::fs::write(&path, text).unwrap();
    let task: Task = config::load(&path).unwrap();
    let files = vec![folder.path().join("images/a.png"), absolute];
    assert_eq!(task.goal, GoalConfig::KeyFrames { files });
}

#[test]
fn a_reached_sub_goal_makes_way_for_the_next() {
    let (configurator, mut memory) = (configurator(&task(SUB_GOALS), &GOALS), RingMemory::new(100));
    assert_eq!(configurator.configure(&memory).sub_goal, 0);
    memory.remember(transition(0, [0.0; 2], 0, 0.5));
    assert_eq!(configurator.configure(&memory).sub_goal, 0);
    memory.remember(transition(1, [1.0, 0.0], 0, 0.05));
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
        memory.remember(transition(tick, [9.0; 2], directive.sub_goal, 100.0));
    }
    assert_eq!(pursued, [0, 0, 0, 1, 1, 1, 2, 2, 2, 2], "three ticks each; the last is kept");
}

#[test]
fn the_directive_says_what_the_task_says() {
    let directive = configurator(&task(""), &GOALS).configure(&RingMemory::new(1));
    assert_eq!((directive.horizon_chunks, directive.action_chunk, directive.chunk_width()), (4, 5, 10));
    assert_eq!((directive.weight("effort"), directive.weight("curiosity")), (Some(0.001), None));
    assert_eq!(directive.budget_secs, 1.0);
    assert!(SequenceConfigurator::new(&task(""), Vec::new(), 5, 2).is_err(), "no goal at all");
}

#[test]
fn settings_of_a_planner_that_make_no_sense_are_named() {
    let planner = |lines: &str| parse::<PlannerConfig>(lines);
    for (kind, line) in [
        ("predictive_sampling", "iterations = 0"),
        ("mppi", "temperature = 0.0"),
        ("gradient", "learning_rate = nan"),
        ("gradient", "optimiser = \"newton\""),
        ("hybrid", "steps = 0"),
        ("hybrid", "refined = 1000"),
    ] {
        planner(&format!("kind = \"{kind}\"")).unwrap();
        let error =
            planner(&format!("kind = \"{kind}\"\n{line}")).err().unwrap_or_else(|| panic!("{line} was accepted"));
        let named = line.split(' ').next().unwrap();
        let said = error.to_string();
        assert!(said.contains(named) || said.contains("newton"), "{line}: {said}");
    }
}
