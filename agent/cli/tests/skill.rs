//! Success rates of the shipped agents, and the commands that measure them.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

#[path = "../../plots/tests/support/html.rs"]
mod html;
mod support;

use support::{assets, json, mindseye, succeed};

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[test]
fn the_shipped_agent_reaches_goals_that_chance_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let evaluation = json(folder.path(), &["evaluate", "--episodes", "20", "--seeds", "2", "--seed", "1000", "--json"]);
    let rate = |value: &serde_json::Value| value["moderate"]["rate"].as_f64().unwrap();
    let baselines = &evaluation["baselines"];
    assert_eq!(evaluation["errors"], serde_json::json!({}), "no method held still because of an error");
    assert!(rate(&evaluation) >= 0.9, "{}", rate(&evaluation));
    assert!(rate(&baselines["random"]) < 0.5 && rate(&baselines["no_op"]) == 0.0);
    assert!(rate(&baselines["oracle"]) >= 0.95);
}

#[test]
fn the_shipped_agent_finds_the_door() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "evaluate",
        "--goals",
        "hard",
        "--episodes",
        "20",
        "--seeds",
        "2",
        "--seed",
        "1000",
        "--no-baselines",
        "--json",
    ];
    let evaluation = json(folder.path(), &arguments);
    let rate = evaluation["moderate"]["rate"].as_f64().unwrap();
    assert!(rate >= 0.85, "{rate}");
    // Wilson's interval for the successes in 40 episodes is 0.1 to 0.25 wide.
    let [low, high] = ["low", "high"].map(|end| evaluation["moderate"][end].as_f64().unwrap());
    assert_eq!(evaluation["moderate"]["episodes"], 40);
    assert!((0.08..0.25).contains(&(high - low)) && low <= rate && rate <= high, "{}", evaluation["moderate"]);
    let planning = &evaluation["planning_ms"];
    let ms = |percentile: &str| planning[percentile].as_f64().unwrap();
    assert!(ms("p50") > 0.05 && ms("p50") <= ms("p95") && ms("p95") <= ms("max"), "{planning}");
    let ticks = evaluation["planning_histogram"]["counts"].as_array().unwrap().iter();
    assert_eq!(ticks.map(|count| count.as_u64().unwrap()).sum::<u64>(), 40 * 100 / 5);
}

#[test]
fn the_shipped_pusher_moves_and_turns_the_block() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "evaluate",
        "--scene",
        "push_t",
        "--episodes",
        "20",
        "--seeds",
        "2",
        "--seed",
        "1000",
        "--no-baselines",
        "--json",
    ];
    let evaluation = json(folder.path(), &arguments);
    let rate = |rate: &serde_json::Value| rate["rate"].as_f64().unwrap();
    assert!(rate(&evaluation["moderate"]) >= 0.7, "{}", evaluation["moderate"]);
    assert!(rate(&evaluation["metrics"]["block"]) >= 0.85, "{}", evaluation["metrics"]);
    let turned = &evaluation["subsets"]["block_rotation_above_20_degrees"];
    let others = &evaluation["subsets"]["block_rotation_up_to_20_degrees"];
    let pairs = |subset: &serde_json::Value| subset["moderate"]["episodes"].as_u64().unwrap();
    assert!(pairs(turned) >= 10 && pairs(turned) + pairs(others) == 40, "{}", evaluation["subsets"]);
    assert!(rate(&turned["metrics"]["block"]) >= 0.8, "{}", turned["metrics"]);
}

#[test]
fn a_floor_of_another_colour_stops_only_an_agent_that_does_not_adapt() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let shipped = std::fs::read_to_string(assets().join("tasks/push_t.toml"))?;
    let fixed = shipped.replace("adapt_background = true", "adapt_background = false");
    assert_ne!(shipped, fixed);
    std::fs::write(folder.path().join("fixed.toml"), fixed)?;
    std::fs::write(folder.path().join("shipped.toml"), shipped)?;
    let rate = |task: &str| {
        let arguments = "evaluate --scene push_t --factors recoloured_floor --episodes 30 --seeds 1 --seed 1000";
        let arguments: Vec<&str> = arguments.split(' ').chain(["--no-baselines", "--json", "--task", task]).collect();
        json(folder.path(), &arguments)["moderate"]["rate"].as_f64().ok_or("a rate")
    };
    let (adapting, fixed) = (rate("shipped.toml")?, rate("fixed.toml")?);
    assert!(adapting >= 0.6 && fixed <= 0.2, "{adapting} adapting, {fixed} without");
    Ok(())
}

#[test]
fn the_demo_solves_episodes_and_leaves_a_film() {
    let folder = tempfile::tempdir().unwrap();
    let printed = succeed(folder.path(), &["demo", "--episodes", "3"]);
    let solved: Vec<usize> =
        printed.lines().filter_map(|line| line.strip_prefix("solved ")?.split(' ').next()?.parse().ok()).collect();
    assert!(solved.len() == 2 && solved.iter().all(|solved| *solved >= 2), "{printed}");
    for scene in ["two_room", "push_t"] {
        let film = std::fs::File::open(folder.path().join(format!("mindseye_demo_{scene}.gif"))).unwrap();
        let mut decoder = gif::DecodeOptions::new().read_info(film).unwrap();
        let mut frames = 0;
        while decoder.read_next_frame().unwrap().is_some() {
            frames += 1;
        }
        assert!(frames > 10, "{scene}: {frames}");
    }
}

#[test]
fn json_is_one_document_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let demo = json(folder.path(), &["demo", "two_room", "--episodes", "1", "--out", "film.gif", "--json"]);
    assert_eq!(demo["episodes"].as_array().unwrap().len(), 1);
    let record = json(folder.path(), &["record", "--out", "data", "--episodes", "2", "--steps", "20", "--json"]);
    assert_eq!((record["episodes"].as_u64(), record["frames"].as_u64()), (Some(2), Some(40)));
    let inspected = json(folder.path(), &["inspect", "data", "--json"]);
    assert_eq!(inspected["kind"], "dataset");
    let bench = json(folder.path(), &["bench", "plan", "--rounds", "1", "--json"]);
    let counts = bench["planning_histogram"]["counts"].as_array().unwrap().iter();
    let counted: u64 = counts.map(|count| count.as_u64().unwrap()).sum();
    assert!(counted == bench["ticks"].as_u64().unwrap() && counted > 0, "{bench}");
}

#[test]
fn an_evaluation_writes_its_report_and_a_sheet_of_images() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["evaluate", "--episodes", "3", "--seeds", "1", "--no-baselines", "--out", "report"];
    succeed(folder.path(), &arguments);
    let text = std::fs::read_to_string(folder.path().join("report/evaluation.json")).unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["results"].as_array().unwrap().len(), 3);
    assert_eq!(document["baselines"], serde_json::json!({}));
    let method = &document["methods"][0];
    assert_eq!((method["name"].as_str(), document["version"].as_str()), (Some("learned_agent"), Some(VERSION)));
    assert_eq!(method["model"]["fingerprint"].as_str().unwrap().len(), 64);
    assert!(method["model"]["checkpoint"].as_str().unwrap().ends_with("two_room"), "{method}");
    assert_eq!(document["settings"]["image_size"], serde_json::json!([64, 64]));
    let sheet = image::open(folder.path().join("report/sheet.png")).unwrap();
    assert!(sheet.width() > 300 && sheet.height() > 100);
    let page = html::read(&folder.path().join("report/report.html"));
    for value in html::values(&document["settings"]).iter().chain(&html::values(method)) {
        assert!(page.text.contains(value.as_str()), "{value} in {}", page.text);
    }
    assert!(page.text.contains("mindseye evaluate --episodes 3 --seeds 1 --no-baselines --out report"));
    // One of three episodes is the best, two are the worst; each is shown from its start to its goal.
    assert!(page.images.len() >= 3 * 3, "{} images", page.images.len());
    assert_eq!(page.text.matches("\ngoal\n").count(), 3);
    let without = json(folder.path(), &["evaluate", "--episodes", "3", "--seeds", "1", "--no-baselines", "--json"]);
    assert_eq!(without["results"], document["results"], "strips change no number");
}

#[test]
fn a_measurement_of_rollouts_writes_its_page_with_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    let printed = succeed(folder.path(), &["bench", "scaling", "--rounds", "1", "--threads", "1", "--out", "speed"]);
    assert!(printed.ends_with("report: speed/report.html\n"), "{printed}");
    let page = html::read(&folder.path().join("speed/report.html"));
    for text in ["cores", "processor", "fingerprint", "2048", "task.planner.kind", "--rounds 1"] {
        assert!(page.text.contains(text), "{text} in {}", page.text);
    }
    assert!(!page.text.contains("0000001"), "numbers of 32 bits keep their digits: {}", page.text);
    assert!(page.elements.iter().filter(|name| *name == "figcaption").count() == 2);
    assert!(folder.path().join("speed/scaling.png").exists());
}

#[test]
fn inspect_measures_a_model_on_episodes_outside_its_training_data() {
    let folder = tempfile::tempdir().unwrap();
    let record =
        ["record", "--scene", "push_t", "--episodes", "400", "--steps", "30", "--seed", "77", "--out", "fresh"];
    succeed(folder.path(), &record);
    let checkpoint = assets().join("checkpoints/push_t");
    let arguments = ["inspect", checkpoint.to_str().unwrap(), "--data", "fresh", "--out", "images", "--json"];
    let report = json(folder.path(), &arguments)["on_data"].clone();
    let median = |index: usize| report["validation"]["probe_median"][index].as_f64().unwrap();
    assert_eq!(report["state_names"][4], "block_angle_rad");
    assert!(median(2) < 0.015 && median(3) < 0.015, "place of the block: {report}");
    assert!(median(4).to_degrees() < 8.0, "angle of the block: {report}");
    for file in ["probes.png", "imagination.png"] {
        let image = image::open(folder.path().join("images").join(file)).unwrap();
        assert!(image.width() > 300 && image.height() > 100);
    }
}

#[test]
fn the_agent_records_on_policy_episodes_that_follow_from_the_seed() {
    let folder = tempfile::tempdir().unwrap();
    let scripted = ["record", "--scene", "push_t", "--episodes", "2", "--steps", "30", "--out", "data"];
    succeed(folder.path(), &scripted);
    let collect = |out: &str, threads: &str| {
        let arguments = [
            "record",
            "--scene",
            "push_t",
            "--policy",
            "agent",
            "--episodes",
            "4",
            "--steps",
            "30",
            "--append",
            "--threads",
            threads,
            "--out",
            out,
        ];
        succeed(folder.path(), &arguments)
    };
    collect("data", "1");
    succeed(folder.path(), &scripted.map(|word| if word == "data" { "again" } else { word }));
    collect("again", "2");
    let read = |folder_name: &str| {
        let dataset = mindseye_episodes::open(&folder.path().join(folder_name)).unwrap();
        (0..dataset.len()).map(|index| dataset.read_episode(index).unwrap()).collect::<Vec<_>>()
    };
    let episodes = read("data");
    assert_eq!(episodes.len(), 4);
    assert!(episodes.iter().all(|episode| episode.actions.len() == 30));
    assert!(episodes == read("again"), "equal seeds, equal episodes, on any number of threads");
    let printed = succeed(folder.path(), &["inspect", "data"]);
    assert!(printed.contains("policy mixture") && printed.contains("policy agent"), "{printed}");
    let error = mindseye(folder.path(), &["record", "--out", "other", "--checkpoint", "nowhere"]);
    assert!(!error.status.success() && String::from_utf8(error.stderr).unwrap().contains("--policy agent"));
}

#[test]
fn help_explains_every_verb() {
    let folder = tempfile::tempdir().unwrap();
    let overview = succeed(folder.path(), &["--help"]);
    let commands = overview.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let verbs = commands.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let verbs: Vec<&str> = verbs.filter(|verb| !verb.is_empty()).collect();
    for verb in ["demo", "record", "train", "evaluate", "compare", "ablate", "inspect", "data", "bench"] {
        assert!(verbs.contains(&verb), "{verb} is not in {verbs:?}");
    }
    assert!(!verbs.contains(&"forks"), "the old name works and is not offered");
    for verb in verbs.into_iter().filter(|verb| *verb != "help") {
        let text = succeed(folder.path(), &[verb, "--help"]);
        // A verb with commands of its own may leave the examples to them.
        let has_example = text.contains("Example") || text.contains("Commands:");
        assert!(has_example && text.contains(&format!("mindseye {verb}")), "{verb}: {text}");
        assert!(text.contains("Options:") && text.lines().count() > 10, "{verb}: {text}");
    }
    let text = succeed(folder.path(), &["evaluate", "branches", "--help"]);
    assert!(text.contains("Example: mindseye evaluate branches"), "{text}");
}

#[test]
fn every_shipped_planner_succeeds_within_its_share_of_predicted_states() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let out = out.to_str().unwrap();
    let arguments =
        ["compare", "--plans", "64", "--episodes", "10", "--seeds", "1", "--seed", "1000", "--out", out, "--json"];
    let comparison = json(folder.path(), &arguments);
    let rows = comparison["rows"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row["planner"]["kind"].as_str().unwrap()).collect();
    let all = ["gradient", "hybrid", "icem", "mppi", "predictive_sampling"];
    assert_eq!(names, all);
    for row in rows {
        // 64 plans of 8 chunks; a search with several iterations does not divide evenly.
        let predicted = row["predicted_states_per_tick"].as_f64().unwrap();
        assert!((350.0..=560.0).contains(&predicted), "{}: {predicted} states", row["name"]);
        assert!(row["moderate"]["rate"].as_f64().unwrap() >= 0.5, "{row}");
    }
    let image = std::fs::read(folder.path().join("out/compare.png")).unwrap();
    assert!(image.starts_with(b"\x89PNG"));
    assert!(folder.path().join("out/compare.json").exists());
    let page = html::read(&folder.path().join("out/report.html"));
    assert!(all.iter().all(|name| page.text.contains(name)) && page.text.contains("difference to gradient"));
}

#[test]
fn the_shipped_pusher_succeeds_with_weights_of_sixteen_bits() {
    let folder = tempfile::tempdir().unwrap();
    let task = std::fs::read_to_string(assets().join("tasks/push_t.toml")).unwrap();
    std::fs::write(folder.path().join("task.toml"), format!("precision = \"bf16\"\n{task}")).unwrap();
    let arguments = [
        "evaluate",
        "--scene",
        "push_t",
        "--task",
        "task.toml",
        "--episodes",
        "20",
        "--seeds",
        "2",
        "--seed",
        "1000",
        "--no-baselines",
        "--json",
    ];
    let evaluation = json(folder.path(), &arguments);
    let rate = |predicate: &str| evaluation[predicate]["rate"].as_f64().unwrap();
    assert_eq!(evaluation["settings"]["task"]["precision"], "bf16");
    assert!(rate("moderate") >= 0.7, "{}", evaluation["moderate"]);
    assert!(evaluation["metrics"]["block"]["rate"].as_f64().unwrap() >= 0.85, "{}", evaluation["metrics"]);
}

#[test]
fn the_shipped_policy_alone_succeeds_without_predicting_a_state() {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(assets().join("tasks/two_room.toml")).unwrap();
    let mut task: toml::Table = text.parse().unwrap();
    task.remove("planner_with_policy").unwrap();
    task.insert("mode".into(), toml::Table::from_iter([("kind".into(), "mode_1".into())]).into());
    std::fs::write(folder.path().join("mode_1.toml"), toml::to_string(&task).unwrap()).unwrap();
    let common = ["evaluate", "--episodes", "20", "--seeds", "2", "--seed", "1000", "--no-baselines", "--json"];
    let mode_1 = json(folder.path(), &[&common[..], &["--task", "mode_1.toml"]].concat());
    assert!(mode_1["moderate"]["rate"].as_f64().unwrap() >= 0.9, "{}", mode_1["moderate"]);
    assert_eq!(mode_1["predicted_states_per_episode"], 0.0, "nothing is predicted");
    let mode_2 = json(folder.path(), &common);
    assert!(
        mode_2["predicted_states_per_episode"].as_f64().unwrap() < 6000.0,
        "a fifth of the search without a policy"
    );
}

#[test]
fn adaptation_to_rotated_actions_takes_two_warm_up_episodes() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let shipped = std::fs::read_to_string(assets().join("tasks/push_t.toml"))?;
    std::fs::write(folder.path().join("shipped.toml"), &shipped)?;
    std::fs::write(folder.path().join("push_t.toml"), &shipped)?; // the base of the other
    std::fs::copy(assets().join("tasks/push_t_adapting.toml"), folder.path().join("adapting.toml"))?;
    let evaluate = |arguments: &str| {
        let begin = "evaluate --scene push_t --factors rotated_actions --episodes 20 --seeds 1 --seed 1000";
        let quiet = ["--no-baselines", "--json"];
        let arguments: Vec<&str> = begin.split(' ').chain(quiet).chain(arguments.split(' ')).collect();
        json(folder.path(), &arguments)
    };
    let rate = |evaluation: &serde_json::Value| evaluation["moderate"]["rate"].as_f64().ok_or("a rate");
    let adapted = evaluate("--task adapting.toml --warmup-episodes 2");
    assert_eq!(adapted["settings"]["warmup_episodes"], 2);
    let fixed = evaluate("--task shipped.toml --warmup-episodes 2");
    assert!(rate(&adapted)? >= rate(&fixed)? + 0.25, "{} adapting, {} without", rate(&adapted)?, rate(&fixed)?);
    Ok(())
}

#[test]
fn a_critic_makes_up_for_a_horizon_of_two_chunks() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let with = std::fs::read_to_string(assets().join("tasks/push_t_critic.toml"))?;
    let without = with.replace("critic = 2.0\n", "");
    assert_ne!(with, without);
    std::fs::copy(assets().join("tasks/push_t.toml"), folder.path().join("push_t.toml"))?; // the base of both
    std::fs::write(folder.path().join("with.toml"), &with)?;
    std::fs::write(folder.path().join("without.toml"), &without)?;
    let evaluate = |task: &str| {
        let begin = "evaluate --scene push_t --goal-offset 75 --episodes 60 --seeds 1 --seed 1000";
        let arguments: Vec<&str> = begin.split(' ').chain(["--no-baselines", "--json", "--task", task]).collect();
        json(folder.path(), &arguments)
    };
    let strict = |evaluation: &serde_json::Value| evaluation["strict"]["rate"].as_f64().ok_or("a rate");
    let (with, without) = (evaluate("with.toml"), evaluate("without.toml"));
    assert_eq!(with["predicted_states_per_episode"], without["predicted_states_per_episode"]);
    assert!(
        strict(&with)? >= 0.5 && strict(&with)? > strict(&without)?,
        "{} with, {} without",
        strict(&with)?,
        strict(&without)?
    );
    let critic_accuracy = with["critic_accuracy"]["r2"].as_f64().ok_or("the critic's accuracy")?;
    assert!(critic_accuracy >= 0.3, "of the costs that followed: {critic_accuracy}");
    Ok(())
}
