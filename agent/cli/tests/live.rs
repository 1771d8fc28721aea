//! `mindseye live`: a run in a browser, by what a browser asks.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{end, refuse};

/// A run that is served.
struct Live {
    child: Child,
    address: String,
}

impl Live {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mindseye"));
        let command = command.args(["live"]).args(arguments).args(["--page", "127.0.0.1:0"]).current_dir(folder);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().trim_start_matches("http://").trim_end_matches('/').to_owned();
        assert!(address.starts_with("127.0.0.1:"), "{line}");
        Self { child, address }
    }

    /// Status and body of the answer.
    fn ask(&self, method: &str, path: &str, header: &str) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: {}\r\n{header}\r\n", self.address).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let head = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let status = String::from_utf8_lossy(&answer[..head]).split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_off(head + 4))
    }

    fn state(&self, query: &str) -> Value {
        serde_json::from_slice(&self.ask("GET", &format!("/state.json{query}"), "").1).unwrap()
    }

    fn post(&self, path: &str) -> u16 {
        self.ask("POST", path, "X-Mindseye: 1\r\n").0
    }

    fn command(&self, command: &Value) {
        let text: String = command.to_string().bytes().map(|byte| format!("%{byte:02x}")).collect();
        assert_eq!(self.post(&format!("/command?json={text}")), 200, "{command}");
    }

    /// The state as soon as it is as `wanted`.
    fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + Duration::from_secs(120);
        loop {
            let state = self.state("");
            if wanted(&state) {
                return state;
            }
            assert!(Instant::now() < until, "{what}: {state}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_browser_sees_what_the_agent_imagines_and_reaches_in() {
    let folder = tempfile::tempdir().unwrap();
    let live = Live::start(folder.path(), &["two_room", "--paused", "--save", "kept.json"]);
    let (status, html) = live.ask("GET", "/", "");
    let html = String::from_utf8(html).unwrap();
    assert!(status == 200 && html.contains("this view is the goal"));
    assert!(!html.contains("https://") && !html.contains("src=\"http"), "it asks nobody else");
    let before = live.state("");
    assert_eq!((&before["newest"], &before["paused"]), (&Value::Null, &json!(true)));
    assert_eq!(before["setup"]["names"], json!(["agent_x_m", "agent_y_m"]));
    let view = &before["setup"]["view"];
    assert_eq!((&view["bodies"][0]["name"], view["fixed"].as_array().unwrap().is_empty()), (&json!("agent"), false));

    live.post("/order/pace?speed=4");
    assert_eq!(live.post("/order/step"), 200);
    let first = live.until("a tick", |state| state["newest"] == json!(0));
    let tick = &first["tick"];
    assert_eq!(tick["steps"].as_array().unwrap().len(), 5);
    assert!(tick["candidates"].as_array().unwrap().len() > 8 && tick["best"]["energy"].is_number(), "{tick}");
    let near =
        |a: &Value, b: &Value| (0..2).all(|axis| (a[axis].as_f64().unwrap() - b[axis].as_f64().unwrap()).abs() < 0.05);
    assert!(near(&tick["poses"][0], &tick["state"]), "the disc is drawn where it is: {tick}");
    assert!(near(&tick["best"]["poses"][0][0], &tick["steps"][4]["state"]), "and expected where it gets to: {tick}");
    for image in ["camera", "goal", "step-4", "plan-0"] {
        assert!(live.ask("GET", &format!("/image/0/{image}"), "").1.starts_with(b"\x89PNG"), "{image}");
    }
    assert_eq!(live.ask("GET", "/image/0/plan-99", "").0, 404);
    assert!(live.state("?have=0&generation=0")["tick"].is_null(), "what a browser has is not sent again");
    assert!(live.state("?have=0&generation=7")["tick"].is_object(), "but what it has of another run is");

    live.command(&json!({"command": "set_weight", "name": "effort", "weight": 0.5}));
    live.until("the weight that waits for the next tick", |state| state["settings"].to_string().contains("0.5"));
    live.command(&json!({"command": "set_goal", "state": [0.3, 0.3]}));
    live.post("/order/step");
    let second = live.until("a second tick", |state| state["newest"] == json!(1));
    assert_eq!(second["tick"]["goal_state"], json!([0.3, 0.3]));
    assert!(second["settings"]["weights"].to_string().contains(r#"["effort",0.5]"#), "{}", second["settings"]);
    live.command(&json!({"command": "set_horizon", "chunks": 0}));
    let refused = live.until("a refusal", |state| state["note"].is_object());
    assert!(refused["note"]["text"].as_str().unwrap().contains("got 0"), "{refused}");
    live.post("/order/pace?speed=1e308");
    let refused =
        live.until("a refusal", |state| state["note"]["text"].as_str().is_some_and(|text| text.contains("pace")));
    assert_eq!(refused["speed"], json!(4.0), "a pace that was refused is not shown");
    assert_eq!(live.state("?at=0")["tick"]["goal_state"], first["tick"]["goal_state"], "the past as it was seen");

    live.post("/order/save");
    live.until("a file", |state| state["note"]["text"].as_str().is_some_and(|text| text.contains("kept.json")));
    live.post("/order/undo");
    live.until("the tick before the command", |state| state["newest"] == json!(0) && state["generation"] == json!(1));
    assert_eq!(live.ask("POST", "/order/step", "").0, 403, "another site's form has no such header");
    for path in ["/order/jump", "/order/pace?speed=fast", "/order/go_back", "/nothing"] {
        assert_eq!(live.post(path), 404, "{path}");
    }
    for path in ["/order/go_back?tick=-1", "/order/go_back?tick=0.9", "/order/go_back?tick=1e308"] {
        assert_eq!(live.post(path), 400, "{path}");
    }
    assert_eq!(live.post("/order/go_back?tick=0&generation=0"), 409, "a tick of a run that was taken back");
    assert_eq!(live.ask("GET", "/state.json?at=-1", "").0, 400);
    let orders: Vec<u16> = (0..300).map(|_| live.post("/order/step")).collect();
    assert!(orders.iter().all(|status| [200, 503].contains(status)), "what is not followed is said: {orders:?}");
    assert_eq!(live.post("/command?json=%7B%22command%22%3A%22format_disk%22%7D"), 400);
    end(live.child, "INT");

    let again = Live::start(folder.path(), &["--load", "kept.json", "--paused"]);
    assert_eq!(again.state("")["tick"]["goal_state"], json!([0.3, 0.3]), "what was saved is shown again");
    end(again.child, "TERM");
}

#[test]
fn a_recorded_episode_is_done_again_until_the_agent_is_let_act() {
    let folder = tempfile::tempdir().unwrap();
    let record = |out: &str, more: &[&str]| {
        let arguments =
            ["record", "--scene", "push_t", "--episodes", "3", "--steps", "12", "--seed", "5", "--out", out];
        let done = Command::new(env!("CARGO_BIN_EXE_mindseye"))
            .args(arguments.iter().chain(more))
            .current_dir(folder.path())
            .output();
        assert!(done.unwrap().status.success());
    };
    record("data", &[]);
    let live = Live::start(folder.path(), &["--data", "data", "--pair", "1", "--paused"]);
    let state = live.state("");
    assert_eq!(state["title"], json!("push_t, episode 1 of data"));
    assert_eq!(state["settings"]["follows_recording"], json!(true));
    live.post("/order/step");
    let state = live.until("a tick", |state| state["newest"] == json!(0) && state["steps_shown"] == json!(5));
    let episode = mindseye_episodes::open(&folder.path().join("data")).unwrap().read_episode(1).unwrap();
    for (step, recorded) in state["tick"]["steps"].as_array().unwrap().iter().zip(&episode.states[1..]) {
        let shown = step["state"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap());
        assert!(shown.zip(recorded).all(|(shown, recorded)| (shown - f64::from(*recorded)).abs() < 1e-5), "{step}");
    }
    assert_eq!(state["tick"]["followed_recording"], json!(true));
    live.command(&json!({"command": "follow_recording", "follow": false}));
    live.post("/order/step");
    let state = live.until("the agent's tick", |state| state["newest"] == json!(1));
    assert_eq!(
        (&state["tick"]["followed_recording"], &state["settings"]["follows_recording"]),
        (&json!(false), &json!(false))
    );
    end(live.child, "INT");

    record("varied", &["--factors", "agent_color"]);
    let refused = |arguments: &[&str], expected: &[&str]| {
        refuse(folder.path(), &[&["live", "--page", "127.0.0.1:0"], arguments].concat(), expected);
    };
    refused(&["--data", "varied"], &["varied: factors: expected none: a run has the scene as it is, got agent_color"]);
    refused(&["--data", "data", "--pair", "3"], &["--pair: expected less than 3, the number of episodes, got 3"]);
    refused(&["two_room", "--data", "data"], &["scene: expected push_t as recorded, got two_room"]);
    refused(&["--data", "nowhere"], &["nowhere"]);
    refused(&["--data", "data", "--failed"], &["--failed: expected --evaluation REPORT beside it, got none"]);
    // A part of a recording knows which of its seed its episodes are; one that does not is refused.
    let cut = |out: &str, arguments: &str| {
        let words = format!("data convert data --out {out} {arguments}");
        let mut convert = Command::new(env!("CARGO_BIN_EXE_mindseye"));
        assert!(convert.args(words.split(' ')).current_dir(folder.path()).status().unwrap().success());
    };
    cut("cut", "--first-episode 1");
    let live = Live::start(folder.path(), &["--data", "cut", "--pair", "1", "--paused"]);
    let third = mindseye_episodes::open(&folder.path().join("data")).unwrap().read_episode(2).unwrap();
    live.post("/order/step");
    let start = live.until("a tick", |state| state["newest"] == json!(0))["tick"]["state"].clone();
    assert!((start[0].as_f64().unwrap() - f64::from(third.states[0][0])).abs() < 1e-5, "{start}");
    live.post("/order/save");
    let kept = folder.path().join("push_t_episode_1_of_cut.run.json");
    live.until("a file", |_| kept.exists());
    end(live.child, "INT");
    let sidecar = folder.path().join("cut/meta/mindseye.json");
    let text = std::fs::read_to_string(&sidecar).unwrap();
    let mut meta: Value = serde_json::from_str(&text).unwrap();
    meta["recordings"][0].as_object_mut().unwrap().remove("first_of_seed").unwrap();
    std::fs::write(&sidecar, meta.to_string()).unwrap();
    refused(&["--data", "cut"], &["start of episode 0 of cut: expected", "where the recorded seed begins, got"]);
    meta["control_step_secs"] = json!(1.0);
    std::fs::write(&sidecar, meta.to_string()).unwrap();
    refused(&["--data", "cut"], &["control step of episode 0 of cut: expected 0.1 s, got 1"]);
}

#[test]
fn an_episode_of_an_evaluation_is_seen_again() {
    let folder = tempfile::tempdir().unwrap();
    let evaluate = "evaluate --scene two_room --episodes 3 --seeds 1 --no-baselines --out report";
    let done =
        Command::new(env!("CARGO_BIN_EXE_mindseye")).args(evaluate.split(' ')).current_dir(folder.path()).output();
    assert!(done.unwrap().status.success());
    let path = folder.path().join("report/evaluation.json");
    let report: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let live = Live::start(folder.path(), &["--evaluation", "report", "--pair", "2", "--paused"]);
    assert_eq!(live.state("")["title"], json!("two_room, seed 0, pair 2"));
    live.post("/order/pace?speed=1000");
    live.post("/order/step");
    let state = live.until("a tick", |state| state["newest"] == json!(0));
    assert_eq!(state["tick"]["goal_state"], report["results"][2]["goal"]);
    let expected = report["results"][2]["first_success_step"].as_u64().unwrap();
    live.post("/order/resume");
    let at_goal = live.until("the goal", |state| state["tick"]["steps"].to_string().contains("\"moderate\":true"));
    let tick = &at_goal["tick"];
    assert!(tick["step"].as_u64().unwrap() + 5 >= expected, "success after step {expected}: {tick}");
    end(live.child, "INT");

    let page = ["--page", "127.0.0.1:0"];
    let refused = |arguments: &[&str], expected: &[&str]| {
        refuse(folder.path(), &[&["live", "--evaluation", "report"], arguments, &page[..]].concat(), expected);
    };
    refused(&["--pair", "3"], &["--pair", "less than 3", "got 3"]);
    refused(&["--pair", "0", "--failed"], &["results: expected an episode that failed, got none"]);
    refused(&["push_t"], &["scene", "two_room as evaluated", "push_t"]);
    let mut changed = report.clone();
    changed["results"][0]["index"] = json!(u64::MAX);
    std::fs::write(&path, changed.to_string()).unwrap();
    refused(&["--pair", "0"], &["evaluation.json: results: index: expected 0 to 9999, got 18446744073709551615"]);
    let mut changed = report.clone();
    changed["settings"]["warmup_episodes"] = json!(2);
    std::fs::write(&path, changed.to_string()).unwrap();
    refused(&[], &["evaluation.json", "settings.warmup_episodes", "got 2"]);
    changed = report.clone();
    changed["methods"][0]["model"]["fingerprint"] = json!("0".repeat(64));
    std::fs::write(&path, changed.to_string()).unwrap();
    refused(&[], &["the evaluated model", "got"]);
    changed = report;
    changed["results"][0]["start"][0] = json!(0.123);
    std::fs::write(&path, changed.to_string()).unwrap();
    refused(&[], &["pair 0 of seed 0", "0.123"]);
}

#[test]
fn what_cannot_be_served_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let page = ["--page", "127.0.0.1:0"];
    refuse(folder.path(), &[&["live", "pusht"], &page[..]].concat(), &["pusht", "push_t"]);
    refuse(folder.path(), &["live", "two_room", "--page", "0.0.0.0:0"], &["--page", "a token"]);
    refuse(folder.path(), &["live", "two_room", "--page", "here"], &["--page", "HOST:PORT"]);
    refuse(folder.path(), &[&["live", "two_room", "--task", "push_t"], &page[..]].concat(), &["push_t", "two_room"]);
    refuse(folder.path(), &[&["live", "--load", "none.json"], &page[..]].concat(), &["none.json"]);
    refuse(folder.path(), &[&["live", "--goal-offset", "100000000"], &page[..]].concat(), &["--goal-offset", "100000"]);
    refuse(folder.path(), &[&["live", "--threads", "0"], &page[..]].concat(), &["--threads", "1 to 1024"]);
}
