//! Ablation of the modules, and the training of a critic, from the command line.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

mod support;

use std::path::Path;

use support::{assets, json, refuse, succeed};

#[test]
fn ablating_any_module_of_the_shipped_agent_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["ablate", "--episodes", "30", "--seeds", "1", "--seed", "1000", "--out", "ablation", "--json"];
    let report = json(folder.path(), &arguments);
    let rows = report["rows"].as_array().unwrap();
    let modules: Vec<&str> = rows.iter().map(|row| row["module"].as_str().unwrap()).collect();
    for module in ["configurator", "perception", "world model", "cost", "memory", "actor"] {
        assert!(modules.contains(&module), "{modules:?}");
    }
    for row in rows {
        let rate = |which: &str| row[which]["rate"].as_f64().unwrap();
        assert!(rate("with") >= 0.9, "the whole agent solves two_room: {row}");
        // 30 episodes are enough to see most losses; the others take the 300 of the full protocol.
        let is_significant = row["is_significant"].as_bool().unwrap();
        assert!(is_significant || ["perception", "actor"].contains(&row["module"].as_str().unwrap()), "{row}");
        assert_eq!(row["error_ticks"], serde_json::json!([0, 0]), "{row}");
    }
    for file in ["ablation.json", "ablation.png", "report.html"] {
        assert!(folder.path().join("ablation").join(file).exists(), "{file}");
    }
}

#[test]
fn a_trained_critic_takes_part_in_planning_and_its_accuracy_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    succeed(folder.path(), &["record", "--episodes", "20", "--seed", "77", "--out", "fresh"]);
    let shipped = assets().join("checkpoints/two_room");
    let shipped = shipped.to_str().unwrap();
    let train = |threads: &str, out: &str| {
        let common = ["train", "critic", "--scene", "two_room", "--checkpoint", shipped, "--data", "fresh"];
        let rest = ["--targets", "64", "--steps", "4", "--threads", threads, "--out", out, "--json"];
        json(folder.path(), &[&common[..], &rest].concat())
    };
    let report = train("1", "one");
    train("2", "two");
    let bytes = |out: &str| std::fs::read(folder.path().join(out).join("critic.safetensors")).unwrap();
    assert!(bytes("one") == bytes("two"), "threads change no byte");
    assert_eq!(report["held_out_episodes"], 2);

    let text = std::fs::read_to_string(assets().join("tasks/two_room.toml")).unwrap();
    let mut task: toml::Table = text.parse().unwrap();
    task["weights"].as_table_mut().unwrap().insert("critic".into(), 1.0.into());
    task.insert("reduction".into(), "kind = \"discounted\"\ndiscount = 0.9".parse::<toml::Table>().unwrap().into());
    let write = |task: &toml::Table| std::fs::write(folder.path().join("task.toml"), toml::to_string(task).unwrap());
    write(&task).unwrap();
    let evaluate = ["evaluate", "--task", "task.toml", "--episodes", "2", "--seeds", "1", "--no-baselines", "--json"];
    let evaluated = json(folder.path(), &[&evaluate[..], &["--checkpoint", "one"]].concat());
    // Two episodes of ten ticks; the last tick of each has no successor.
    assert_eq!(evaluated["critic_accuracy"]["ticks"], 18, "{}", evaluated["critic_accuracy"]);
    assert_eq!(evaluated["errors"], serde_json::json!({}), "the agent plans with it");

    refuse(folder.path(), &evaluate, &["weights.critic", "train critic"]);
    task.insert("goal_saturation".into(), 1.0.into());
    write(&task).unwrap();
    refuse(folder.path(), &[&evaluate[..], &["--checkpoint", "one"]].concat(), &["goal_saturation", "critic"]);
}

#[test]
fn a_critic_predicts_the_energies_of_the_policy() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    succeed(folder.path(), &["record", "--episodes", "20", "--seed", "77", "--out", "fresh"]);
    let shipped = assets().join("checkpoints/two_room");
    let shipped = shipped.to_str().unwrap_or_default();
    let common = ["train", "critic", "--scene", "two_room", "--data", "fresh", "--json", "--checkpoint"];
    let train = |checkpoint: &str, more: &str| -> Vec<String> {
        common.iter().copied().chain([checkpoint]).chain(more.split(' ')).map(str::to_owned).collect()
    };
    let run = |arguments: &[String]| json(folder.path(), &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let report = run(&train(shipped, "--horizon 8 --targets 8000 --steps 600 --out more"));
    let r2 = report["r2_of_rollouts"].as_f64().ok_or("a coefficient of determination")?;
    assert!((0.3..=1.0).contains(&r2), "of rollouts that it was not trained on: {r2}");
    let refused = |arguments: &[String], named: &[&str]| {
        refuse(folder.path(), &arguments.iter().map(String::as_str).collect::<Vec<_>>(), named);
    };
    refused(&train(shipped, "--horizon 9 --out x"), &["horizon", "8", "9"]);
    refused(&train(shipped, "--horizon 0 --out x"), &["horizon"]);
    // Choices that are gone are refused by name; those that are left are accepted under their former names.
    refused(&train(shipped, "--expectile 0.7 --out x"), &["--expectile", "0.5", "0.7"]);
    refused(&train(shipped, "--imagined 0.5 --out x"), &["--model-rollout-fraction", "0.5"]);
    let former = "--by policy --beyond steady --imagined 1 --expectile 0.5 --blocks 2";
    let former = format!("{former} --lessons 64 --steps 1 --out old"); // the old name of --targets
    assert_eq!(run(&train(shipped, &former))["finished"], true);

    let bare = folder.path().join("bare");
    std::fs::create_dir(&bare)?;
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(Path::new(shipped).join(file), bare.join(file))?;
    }
    refused(&train(bare.to_str().unwrap_or_default(), "--out x"), &["policy", "train policy"]);
    Ok(())
}
