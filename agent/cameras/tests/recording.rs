//! Live cameras recorded as a LeRobot data set: exact frames, what was missed, and where an episode ends.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use mindseye_cameras::{
    ActionFeed, Camera, CameraSet, CameraSettings, DrivenAction, EpisodeRecorder, Error, Fault, FrameSet,
    RecordingOptions, State, Timestep, from_fn, record_cameras, system_clock,
};
use mindseye_cameras::{CameraFrame, CaptureTime, SharedClock};
use mindseye_episodes::{CaptureLog, Mapping, WriteMode, open, open_with};
use mindseye_interface::{Image, ImageSize};

/// A camera whose images count from 1 on, `last` of them.
fn counting(name: &str, last: u8, clock: &SharedClock) -> Camera {
    let mut grey = 0u8;
    let source = from_fn(move || {
        grey += 1;
        if grey > last { Err(Fault::End("the test".into())) } else { Ok(Some(image(grey))) }
    });
    let settings = CameraSettings { fps: Some(40.0), ..CameraSettings::default() };
    Camera::start(name, source, &settings, clock.clone()).unwrap()
}

fn image(grey: u8) -> Image {
    Image::filled(ImageSize::square(16).unwrap(), [grey; 3])
}

fn options(out: &std::path::Path, episodes: usize, seconds: f64) -> RecordingOptions {
    let (out, mode) = (out.to_path_buf(), WriteMode::Append);
    RecordingOptions { out, mode, video: false, fps: 20, episodes, seconds, task: "look".into() }
}

fn frame(camera: &str, sequence: u64, captured_secs: f64) -> Arc<CameraFrame> {
    Arc::new(CameraFrame {
        camera: camera.into(),
        image: Arc::new(image(sequence as u8)),
        sequence,
        driver_sequence: None,
        captured_secs,
        capture_time: CaptureTime::Made,
        received_secs: captured_secs,
        available_secs: captured_secs,
        wall_secs: 1000.0 + captured_secs,
    })
}

fn set(sequence: u64, captured_secs: f64) -> mindseye_cameras::Result<FrameSet> {
    Ok(FrameSet { frames: vec![frame("top", sequence, captured_secs)], spread_secs: 0.0 })
}

#[test]
fn repeated_late_and_passed_over_frames_are_counted_and_a_lost_camera_ends_the_episode() {
    let action = |value: f32| Some(DrivenAction { values: vec![value], proprioception: vec![], received_secs: 0.0 });
    let mut recorder = EpisodeRecorder::new(1, 100, 0.1);
    assert_eq!(recorder.tick(set(7, 5.0), action(1.0), false), Timestep::Goes);
    assert_eq!(recorder.tick(set(7, 5.0), action(2.0), true), Timestep::Goes);
    assert_eq!(recorder.tick(set(11, 5.2), action(3.0), false), Timestep::Goes);
    let lost = Error::NotLive { camera: "top".into(), state: State::Stale, reason: "no frame for 0.60 s".into() };
    assert_eq!(recorder.tick(Err(lost), action(4.0), false), Timestep::Last);
    let episode = recorder.finish(action(4.0));
    assert_eq!(episode.data.frames, [image(7), image(7), image(11)]);
    assert_eq!(episode.data.actions, [[2.0], [3.0], [4.0]], "what followed each image");
    let capture = &episode.capture;
    assert_eq!((capture.repeated, capture.late, capture.passed_over), (1, 1, 3));
    assert_eq!((&capture.captured_secs[0][..], capture.started_unix_secs), (&[0.0, 0.0, 0.2][..], 1005.0));
    assert!(capture.cut.as_ref().unwrap().contains("no frame for 0.60 s"), "{capture:?}");
}

#[test]
fn a_recording_has_the_frames_of_the_camera_in_their_order_and_what_it_granted() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), system_clock());
    let out = folder.path().join("data");
    let cameras = CameraSet::new(vec![counting("top", 250, &clock)], Duration::from_secs(1)).unwrap();
    let stop = AtomicBool::new(false);
    let report = record_cameras(&cameras, None, &options(&out, 2, 0.5), &clock, &stop, &mut |_| ()).unwrap();
    assert_eq!((report.episodes, report.timesteps, report.finished), (2, 20, true), "{report}");
    let data = open(&out).unwrap();
    assert_eq!((data.len(), data.shape().action, data.frames_per_second()), (2, 0, Some(20.0)));
    assert!(data.is_of_cameras() && data.sidecar().is_none());
    let log = CaptureLog::read(&out).unwrap().unwrap();
    assert_eq!((log.cameras[0][0]["name"].as_str(), log.episodes.len()), (Some("top"), 2));
    for (episode, capture) in log.episodes.iter().enumerate() {
        let frames = data.read_episode(episode).unwrap().frames;
        let greys: Vec<u8> = frames.iter().map(|frame| frame.rgb(0, 0)[0]).collect();
        assert!(frames.iter().zip(&greys).all(|(frame, grey)| *frame == image(*grey)), "exact");
        let rises = |pair: &[u8]| pair[0] <= pair[1];
        assert!(greys.windows(2).all(rises) && greys[0] < greys[9], "{greys:?}");
        // The numbers of the images say what was repeated and passed over.
        let repeated = greys.windows(2).filter(|pair| pair[0] == pair[1]).count();
        let passed: u64 = greys.windows(2).map(|pair| u64::from(pair[1] - pair[0]).saturating_sub(1)).sum();
        assert_eq!((capture.repeated, capture.passed_over), (repeated, passed), "{greys:?}");
    }
    let again = record_cameras(&cameras, None, &options(&out, 1, 0.2), &clock, &stop, &mut |_| ()).unwrap();
    assert_eq!((again.episodes, open(&out).unwrap().len()), (1, 3), "appended");
    assert_eq!(CaptureLog::read(&out).unwrap().unwrap().episodes[2].session, 1);
}

#[test]
fn an_episode_of_two_cameras_and_a_driver_ends_where_a_camera_does() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), system_clock());
    let out = folder.path().join("data");
    let cameras = vec![counting("front", 250, &clock), counting("wrist", 30, &clock)];
    let cameras = CameraSet::new(cameras, Duration::from_secs(1)).unwrap();
    let stop = AtomicBool::new(false);
    let told = AtomicU8::new(0);
    // A driver that stays: its line never ends.
    let (send, receive) = std::sync::mpsc::channel::<u8>();
    let driver = ActionFeed::read(
        std::io::Read::chain(Cursor::new(b"{\"action\": [0.5, 7]}\n".to_vec()), Held(receive)),
        None,
        clock.clone(),
    )
    .unwrap();
    let mut tell = |line: &str| {
        told.fetch_add(1, Ordering::Relaxed);
        stop.store(true, Ordering::Relaxed);
        assert!(line.contains("wrist") && line.contains("the end of the test"), "{line}");
    };
    let options = options(&out, 3, 20.0);
    let report = record_cameras(&cameras, Some(&driver), &options, &clock, &stop, &mut tell).unwrap();
    drop(send);
    assert_eq!((report.episodes, report.cut.len(), told.load(Ordering::Relaxed)), (1, 1, 1), "{report}");
    let mapping: Mapping =
        mindseye_interface::config::parse("cameras = [\"observation.images.front\", \"observation.images.wrist\"]")
            .unwrap();
    let data = open_with(&out, &mapping).unwrap();
    let episode = data.read_episode(0).unwrap();
    assert_eq!(
        (data.action_names(), &episode.actions[0][..]),
        (vec!["action_0".into(), "action_1".into()], &[0.5, 7.0][..])
    );
    let (height, last) = (episode.frames[0].size().height(), episode.frames.last().unwrap());
    assert_eq!(height, 32, "both, on top of each other");
    assert!(last.rgb(20, 0)[0] <= 30 && episode.len() < 60, "{}", episode.len());
}

/// Input that gives nothing until it is dropped.
struct Held(std::sync::mpsc::Receiver<u8>);

impl std::io::Read for Held {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Ok(self.0.recv().map_or(0, |_| 0))
    }
}

/// Symptom: `record --camera file:clip --episodes 6` waited for half a minute after the end of the file, and failed.
/// Cause: a camera that has ended was waited for like one that is away.
/// Fix: its end is that of the recording, which keeps what is there and says how many episodes are not.
#[test]
fn a_recording_ends_with_its_film_and_says_what_is_not_there() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), system_clock());
    let out = folder.path().join("data");
    let cameras = CameraSet::new(vec![counting("top", 60, &clock)], Duration::from_secs(1)).unwrap();
    let stop = AtomicBool::new(false);
    let report = record_cameras(&cameras, None, &options(&out, 30, 0.3), &clock, &stop, &mut |_| ()).unwrap();
    assert!((1..30).contains(&report.episodes) && !report.finished, "{report}");
    assert_eq!((open(&out).unwrap().len(), report.not_recorded), (report.episodes, 30 - report.episodes));
    let said = format!("the end of the test: {} episodes were not recorded", report.not_recorded);
    assert!(report.to_string().contains(&said), "{report}");
    let over = record_cameras(&cameras, None, &options(&out, 1, 0.3), &clock, &stop, &mut |_| ()).unwrap_err();
    assert!(over.to_string().contains("ended: the end of the test"), "{over}");
}
