//! Recording of live cameras into a LeRobot data set: a timestep at every tick of a clock, of the newest frames.
//!
//! Nothing is filled in silently: a timestep whose camera gave no newer frame says so, and an episode ends where a
//! camera grows stale or is lost.

mod arguments;
mod episode;
mod files;

use std::fmt::{Display, Formatter};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mindseye_episodes::WriteMode;
use mindseye_interface::text::printable_path;
use serde::{Deserialize, Serialize};

pub use arguments::{CameraRecordingArguments, driver, open_set};
pub use episode::{EpisodeRecorder, RecordedEpisode, Timestep, stacked};

pub use files::column_name;

use self::files::DataSet;
use crate::actions::ActionFeed;
use crate::camera::Status;
use crate::error::{Error, Result};
use crate::health::State;
use crate::set::CameraSet;
use crate::source::SharedClock;

/// Longest wait for cameras to be live, and for the first action, between two looks at whether to stop.
const LOOK: Duration = Duration::from_millis(50);
/// Longest wait for a camera before the first episode, and after an episode that was cut, seconds.
const WAIT_SECS: f64 = 30.0;

/// What is to be recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordingOptions {
    /// Folder of the data set.
    pub out: PathBuf,
    /// Handling of a folder that exists.
    pub mode: WriteMode,
    /// Whether images are kept as AV1 video.
    pub video: bool,
    /// Timesteps per second, a whole number as LeRobot has it.
    pub fps: u32,
    /// Episodes to record.
    pub episodes: usize,
    /// Duration of an episode, seconds.
    pub seconds: f64,
    /// Text of the task.
    pub task: String,
}

/// What was recorded.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LiveRecordingReport {
    /// The data set.
    pub path: PathBuf,
    /// Episodes that this recording added.
    pub episodes: usize,
    /// Timesteps that it added.
    pub timesteps: usize,
    /// Timesteps whose image of some camera is that of the timestep before.
    pub repeated: usize,
    /// Timesteps at which the recorder was late by more than half a timestep.
    pub late: usize,
    /// Captures between timesteps that were not recorded.
    pub passed_over: u64,
    /// Why episodes ended before their time, each with its number.
    pub cut: Vec<String>,
    /// Lines of the driver that were no action.
    pub refused_actions: u64,
    /// Whether all episodes asked for are there.
    pub finished: bool,
    /// Episodes that were asked for and are not there.
    #[serde(default)]
    pub not_recorded: usize,
    /// The camera that has ended before, where one has, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
}

/// Records `cameras`, whose frames are at most `stale_s` of their settings old, on `clock`, that of the cameras; with
/// the actions of `driver`, if there is one. What is worth a line under way goes to `tell`. When `stop` is raised, the
/// episode that is being recorded is kept as far as it is; so it is when a camera ends (a video that was played to its
/// end), and the report says how many episodes are not there.
///
/// # Errors
/// [`Error::Argument`] when an option makes no sense or images need more memory than there is, the errors of cameras
/// that never give a frame or end before the first episode begins, and [`Error::Episodes`] when the data set cannot be
/// written.
pub fn record_cameras(
    cameras: &CameraSet,
    driver: Option<&ActionFeed>,
    options: &RecordingOptions,
    clock: &SharedClock,
    stop: &AtomicBool,
    tell: &mut dyn FnMut(&str),
) -> Result<LiveRecordingReport> {
    require(options)?;
    let stopped = || stop.load(Ordering::Relaxed);
    let over = || stopped() || ended(cameras).is_some();
    let (path, not_recorded) = (options.out.clone(), options.episodes);
    let mut report = LiveRecordingReport { path, not_recorded, ..LiveRecordingReport::default() };
    let max_age = max_age(cameras);
    let first = wait(WAIT_SECS, clock, &over, &|| cameras.read_latest(max_age))?;
    let Some(first) = first else { return ended(cameras).map_or(Ok(report), Err) };
    let first_action = match driver {
        Some(driver) => wait(WAIT_SECS, clock, &over, &|| {
            driver.first(Duration::ZERO).ok_or_else(|| Error::argument("--actions", "a first action", "none"))
        })?,
        None => None,
    };
    if driver.is_some() && first_action.is_none() {
        return ended(cameras).map_or(Ok(report), Err);
    }
    let driven = driver.zip(first_action.map(|action| action.values.len()));
    let mut data = DataSet::create(cameras, &first, driven, options)?;
    while report.episodes < options.episodes && !over() {
        let Some(_) = wait(WAIT_SECS, clock, &over, &|| cameras.read_latest(max_age))? else { break };
        let episode = one_episode(cameras, driver, options, clock, &stopped);
        let ends = stopped() || driver.is_some_and(ActionFeed::has_ended);
        if episode.timesteps() >= 2 {
            report.add(&episode);
            data.add(episode)?;
            let number = report.episodes;
            match report.cut.last().filter(|cut| cut.starts_with(&format!("episode {number}:"))) {
                Some(cut) => tell(cut),
                None => tell(&format!("episode {number} of {}: {} timesteps", options.episodes, data.last_length())),
            }
        } else if let Some(cut) = &episode.capture.cut {
            tell(&format!("an episode of less than two timesteps is dropped: {cut}"));
        }
        if ends {
            break;
        }
    }
    data.finish()?;
    report.refused_actions = driver.map_or(0, |driver| driver.counts().refused);
    report.not_recorded = options.episodes - report.episodes;
    report.finished = report.not_recorded == 0;
    report.ended = ended(cameras).filter(|_| !report.finished).map(|error| error.to_string());
    Ok(report)
}

fn require(options: &RecordingOptions) -> Result<()> {
    let range = |field: &str, value: f64, low: f64, high: f64| match (low..=high).contains(&value) {
        true => Ok(()),
        false => Err(Error::argument(field, format!("{low} to {high}"), value)),
    };
    range("--fps", f64::from(options.fps), 1.0, 240.0)?;
    range("--episodes", options.episodes as f64, 1.0, 1e7)?;
    range("--seconds", options.seconds, 2.0 / f64::from(options.fps), 86_400.0)
}

/// How old a frame may be: as old as that of the strictest camera.
pub fn max_age(cameras: &CameraSet) -> Duration {
    let ages = cameras.cameras().iter().map(|camera| camera.settings().stale_s);
    Duration::from_secs_f64(ages.fold(f64::INFINITY, f64::min).clamp(0.001, 3600.0))
}

/// Why there will be no further set of frames: a camera that has ended, as one whose video was played to its end.
pub fn ended(cameras: &CameraSet) -> Option<Error> {
    cameras.cameras().iter().find_map(|camera| {
        let Status { state, reason, .. } = camera.status();
        (state == State::Ended).then(|| Error::NotLive { camera: camera.name().to_owned(), state, reason })
    })
}

/// Tries `read` until it gives something; `None` when it is to stop before.
fn wait<T>(
    most_secs: f64,
    clock: &SharedClock,
    stopped: &dyn Fn() -> bool,
    read: &dyn Fn() -> Result<T>,
) -> Result<Option<T>> {
    let until = clock.now_secs() + most_secs;
    loop {
        match read() {
            Ok(value) => return Ok(Some(value)),
            Err(_) if stopped() => return Ok(None),
            Err(error) if clock.now_secs() >= until => return Err(error),
            Err(_) => std::thread::sleep(LOOK),
        }
    }
}

fn one_episode(
    cameras: &CameraSet,
    driver: Option<&ActionFeed>,
    options: &RecordingOptions,
    clock: &SharedClock,
    stopped: &dyn Fn() -> bool,
) -> RecordedEpisode {
    let (period, start) = (1.0 / f64::from(options.fps), clock.now_secs());
    let timesteps = (options.seconds * f64::from(options.fps)).round().max(2.0) as usize;
    let mut recorder = EpisodeRecorder::new(cameras.cameras().len(), timesteps, period);
    let max_age = max_age(cameras);
    for timestep in 0.. {
        let due = start + timestep as f64 * period;
        while clock.now_secs() < due {
            if stopped() {
                return recorder.finish(driver.and_then(ActionFeed::newest));
            }
            let left = (due - clock.now_secs()).clamp(0.0, LOOK.as_secs_f64());
            std::thread::sleep(Duration::from_secs_f64(left));
        }
        let action = driver.and_then(ActionFeed::newest);
        if driver.is_some_and(ActionFeed::has_ended) && timestep > 0 {
            break; // what would follow is done by nobody
        }
        let frames = cameras.read_latest(max_age);
        let late = clock.now_secs() - due > period / 2.0;
        if recorder.tick(frames, action, late) == Timestep::Last {
            break;
        }
    }
    recorder.finish(driver.and_then(ActionFeed::newest))
}

impl LiveRecordingReport {
    fn add(&mut self, episode: &RecordedEpisode) {
        self.episodes += 1;
        self.timesteps += episode.timesteps();
        self.repeated += episode.capture.repeated;
        self.late += episode.capture.late;
        self.passed_over += episode.capture.passed_over;
        let number = self.episodes;
        let cut = |why: &String| format!("episode {number}: cut after {} timesteps: {why}", episode.timesteps());
        self.cut.extend(episode.capture.cut.as_ref().map(cut));
    }
}

impl Display for LiveRecordingReport {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        let (path, timesteps) = (printable_path(&self.path), self.timesteps);
        if self.episodes == 0 {
            let why = self.ended.as_deref().unwrap_or("stopped before an episode");
            return write!(formatter, "{path}: {why}; nothing was recorded");
        }
        write!(formatter, "{path}: {} episodes, {timesteps} timesteps", self.episodes)?;
        let share = |count: usize| 100.0 * count as f64 / timesteps.max(1) as f64;
        write!(
            formatter,
            "\n    {} timesteps repeat a frame ({:.1} %), {} were late ({:.1} %), {} captures lie between timesteps",
            self.repeated,
            share(self.repeated),
            self.late,
            share(self.late),
            self.passed_over
        )?;
        if self.refused_actions > 0 {
            write!(formatter, "\n    {} lines of the driver were no action", self.refused_actions)?;
        }
        self.cut.iter().try_for_each(|cut| write!(formatter, "\n    {cut}"))?;
        let missing = self.not_recorded;
        match &self.ended {
            _ if self.finished => Ok(()),
            Some(ended) => write!(formatter, "\n    {ended}: {missing} episodes were not recorded"),
            None => write!(formatter, "\n    stopped before all episodes; --append goes on"),
        }
    }
}
