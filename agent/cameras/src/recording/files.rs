//! The data set of a live recording: LeRobot's files, and beside them what is known of the capture.

use mindseye_episodes::{CaptureLog, DatasetSpec, DatasetWriter, ImageStorage, WriteMode};
use mindseye_interface::MemoryLimit;
use mindseye_interface::memory::product;

use super::{RecordedEpisode, RecordingOptions};
use crate::actions::ActionFeed;
use crate::error::{Error, Result};
use crate::set::{CameraSet, FrameSet};

/// Episodes in memory at once: as frames, as stacks of them, and encoded.
const COPIES: usize = 3;

pub(super) struct DataSet {
    writer: DatasetWriter,
    log: CaptureLog,
    root: std::path::PathBuf,
    last_length: usize,
}

impl DataSet {
    /// Begins the data set, or goes on with it, for frames like those of `first` and actions of so many numbers of the
    /// driver, if there is one.
    pub fn create(
        cameras: &CameraSet,
        first: &FrameSet,
        driver: Option<(&ActionFeed, usize)>,
        options: &RecordingOptions,
    ) -> Result<Self> {
        let sizes: Vec<_> = first.frames.iter().map(|frame| frame.image.size()).collect();
        let Some(&size) = sizes.first() else { return Err(Error::argument("cameras", "at least 1", 0)) };
        if let Some(other) = sizes.iter().find(|other| **other != size) {
            let shown = |size: mindseye_interface::ImageSize| format!("{}x{}", size.width(), size.height());
            let expected = format!("cameras of one size (--size, #resize=...), {}", shown(size));
            return Err(Error::argument("size of frames", expected, shown(*other)));
        }
        let timesteps = (options.seconds * f64::from(options.fps)).ceil() as usize + 1;
        let needed = product(&[COPIES, timesteps, sizes.len(), size.rgb_len()]);
        MemoryLimit::of_this_machine().require("--seconds x --fps x size of frames (--size)", needed)?;
        let mut names = cameras.cameras().iter().map(|camera| column_name(camera.name()));
        let spec = DatasetSpec {
            frames_per_second: options.fps,
            camera: names.next().unwrap_or_default(),
            more_cameras: names.collect(),
            image_size: size,
            image_storage: if options.video { ImageStorage::Av1 } else { ImageStorage::Png },
            proprioception_names: driver.map(|(driver, _)| driver.proprioception_names()).unwrap_or_default(),
            state_names: Vec::new(),
            action_names: driver.map(|(driver, width)| driver.action_names(width)).unwrap_or_default(),
            task: options.task.clone(),
            robot: None,
            episodes_per_file: 1, // what is recorded is on disk before the next episode begins
            sidecar: None,
        };
        let before = match options.mode {
            WriteMode::Append => CaptureLog::read(&options.out)?.unwrap_or_default(),
            _ => CaptureLog::default(),
        };
        let writer = DatasetWriter::create(&options.out, spec, options.mode)?;
        let mut log = before;
        // An episode that was lost with its recorder leaves a gap, or a line without an episode.
        log.episodes.resize_with(writer.episodes(), Default::default);
        let records = cameras.cameras().iter().map(|camera| serde_json::to_value(camera.record()));
        let records = records.collect::<std::result::Result<Vec<_>, _>>();
        log.cameras.push(records.map_err(|error| Error::argument("record of a camera", "JSON", error))?);
        Ok(Self { writer, log, root: options.out.clone(), last_length: 0 })
    }

    /// Adds an episode and writes it out.
    pub fn add(&mut self, mut episode: RecordedEpisode) -> Result<()> {
        self.last_length = episode.timesteps();
        self.writer.add_episode(&episode.data)?;
        self.writer.flush()?;
        episode.capture.session = self.log.cameras.len() - 1;
        self.log.episodes.push(episode.capture);
        Ok(self.log.write(&self.root)?)
    }

    /// Timesteps of the newest episode.
    pub fn last_length(&self) -> usize {
        self.last_length
    }

    pub fn finish(self) -> Result<()> {
        let _ = self.writer.finish()?;
        Ok(())
    }
}

/// A name as columns have it: letters, digits and `_`.
pub fn column_name(name: &str) -> String {
    let plain: String = name.chars().map(|letter| if letter.is_alphanumeric() { letter } else { '_' }).collect();
    if plain.is_empty() { "camera".into() } else { plain }
}
