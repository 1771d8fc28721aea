//! What tasks can say: goals that are no pictures, places to keep out of, sequences, modes; and turning to another task under way.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

mod support;

use std::path::Path;
use std::sync::Arc;

use mindseye::evaluation::{Disturbance, Episode, Glimpse, Method, Pair, PairKind, Switch, draw_pairs};
use mindseye::running::{aims, cost_with};
use mindseye_agent::actor::Imagination;
use mindseye_agent::configurator::{Configurator, GoalConfig, SequenceConfigurator};
use mindseye_agent::cost::{GoalDistance, LearnedReader, SharedReader};
use mindseye_agent::memory::RingMemory;
use mindseye_agent::world_model::LearnedWorldModel;
use mindseye_agent::{Latent, Plans, Task};
use mindseye_episodes::picture::encode_png;
use mindseye_interface::{Seed, config};
use mindseye_sim::SceneOptions;
use mindseye_world_model::parameters::values_of;
use mindseye_world_model::{Checkpoint, Precision};
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

#[test]
fn a_pose_is_reached_without_a_picture_of_it() {
    let folder = tempfile::tempdir().unwrap();
    write_task(folder.path(), "push_t", |task| {
        task.insert("weights".into(), table("pose = 1.0").into());
        let states = "[\"agent_x_m\", \"agent_y_m\", \"block_x_m\", \"block_y_m\", \"block_angle_rad\"]";
        task.insert("goal".into(), table(&format!("kind = \"pose\"\nstates = {states}")).into());
    });
    let evaluation = evaluate(folder.path(), "push_t", &[]);
    assert!(rate(&evaluation["block"]) >= 0.8 && rate(&evaluation["moderate"]) >= 0.6, "{}", evaluation["moderate"]);
    write_task(folder.path(), "two_room", |task| {
        task.insert("weights".into(), table("region = 1.0\neffort = 0.2").into());
        task.insert("goal".into(), table("kind = \"region\"\naround = { agent_x_m = 0.06, agent_y_m = 0.06 }").into());
    });
    let evaluation = self::evaluate(folder.path(), "two_room", &[]);
    assert!(rate(&evaluation["region"]) >= 0.8, "{}", evaluation["region"]);
}

#[test]
fn a_place_to_keep_out_of_is_kept_out_of_and_the_goal_still_reached() {
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
    assert!(rate(&free["violations"]["episodes"]) >= 0.3, "the straight way leads through it: {}", free["violations"]);
    assert!(share(&safe) < 0.2 * share(&free), "{} {}", safe["violations"], free["violations"]);
    assert!(rate(&safe["moderate"]) >= 0.85, "{}", safe["moderate"]);
}

#[test]
fn goals_in_turn_need_a_configurator_that_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    write_task(folder.path(), "two_room", |_| ());
    let going_on = evaluate(folder.path(), "two_room", &["--pairs", "sequence"]);
    assert_eq!(going_on["settings"]["budget_steps"], 150);
    assert_eq!(going_on["results"][0]["via"].as_array().unwrap().len(), 2);
    write_task(folder.path(), "two_room", |task| {
        task.insert("sub_goals".into(), table("frozen = true").into());
    });
    let frozen = evaluate(folder.path(), "two_room", &["--pairs", "sequence"]);
    assert!(rate(&going_on["moderate"]) >= 0.9 && rate(&frozen["moderate"]) <= 0.2, "{}", frozen["moderate"]);
}

#[test]
fn an_agent_that_chooses_its_mode_imagines_less_and_arrives_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let with_mode = |mode: &str| {
        write_task(folder.path(), "two_room", |task| {
            task.insert("mode".into(), table(&format!("kind = \"{mode}\"")).into());
        });
        evaluate(folder.path(), "two_room", &[])
    };
    let (always, chosen) = (with_mode("mode_2"), with_mode("auto"));
    let rows = |evaluation: &serde_json::Value| evaluation["predictor_rows_per_episode"].as_f64().unwrap();
    assert!(rate(&chosen["moderate"]) >= 0.9 && rows(&chosen) < 0.5 * rows(&always), "{}", rows(&chosen));
    let (at_once, ticks) = (chosen["mode_1_ticks"].as_u64().unwrap(), chosen["ticks"].as_u64().unwrap());
    assert!(at_once > 0 && at_once < ticks && always["mode_1_ticks"] == 0, "{at_once} of {ticks}");
    assert_eq!(with_mode("mode_1")["predictor_rows_per_episode"], 0.0);
}

#[test]
fn another_goal_in_the_middle_of_an_episode_is_reached_with_the_same_weights() {
    let checkpoint = checkpoint("two_room");
    let weights = || values_of(checkpoint.model.weights()).unwrap();
    let (before, options) = (weights(), SceneOptions::with_side(64).unwrap());
    let task: Task = config::load(&assets().join("tasks/two_room.toml")).unwrap();
    for pair in draw_pairs("two_room", &options, PairKind::Cross, 4, 5).unwrap() {
        let play = |pair: &Pair, switch: Option<Switch>| {
            let mut wanted = Vec::new();
            let episode = Episode {
                scene: "two_room",
                options: &options,
                method: &Method::Model(checkpoint.clone()),
                task: &task,
                pair,
                lived: &[],
                budget_steps: 100,
                seed: Seed::new(1),
                threads: 1,
                real_time: false,
                stop_when_held: false,
                disturbance: Disturbance::default(),
                switch,
            };
            let result = episode.play(&mut |glimpse| {
                let directive = &glimpse.report.directive;
                wanted.push((glimpse.step, directive.sub_goal, directive.goal.clone(), glimpse.report.plan.clone()));
                Ok(())
            });
            (result.unwrap(), wanted)
        };
        let (_, straight) = play(&pair, None);
        let (result, wanted) = play(&pair, Some(Switch { after_steps: 20, goal: pair.start.clone() }));
        let switched = wanted.iter().position(|(_, sub_goal, ..)| *sub_goal == 1).unwrap();
        assert_eq!(wanted[switched].0, 20, "the very next tick");
        assert_ne!(wanted[switched].2, wanted[switched - 1].2);
        assert!(wanted[..switched] == straight[..switched], "until then nothing is different");
        assert_ne!(wanted[switched].3, straight[switched].3, "the plan is for the new goal");
        assert!(result.moderate_step.is_some_and(|step| step > 20), "{result:?}");
    }
    assert!(weights() == before);
}

#[test]
fn a_key_frame_is_looked_for_before_the_goal_of_the_run() {
    let (folder, options) = (tempfile::tempdir().unwrap(), SceneOptions::with_side(64).unwrap());
    let checkpoint = checkpoint("two_room");
    let pair = draw_pairs("two_room", &options, PairKind::Cross, 1, 5).unwrap().remove(0);
    let mut simulator = mindseye_sim::make("two_room", &options).unwrap();
    simulator.reset(pair.episode).unwrap();
    let frame = simulator.set_state(&[0.75, 0.75]).unwrap().image.unwrap();
    let path = folder.path().join("frame.png");
    std::fs::write(&path, encode_png(&frame).unwrap()).unwrap();
    let task: Task = config::load(&assets().join("tasks/two_room.toml")).unwrap();
    let task = Task { goal: GoalConfig::KeyFrames { files: vec![path] }, ..task };
    let mut wanted = Vec::new();
    let episode = Episode {
        scene: "two_room",
        options: &options,
        method: &Method::Model(checkpoint.clone()),
        task: &task,
        pair: &pair,
        lived: &[],
        budget_steps: 150,
        seed: Seed::new(1),
        threads: 1,
        real_time: false,
        stop_when_held: true,
        disturbance: Disturbance::default(),
        switch: None,
    };
    let mut watch = |glimpse: &Glimpse<'_>| {
        wanted.push((glimpse.report.directive.sub_goal, glimpse.report.directive.goal.values().to_vec()));
        Ok(())
    };
    let result = episode.play(&mut watch).unwrap();
    assert_eq!(wanted[0], (0, checkpoint.model.encode_image(&frame).unwrap()));
    assert!(wanted.iter().any(|(sub_goal, _)| *sub_goal == 1), "{}", wanted.len());
    assert!(result.moderate_step.is_some(), "{result:?}");
}

#[test]
fn slopes_of_a_named_cost_reach_the_actions_through_readout_and_world_model() {
    let checkpoint = checkpoint("push_t");
    let text = "name = \"a\"\nhorizon_blocks = 3\nbudget_ms = 9.0\nreduction = { kind = \"mean\" }\n[weights]\npose = 1.0\nkeep_out = 3.0\n\
                [goal]\nkind = \"pose\"\nvalues = { block_x_m = 0.4, block_angle_rad = 1.0 }\n\
                [[keep_out]]\nbounds = { agent_x_m = [0.0, 1.0], agent_y_m = [0.0, 1.0] }\n[planner]\nkind = \"icem\"\n";
    let task: Task = config::parse(text).unwrap();
    let reader: SharedReader = Arc::new(LearnedReader::new(checkpoint.readout.as_ref().unwrap()).unwrap());
    let aims = aims(&task, Some(&reader), &[], &[]).unwrap();
    let goal = vec![(Latent::global(Vec::new()), aims)];
    let directive = SequenceConfigurator::with_aims(&task, goal, 5, 2).unwrap().configure(&RingMemory::new(1));
    let cost = cost_with(&task, GoalDistance::euclidean(32), Some(&reader));
    let world = LearnedWorldModel::new(&checkpoint.model, Precision::F32, 1).unwrap();
    let mut simulator = mindseye_sim::make("push_t", &SceneOptions::with_side(64).unwrap()).unwrap();
    let seen = simulator.reset(Seed::new(3)).unwrap();
    let start = Latent::global(checkpoint.model.encode_image(&seen.image.unwrap()).unwrap());
    let imagination = Imagination::new(&world, &cost, &start, &directive);
    let plan: Vec<f32> = (0..30).map(|index| 0.5 * (index as f32 * 0.9).sin()).collect();
    let plans = |values: Vec<f32>| Plans::new(1, 3, 10, values).unwrap();
    let (_, slopes) = imagination.energies_and_slopes(&plans(plan.clone())).unwrap();
    let along = |step: f32| {
        let moved = plan.iter().zip(&slopes).map(|(value, slope)| value + step * slope).collect();
        f64::from(imagination.energies(&plans(moved)).unwrap()[0])
    };
    let length = slopes.iter().map(|slope| f64::from(slope * slope)).sum::<f64>();
    let step = 3e-3 / length.sqrt();
    let numeric = (along(step as f32) - along(-step as f32)) / (2.0 * step);
    assert!(length > 0.0 && (numeric / length - 1.0).abs() < 2e-2, "{numeric} against {length}");
}

#[test]
fn a_readout_is_taught_from_recorded_states_and_refuses_data_without_them() {
    let folder = tempfile::tempdir().unwrap();
    succeed(folder.path(), &["record", "--out", "data", "--episodes", "40", "--steps", "60"]);
    let shipped = assets().join("checkpoints/two_room");
    let shipped = shipped.to_str().unwrap();
    let teach = |data: &'static str, out: &'static str| {
        ["teach", "readout", "--scene", "two_room", "--checkpoint", shipped, "--data", data, "--out", out].to_vec()
    };
    let report = json(folder.path(), &[teach("data", "taught"), vec!["--steps", "300", "--json"]].concat());
    assert_eq!((report["episodes"].as_u64(), report["held_out_episodes"].as_u64()), (Some(32), Some(8)));
    assert_eq!(report["states"][0]["name"], "agent_x_m");
    assert!(report["states"][1]["median_error"].as_f64().unwrap() < 0.01, "{report}");
    let taught = Checkpoint::load(&folder.path().join("taught")).unwrap();
    assert!(taught.readout.is_some() && taught.policy.is_some());
    std::fs::write(folder.path().join("mapping.toml"), "state = []\n").unwrap();
    succeed(folder.path(), &["data", "convert", "data", "--mapping", "mapping.toml", "--out", "blind"]);
    refuse(folder.path(), &teach("blind", "other"), &["--data", "true states"]);
    assert!(!folder.path().join("other").exists());
}

#[test]
fn a_task_that_speaks_of_the_state_needs_a_readout() {
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
    refuse(folder.path(), &[&arguments[..], &["--checkpoint", "plain"]].concat(), &["goal", "teach readout"]);
    pose("\"agent_z_m\"");
    refuse(folder.path(), &arguments, &["goal", "agent_x_m, agent_y_m", "agent_z_m"]);
    write_task(folder.path(), "two_room", |task| {
        task.insert("goal".into(), table("kind = \"key_frames\"\nfiles = [\"nowhere.png\"]").into());
    });
    refuse(folder.path(), &arguments, &["goal.files", "nowhere.png"]);
}
