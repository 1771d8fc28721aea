//! What an event leaves behind: the seconds before and after it as an episode, and a message.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel};
use std::thread::JoinHandle;

use mindseye_cameras::{FrameSet, column_name, stacked};
use mindseye_episodes::{
    CaptureLog, DatasetSpec, DatasetWriter, EpisodeCapture, EpisodeData, ImageStorage, WriteMode, open,
};
use mindseye_interface::memory::product;
use mindseye_interface::{Image, ImageSize, MemoryLimit};
use serde::Serialize;

use crate::{Error, Result};

/// Episodes that may wait for a slow disk; more are dropped and said.
const WAITING: usize = 2;

/// An event: surprise stayed above the band.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// What happened: always `surprise`.
    pub event: &'static str,
    /// Number among those of this watch, from 1 on.
    pub number: usize,
    /// Time of day, seconds since 1970.
    pub unix_secs: f64,
    /// The score, and the band that it exceeds.
    pub score: f64,
    /// See `score`.
    pub band: f64,
    /// The kind of score that was the largest.
    pub kind: String,
    /// The cameras.
    pub cameras: Vec<String>,
    /// Where the seconds around it are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_in: Option<PathBuf>,
}

/// What is kept around an event.
#[derive(Debug, Clone, PartialEq)]
pub struct EventSettings {
    /// The data set, to which every event adds an episode.
    pub folder: PathBuf,
    /// Ticks before the event that are kept.
    pub before: usize,
    /// Ticks after it.
    pub after: usize,
    /// Ticks per second.
    pub rate: u32,
    /// Names of the cameras.
    pub cameras: Vec<String>,
    /// Size of the images of each.
    pub image_size: ImageSize,
    /// Numbers of an action; 0 without a driver.
    pub action_width: usize,
}

/// What became of an event: where it is kept, or why it is lost.
pub type News = std::result::Result<String, String>;

/// One tick as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    image: Image,
    action: Vec<f32>,
    captured: Vec<f64>,
    unix_secs: f64,
}

/// Keeps the newest ticks, and writes those around events on a thread of its own.
#[derive(Debug)]
pub struct Events {
    settings: EventSettings,
    newest: VecDeque<Kept>,
    /// Ticks still to come of the event that is being kept, and its text.
    coming: Option<(usize, String)>,
    write: Option<SyncSender<(EpisodeData, EpisodeCapture, String)>>,
    written: Receiver<News>,
    unsaid: Vec<News>,
    thread: Option<JoinHandle<()>>,
}

impl Events {
    /// Keeps what `settings` say. A folder that cannot take an event is found now, not at the first one.
    ///
    /// # Errors
    /// When the frames to keep need more memory than there is, there is no thread, or the folder cannot be made, is
    /// written to by somebody else, or has something that these episodes cannot be added to.
    pub fn new(settings: EventSettings) -> Result<Self> {
        let ticks = settings.before.saturating_add(settings.after).saturating_add(1);
        let needed = product(&[ticks, settings.cameras.len(), settings.image_size.rgb_len(), 2 + WAITING]);
        MemoryLimit::of_this_machine().require("--before and --after x --hz x size of frames", needed)?;
        settings.require_room()?;
        let (write, episodes) = sync_channel::<(EpisodeData, EpisodeCapture, String)>(WAITING);
        let (say, written) = channel::<News>();
        let own = settings.clone();
        let work = move || {
            for (data, capture, text) in episodes {
                let line = match save(&own, &data, capture, &text) {
                    Ok(episode) => Ok(format!("kept as episode {episode} of {}", own.folder.display())),
                    Err(error) => Err(format!("{text}: not kept: {error}")),
                };
                let _ = say.send(line); // nobody listens any more: the watch has ended
            }
        };
        let thread = std::thread::Builder::new().name("events".into()).spawn(work);
        let thread = thread.map_err(|error| Error::field("--events", "a thread", error))?;
        let (newest, coming, unsaid) = (VecDeque::new(), None, Vec::new());
        Ok(Self { settings, newest, coming, write: Some(write), written, unsaid, thread: Some(thread) })
    }

    /// Takes the frames and the action of a tick that saw something.
    pub fn takes(&mut self, set: &FrameSet, action: &[f32]) {
        let Some(image) = stacked(set) else { return };
        if self.newest.back().is_some_and(|newest| newest.image.size() != image.size()) {
            self.newest.clear();
        }
        let captured = set.frames.iter().map(|frame| frame.captured_secs).collect();
        let unix_secs = set.frames.first().map_or(0.0, |frame| frame.wall_secs);
        let most = self.settings.before + 1 + self.coming.as_ref().map_or(0, |_| self.settings.after);
        while self.newest.len() >= most {
            self.newest.pop_front();
        }
        self.newest.push_back(Kept { image, action: action.to_vec(), captured, unix_secs });
        if let Some((left, _)) = &mut self.coming {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.keep();
            }
        }
    }

    /// An event begins with the newest tick. During one that is being kept nothing begins.
    pub fn begin(&mut self, text: String) {
        if self.coming.is_none() {
            self.coming = Some((self.settings.after, text));
            if self.settings.after == 0 {
                self.keep();
            }
        }
    }

    fn keep(&mut self) {
        let Some((_, text)) = self.coming.take() else { return };
        let kept: Vec<Kept> = self.newest.drain(..).collect();
        if kept.len() < 2 {
            self.unsaid.push(Err(format!("{text}: not kept: expected two frames around it, got {}", kept.len())));
            return;
        }
        let start = kept[0].captured.iter().copied().fold(f64::INFINITY, f64::min);
        let cameras = self.settings.cameras.len();
        let of_camera = |camera: usize| {
            let since = |kept: &Kept| {
                let secs = kept.captured.get(camera).copied().unwrap_or(start) - start;
                (secs * 1e3).round() / 1e3
            };
            kept.iter().map(since).collect()
        };
        let capture = EpisodeCapture {
            started_unix_secs: kept[0].unix_secs,
            captured_secs: (0..cameras).map(of_camera).collect(),
            ..EpisodeCapture::default()
        };
        let width = self.settings.action_width;
        let mut data = EpisodeData::default();
        for Kept { image, mut action, .. } in kept {
            action.resize(width, 0.0);
            data.frames.push(image);
            data.actions.push(action);
            data.states.push(Vec::new());
            data.proprioception.push(Vec::new());
        }
        let Some(write) = &self.write else { return };
        if let Err(TrySendError::Full(unsent) | TrySendError::Disconnected(unsent)) =
            write.try_send((data, capture, text))
        {
            self.unsaid.push(Err(format!("{}: not kept: the disk is behind by {WAITING} events", unsent.2)));
        }
    }

    /// What was written since the last call, and what was not, a line each.
    pub fn news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.unsaid).into_iter().chain(self.written.try_iter()).collect()
    }

    /// Keeps an event that is under way as far as it is, waits until all is written, and says what was.
    pub fn finish(mut self) -> Vec<News> {
        self.keep();
        self.write = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            self.unsaid.push(Err("not kept: what writes events has failed".into()));
        }
        self.news()
    }
}

impl EventSettings {
    /// A data set of such events, of images of `image_size`.
    fn spec(&self, image_size: ImageSize, task: String) -> DatasetSpec {
        let mut names = self.cameras.iter().map(|name| column_name(name));
        DatasetSpec {
            frames_per_second: self.rate,
            camera: names.next().unwrap_or_else(|| "camera".into()),
            more_cameras: names.collect(),
            image_size,
            image_storage: ImageStorage::Png,
            proprioception_names: Vec::new(),
            state_names: Vec::new(),
            action_names: (0..self.action_width).map(|index| format!("action_{index}")).collect(),
            task,
            robot: None,
            episodes_per_file: 1,
            sidecar: None,
        }
    }

    /// Refuses a folder to which no event could be added. What it has stays as it is; a new one is removed again.
    fn require_room(&self) -> Result<()> {
        CaptureLog::read(&self.folder)?;
        // A text that is there already adds nothing to the list of texts.
        let known = open(&self.folder).ok().and_then(|data| data.episode(0).ok()?.tasks.first().cloned());
        let spec = self.spec(self.image_size, known.unwrap_or_else(|| "surprise".into()));
        Ok(DatasetWriter::create(&self.folder, spec, WriteMode::Append).map(drop)?)
    }
}

/// Adds an episode to the data set of the events.
fn save(settings: &EventSettings, data: &EpisodeData, capture: EpisodeCapture, text: &str) -> Result<usize> {
    let root: &Path = &settings.folder;
    let size = data.frames[0].size();
    let each = ImageSize::new(size.height() / settings.cameras.len().max(1), size.width())?;
    let spec = settings.spec(each, text.to_owned());
    let mut log = CaptureLog::read(root)?.unwrap_or_default();
    let mut writer = DatasetWriter::create(root, spec, WriteMode::Append)?;
    let number = writer.episodes();
    writer.add_episode(data)?;
    writer.flush()?;
    log.episodes.resize_with(number, EpisodeCapture::default);
    log.episodes.push(capture);
    log.write(root)?;
    let _ = writer.finish()?;
    Ok(number)
}
