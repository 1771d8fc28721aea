//! What tasks can say: goals that are no images, boxes to keep out of, sequences, modes; and another goal during an
//! episode.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use mindseye_agent::actor::Imagination;
use mindseye_agent::assembly::{Overrides, cost_with};
use mindseye_agent::configurator::{Configurator, GoalConfig, SequenceConfigurator};
use mindseye_agent::cost::{GoalDistance, LearnedEstimator, SharedEstimator};
use mindseye_agent::memory::RingMemory;
use mindseye_agent::{Latent, Plans, Task};
use mindseye_episodes::image_codec::encode_png;
use mindseye_evaluation::{Episode, Evaluation, GoalChange, LearnedAgent, Perturbation, Protocol};
use mindseye_interface::{Benchmark, GoalKind, NoProgress, PairSearch, Seed, StartGoal, config};
use mindseye_sim::{SceneBenchmark, SceneOptions};
use mindseye_world_model::values_of;
use mindseye_world_model::{Checkpoint, InferenceOptions};
use support::{assets, json, refuse, succeed};

/// Writes the shipped task of `scene` as `change` makes it.
fn write_task(folder: &Path, scene: &str, change: impl FnOnce(&mut toml::Table)) {
    let text = std::fs::read_to_string(assets().join(format!("tasks/{scene}.toml"))).unwrap();
    let mut task: toml::Table = text.parse().unwrap();
    change(&mut task);
    std::fs::write(folder.join("task.toml"), toml::to_string(&task).unwrap()).unwrap();
}

fn table(text: &str) -> toml::Table {
    text.parse().unwrap()
}

fn evaluate(folder: &Path, scene: &str, more: &[&str]) -> serde_json::Value {
    let arguments = ["evaluate", "--scene", scene, "--task", "task.toml", "--episodes", "20", "--seeds", "1"];
    let quiet = ["--seed", "1000", "--no-baselines", "--json"];
    json(folder, &[&arguments[..], more, &quiet].concat())
}

fn rate(value: &serde_json::Value) -> f64 {
    value["rate"].as_f64().unwrap()
}

fn checkpoint(scene: &str) -> Arc<Checkpoint> {
    Arc::new(Checkpoint::load_for_scene(&assets().join(format!("checkpoints/{scene}")), scene).unwrap())
}

fn benchmark(scene: &str) -> SceneBenchmark {
    mindseye_sim::benchmark(scene, &SceneOptions::with_side(64).unwrap()).unwrap()
}

/// An episode of `agent` on `pair` that runs to its end.
fn episode<'a>(
    benchmark: &'a SceneBenchmark,
    agent: &'a LearnedAgent,
    task: &'a Task,
    pair: &'a StartGoal,
) -> Episode<'a> {
    Episode {
        benchmark,
        method: agent,
        task,
        pair,
        warmup: &[],
        budget_steps: 100,
        seed: Seed::new(1),
        threads: 1,
        real_time: false,
        stop_when_held: false,
        perturbation: Perturbation::default(),
        goal_change: None,
    }
}

#[test]
fn a_pose_is_reached_without_an_image_of_it() {
    let folder = tempfile::tempdir().unwrap();
    write_task(folder.path(), "push_t", |task| {
        task.insert("weights".into(), table("pose = 1.0").into());
        let states = "[\"agent_x_m\", \"agent_y_m\", \"block_x_m\", \"block_y_m\", \"block_angle_rad\"]";
        task.insert("goal".into(), table(&format!("kind = \"pose\"\nstates = {states}")).into());
    });
    let evaluation = evaluate(folder.path(), "push_t", &[]);
    assert!(
        rate(&evaluation["metrics"]["block"]) >= 0.8 && rate(&evaluation["moderate"]) >= 0.6,
        "{}",
        evaluation["moderate"]
    );
    write_task(folder.path(), "two_room", |task| {
        task.insert("weights".into(), table("region = 1.0\neffort = 0.2").into());
        task.insert("goal".into(), table("kind = \"region\"\naround = { agent_x_m = 0.06, agent_y_m = 0.06 }").into());
    });
    let evaluation = self::evaluate(folder.path(), "two_room", &[]);
    assert!(rate(&evaluation["region"]) >= 0.8, "{}", evaluation["region"]);
}

#[test]
fn a_box_to_keep_out_of_is_avoided_and_the_goal_still_reached() {
    let folder = tempfile::tempdir().unwrap();
    let with_weight = |weight: f64| {
        write_task(folder.path(), "two_room", |task| {
            task["weights"].as_table_mut().unwrap().insert("keep_out".into(), weight.into());
            let place = "bounds = { agent_x_m = [0.2, 0.36], agent_y_m = [0.32, 0.6] }\nmargin = 0.08";
            task.insert("keep_out".into(), vec![toml::Value::from(table(place))].into());
        });
        evaluate(folder.path(), "two_room", &["--pairs", "cross"])
    };
    let (free, safe) = (with_weight(0.0), with_weight(10.0));
    let share = |evaluation: &serde_json::Value| evaluation["violations"]["steps"].as_f64().unwrap();
    assert!(rate(&free["violations"]["episodes"]) >= 0.3, "the straight path leads through it: {}", free["violations"]);
    assert!(share(&safe) < 0.2 * share(&free), "{} {}", safe["violations"], free["violations"]);
    assert!(rate(&safe["moderate"]) >= 0.85, "{}", safe["moderate"]);
}

#[test]
fn goals_in_turn_need_a_configurator_that_moves_on() {
    let folder = tempfile::tempdir().unwrap();
    write_task(folder.path(), "two_room", |_| ());
    let moving_on = evaluate(folder.path(), "two_room", &["--pairs", "sequence"]);
    assert_eq!(moving_on["settings"]["budget_steps"], 150);
    assert_eq!(moving_on["results"][0]["via"].as_array().unwrap().len(), 2);
    let agent = LearnedAgent::new(checkpoint("two_room"));
    let keeping = agent.without("first goal kept", Overrides { keep_first_goal: true, ..Overrides::default() });
    let task: Task = config::load(&assets().join("tasks/two_room.toml")).unwrap();
    let goals = GoalKind::Sequence { goal_offset: 25 };
    let evaluation = Evaluation {
        benchmark: &benchmark("two_room"),
        factors: Vec::new(),
        task: &task,
        protocol: Protocol {
            goals,
            budget_steps: goals.default_budget(),
            episodes: 20,
            seeds: vec![1000],
            warmup_episodes: 0,
            threads: 2,
        },
        perturbation: Perturbation::default(),
        journal: None,
    };
    let kept = evaluation.run(&[&keeping], &NoProgress).unwrap().report.rates.model.moderate.rate;
    assert!(rate(&moving_on["moderate"]) >= 0.9 && kept <= 0.2, "{kept} with the first goal kept");
}

#[test]
fn an_agent_that_chooses_its_mode_imagines_less_and_still_arrives() {
    let folder = tempfile::tempdir().unwrap();
    let with_mode = |mode: &str| {
        write_task(folder.path(), "two_room", |task| {
            task.insert("mode".into(), table(&format!("kind = \"{mode}\"")).into());
        });
        evaluate(folder.path(), "two_room", &[])
    };
    let (always, chosen) = (with_mode("mode_2"), with_mode("auto"));
    let predicted = |evaluation: &serde_json::Value| evaluation["predicted_states_per_episode"].as_f64().unwrap();
    assert!(
        rate(&chosen["moderate"]) >= 0.9 && predicted(&chosen) < 0.5 * predicted(&always),
        "{}",
        predicted(&chosen)
    );
    let (at_once, ticks) = (chosen["mode_1_ticks"].as_u64().unwrap(), chosen["ticks"].as_u64().unwrap());
    assert!(at_once > 0 && at_once < ticks && always["mode_1_ticks"] == 0, "{at_once} of {ticks}");
    assert_eq!(with_mode("mode_1")["predicted_states_per_episode"], 0.0);
}

#[test]
fn another_goal_in_the_middle_of_an_episode_is_reached_with_the_same_weights() {
    let checkpoint = checkpoint("two_room");
    let weights = || values_of(checkpoint.model.weights()).unwrap();
    let (before, benchmark) = (weights(), benchmark("two_room"));
    let (agent, task) = (LearnedAgent::new(checkpoint.clone()), config::load(&assets().join("tasks/two_room.toml")));
    let task: Task = task.unwrap();
    for pair in benchmark.start_goal_pairs(&PairSearch::new(GoalKind::Hard, 4, 5)).unwrap() {
        let run = |pair: &StartGoal, goal_change: Option<GoalChange>| {
            let mut ticks = Vec::new();
            let episode = Episode { goal_change, ..episode(&benchmark, &agent, &task, pair) };
            let result = episode.run(&mut |view| {
                let directive = &view.report.directive;
                ticks.push((view.step, directive.sub_goal, directive.goal.clone(), view.report.plan.clone()));
                Ok(())
            });
            (result.unwrap(), ticks)
        };
        let (_, straight) = run(&pair, None);
        let (result, ticks) = run(&pair, Some(GoalChange { after_steps: 20, goal: pair.start.clone() }));
        let switched = ticks.iter().position(|(_, sub_goal, ..)| *sub_goal == 1).unwrap();
        assert_eq!(ticks[switched].0, 20, "the very next tick");
        assert_ne!(ticks[switched].2, ticks[switched - 1].2);
        assert!(ticks[..switched] == straight[..switched], "until then nothing is different");
        assert_ne!(ticks[switched].3, straight[switched].3, "the plan is for the new goal");
        assert!(result.first_success_step.is_some_and(|step| step > 20), "{result:?}");
    }
    assert!(weights() == before);
}

#[test]
fn a_key_frame_is_pursued_before_the_goal_of_the_run() {
    let (folder, benchmark) = (tempfile::tempdir().unwrap(), benchmark("two_room"));
    let checkpoint = checkpoint("two_room");
    let pair = benchmark.start_goal_pairs(&PairSearch::new(GoalKind::Hard, 1, 5)).unwrap().remove(0);
    let mut simulator = benchmark.environment().unwrap();
    simulator.reset(pair.episode).unwrap();
    let frame = simulator.set_state(&[0.75, 0.75]).unwrap().image().unwrap().clone();
    let path = folder.path().join("frame.png");
    std::fs::write(&path, encode_png(&frame).unwrap()).unwrap();
    let task: Task = config::load(&assets().join("tasks/two_room.toml")).unwrap();
    let task = Task { goal: GoalConfig::KeyFrames { files: vec![path] }, ..task };
    let agent = LearnedAgent::new(checkpoint.clone());
    let episode = Episode { budget_steps: 150, stop_when_held: true, ..episode(&benchmark, &agent, &task, &pair) };
    let mut goals = Vec::new();
    let result = episode.run(&mut |view| {
        goals.push((view.report.directive.sub_goal, view.report.directive.goal.values().to_vec()));
        Ok(())
    });
    let result = result.unwrap();
    assert_eq!(goals[0], (0, checkpoint.model.encode_image(&frame).unwrap()));
    assert!(goals.iter().any(|(sub_goal, _)| *sub_goal == 1), "{}", goals.len());
    assert!(result.first_success_step.is_some(), "{result:?}");
}

#[test]
fn gradients_of_a_state_cost_reach_the_actions_through_state_probe_and_world_model() {
    let checkpoint = checkpoint("push_t");
    let text = "name = \"a\"\nhorizon_chunks = 3\nbudget_ms = 9.0\nreduction = { kind = \"mean\" }\n\
                [weights]\npose = 1.0\nkeep_out = 3.0\n\
                [goal]\nkind = \"pose\"\nvalues = { block_x_m = 0.4, block_angle_rad = 1.0 }\n\
                [[keep_out]]\nbounds = { agent_x_m = [0.0, 1.0], agent_y_m = [0.0, 1.0] }\n\
                 [planner]\nkind = \"icem\"\n";
    let task: Task = config::parse(text).unwrap();
    let reader: SharedEstimator = Arc::new(LearnedEstimator::new(checkpoint.state_probe.as_ref().unwrap()).unwrap());
    let state_goals = task.state_goals(reader.as_ref(), &BTreeMap::new()).unwrap();
    let goal = vec![(Latent::global(Vec::new()), state_goals)];
    let directive = SequenceConfigurator::with_state_goals(&task, goal, 5, 2).unwrap().configure(&RingMemory::new(1));
    let cost = cost_with(&task, GoalDistance::euclidean(32), Some(&reader));
    let world = checkpoint.dynamics(&InferenceOptions::default()).unwrap();
    let mut simulator = mindseye_sim::make("push_t", &SceneOptions::with_side(64).unwrap()).unwrap();
    let observed = simulator.reset(Seed::new(3)).unwrap();
    let start = Latent::global(checkpoint.model.encode_image(&observed.image().unwrap().clone()).unwrap());
    let imagination = Imagination::new(&*world, &cost, &start, &directive);
    let plan: Vec<f32> = (0..30).map(|index| 0.5 * (index as f32 * 0.9).sin()).collect();
    let plans = |values: Vec<f32>| Plans::new(1, 3, 10, values).unwrap();
    let (_, gradients) = imagination.energies_and_gradients(&plans(plan.clone())).unwrap();
    let along = |step: f32| {
        let moved = plan.iter().zip(&gradients).map(|(value, gradient)| value + step * gradient).collect();
        f64::from(imagination.energies(&plans(moved)).unwrap()[0])
    };
    let length = gradients.iter().map(|gradient| f64::from(gradient * gradient)).sum::<f64>();
    let step = 3e-3 / length.sqrt();
    let numeric = (along(step as f32) - along(-step as f32)) / (2.0 * step);
    assert!(length > 0.0 && (numeric / length - 1.0).abs() < 2e-2, "{numeric} against {length}");
}

#[test]
fn a_state_probe_is_trained_from_recorded_states_and_refuses_data_without_them() {
    let folder = tempfile::tempdir().unwrap();
    succeed(folder.path(), &["record", "--out", "data", "--episodes", "40", "--steps", "60"]);
    let shipped = assets().join("checkpoints/two_room");
    let shipped = shipped.to_str().unwrap();
    let train = |data: &'static str, out: &'static str| {
        ["train", "state-probe", "--scene", "two_room", "--checkpoint", shipped, "--data", data, "--out", out].to_vec()
    };
    let report = json(folder.path(), &[train("data", "trained"), vec!["--steps", "300", "--json"]].concat());
    assert_eq!((report["episodes"].as_u64(), report["held_out_episodes"].as_u64()), (Some(32), Some(8)));
    assert_eq!(report["states"][0]["name"], "agent_x_m");
    assert!(report["states"][1]["median_error"].as_f64().unwrap() < 0.01, "{report}");
    let trained = Checkpoint::load(&folder.path().join("trained")).unwrap();
    assert!(trained.state_probe.is_some() && trained.policy.is_some());
    std::fs::write(folder.path().join("mapping.toml"), "state = []\nproprioception = []\n").unwrap();
    succeed(folder.path(), &["data", "convert", "data", "--mapping", "mapping.toml", "--out", "blind"]);
    refuse(folder.path(), &train("blind", "other"), &["states", "true states"]);
    assert!(!folder.path().join("other").exists());
}

#[test]
fn a_task_that_names_states_needs_a_state_probe() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain");
    std::fs::create_dir(&plain).unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(assets().join("checkpoints/two_room").join(file), plain.join(file)).unwrap();
    }
    let pose = |states: &str| {
        write_task(folder.path(), "two_room", |task| {
            task.insert("weights".into(), table("pose = 1.0").into());
            task.insert("goal".into(), table(&format!("kind = \"pose\"\nstates = [{states}]")).into());
        });
    };
    let arguments = ["evaluate", "--task", "task.toml", "--episodes", "1", "--seeds", "1", "--no-baselines"];
    pose("\"agent_x_m\"");
    refuse(folder.path(), &[&arguments[..], &["--checkpoint", "plain"]].concat(), &["goal", "train state-probe"]);
    pose("\"agent_z_m\"");
    refuse(folder.path(), &arguments, &["goal", "agent_x_m, agent_y_m", "agent_z_m"]);
    write_task(folder.path(), "two_room", |task| {
        task.insert("goal".into(), table("kind = \"key_frames\"\nfiles = [\"nowhere.png\"]").into());
    });
    refuse(folder.path(), &arguments, &["goal.files", "nowhere.png"]);
}
