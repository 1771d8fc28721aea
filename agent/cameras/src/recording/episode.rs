//! One episode of live cameras, timestep by timestep: a function of what was read.

use mindseye_episodes::{EpisodeCapture, EpisodeData};
use mindseye_interface::Image;

use crate::actions::DrivenAction;
use crate::error::Result;
use crate::frame::CameraFrame;
use crate::set::FrameSet;

/// Takes one set of frames per timestep.
#[derive(Debug)]
pub struct EpisodeRecorder {
    timesteps: usize,
    period_secs: f64,
    data: EpisodeData,
    capture: EpisodeCapture,
    /// Number and capture time of each camera's newest recorded frame.
    before: Vec<Option<(u64, f64)>>,
    /// Capture time of the first set.
    start_secs: f64,
}

/// Whether the episode goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timestep {
    /// It does.
    Goes,
    /// This was its last timestep, or there is none any more.
    Last,
}

/// A finished episode.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedEpisode {
    /// Frames (stacks of all cameras) and actions.
    pub data: EpisodeData,
    /// When it was captured, and what was missed.
    pub capture: EpisodeCapture,
}

impl EpisodeRecorder {
    /// An episode of `cameras` cameras and `timesteps` timesteps, `period_secs` apart.
    pub fn new(cameras: usize, timesteps: usize, period_secs: f64) -> Self {
        let capture = EpisodeCapture { captured_secs: vec![Vec::new(); cameras], ..EpisodeCapture::default() };
        let before = vec![None; cameras];
        Self { timesteps, period_secs, data: EpisodeData::default(), capture, before, start_secs: 0.0 }
    }

    /// Takes the frames of the next timestep, and the newest `action`: that of the timestep before, which it followed.
    /// Frames that cannot be had end the episode, with the reason.
    pub fn tick(&mut self, frames: Result<FrameSet>, action: Option<DrivenAction>, late: bool) -> Timestep {
        let set = match frames {
            Ok(set) => set,
            Err(error) => {
                self.capture.cut = Some(error.to_string());
                return Timestep::Last;
            }
        };
        if self.data.frames.is_empty() {
            let captured = set.frames.iter().map(|frame| frame.captured_secs);
            self.start_secs = captured.fold(f64::INFINITY, f64::min);
            self.capture.started_unix_secs = set.frames.first().map_or(0.0, |frame| frame.wall_secs);
        }
        let Some(stack) = stacked(&set) else {
            self.capture.cut = Some("frames of the cameras have different sizes".into());
            return Timestep::Last;
        };
        if self.data.frames.first().is_some_and(|first| first.size() != stack.size()) {
            self.capture.cut = Some("the size of the frames has changed".into());
            return Timestep::Last;
        }
        let measured = action.as_ref().map(|action| action.proprioception.clone()).unwrap_or_default();
        self.follow(action);
        let mut repeats = false;
        for (camera, frame) in set.frames.iter().enumerate() {
            repeats |= self.note(camera, frame);
        }
        self.capture.repeated += usize::from(repeats);
        self.capture.late += usize::from(late);
        self.data.frames.push(stack);
        self.data.proprioception.push(measured);
        self.data.states.push(Vec::new());
        if self.data.len() >= self.timesteps { Timestep::Last } else { Timestep::Goes }
    }

    /// The action after the newest timestep.
    fn follow(&mut self, action: Option<DrivenAction>) {
        if self.data.actions.len() < self.data.frames.len() {
            self.data.actions.push(action.map_or_else(Vec::new, |action| action.values));
        }
    }

    /// Keeps when the frame was captured; whether it is that of the timestep before.
    fn note(&mut self, camera: usize, frame: &CameraFrame) -> bool {
        let since = ((frame.captured_secs - self.start_secs) * 1e3).round() / 1e3;
        self.capture.captured_secs[camera].push(since);
        let before = self.before[camera].replace((frame.sequence, frame.captured_secs));
        let passed = before.map_or(0, |(sequence, _)| frame.sequence.saturating_sub(sequence + 1));
        self.capture.passed_over += passed;
        before.is_some_and(|(sequence, _)| sequence == frame.sequence)
    }

    /// The episode as far as it is, with `action` after its last timestep.
    pub fn finish(mut self, action: Option<DrivenAction>) -> RecordedEpisode {
        self.follow(action);
        RecordedEpisode { data: self.data, capture: self.capture }
    }

    /// Duration of what was recorded, seconds.
    pub fn recorded_secs(&self) -> f64 {
        self.data.len() as f64 * self.period_secs
    }
}

impl RecordedEpisode {
    /// Number of timesteps.
    pub fn timesteps(&self) -> usize {
        self.data.len()
    }
}

/// The images of all cameras on top of each other; none where their sizes differ.
pub fn stacked(set: &FrameSet) -> Option<Image> {
    let first = set.frames.first()?.image.size();
    if set.frames.iter().any(|frame| frame.image.size() != first) {
        return None;
    }
    if let [only] = set.frames.as_slice() {
        return Some(Image::clone(&only.image));
    }
    let size = mindseye_interface::ImageSize::new(first.height() * set.frames.len(), first.width()).ok()?;
    let pixels = set.frames.iter().flat_map(|frame| frame.image.pixels()).copied().collect();
    Image::new(size, pixels).ok()
}
