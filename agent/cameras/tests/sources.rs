//! Cameras that need no network: reads, ages, states, sets, files.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use mindseye_cameras::{
    Camera, CameraSet, CameraSettings, CameraUri, Error, Fault, SharedClock, Sources, State, from_fn, survey,
    system_clock,
};
use mindseye_episodes::image_codec::encode_png;
use mindseye_interface::{Image, ImageSize, ManualClock};

const SOON: Duration = Duration::from_secs(20);
const BRIEF: Duration = Duration::from_millis(1);

/// A camera that gives what the test sends, on a clock that the test moves.
fn fed(name: &str, clock: &Arc<ManualClock>, settings: &CameraSettings) -> (Camera, Sender<u8>) {
    let (send, receive) = channel::<u8>();
    let source = from_fn(move || {
        let grey = receive.recv().map_err(|_| Fault::End("the test".into()))?;
        Ok(Some(Image::filled(ImageSize::square(4).unwrap(), [grey; 3])))
    });
    let settings = CameraSettings { fps: Some(1000.0), ..settings.clone() };
    (Camera::start(name, source, &settings, clock.clone()).unwrap(), send)
}

fn grey(camera: &Camera) -> Result<u8, Error> {
    camera.read_latest(Duration::from_secs(1)).map(|frame| frame.image.rgb(0, 0)[0])
}

#[test]
fn each_read_does_what_lerobots_does() {
    let clock = Arc::new(ManualClock::default());
    let (camera, send) = fed("top", &clock, &CameraSettings::default());
    assert!(matches!(camera.async_read(BRIEF), Err(Error::Timeout { .. })), "nothing yet");
    assert!(matches!(grey(&camera), Err(Error::NotLive { state: State::Connecting, .. })));
    send.send(1).unwrap();
    let first = camera.async_read(SOON).unwrap();
    assert_eq!(first.image.rgb(0, 0), [1; 3]);
    assert!(matches!(camera.async_read(BRIEF), Err(Error::Timeout { .. })), "it was read");
    assert_eq!((grey(&camera), grey(&camera)), (Ok(1), Ok(1)), "the newest, as often as one likes");
    send.send(2).unwrap();
    assert_eq!(camera.async_read(SOON).unwrap().sequence, first.sequence + 1);
    std::thread::scope(|scope| {
        let next = scope.spawn(|| camera.read().unwrap().image.rgb(0, 0)[0]);
        std::thread::sleep(Duration::from_millis(50)); // it waits by now, and would not take the second
        send.send(3).unwrap();
        assert_eq!(next.join().unwrap(), 3);
    });
}

#[test]
fn age_and_state_follow_the_clock_and_an_old_frame_is_refused_with_both_ages() {
    let clock = Arc::new(ManualClock::default());
    clock.set(100.0);
    let (camera, send) = fed("top", &clock, &CameraSettings::default());
    send.send(1).unwrap();
    camera.wait_until_live(SOON).unwrap();
    for (now, state) in [(100.4, State::Live), (100.6, State::Stale), (105.1, State::Lost)] {
        clock.set(now);
        let status = camera.status();
        assert_eq!(status.state, state, "at {now}");
        assert!((status.age_secs.unwrap() - (now - 100.0)).abs() < 1e-9);
    }
    let error = camera.read_latest(Duration::from_millis(500)).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::TooOld { .. }) && text.contains("0.500") && text.contains("5.100"), "{text}");
    clock.set(106.0);
    send.send(2).unwrap();
    while camera.async_read(SOON).unwrap().image.rgb(0, 0)[0] != 2 {}
    assert_eq!((camera.status().state, grey(&camera)), (State::Live, Ok(2)));
    drop(send);
    let error = loop {
        match camera.async_read(SOON) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, Error::NotLive { state: State::Ended, .. }), "{error}");
    assert!(grey(&camera).unwrap_err().to_string().contains("the end of the test"));
}

#[test]
fn frames_of_the_warm_up_are_not_read() {
    let clock = Arc::new(ManualClock::default());
    let settings = CameraSettings { warmup_s: Some(1.0), ..CameraSettings::default() };
    let (camera, send) = fed("top", &clock, &settings);
    send.send(1).unwrap();
    while camera.status().counters.warmup == 0 {
        std::thread::sleep(BRIEF);
    }
    assert_eq!((camera.status().state, camera.status().counters.published), (State::Connecting, 0));
    clock.set(1.5);
    send.send(2).unwrap();
    let frame = camera.async_read(SOON).unwrap();
    assert_eq!((frame.image.rgb(0, 0), frame.sequence), ([2; 3], 2));
}

/// Symptom that this keeps away: a driver's panic ended its thread, and the last frame was served as if it were new.
#[test]
fn a_panic_of_a_source_is_a_fault_and_ends_nothing_else() {
    let source = from_fn(|| panic!("an index out of range"));
    let camera = Camera::start("top", source, &CameraSettings::default(), system_clock()).unwrap();
    let error = camera.wait_until_live(SOON).unwrap_err().to_string();
    assert!(error.contains("top") && error.contains("lost"), "{error}");
    assert!(camera.status().counters.faults >= 1);
}

#[test]
fn a_set_gives_frames_of_one_time_or_names_the_camera_that_lags() {
    let clock = Arc::new(ManualClock::default());
    let settings = CameraSettings { stale_s: 60.0, lost_s: 60.0, ..CameraSettings::default() };
    let (front, to_front) = fed("front", &clock, &settings);
    let (wrist, to_wrist) = fed("wrist", &clock, &settings);
    let set = CameraSet::new(vec![front, wrist], Duration::from_millis(20)).unwrap();
    let give = |camera: usize, sender: &Sender<u8>, now: f64, grey: u8| {
        clock.set(now);
        sender.send(grey).unwrap();
        while set.cameras()[camera].async_read(SOON).unwrap().image.rgb(0, 0)[0] != grey {}
    };
    let error = set.read_latest(SOON).unwrap_err().to_string();
    assert!(error.contains("front") && error.contains("no frame yet"), "{error}");
    give(0, &to_front, 1.0, 1);
    give(1, &to_wrist, 1.0, 1);
    let read = set.read_latest(SOON).unwrap();
    assert_eq!((read.frames.len(), &*read.frames[1].camera), (2, "wrist"));
    assert_eq!(read.observed(0.5)[0].camera.as_ref(), "front");
    for step in 1..=8 {
        give(0, &to_front, 1.0 + 0.5 * f64::from(step), 1 + step); // as many as are kept of small frames
    }
    let error = set.read(SOON, BRIEF).unwrap_err().to_string();
    assert!(error.contains("wrist") && error.contains("behind"), "{error}");
    assert!(CameraSet::new(Vec::new(), BRIEF).is_err());
    let twice = || fed("front", &clock, &settings).0;
    assert!(CameraSet::new(vec![twice(), twice()], BRIEF).unwrap_err().to_string().contains("front"));
}

#[test]
fn synthetic_images_move_at_their_rate_and_a_still_one_may_stand() {
    let camera = Camera::open("synthetic:#width=64,height=48,fps=100").unwrap();
    let (first, second) = (camera.async_read(SOON).unwrap(), camera.async_read(SOON).unwrap());
    assert_eq!((first.image.size().width(), first.image.size().height()), (64, 48));
    assert_ne!(first.image, second.image);
    let still = Camera::open("synthetic:still#width=16,height=16,fps=200").unwrap();
    while still.status().counters.published < 40 {
        std::thread::sleep(BRIEF);
    }
    assert_eq!(still.status().state, State::Live, "it is no sensor");
    let error = Camera::open("sim:push_t").unwrap_err().to_string();
    assert!(error.contains("synthetic:") && error.contains("sim:"), "{error}");
}

#[test]
fn a_program_adds_schemes_of_its_own() {
    let sources = Sources::standard().with("sim", |uri: &CameraUri| {
        let size = ImageSize::square(if uri.place == "push_t" { 8 } else { 4 }).unwrap();
        Ok(from_fn(move || Ok(Some(Image::filled(size, [5; 3])))))
    });
    let camera = sources.open(&"sim:push_t#name=top".parse().unwrap()).unwrap();
    let frame = camera.async_read(SOON).unwrap();
    assert_eq!((&*frame.camera, frame.image.size()), ("top", ImageSize::square(8).unwrap()));
    assert!(frame.captured_secs <= sources.clock().now_secs());
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../world_model/episodes/tests/fixtures").join(name)
}

#[test]
fn folders_videos_and_recordings_are_played_to_their_end() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..3u8 {
        let image = Image::filled(ImageSize::square(4).unwrap(), [number; 3]);
        std::fs::write(folder.path().join(format!("{number}.png")), encode_png(&image).unwrap()).unwrap();
    }
    std::fs::write(folder.path().join("notes.txt"), "not an image").unwrap();
    let recording = fixture("lerobot_v3_tiny");
    let video = recording.join("videos");
    let mp4 = walk(&video).into_iter().find(|path| path.extension().is_some_and(|end| end == "mp4")).unwrap();
    for (path, least) in [(folder.path().to_path_buf(), 3), (mp4, 5), (recording, 5)] {
        let camera = Camera::open(&format!("file:{}#fps=50,stale_s=60,lost_s=60", path.display())).unwrap();
        let mut frames = 0;
        let error = loop {
            match camera.async_read(SOON) {
                Ok(_) => frames += 1,
                Err(error) => break error.to_string(),
            }
        };
        assert!(error.contains("the end of"), "{error}");
        let counters = camera.status().counters;
        assert!(counters.received >= least && frames >= 1, "{}: {counters:?}", path.display());
    }
    let text = format!("file:{}#fps=100,repeat=true,stale_s=60,lost_s=60", folder.path().display());
    let camera = Camera::open(&text).unwrap();
    while camera.status().counters.received < 10 {
        camera.async_read(SOON).unwrap();
    }
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn a_file_that_cannot_be_played_is_lost_at_once_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("clip.mp4"), "no video").unwrap();
    for name in ["clip.mp4", "missing.mp4", ""] {
        let path = folder.path().join(name);
        let camera = Camera::open(&format!("file:{}", path.display())).unwrap();
        let error = camera.wait_until_live(SOON).unwrap_err();
        let lost = matches!(error, Error::NotLive { state: State::Lost, .. });
        assert!(lost && error.to_string().contains(folder.path().to_str().unwrap()), "{error}");
    }
}

#[test]
fn a_survey_measures_each_camera_and_keeps_an_image() {
    let folder = tempfile::tempdir().unwrap();
    let uris: Vec<CameraUri> = ["synthetic:#name=a,fps=50,width=32,height=32", "file:/nowhere.mp4#name=b"]
        .map(|uri| uri.parse().unwrap())
        .into();
    let clock: SharedClock = system_clock();
    let (sources, stop) = (Sources::standard().with_clock(clock), AtomicBool::new(false));
    let found = survey(&sources, &uris, 0.3, Some(folder.path()), &stop).unwrap();
    assert_eq!(found.without_image(), ["b"]);
    let (good, bad) = (&found.cameras[0], &found.cameras[1]);
    assert_eq!(found.devices, None, "not asked for");
    assert_eq!((good.status.state, good.size, bad.status.state), (State::Live, Some([32, 32]), State::Lost));
    assert!(good.latency_ms.unwrap().p95 < 2000.0 && folder.path().join("a.png").is_file());
    let text = found.to_string();
    assert!(text.contains("frames/s") && text.contains("32x32") && text.contains("/nowhere.mp4"), "{text}");
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["cameras"][0]["name"], "a");
    assert_eq!(json["cameras"][0]["settings"]["fps"], 50.0);
}

/// Symptom: of two cameras of one name one image was left; two thousand never ended; Ctrl-C kept nothing. Cause: none
/// of it was looked at. Fix: names differ, there is a most, and a stop gives what was measured.
#[test]
fn a_survey_has_different_names_a_limit_and_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let ask = |uris: &[CameraUri], seconds, stop| {
        survey(&Sources::standard(), uris, seconds, Some(folder.path()), &AtomicBool::new(stop))
    };
    let uri: CameraUri = "synthetic:#name=a,fps=100".parse().unwrap();
    let error = ask(&[uri.clone(), uri.clone()], 0.1, false).unwrap_err().to_string();
    assert!(error.contains("different ones") && error.contains('a'), "{error}");
    let error = ask(&vec![uri.clone(); 65], 0.1, false).unwrap_err().to_string();
    assert!(error.contains("at most 64") && error.contains("65"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    assert_eq!(ask(&[uri], 86_400.0, true).unwrap().cameras.len(), 1);
}
