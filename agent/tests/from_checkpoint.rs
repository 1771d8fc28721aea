//! Agents of a shipped checkpoint and a task, without any simulator.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mindseye_agent::assembly::{Options, Overrides};
use mindseye_agent::configurator::{GoalConfig, ModeConfig, RunGoal, key_frames};
use mindseye_agent::session::{CameraImage, PlanningSession};
use mindseye_agent::{Agent, Latent, ModelSource, Plans, Result, Task, TickReport};
use mindseye_interface::{
    Frame, Goal, Image, ImageSize, ManualClock, Neutral, Observation, Seed, StateInterval, StateTarget, config,
};
use mindseye_world_model::{AnyCheckpoint, Checkpoint, Context, InferenceOptions, LoadOptions};

fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets")
}

fn checkpoint() -> Arc<Checkpoint> {
    Arc::new(Checkpoint::load(&assets().join("checkpoints/two_room")).unwrap())
}

fn task(name: &str) -> Task {
    Task { budget_ms: 1e6, ..config::load(&assets().join(format!("tasks/{name}.toml"))).unwrap() }
}

/// What the camera shows: a floor with a square whose corner is at (`row`, `column`).
fn observed((row, column): (usize, usize)) -> Observation {
    let mut image = Image::filled(ImageSize::square(64).unwrap(), [240; 3]);
    for (index, pixel) in image.pixels_mut().chunks_exact_mut(3).enumerate() {
        if (row..row + 6).contains(&(index / 64)) && (column..column + 6).contains(&(index % 64)) {
            pixel.copy_from_slice(&[40, 60, 200]);
        }
    }
    Observation { frames: vec![Frame::new(&"top".into(), image, 0.0)], ..Observation::default() }
}

fn agent(task: &Task, overrides: Overrides) -> Result<Agent> {
    Agent::from_checkpoint_with(checkpoint(), task, Seed::new(0), &Options { threads: 1, overrides })
}

#[test]
fn a_goal_image_is_pursued_and_another_one_keeps_the_memory() {
    let mut agent = Agent::from_checkpoint(checkpoint(), &task("two_room"), Seed::new(0)).unwrap();
    let clock = ManualClock::default();
    let report = agent.tick(&observed((10, 10)), &clock);
    assert!(report.error.unwrap().contains("goal: expected one"), "it holds still until it has a goal");
    agent.set_goal(Goal::image(&observed((40, 40)))).unwrap();
    let report = agent.tick(&observed((10, 10)), &clock);
    assert_eq!((report.error, report.directive.sub_goal, report.action_chunk.len()), (None, 0, 10));
    let first = report.directive.goal.clone();
    agent.set_goal(Goal::ImageSequence(vec![observed((20, 20)).frames, observed((30, 30)).frames])).unwrap();
    let report = agent.tick(&observed((10, 10)), &clock);
    assert_eq!((report.error, report.directive.sub_goal), (None, 1));
    assert!(report.directive.goal != first && agent.memory().len() == 2);
    let small = Observation {
        frames: vec![Frame::new(&"top".into(), Image::filled(ImageSize::square(8).unwrap(), [0; 3]), 0.0)],
        ..Observation::default()
    };
    assert!(agent.set_goal(Goal::image(&small)).is_err(), "an image of another size");
}

#[test]
fn a_goal_by_names_is_read_by_the_state_probe() {
    let mut agent = Agent::from_checkpoint(checkpoint(), &task("two_room"), Seed::new(0)).unwrap();
    let target = |name: &str| StateTarget { name: name.into(), value: 0.75, scale: Some(0.1) };
    agent.set_goal(Goal::State(vec![target("agent_x_m"), target("agent_y_m")])).unwrap();
    let report = agent.tick(&observed((10, 10)), &ManualClock::default());
    assert_eq!((report.error, report.directive.goal_term), (None, "pose"));
    assert_eq!((report.directive.weight("pose"), report.directive.weight("goal_distance")), (Some(1.0), None));
    assert!(report.energies.iter().any(|(name, energy)| name == "pose" && *energy > 0.0));
    let bounds = StateInterval { name: "agent_x_m".into(), low: 0.6, high: 0.9, scale: None };
    agent.set_goal(Goal::Region(vec![bounds])).unwrap();
    let report = agent.tick(&observed((10, 10)), &ManualClock::default());
    assert_eq!((report.error, report.directive.goal_term, report.directive.sub_goal), (None, "region", 1));
    let error = agent.set_goal(Goal::State(vec![target("agent_z_m")])).unwrap_err().to_string();
    assert!(error.contains("agent_x_m, agent_y_m") && error.contains("agent_z_m"), "{error}");
}

#[test]
fn a_task_that_says_its_whole_goal_needs_no_other() {
    let text = "name = \"corner\"\nhorizon_chunks = 2\nbudget_ms = 1e6\n[weights]\npose = 1.0\n\
                [goal]\nkind = \"pose\"\nvalues = { agent_x_m = 0.2 }\n[planner]\nkind = \"icem\"\n";
    let mut agent = agent(&config::parse(text).unwrap(), Overrides::default()).unwrap();
    assert_eq!(agent.tick(&observed((10, 10)), &ManualClock::default()).error, None);
}

#[test]
fn a_tasks_goal_takes_its_values_from_the_run() {
    let state = [("x_m", 0.25), ("y_m", 0.5)].map(|(name, value)| (name.to_owned(), value)).into();
    let run = RunGoal { observation: observed((1, 2)), state };
    assert_eq!(GoalConfig::Image.goal(&run).unwrap(), Goal::image(&observed((1, 2))));
    let pose: GoalConfig =
        toml_of("kind = \"pose\"\nstates = [\"y_m\"]\nvalues = { x_m = 1.0 }\nscales = { x_m = 0.5 }");
    let target = |name: &str, value, scale| StateTarget { name: name.into(), value, scale };
    let expected = Goal::State(vec![target("y_m", 0.5, None), target("x_m", 1.0, Some(0.5))]);
    assert_eq!(pose.goal(&run).unwrap(), expected);
    let region: GoalConfig = toml_of("kind = \"region\"\naround = { x_m = 0.25 }");
    let bounds = StateInterval { name: "x_m".into(), low: 0.0, high: 0.5, scale: None };
    assert_eq!(region.goal(&run).unwrap(), Goal::Region(vec![bounds]));
    assert!(region.goal(&RunGoal::default()).unwrap_err().to_string().contains("the run's goal"));
}

fn toml_of(text: &str) -> GoalConfig {
    let task = format!(
        "name = \"a\"\nhorizon_chunks = 1\nbudget_ms = 1.0\n[weights]\npose = 1.0\n\
         [planner]\nkind = \"hold\"\n[goal]\n{text}"
    );
    let weight = if text.contains("region") { task.replace("pose = 1.0", "region = 1.0") } else { task };
    config::parse::<Task>(&weight).unwrap().goal
}

#[test]
fn key_frames_come_before_the_goal_of_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("frame.png");
    let frame = observed((50, 5)).image().unwrap().clone();
    std::fs::write(&path, mindseye_episodes::image_codec::encode_png(&frame).unwrap()).unwrap();
    let goal = GoalConfig::KeyFrames { files: vec![path.clone()] };
    let frames = key_frames(&goal, &observed((1, 1))).unwrap();
    assert_eq!((frames.len(), frames[0][0].image.as_ref()), (1, &frame));
    let task = Task { goal, adapt_background: false, ..task("two_room") };
    let mut agent = agent(&task, Overrides::default()).unwrap();
    agent.set_run_goals(&[RunGoal { observation: observed((40, 40)), ..RunGoal::default() }]).unwrap();
    let report = agent.tick(&observed((10, 10)), &ManualClock::default());
    let encoded = checkpoint().model.encode_image(&frame).unwrap();
    assert_eq!((report.directive.sub_goal, report.directive.goal.values()), (0, &encoded[..]));
    std::fs::remove_file(&path).unwrap();
    let error = agent.set_run_goals(&[RunGoal { observation: observed((4, 4)), ..RunGoal::default() }]);
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with("goal.files: ") && error.contains("frame.png"), "{error}");
}

#[test]
fn a_checkpoint_without_the_heads_that_a_task_asks_for_is_refused_by_field() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(assets().join("checkpoints/two_room").join(file), folder.path().join(file)).unwrap();
    }
    let bare = Arc::new(Checkpoint::load(folder.path()).unwrap());
    let weighed = |name: &str, weight| {
        let mut task = task("two_room");
        task.weights.insert(name.into(), weight);
        task
    };
    let samples = |kind: &str| -> Task {
        let text = format!(
            "name = \"a\"\nhorizon_chunks = 1\nbudget_ms = 1.0\n\
             [samples]\nkind = \"{kind}\"\n[weights]\n[planner]\nkind = \"icem\""
        );
        config::parse(&text).unwrap()
    };
    for (task, field, head) in [
        (weighed("critic", 1.0), "weights.critic:", "critic"),
        (weighed("boredom", 1.0), "weights.boredom:", "goal_distance"),
        (task("two_room_keep_out"), "keep_out:", "state probe"),
        (Task { mode: ModeConfig::Mode1, ..task("two_room") }, "mode:", "policy"),
        (Task { replan_every: Some(6), ..task("two_room") }, "replan_every:", "1 to 5"),
        (samples("latent"), "samples.kind latent:", "stochastic predictor"),
        (samples("ensemble"), "samples.kind ensemble:", "ensemble"),
    ] {
        let error = Agent::from_checkpoint(&bare, &task, Seed::new(0)).err().unwrap().to_string();
        assert!(error.starts_with(field) && error.contains(head) && !error.contains('\n'), "{error}");
    }
    Agent::from_checkpoint(&bare, &weighed("curiosity", 1.0), Seed::new(0)).unwrap();
}

#[test]
fn each_override_takes_its_part_away() {
    let run = |overrides: Overrides| {
        let mut agent = agent(&task("two_room"), overrides).unwrap();
        agent.set_goal(Goal::image(&observed((40, 40)))).unwrap();
        let clock = ManualClock::default();
        let reports = [observed((10, 10)), Observation::default()].map(|seen| agent.tick(&seen, &clock));
        (reports, agent.memory().len())
    };
    let ([first, second], remembered) = run(Overrides::default());
    assert_eq!((&first.error, &second.error, remembered), (&None, &None, 2));
    let ([_, blind], remembered) = run(Overrides { without_memory: true, ..Overrides::default() });
    assert!(blind.error.unwrap().contains("got neither") && remembered == 0);
    let ([still, _], _) = run(Overrides { without_world_model: true, ..Overrides::default() });
    let states = still.expected.unwrap();
    assert_eq!(states.state(0, 0, 0), states.state(0, 0, 7), "nothing changes");
    let ([alone, _], _) = run(Overrides { ignore_proposals: true, ..Overrides::default() });
    assert!(alone.predicted_states > first.predicted_states, "the search of a task without a policy is longer");
}

/// A tiny LeWorldModel for images of 42x42 pixels.
fn lewm() -> Arc<AnyCheckpoint> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../world_model/tests/fixtures/lewm_tiny");
    let options = LoadOptions { action_width: Some(2), ..LoadOptions::default() };
    Arc::new(AnyCheckpoint::load_with(&folder, &options).unwrap())
}

#[test]
fn a_folder_gives_the_same_agent_by_either_kind_of_checkpoint() {
    let folder = assets().join("checkpoints/two_room");
    let any = Arc::new(AnyCheckpoint::load(&folder).unwrap());
    let run = |mut agent: Agent| {
        agent.set_goal(Goal::image(&observed((40, 40)))).unwrap();
        [(10, 10), (14, 14)].map(|place| agent.tick(&observed(place), &ManualClock::default()))
    };
    let task = task("two_room");
    let one = run(Agent::from_checkpoint(&any, &task, Seed::new(0)).unwrap());
    assert_eq!(one, run(Agent::from_checkpoint(checkpoint(), &task, Seed::new(0)).unwrap()));
    assert_eq!(one[0].error, None);
}

#[test]
fn a_lewm_plans_with_its_history() {
    let text = "name = \"a\"\nhorizon_chunks = 2\nbudget_ms = 1e6\n[weights]\ngoal_distance = 1.0\n\
                [planner]\nkind = \"cem\"\nsamples = 8\niterations = 2\nelites = 2\n";
    let task: Task = config::parse(text).unwrap();
    let image = |grey: u8| {
        let image = Image::filled(ImageSize::square(42).unwrap(), [grey, 90, 200]);
        Observation { frames: vec![Frame::new(&"top".into(), image, 0.0)], ..Observation::default() }
    };
    let (model, clock) = (lewm(), ManualClock::default());
    let mut agent = Agent::from_checkpoint(&model, &task, Seed::new(0)).unwrap();
    agent.set_goal(Goal::image(&image(200))).unwrap();
    let first = agent.tick(&image(20), &clock);
    let second = agent.tick(&image(60), &clock);
    agent.start_episode();
    let third = agent.tick(&image(60), &clock);
    assert_eq!((&first.error, &second.error, &third.error), (&None, &None, &None));
    assert!(second.surprise.is_some() && third.surprise.is_none());
    let latents: Vec<Latent> = [20, 60].map(|grey| model.model.encode(&[image(grey)]).unwrap().remove(0)).into();
    let dynamics = model.dynamics(&InferenceOptions::default()).unwrap();
    let rolled_out = |context: &Context<'_>, report: &TickReport| {
        Some(dynamics.rollout(context, &Plans::from(&report.plan)).unwrap())
    };
    let history = Context::after(&latents, &first.action_chunk);
    assert_eq!(second.expected, rolled_out(&history, &second));
    assert_ne!(second.expected, rolled_out(&Context::of(&latents[1]), &second), "the history counts");
    assert_eq!(third.expected, rolled_out(&Context::of(&latents[1]), &third), "an episode begins without a history");
}

#[test]
fn a_lewm_refuses_the_fields_of_a_task_that_it_would_ignore() {
    let model = lewm();
    let text = |line: &str| {
        format!(
            "name = \"a\"\nhorizon_chunks = 2\nbudget_ms = 1.0\n\
             {line}\n[weights]\ngoal_distance = 1.0\n[planner]\nkind = \"cem\""
        )
    };
    let assemble = |line: &str| {
        let task: Task = config::parse(&text(line)).unwrap();
        Agent::from_checkpoint(&model, &task, Seed::new(0)).map(|_| ())
    };
    assemble("").unwrap();
    Agent::from_checkpoint(&model, &task("push_t_lewm"), Seed::new(0)).unwrap();
    for (line, field) in [
        ("mode = { kind = \"mode_1\" }", "mode:"),
        ("metric = { kind = \"step_whitened\", power = 1.0 }", "metric:"),
        ("planner_with_policy = { kind = \"icem\" }", "planner_with_policy:"),
        ("adapt_background = true", "adapt_background:"),
        ("samples = { kind = \"latent\" }", "samples:"),
        ("adaptation = {}", "adaptation:"),
        ("goal = { kind = \"key_frames\", files = [\"a.png\"] }", "goal.kind:"),
    ] {
        let error = assemble(line).unwrap_err().to_string();
        assert!(error.starts_with(field) && error.contains("LeWorldModel") && !error.contains('\n'), "{line}: {error}");
    }
    for (name, expected) in [("critic", "a checkpoint with a critic"), ("curiosity", "one of goal_distance")] {
        let task = text("").replace("goal_distance = 1.0", &format!("goal_distance = 1.0\n{name} = 1.0"));
        let task: Task = config::parse(&task).unwrap();
        let error = Agent::from_checkpoint(&model, &task, Seed::new(0)).err().unwrap().to_string();
        assert!(error.starts_with(&format!("weights.{name}: expected {expected}")), "{error}");
    }
}

#[test]
fn a_task_whose_plans_would_not_fit_in_memory_is_refused_by_its_fields() {
    // Symptom: a task of 10^6 samples of 1000 chunks was taken, and wanted 40 GB. Cause: ranges of single fields, no
    // product. Fix: samples are scored in groups, and the product of what is held is checked.
    let long = |sampling: &str| -> Task {
        let planner = format!("kind = \"icem\"\nsamples = 1000000\n{sampling}");
        let planner = config::parse(&planner).unwrap();
        Task { horizon_chunks: 1000, planner, planner_with_policy: None, ..task("two_room") }
    };
    agent(&long("elites = 10"), Overrides::default()).unwrap();
    let error = agent(&long("elites = 1000000"), Overrides::default()).err().unwrap().to_string();
    assert!(error.starts_with("planner.elites x horizon_chunks: expected at most 4.0 GiB"), "{error}");
    assert!(error.contains("got 149.0 GiB (4000000 plans of 1000 x 10 numbers)"), "{error}");
}

#[test]
fn a_session_names_the_joints_whose_positions_it_needs() {
    let mut checkpoint = Checkpoint::load(&assets().join("checkpoints/two_room")).unwrap();
    let space = &mut checkpoint.config.action_space;
    space.neutral = vec![Neutral::HoldPosition { proprioception: 1 }; space.width()];
    let name = space.names[1].clone();
    let source = ModelSource::Jepa(Arc::new(checkpoint));
    let mut session = PlanningSession::new(&source, &task("two_room"), Seed::new(0), None).unwrap();
    let images = || {
        let image = (*observed((10, 10)).frames[0].image).clone();
        vec![CameraImage { camera: None, image }]
    };
    session.set_goal(images(), &[]).unwrap();
    let error = session.plan(images(), &[0.5], &ManualClock::default()).unwrap_err().to_string();
    assert!(error.starts_with("proprioception: expected at least 2 values") && error.contains(&name), "{error}");
    session.plan(images(), &[0.5, 0.5], &ManualClock::default()).unwrap();
}
