//! What the modules are worth, and what a critic foresees, from the command line.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

mod support;

use std::path::Path;

use support::{assets, json, refuse, succeed, tree};

#[test]
fn each_module_of_the_shipped_agent_is_worth_something() {
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
        // Those whose loss 30 episodes are enough to see; the others take the 300 of the full protocol.
        let lost = row["lost"].as_bool().unwrap();
        assert!(lost || ["perception", "actor"].contains(&row["module"].as_str().unwrap()), "{row}");
        assert_eq!(lost, row["without"]["high"].as_f64().unwrap() < row["with"]["low"].as_f64().unwrap());
    }
    for file in ["ablation.json", "ablation.png"] {
        assert!(folder.path().join("ablation").join(file).exists(), "{file}");
    }
}

#[test]
fn a_critic_is_taught_weighed_and_judged() {
    let folder = tempfile::tempdir().unwrap();
    succeed(folder.path(), &["record", "--episodes", "20", "--seed", "77", "--out", "fresh"]);
    let shipped = assets().join("checkpoints/two_room");
    let shipped = shipped.to_str().unwrap();
    let teach = |threads: &str, out: &str| {
        let lesson = ["teach", "critic", "--scene", "two_room", "--checkpoint", shipped, "--data", "fresh"];
        let rest = ["--steps", "4", "--threads", threads, "--out", out, "--json"];
        json(folder.path(), &[&lesson[..], &rest].concat())
    };
    let report = teach("1", "one");
    teach("2", "two");
    assert_eq!(tree(&folder.path().join("one")), tree(&folder.path().join("two")), "threads change no byte");
    assert_eq!(report["held_out_episodes"], 2);
    assert!(report["r2"].as_f64().unwrap() <= 1.0);

    let text = std::fs::read_to_string(assets().join("tasks/two_room.toml")).unwrap();
    let mut task: toml::Table = text.parse().unwrap();
    task["weights"].as_table_mut().unwrap().insert("critic".into(), 1.0.into());
    task.insert("reduction".into(), "kind = \"discounted\"\ndiscount = 0.9".parse::<toml::Table>().unwrap().into());
    task.insert("proposals".into(), false.into());
    let write = |task: &toml::Table| std::fs::write(folder.path().join("task.toml"), toml::to_string(task).unwrap());
    write(&task).unwrap();
    let evaluate = ["evaluate", "--task", "task.toml", "--episodes", "2", "--seeds", "1", "--no-baselines", "--json"];
    let judged = json(folder.path(), &[&evaluate[..], &["--checkpoint", "one"]].concat());
    assert!(judged["foresight"]["ticks"].as_u64().unwrap() > 0, "{}", judged["foresight"]);
    let held = judged["results"].as_array().unwrap().iter().filter(|pair| !pair["error"].is_null()).count();
    assert_eq!(held, 0, "the agent plans with it");

    refuse(folder.path(), &evaluate, &["weights.critic", "teach critic"]);
    task.insert("goal_saturation".into(), 1.0.into());
    write(&task).unwrap();
    refuse(folder.path(), &[&evaluate[..], &["--checkpoint", "one"]].concat(), &["goal_saturation", "critic"]);
}

#[test]
fn a_critic_learns_what_the_policy_would_do() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    succeed(folder.path(), &["record", "--episodes", "20", "--seed", "77", "--out", "fresh"]);
    let shipped = assets().join("checkpoints/two_room");
    let shipped = shipped.to_str().unwrap_or_default();
    let begin =
        "teach critic --scene two_room --data fresh --by policy --imagined 1 --expectile 0.5 --json --checkpoint";
    let begin: Vec<&str> = begin.split(' ').chain([shipped]).collect();
    let teach = |more: &str, out: &str| {
        let more: Vec<&str> = more.split(' ').collect();
        json(folder.path(), &[&begin[..], &more, &["--out", out]].concat())
    };
    for beyond in ["steady", "critic"] {
        let [one, two] = ["1", "2"].map(|threads| {
            let out = format!("{beyond}_{threads}");
            teach(&format!("--beyond {beyond} --blocks 4 --lessons 600 --steps 3 --threads {threads}"), &out);
            tree(&folder.path().join(out))
        });
        assert_eq!(one, two, "threads change no byte");
    }
    let learnt = teach("--beyond steady --blocks 8 --lessons 8000 --steps 600", "more");
    let r2 = learnt["r2_of_plans"].as_f64().ok_or("a share of the variance")?;
    assert!((0.3..=1.0).contains(&r2), "of the policy's plans from states that it has not seen: {r2}");
    let longer = [&begin[..], &["--blocks", "9", "--out", "x"]].concat();
    refuse(folder.path(), &longer, &["--blocks", "8", "9"]);

    let (bare, out) = (folder.path().join("bare"), ["--out", "x"]);
    std::fs::create_dir(&bare)?;
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(Path::new(shipped).join(file), bare.join(file))?;
    }
    let without: Vec<&str> =
        begin[..begin.len() - 1].iter().copied().chain([bare.to_str().unwrap_or_default()]).collect();
    refuse(folder.path(), &[&without[..], &out].concat(), &["--by policy", "teach policy"]);
    Ok(())
}

#[test]
fn a_critic_learns_plans_that_were_thought_out_once() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    succeed(folder.path(), &["record", "--episodes", "20", "--seed", "77", "--out", "fresh"]);
    // A few steps of search are enough to see what is learnt from it.
    let text = std::fs::read_to_string(assets().join("tasks/two_room.toml"))?;
    let mut task: toml::Table = text.parse()?;
    let planner = "kind = \"gradient\"\nsamples = 4\niterations = 4\nlearning_rate = 0.2\ninitial_std = 0.5";
    task.insert("planner".into(), planner.parse::<toml::Table>()?.into());
    task.remove("with_policy");
    std::fs::write(folder.path().join("task.toml"), toml::to_string(&task)?)?;
    let shipped = assets().join("checkpoints/two_room");
    let teach = |threads: &str, lessons: &str, steps: &str, out: &str| {
        let begin =
            "teach critic --scene two_room --data fresh --task task.toml --beyond steady --blocks 3 --imagined 1";
        let more = "--expectile 0.5 --discount 0.8 --json --checkpoint";
        let arguments: Vec<&str> = begin.split(' ').chain(more.split(' ')).collect();
        let rest = [shipped.to_str().unwrap_or_default(), "--threads", threads, "--lessons", lessons];
        json(folder.path(), &[&arguments[..], &rest, &["--steps", steps, "--out", out]].concat())
    };
    teach("1", "20", "3", "one");
    teach("2", "20", "3", "two");
    assert_eq!(tree(&folder.path().join("one")), tree(&folder.path().join("two")), "threads change no byte");
    let r2 = teach("2", "800", "300", "more")["r2_of_plans"].as_f64().ok_or("a share of the variance")?;
    assert!((0.1..=1.0).contains(&r2), "of plans from states that it has not seen: {r2}");
    let shipped = shipped.to_str().unwrap_or_default();
    let nothing = ["teach", "critic", "--scene", "two_room", "--checkpoint", shipped, "--data", "fresh", "--out", "x"];
    refuse(folder.path(), &[&nothing[..], &["--blocks", "0"]].concat(), &["--blocks"]);
    Ok(())
}
