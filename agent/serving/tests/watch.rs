//! Watching: one event where the world jumps and none where it does not; what a checkpoint must have; what is kept.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mindseye_cameras::{CameraFrame, CaptureTime, DrivenAction, FrameSet};
use mindseye_episodes::{EpisodeData, FrameCache, open};
use mindseye_interface::{Action, Image, ImageSize, NoProgress, Seed, Simulator};
use mindseye_serving::watch::{Event, EventSettings, Events, Look, Missed, Tick, Watcher, Webhook};
use mindseye_sim::SceneOptions;
use mindseye_world_model::Checkpoint;
use mindseye_world_model::surprise::{DEFAULT_RULE, SurpriseCalibration, calibrate_surprise};
use rand::Rng as _;

/// Seconds between two ticks: a control step.
const TICK: f64 = 0.1;

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/checkpoints/two_room")
}

fn world() -> Box<dyn Simulator> {
    mindseye_sim::make("two_room", &SceneOptions::with_side(64).unwrap()).unwrap()
}

/// What the robot of an episode does: commands that are held for a while.
fn actions(episode: u64, steps: usize) -> Vec<Action> {
    let mut rng = Seed::new(episode).child("test").rng();
    let mut held = vec![0.0; 2];
    let mut action = |step: usize| {
        if step.is_multiple_of(8) {
            held = (0..2).map(|_| rng.random_range(-1.0..1.0)).collect();
        }
        Action::new(held.clone()).unwrap()
    };
    (0..steps).map(&mut action).collect()
}

/// Images before each action.
fn episode(number: u64, steps: usize) -> EpisodeData {
    let mut world = world();
    let mut image = world.reset(Seed::new(number)).unwrap().image().unwrap().clone();
    let mut data = EpisodeData::default();
    for action in actions(number, steps) {
        let next = world.step(&action).unwrap().observation.image().unwrap().clone();
        data.frames.push(std::mem::replace(&mut image, next));
        data.actions.push(action.values().to_vec());
        data.states.push(Vec::new());
        data.proprioception.push(Vec::new());
    }
    data
}

fn calibration() -> &'static SurpriseCalibration {
    static MADE: OnceLock<SurpriseCalibration> = OnceLock::new();
    MADE.get_or_init(|| {
        let checkpoint = Checkpoint::load(&shipped()).unwrap();
        let mut cache = FrameCache::new(ImageSize::square(64).unwrap(), 2, 0, 0);
        (0..12).for_each(|number| cache.push(&episode(number, 60)).unwrap());
        let chosen: Vec<usize> = (0..12).collect();
        let made = calibrate_surprise(&checkpoint, &cache, &chosen, DEFAULT_RULE, &NoProgress).unwrap();
        assert_eq!(
            made,
            calibrate_surprise(&checkpoint, &cache, &chosen, DEFAULT_RULE, &NoProgress).unwrap(),
            "equal bits"
        );
        made
    })
}

fn watcher() -> Watcher {
    Watcher::new(Checkpoint::load(&shipped()).unwrap(), calibration().clone(), None).unwrap()
}

fn seen(image: &Image, number: usize) -> FrameSet {
    let secs = 100.0 + number as f64 * TICK;
    let frame = CameraFrame {
        camera: "top".into(),
        image: Arc::new(image.clone()),
        sequence: number as u64 + 1,
        driver_sequence: None,
        captured_secs: secs,
        capture_time: CaptureTime::Made,
        received_secs: secs,
        available_secs: secs,
        wall_secs: 1e9 + secs,
    };
    FrameSet { frames: vec![Arc::new(frame)], spread_secs: 0.0 }
}

/// The ticks of a watch over the images of `data`, with the actions in between in the units of the driver.
fn watch(watcher: &mut Watcher, data: &EpisodeData) -> Vec<Tick> {
    let space = world().action_space().clone();
    let one = |(number, image): (usize, &Image)| {
        let tick = watcher.look(number as f64 * TICK, Ok(&seen(image, number))).unwrap();
        let physical = space.denormalise(&Action::new(data.actions[number].clone()).unwrap()).unwrap();
        let values = physical.iter().map(|&value| value as f32).collect();
        let received_secs = 100.0 + number as f64 * TICK + 0.01;
        watcher.act(&DrivenAction { values, proprioception: Vec::new(), received_secs }).unwrap();
        tick
    };
    data.frames.iter().enumerate().map(one).collect()
}

#[test]
fn a_world_that_goes_on_as_predicted_gives_no_event_and_one_that_jumps_gives_one() {
    let calm = episode(100, 60);
    let ticks = watch(&mut watcher(), &calm);
    assert!(ticks.iter().all(|tick| !tick.event && !tick.alarm), "{:?}", ticks.iter().find(|tick| tick.event));
    let (mut jumping, elsewhere) = (calm, episode(101, 60));
    jumping.frames[30..].clone_from_slice(&elsewhere.frames[30..]);
    jumping.actions[30..].clone_from_slice(&elsewhere.actions[30..]);
    let ticks = watch(&mut watcher(), &jumping);
    let events: Vec<usize> = (0..ticks.len()).filter(|&tick| ticks[tick].event).collect();
    assert!(events.len() == 1 && (30..40).contains(&events[0]), "within a second: {events:?}");
}

/// Symptom: after its driver had hung up, a robot was taken to execute the last action for ever.
/// Cause: nothing took back what the driver had said.
/// Fix: from then on it is taken to hold still, as a watch without a driver takes it.
#[test]
fn a_released_robot_is_taken_to_hold_still() {
    let image = episode(104, 1).frames[0].clone();
    let expected = |watcher: &mut Watcher, number: usize| {
        let tick = watcher.look(0.0, Ok(&seen(&image, number))).unwrap();
        let Look::Seen(seen) = tick.look else { panic!("nothing was seen") };
        seen.expected
    };
    let still = expected(&mut watcher(), 0);
    let mut driven = watcher();
    driven.act(&DrivenAction { values: vec![0.05, 0.05], proprioception: Vec::new(), received_secs: 99.0 }).unwrap();
    assert_ne!(expected(&mut driven, 0), still);
    driven.release(100.05);
    assert_eq!(expected(&mut driven, 1), still);
}

#[test]
fn a_stale_camera_is_said_and_is_no_surprise() {
    let (mut watcher, data, other) = (watcher(), episode(102, 20), episode(103, 8));
    watch(&mut watcher, &data);
    let tick = watcher.look(2.0, Err("camera top: stale: no frame for 0.60 s".into())).unwrap();
    assert!(matches!(&tick.look, Look::Stale { reason } if reason.contains("0.60")) && !tick.event);
    // What is seen afterwards does not follow from what was seen before.
    for (number, image) in other.frames.iter().enumerate() {
        let tick = watcher.look(3.0, Ok(&seen(image, 30 + number))).unwrap();
        assert!(!tick.event, "{tick:?}");
        assert_eq!(watcher.look(3.0, Ok(&seen(image, 30 + number))).unwrap().look, Look::Same);
    }
}

#[test]
fn a_calibration_belongs_to_one_model() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(shipped().join(file), folder.path().join(file)).unwrap();
    }
    let refused = || Watcher::load(folder.path(), None).err().unwrap().to_string();
    assert!(refused().contains("train surprise"), "{}", refused());
    calibration().save(folder.path()).unwrap();
    let loaded = Watcher::load(folder.path(), Some(7.0)).unwrap();
    assert_eq!((loaded.calibration().rule.band, loaded.calibration().ticks), (7.0, calibration().ticks));
    SurpriseCalibration { model_fingerprint: "0".repeat(64), ..calibration().clone() }.save(folder.path()).unwrap();
    assert!(refused().contains("surprise.json") && refused().contains("model_fingerprint"), "{}", refused());
    std::fs::write(folder.path().join("surprise.json"), b"{\"format\": 9e99, \"bands\": []}").unwrap();
    assert!(refused().contains("surprise.json"), "{}", refused());
    // Symptom: bands in another order were taken, each for another kind of score.
    let mut reordered = calibration().clone();
    reordered.bands.swap(0, 6);
    reordered.save(folder.path()).unwrap();
    assert!(refused().contains("bands[0].kind: expected prediction 1, got shell"), "{}", refused());
}

#[test]
fn the_seconds_around_an_event_are_an_episode() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("events");
    let cameras = vec!["top view".into()];
    let image_size = ImageSize::square(16).unwrap();
    let settings =
        EventSettings { folder: root.clone(), before: 3, after: 2, rate: 10, cameras, image_size, action_width: 1 };
    let mut events = Events::new(settings).unwrap();
    assert!(!root.exists(), "nothing has happened yet");
    let image = |grey: u8| Image::filled(ImageSize::square(16).unwrap(), [grey; 3]);
    for number in 0..12u8 {
        events.takes(&seen(&image(number), number.into()), &[f32::from(number)]);
        if number == 6 || number == 7 {
            events.begin("event 1: shell above the band".into()); // the second begins during the first
        }
    }
    let told = events.finish();
    assert!(matches!(&told[..], [Ok(line)] if line.contains("episode 0")), "{told:?}");
    let data = open(&root).unwrap();
    let kept = data.read_episode(0).unwrap();
    let greys: Vec<u8> = kept.frames.iter().map(|frame| frame.rgb(0, 0)[0]).collect();
    assert_eq!((data.len(), &greys[..], kept.actions[3][0]), (1, &[3, 4, 5, 6, 7, 8][..], 6.0));
    assert!(data.episode(0).unwrap().tasks[0].contains("shell above the band"));
}

fn events_in(root: &Path, action_width: usize) -> mindseye_serving::Result<Events> {
    let (folder, cameras, image_size) = (root.to_path_buf(), vec!["top".into()], ImageSize::square(16).unwrap());
    Events::new(EventSettings { folder, before: 2, after: 1, rate: 10, cameras, image_size, action_width })
}

/// One event, in the middle of a few ticks.
fn one_event(mut events: Events) -> Vec<mindseye_serving::watch::News> {
    for number in 0..6usize {
        events.takes(&seen(&Image::filled(ImageSize::square(16).unwrap(), [9; 3]), number), &[0.0]);
        if number == 3 {
            events.begin("event 1".into());
        }
    }
    events.finish()
}

/// Symptom: with `--events` at a file, or at another data set, a watch ran for days and then lost its first event.
/// Cause: the folder was opened when there was an event to write.
/// Fix: an empty addition is tried before watching, which leaves everything as it was.
#[test]
fn a_folder_that_cannot_take_events_is_refused_before_watching() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("events");
    std::fs::write(&root, "no folder").unwrap();
    let refused = events_in(&root, 1).unwrap_err().to_string();
    assert!(refused.contains("events"), "{refused}");
    std::fs::remove_file(&root).unwrap();
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("notes.txt"), "mine").unwrap();
    let refused = events_in(&root, 1).unwrap_err().to_string();
    assert!(refused.contains("files that are no data set"), "{refused}");
    std::fs::remove_file(root.join("notes.txt")).unwrap();
    assert!(matches!(&one_event(events_in(&root, 1).unwrap())[..], [Ok(_)]));
    let refused = events_in(&root, 3).unwrap_err().to_string();
    assert!(refused.contains("features to append"), "{refused}");
    assert!(matches!(&one_event(events_in(&root, 1).unwrap())[..], [Ok(_)]), "what fits goes on");
    assert_eq!(open(&root).unwrap().len(), 2);
}

/// Symptom: on a full disk events were lost, and what `finish` gave could not be told from what was kept.
/// Cause: both were a line of text, which was printed or, with `--json`, not.
/// Fix: what is lost is another kind of news, which is said on stderr and in the JSON, and is an error at the end.
#[test]
fn an_event_that_cannot_be_written_is_told_as_lost() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("events");
    let events = events_in(&root, 1).unwrap();
    std::fs::write(&root, "a file takes its place").unwrap();
    let told = one_event(events);
    assert!(matches!(&told[..], [Err(line)] if line.contains("event 1: not kept")), "{told:?}");
}

/// A server that answers the requests after each other with these status lines, each after a while; what it was sent.
fn server(answers: &'static [&'static str]) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/events", listener.local_addr().unwrap());
    let serve = move || {
        let mut bodies = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                let mut bytes = [0; 4096];
                let count = stream.read(&mut bytes).unwrap();
                assert!(count > 0, "a request with an event");
                request.extend_from_slice(&bytes[..count]);
            }
            std::thread::sleep(Duration::from_millis(100));
            let reply = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.write_all(reply.as_bytes()).unwrap();
            bodies.push(String::from_utf8_lossy(&request).into_owned());
        }
        bodies
    };
    (url, std::thread::spawn(serve))
}

fn told(webhook: &mut Webhook, events: usize) {
    for number in 1..=events {
        let (kind, cameras) = ("shell".into(), vec!["top".into()]);
        webhook.tell(&Event {
            event: "surprise",
            number,
            unix_secs: 0.0,
            score: 2.0,
            band: 1.0,
            kind,
            cameras,
            kept_in: None,
        });
    }
}

/// Symptom: of eight watches with `--exit-on-event --webhook`, one ended before its POST was sent.
/// Cause: nobody waited for the thread that sends.
/// Fix: the end waits for it, at most 5 s.
#[test]
fn the_end_waits_until_a_webhook_has_heard_of_all_events() {
    let (url, server) = server(&["200 OK", "204 No Content", "202 Accepted"]);
    let mut webhook = Webhook::new(&url).unwrap();
    told(&mut webhook, 3);
    assert_eq!(webhook.finish(), None);
    let bodies = server.join().unwrap();
    assert!(bodies.len() == 3 && bodies[2].contains("\"number\":3"), "{bodies:?}");
}

/// Symptom: a server that sends elsewhere, or fails, counted as one that has heard of the event.
/// Cause: every answer that came was taken for a good one.
/// Fix: what is not 2xx is missed, with the reason.
#[test]
fn an_answer_other_than_success_is_missed() {
    let (url, server) = server(&["302 Found", "200 OK", "500 Internal Server Error"]);
    let mut webhook = Webhook::new(&url).unwrap();
    told(&mut webhook, 3);
    let missed = webhook.finish().unwrap();
    assert!(matches!(&missed, Missed { events: 2, of: 3, why } if why.contains("500")), "{missed}");
    server.join().unwrap();
}

/// Symptom: `--webhook "http://%%%"` watched, and lost its first event.
/// Cause: only the scheme was looked at.
/// Fix: what cannot be an address is refused at the start.
#[test]
fn what_cannot_be_an_address_of_a_webhook_is_refused() {
    for wrong in [
        "http://%%%",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:0/",
        "http://a b/",
        "http://host/a b",
        "http://",
        "http:///path",
        "http://:80/",
        "http://host:port/",
        "http://[::1/",
        "http://[::1]80/",
        "http://user@/",
        "https://host/",
    ] {
        let refused = Webhook::new(wrong).map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains("--webhook"), "{wrong}: {refused}");
    }
    for right in ["http://localhost", "http://10.0.0.7:8080/a?b=c", "http://[::1]:80/", "http://hook_1.local/x"] {
        assert!(Webhook::new(right).is_ok(), "{right}");
    }
}
