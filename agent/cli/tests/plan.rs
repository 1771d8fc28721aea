//! `mindseye plan`: from images to actions, once or line by line.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use image::{DynamicImage, ImageFormat, RgbImage};
use mindseye_interface::{Image, Seed, Simulator};
use mindseye_sim::{SceneOptions, make};
use serde_json::{Value, json};
use support::{mindseye, refuse, succeed};

const CHECKPOINT: [&str; 3] = ["plan", "--checkpoint", "assets/checkpoints/two_room"];
const START: [f64; 2] = [0.15, 0.8];
/// In the other room, behind the wall.
const GOAL: [f64; 2] = [0.85, 0.8];

fn room() -> Box<dyn Simulator> {
    let mut room = make("two_room", &SceneOptions::with_side(64).unwrap()).unwrap();
    room.reset(Seed::new(0)).unwrap();
    room
}

fn encodable(image: &Image) -> DynamicImage {
    let (height, width) = (image.size().height() as u32, image.size().width() as u32);
    RgbImage::from_raw(width, height, image.pixels().to_vec()).unwrap().into()
}

/// Images of the start and the goal in `folder`.
fn images(folder: &Path) {
    let mut room = room();
    for (name, place) in [("goal.png", GOAL), ("now.png", START)] {
        let observation = room.set_state(&place).unwrap();
        encodable(observation.image().unwrap()).save(folder.join(name)).unwrap();
    }
}

fn planned(folder: &Path, more: &[&str]) -> Value {
    let pair = ["--see", "now.png", "--goal", "goal.png", "--json"];
    serde_json::from_str(&succeed(folder, &[&CHECKPOINT[..], &pair, more].concat())).unwrap()
}

#[test]
fn two_images_give_a_plan_in_the_robots_units_and_one_of_what_is_imagined() {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path());
    let plan = planned(folder.path(), &["--out", "out"]);
    assert_eq!((&plan["names"], &plan["units"]), (&json!(["velocity_x", "velocity_y"]), &json!(["m/s", "m/s"])));
    assert_eq!((plan["step_secs"].as_f64(), plan["action_chunk"].as_u64()), (Some(0.1), Some(5)));
    let actions: Vec<Vec<f64>> = serde_json::from_value(plan["actions"].clone()).unwrap();
    assert_eq!(actions.len(), 40, "eight chunks of five control steps");
    assert!(actions.iter().flatten().all(|value| value.abs() <= 0.3125), "within the bounds of the robot");
    let distance = |at: &str| -> f64 {
        let after = plan["distance"][at].as_array().unwrap().iter().map(|after| after.as_f64().unwrap());
        after.fold(f64::INFINITY, f64::min)
    };
    assert!(distance("planned") < 0.6 * distance("holding_still"), "{}", plan["distance"]);
    let sheet = image::open(folder.path().join("out/imagination.png")).unwrap();
    assert!(sheet.width() > 10 * 128, "now, eight imagined states, the goal");
    let again = planned(folder.path(), &[]);
    assert_eq!((&again["actions"], again["notes"].is_null()), (&plan["actions"], true), "equal seeds, equal plans");
    assert_ne!(planned(folder.path(), &["--seed", "1"])["actions"], plan["actions"]);
    let text = succeed(folder.path(), &[&CHECKPOINT[..], &["--see", "now.png", "--goal", "goal.png"]].concat());
    assert!(text.contains("velocity_x m/s") && text.contains("distance to the goal"), "{text}");
    assert!(folder.path().join("imagination.png").exists() && text.contains("imagination.png"), "{text}");
}

#[test]
fn images_of_other_sizes_and_channels_are_taken_and_others_refused() {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path());
    let now = image::open(folder.path().join("now.png")).unwrap();
    let large = now.resize_exact(128, 128, image::imageops::FilterType::Nearest);
    large.clone().into_rgba8().save(folder.path().join("now.png")).unwrap();
    let plan = planned(folder.path(), &[]);
    let said = plan["notes"].to_string();
    assert!(said.contains("scaled from 128x128 to 64x64"), "{said}");
    let see = |name: &'static str| [&CHECKPOINT[..], &["--see", name, "--goal", "goal.png"]].concat();
    large.into_luma16().save(folder.path().join("depth.png")).unwrap();
    refuse(folder.path(), &see("depth.png"), &["--see", "depth.png", "16 bits"]);
    std::fs::write(folder.path().join("text.png"), "no image").unwrap();
    refuse(folder.path(), &see("text.png"), &["text.png", "neither PNG nor JPEG"]);
    refuse(folder.path(), &see("none.png"), &["none.png"]);
    refuse(folder.path(), &[&CHECKPOINT[..], &["--see", "now.png"]].concat(), &["--goal"]);
    refuse(folder.path(), &[&see("now.png")[..], &["--see", "now.png"]].concat(), &["image", "1 cameras", "got 2"]);
    let other = [&see("goal.png")[..], &["--task", "push_t"]].concat();
    refuse(folder.path(), &other, &["push_t.toml", "scene", "expected a task for two_room, got one for push_t"]);
}

/// A `mindseye plan --see -` under way.
struct Process {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Process {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mindseye"));
        let command = command.args(arguments).current_dir(folder);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, stdin, stdout }
    }

    fn ask(&mut self, line: &str) -> Value {
        writeln!(self.stdin, "{line}").unwrap();
        let mut answer = String::new();
        self.stdout.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    /// Ends its input; it ends well and has said nothing else.
    fn end(self) {
        drop(self.stdin);
        let output = self.child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    }
}

fn base64(image: &Image) -> String {
    use base64::Engine as _;
    let mut bytes = std::io::Cursor::new(Vec::new());
    encodable(image).write_to(&mut bytes, ImageFormat::Png).unwrap();
    base64::engine::general_purpose::STANDARD.encode(bytes.get_ref())
}

#[test]
fn a_process_that_is_asked_line_by_line_brings_a_robot_to_its_goal() {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path());
    let mut room = room();
    let mut process = Process::start(folder.path(), &[&CHECKPOINT[..], &["--see", "-"]].concat());
    let refused = process.ask(r#"{"image": "now.png"}"#);
    assert!(refused["error"].as_str().unwrap().contains("goal"), "{refused}");
    assert!(process.ask("{").to_string().contains("error"));
    assert!(process.ask(r#"{"image": "nowhere.png", "goal": "goal.png"}"#)["error"].to_string().contains("nowhere"));
    let long = process.ask(&serde_json::json!({"image": "n".repeat(5000), "goal": "goal.png"}).to_string());
    assert!(long["error"].as_str().unwrap().chars().count() < 1100, "not all of it is repeated");
    assert!(process.ask(r#"{"photo": "now.png"}"#)["error"].to_string().contains("one of image, "));
    // An empty line is answered too: who writes a line waits for one.
    assert!(process.ask("")["error"].to_string().contains("empty line"));
    let mut observation = room.set_state(&START).unwrap();
    let mut goal = json!("goal.png");
    let mut surprises = Vec::new();
    for _ in 0..16 {
        let mut request = json!({ "image": base64(observation.image().unwrap()) });
        if !goal.is_null() {
            request["goal"] = goal.take();
            request["new_episode"] = json!(true);
        }
        let plan = process.ask(&request.to_string());
        surprises.extend(plan["surprise"].as_f64());
        let actions: Vec<Vec<f64>> = serde_json::from_value(plan["actions"].clone()).unwrap();
        for action in &actions[..5] {
            let action = room.action_space().normalise(action).unwrap();
            observation = room.step(&action).unwrap().observation;
        }
    }
    assert!(room.check_goal(&GOAL).moderate, "{:?}", room.state());
    assert!(surprises.len() >= 15 && surprises.iter().all(|surprise| *surprise < 0.5), "{surprises:?}");
    let elsewhere = process.ask(&json!({ "image": base64(observation.image().unwrap()), "executed": 2 }).to_string());
    assert!(elsewhere["surprise"].is_null(), "two steps are no chunk");
    let too_many = json!({ "image": "now.png", "executed": [[0.0, 0.0], [0.0, 0.0], [0, 0], [0, 0], [0, 0], [0, 0]] });
    let refused = process.ask(&too_many.to_string());
    assert!(refused["error"].as_str().unwrap().contains("at most 5 control steps"), "{refused}");
    process.end();
}

#[test]
fn what_was_executed_instead_of_the_plan_is_what_the_next_image_is_compared_with() {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path());
    let mut room = room();
    let still = room.set_state(&START).unwrap();
    let image = base64(still.image().unwrap());
    let surprise = |executed: Value| {
        let arguments = [&CHECKPOINT[..], &["--see", "-", "--goal", "goal.png"]].concat();
        let mut process = Process::start(folder.path(), &arguments);
        process.ask(&json!({ "image": image }).to_string());
        let plan = process.ask(&json!({ "image": image, "executed": executed }).to_string());
        process.end();
        plan["surprise"].as_f64().unwrap()
    };
    let (held, moved) = (surprise(json!(vec![[0.0, 0.0]; 5])), surprise(json!(5)));
    assert!(held < 0.1 * moved, "held still {held}, as planned {moved}");
}

/// Symptom: a line that was answered by an error had changed the goal, or was counted as executed; sent again,
/// corrected, it counted twice. Cause: each part was done as it was checked. Fix: all is checked first.
#[test]
fn a_line_that_is_refused_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path());
    let ask = |refused: &[Value]| {
        let arguments = [&CHECKPOINT[..], &["--see", "-", "--goal", "goal.png"]].concat();
        let mut process = Process::start(folder.path(), &arguments);
        process.ask(r#"{"image": "now.png"}"#);
        for line in refused {
            assert!(process.ask(&line.to_string())["error"].is_string(), "{line}");
        }
        let plan = process.ask(r#"{"image": "now.png", "executed": [[0.1, 0.0], [0.1, 0.0]]}"#);
        process.end();
        plan
    };
    let wrong = [
        json!({ "image": "now.png", "goal": "now.png", "executed": 7 }),
        json!({ "image": "nowhere.png", "executed": [[0.1, 0.0]] }),
        json!({ "image": { "left": "now.png", "right": "now.png" }, "goal": "now.png" }),
        json!({ "image": "now.png", "executed": [[1e30, 0.0]] }),
        json!({ "image": "now.png", "executed": [[0.1]], "goal": "now.png" }),
    ];
    let (without, with) = (ask(&[]), ask(&wrong));
    assert_eq!((&with["actions"], &with["distance"]), (&without["actions"], &without["distance"]));
}

#[test]
fn plans_that_nobody_reads_any_more_are_not_made() {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path());
    let arguments = [&CHECKPOINT[..], &["--see", "-", "--goal", "goal.png"]].concat();
    let mut process = Process::start(folder.path(), &arguments);
    process.ask(r#"{"image": "now.png"}"#);
    let Process { mut child, mut stdin, stdout } = process;
    drop(stdout);
    // Its input never ends: it is the closed output that ends it.
    let lines = std::thread::spawn(move || while writeln!(stdin, r#"{{"image": "now.png"}}"#).is_ok() {});
    assert!(child.wait().unwrap().success());
    lines.join().unwrap();
}

#[test]
fn a_lewm_plans_and_says_what_its_folder_lacks() {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path());
    let lewm = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../world_model/tests/fixtures/lewm_tiny");
    let lewm: PathBuf = lewm.canonicalize().unwrap();
    let arguments = ["plan", "--checkpoint", lewm.to_str().unwrap(), "--see", "now.png", "--goal", "goal.png"];
    refuse(folder.path(), &arguments, &["mindseye.json", "action_width"]);
    let more = ["--action-width", "2", "--json", "--out", "out"];
    let plan: Value = serde_json::from_str(&succeed(folder.path(), &[&arguments[..], &more].concat())).unwrap();
    assert_eq!((&plan["names"], &plan["step_secs"]), (&json!(["action_0", "action_1"]), &Value::Null));
    assert!(plan["notes"].to_string().contains("no decoder"), "{}", plan["notes"]);
    assert!(!folder.path().join("out/imagination.png").exists());
    let text = mindseye(folder.path(), &[&arguments[..], &["--action-width", "2"]].concat());
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("step") && text.contains("action_0"), "{text}");
}
