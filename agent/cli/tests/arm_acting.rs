//! `mindseye arm` and `mindseye act --body arm:...` with a fake arm at a pseudo-terminal and a camera that sees it.

#![cfg(unix)] // pseudo-terminals
#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

#[path = "../../arms/tests/support/mod.rs"]
mod arms;
#[path = "../../cameras/tests/support/server.rs"]
#[allow(dead_code)]
mod camera;
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arms::FakeArm;
use camera::Server;
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use mindseye_arms::Calibration;
use mindseye_episodes::{DatasetSpec, DatasetWriter, EpisodeData, ImageStorage, WriteMode};
use mindseye_interface::{Image, ImageSize};
use rand::{Rng, SeedableRng};
use support::{assets, json, mindseye, refuse, succeed};

/// Side of the camera's images, pixels.
const SIDE: usize = 32;
/// Control steps per second.
const HZ: u32 = 5;
/// Largest change of a command in a control step, degrees: what 60 degrees per second allow.
const MOST: f64 = 12.0;
/// Degrees of a step of a servo.
const STEP: f64 = 360.0 / 4095.0;

/// What a camera above the arm sees of two joints, in degrees: its hand as a disc.
fn view([first, second]: [f64; 2]) -> Vec<u8> {
    let middle = SIDE as f64 / 2.0;
    let (x, y) = (middle + 0.3 * first, middle - 0.3 * second);
    let pixel = |index: usize| {
        let (row, column) = (index / SIDE, index % SIDE);
        let away = ((column as f64 + 0.5 - x).powi(2) + (row as f64 + 0.5 - y).powi(2)).sqrt();
        let share = (4.5 - away).clamp(0.0, 1.0);
        [(60.0 + 180.0 * share) as u8, 70, (90.0 - 50.0 * share) as u8]
    };
    (0..SIDE * SIDE).flat_map(pixel).collect()
}

/// The joints of the arm that are used: two, so that an image says where they are.
fn two_joints() -> Calibration {
    Calibration::new(arms::calibration().joints()[..2].to_vec()).unwrap()
}

/// Records episodes of an arm that is commanded to and fro, as LeRobot names it.
fn record(path: &Path) {
    let size = ImageSize::square(SIDE).unwrap();
    let names = || vec!["shoulder_pan.pos".to_owned(), "shoulder_lift.pos".to_owned()];
    let spec = DatasetSpec {
        frames_per_second: HZ,
        camera: "front".into(),
        more_cameras: Vec::new(),
        image_size: size,
        image_storage: ImageStorage::Png,
        proprioception_names: names(),
        state_names: vec![],
        action_names: names(),
        task: "move".into(),
        robot: None,
        episodes_per_file: 50,
        sidecar: None,
    };
    let mut writer = DatasetWriter::create(path, spec, WriteMode::Error).unwrap();
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(5);
    for _ in 0..150 {
        let mut draw = || [random.random_range(-40.0..40.0), random.random_range(-40.0..40.0)];
        let (mut joints, mut wanted, mut episode): ([f64; 2], _, _) = (draw(), draw(), EpisodeData::default());
        for timestep in 0..40 {
            if timestep % 8 == 7 {
                wanted = draw();
            }
            let command: Vec<f64> =
                joints.iter().zip(wanted).map(|(now, wanted)| now + (wanted - now).clamp(-MOST, MOST)).collect();
            episode.frames.push(Image::new(size, view(joints)).unwrap());
            episode.proprioception.push(joints.map(|degrees| degrees as f32).to_vec());
            episode.states.push(Vec::new());
            episode.actions.push(command.iter().map(|degrees| *degrees as f32).collect());
            joints = [command[0], command[1]];
        }
        writer.add_episode(&episode).unwrap();
    }
    writer.finish().unwrap();
}

/// A recipe for a small model of simple images.
fn small(path: &Path) {
    let text = std::fs::read_to_string(assets().join("recipes/recorded.toml")).unwrap();
    let mut recipe: toml::Table = text.parse().unwrap();
    let set = |table: &mut toml::Table, field: &str, value: i64| {
        table.insert(field.into(), toml::Value::Integer(value)).unwrap();
    };
    for (field, value) in [("steps", 200), ("decoder_steps", 0), ("validate_every", 200), ("save_every", 200)] {
        set(&mut recipe, field, value);
    }
    let model = recipe["model"].as_table_mut().unwrap();
    for (field, value) in [("image_side", SIDE as i64), ("action_chunk", 2), ("latent_width", 8)] {
        set(model, field, value);
    }
    set(model["encoder"].as_table_mut().unwrap(), "channels", 8);
    set(model["encoder"].as_table_mut().unwrap(), "hidden", 64);
    set(model["predictor"].as_table_mut().unwrap(), "hidden", 96);
    set(recipe["data"].as_table_mut().unwrap(), "batch", 32);
    set(recipe["finetuning"].as_table_mut().unwrap(), "steps", 250);
    set(recipe["finetuning"].as_table_mut().unwrap(), "batch", 64);
    std::fs::write(path, toml::to_string(&recipe).unwrap()).unwrap();
}

/// Where the two joints of `fake` are, degrees.
fn degrees(fake: &FakeArm) -> [f64; 2] {
    let positions = fake.world().positions();
    let of = |index: usize| {
        let motor = two_joints().joints()[index].1;
        (positions[index] - (motor.range_min + motor.range_max) as f64 / 2.0) * STEP
    };
    [of(0), of(1)]
}

/// A camera that sees `fake`, as MJPEG over HTTP. A pixel in a corner shows that it is alive.
fn watched(fake: &Arc<Mutex<FakeArm>>) -> Server {
    let fake = fake.clone();
    Server::start(move |mut client, _| {
        client.parts(Duration::from_millis(20), |number| {
            let mut pixels = view(degrees(&fake.lock().unwrap()));
            pixels[0] = (number % 2 * 40) as u8;
            let mut bytes = Vec::new();
            let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 95);
            encoder.encode(&pixels, SIDE as u32, SIDE as u32, ExtendedColorType::Rgb8).unwrap();
            bytes
        })
    })
}

/// `mindseye act` with words for it and what it says.
struct Acting {
    child: Child,
    said: std::io::Lines<BufReader<ChildStderr>>,
}

impl Acting {
    fn start(folder: &Path, body: &str, camera: &str, steps: &str) -> Self {
        let arguments = ["act", "--checkpoint", "model", "--body", body, "--camera", camera, "--goal", "goal.png"];
        let more = ["--steps", steps, "--max-planning-ms", "60000", "--max-age-ms", "2000", "--json"];
        let mut command = Command::new(env!("CARGO_BIN_EXE_mindseye"));
        let piped = command.args(arguments).args(more).current_dir(folder).stdin(Stdio::piped());
        let mut child = piped.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, said }
    }

    /// The next line that contains `part`.
    fn line(&mut self, part: &str) -> String {
        let found = self.said.find(|line| line.as_ref().is_ok_and(|line| line.contains(part)));
        found.unwrap_or_else(|| panic!("no line with {part}")).unwrap()
    }

    fn word(&mut self, word: &str) {
        self.child.stdin.as_mut().unwrap().write_all(format!("{word}\n").as_bytes()).unwrap();
    }

    /// Its report.
    fn end(mut self) -> serde_json::Value {
        let mut printed = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
        let errors: Vec<_> = self.said.map(Result::unwrap).collect();
        assert!(self.child.wait().unwrap().success(), "{errors:?}");
        serde_json::from_str(&printed).unwrap()
    }
}

fn distance(one: [f64; 2], other: [f64; 2]) -> f64 {
    ((one[0] - other[0]).powi(2) + (one[1] - other[1]).powi(2)).sqrt()
}

fn wait_for(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{what} does not come");
}

#[test]
fn an_arm_moves_to_a_planned_goal_and_a_pulled_line_holds_it_until_a_person_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    record(&at("data"));
    small(&at("recipe.toml"));
    succeed(folder.path(), &["train", "--data", "data", "--recipe", "recipe.toml", "--out", "model", "--seed", "0"]);
    let goal = [25.0, -20.0];
    image::save_buffer(at("goal.png"), &view(goal), SIDE as u32, SIDE as u32, ExtendedColorType::Rgb8).unwrap();
    two_joints().save(&at("arm.json")).unwrap();
    let fake = Arc::new(Mutex::new(FakeArm::calibrated(&two_joints())));
    let body = format!("arm:{}?calibration=arm.json&hz={HZ}", fake.lock().unwrap().port_text());
    let server = watched(&fake);
    let start = [-25.0, 20.0];
    let put = |place: [f64; 2]| {
        let fake = fake.lock().unwrap();
        let mut world = fake.world();
        for (index, (_, motor)) in two_joints().joints().iter().enumerate() {
            let steps = (motor.range_min + motor.range_max) as f64 / 2.0 + place[index] / STEP;
            world.servos[index].put(steps);
        }
    };
    put(start);
    let report = Acting::start(folder.path(), &body, &server.uri(""), "14").end();
    let end = degrees(&fake.lock().unwrap());
    assert_eq!((report["steps"].as_u64(), &report["holds"]), (Some(14), &serde_json::json!([])), "{report}");
    assert!(distance(end, goal) < 0.25 * distance(start, goal), "{end:?} instead of {goal:?}");
    let jump = fake.lock().unwrap().largest_jump(0) * STEP;
    assert!(jump < 1.4, "{jump} degrees");
    assert!(fake.lock().unwrap().world().servos[..2].iter().all(|servo| servo.has_torque()), "it is held");

    // The same with its line pulled on the way.
    fake.lock().unwrap().world().servos[..2].iter_mut().for_each(|servo| servo.write(40, &[0]));
    put(start);
    let mut acting = Acting::start(folder.path(), &body, &server.uri(""), "14");
    wait_for("a motion", || distance(degrees(&fake.lock().unwrap()), start) > 10.0);
    fake.lock().unwrap().pull();
    let held = acting.line("HELD: ");
    assert!(held.contains("moving the arm: ") && held.contains("ttyACM0"), "{held}");
    let told = fake.lock().unwrap().world().told.len();
    fake.lock().unwrap().plug_in();
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(fake.lock().unwrap().world().told.len(), told, "nothing is commanded before a person resumes");
    acting.word("resume");
    acting.line("resumed");
    let report = acting.end();
    assert_eq!((report["steps"].as_u64(), report["holds"].as_array().unwrap().len()), (Some(14), 1), "{report}");
    let end = degrees(&fake.lock().unwrap());
    assert!(distance(end, goal) < 0.25 * distance(start, goal), "{end:?}");

    // A servo that overheats, then one that stalls: held each time, and as long as the cause is there.
    fake.lock().unwrap().world().servos[..2].iter_mut().for_each(|servo| servo.write(40, &[0]));
    put(start);
    let mut acting = Acting::start(folder.path(), &body, &server.uri(""), "14");
    wait_for("a motion", || distance(degrees(&fake.lock().unwrap()), start) > 10.0);
    fake.lock().unwrap().world().servo(1).celsius = 70.0;
    let held = acting.line("HELD: ");
    assert!(held.contains("shoulder_pan (servo 1): expected at most 60 C, got 70"), "{held}");
    let at_rest = degrees(&fake.lock().unwrap());
    acting.word("resume");
    let held = acting.line("HELD: ");
    assert!(held.contains("observing the arm: shoulder_pan (servo 1): expected at most 60 C"), "{held}");
    assert!(distance(degrees(&fake.lock().unwrap()), at_rest) < 1.0, "it moved while it was held");
    {
        let fake = fake.lock().unwrap();
        let mut world = fake.world();
        world.servo(1).celsius = 40.0;
        world.servo(2).is_blocked = true;
    }
    acting.word("resume");
    let held = acting.line("HELD: ");
    assert!(held.contains("shoulder_lift (servo 2): it stalls, "), "{held}");
    fake.lock().unwrap().world().servo(2).is_blocked = false;
    acting.word("resume");
    let report = acting.end();
    assert_eq!((report["steps"].as_u64(), report["holds"].as_array().unwrap().len()), (Some(14), 3), "{report}");
    let fake = fake.lock().unwrap();
    let jump = fake.largest_jump(0) * STEP;
    assert!(jump < 1.4, "{jump} degrees");
}

#[test]
fn an_arm_is_checked_calibrated_and_let_go_of() {
    let fake = FakeArm::calibrated(&arms::calibration());
    let (folder, port) = (fake.folder(), fake.port_text());
    let table = succeed(folder, &["arm", "check", &port]);
    assert!(table.contains("wrist_roll") && table.contains("6 servos, answers within"), "{table}");
    fake.world().servo(3).celsius = 71.0;
    let output = mindseye(folder, &["arm", "check", &port, "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(!output.status.success() && report["servos"][2]["celsius"] == 71.0, "{report}");
    fake.world().servo(3).celsius = 30.0;
    let calibrating = ["arm", "calibrate", &port, "--out", "me.json"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_mindseye"));
    let piped = command.args(calibrating).current_dir(folder).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(said.next().unwrap().unwrap().contains("Put every joint into the middle"));
    let mut enter = child.stdin.take().unwrap();
    enter.write_all(b"\n").unwrap();
    assert!(said.next().unwrap().unwrap().contains("Now move every joint"));
    wait_for("offsets", || fake.world().servos.iter().all(|servo| (servo.position() - 2047.0).abs() < 1.0));
    for side in [-700.0, 700.0] {
        fake.world().servos.iter_mut().for_each(|servo| servo.put(2047.0 + side));
        std::thread::sleep(Duration::from_millis(400));
    }
    fake.world().servos.iter_mut().for_each(|servo| servo.put(2047.0));
    enter.write_all(b"\n").unwrap();
    let mut printed = String::new();
    child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    assert!(child.wait().unwrap().success() && printed.contains("servo 1   steps 1347 to 2747"), "{printed}");
    let checked = succeed(folder, &["arm", "check", &port, "--calibration", "me.json"]);
    assert!(checked.contains("0.0 deg"), "{checked}");
    fake.world().servos.iter_mut().for_each(|servo| servo.write(40, &[1]));
    succeed(folder, &["arm", "release", &port]);
    assert!(fake.world().servos.iter().all(|servo| !servo.has_torque()));
    refuse(folder, &["arm", "check", "/dev/nowhere"], &["/dev/nowhere"]);
    refuse(folder, &["arm", "calibrate", &port, "--write", "none.json"], &["none.json"]);
    let report = json(folder, &["arm", "check", &port, "--json"]);
    assert_eq!(report["missing"], serde_json::json!([]));
}

#[test]
fn what_a_hand_does_with_a_leader_is_recorded_from_the_arm_that_follows() {
    let folder = tempfile::tempdir().unwrap();
    two_joints().save(&folder.path().join("arm.json")).unwrap();
    let fake = Arc::new(Mutex::new(FakeArm::calibrated(&two_joints())));
    let hand = FakeArm::calibrated(&two_joints());
    let server = watched(&fake);
    let uri = |port: String| format!("arm:{port}?calibration=arm.json");
    let (body, leader) = (uri(fake.lock().unwrap().port_text()), uri(hand.port_text()));
    let camera = server.uri("");
    let arguments =
        ["record", "--camera", &camera, "--body", &body, "--leader", &leader, "--out", "data", "--episodes", "1"];
    let more = ["--fps", "10", "--seconds", "2", "--json"];
    std::thread::scope(|scope| {
        let recording = scope.spawn(|| json(folder.path(), &[&arguments[..], &more].concat()));
        while !recording.is_finished() {
            hand.world().servos[..2].iter_mut().for_each(|servo| servo.put((servo.position() + 2.0).min(2600.0)));
            std::thread::sleep(Duration::from_millis(20));
        }
        let report = recording.join().unwrap();
        assert_eq!((&report["episodes"], &report["cut"]), (&1.into(), &serde_json::json!([])), "{report}");
    });
    let data = mindseye_episodes::open(&folder.path().join("data")).unwrap();
    let names = ["shoulder_pan.pos", "shoulder_lift.pos"];
    assert_eq!(
        (data.action_names(), data.proprioception_names()),
        (names.map(String::from).to_vec(), names.map(String::from).to_vec())
    );
    let episode = data.read_episode(0).unwrap();
    let last = episode.len() - 1;
    assert!(episode.len() == 20 && episode.actions[last][0] > episode.actions[0][0] + 5.0, "{:?}", episode.actions);
    for (told, after) in episode.actions.iter().zip(&episode.proprioception[1..]) {
        assert!((told[0] - after[0]).abs() < 6.0, "told {told:?}, then at {after:?}");
    }
    let jump = fake.lock().unwrap().largest_jump(0) * STEP;
    assert!(jump < 1.4, "{jump} degrees");
    let alone = ["record", "--camera", &camera, "--body", &body, "--out", "other"];
    let output = mindseye(folder.path(), &alone);
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("--leader"));
}
