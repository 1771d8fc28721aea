//! Which frames of a video file are those of an episode.
//!
//! Three things say it: the number of frames in the file, the lengths of the episodes in it, and the times at which
//! they begin (`from_timestamp`). They have to agree: a frame that belongs to another timestep is never taken.
//!
//! - A file with exactly the frames of its episodes is divided by their lengths. `from_timestamp` may be off by less
//!   than half a frame: added-up durations drift.
//! - A file with more frames or fewer (episodes were removed from the table, or the recording was cut off) is divided
//!   by `from_timestamp`, which then has to be exact; frames left over between episodes have to be enough for one.

use std::ops::Range;

use super::episode_row::EpisodeRow;
use super::info::{FilePlace, Info};
use crate::video::Video;
use crate::{Error, Result};

/// Largest distance of a time from that of its frame, in durations of a frame.
const TOLERANCE: f64 = 0.5;
/// The same where times alone say which frames they are.
const EXACT: f64 = 0.1;

/// An episode's part of a video file.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Part {
    episode: usize,
    from_secs: f64,
    length: usize,
}

/// A video file and the episodes in it.
#[derive(Debug)]
pub(super) struct EpisodesVideo {
    pub video: Video,
    camera: String,
    /// Parts in the order of their times.
    parts: Vec<Part>,
    /// Frames per second that the timesteps may have, the most likely first: what a mapping says, and the description.
    rates: Vec<f64>,
    /// Whether a file holds one episode and nothing else, as in v2.1.
    is_alone: bool,
}

impl EpisodesVideo {
    /// `video` is the file of `camera` at `place`, as one of `rows` says.
    pub fn new(
        video: Video,
        (camera, place): (&str, FilePlace),
        rows: &[EpisodeRow],
        info: &Info,
        rates: &[f64],
    ) -> Self {
        let is_alone = info.is_v21();
        let part = |(episode, row): (usize, &EpisodeRow)| {
            let video = row.videos.get(camera).filter(|video| video.file == place)?;
            Some(Part { episode, from_secs: video.from_secs, length: row.length })
        };
        let mut parts: Vec<Part> = rows.iter().enumerate().filter_map(part).collect();
        parts.sort_by(|a, b| a.from_secs.total_cmp(&b.from_secs));
        Self { video, camera: camera.into(), parts, rates: rates.to_vec(), is_alone }
    }

    /// The frames of `episode`, one per timestep.
    ///
    /// # Errors
    /// [`Error::Content`] that names the episode, when counts, lengths and times agree at no rate.
    pub fn frames_of(&self, episode: usize) -> Result<Range<usize>> {
        let mut first = Err(self.refused(episode, "", "a rate", "none".into()));
        for (index, &fps) in self.rates.iter().enumerate() {
            let frames = self.frames_at_rate(episode, fps);
            if frames.is_ok() {
                return frames;
            }
            first = if index == 0 { frames } else { first };
        }
        first
    }

    fn frames_at_rate(&self, episode: usize, fps: f64) -> Result<Range<usize>> {
        let index = self.parts.iter().position(|part| part.episode == episode);
        let Some((index, part)) = index.and_then(|index| Some((index, self.parts.get(index)?))) else {
            return Err(self.refused(episode, "", "a part of the video", "none".into()));
        };
        let total: usize = self.parts.iter().map(|part| part.length).sum();
        let start = if total == self.video.len() {
            self.start_by_lengths(index, part, fps)?
        } else if self.is_alone {
            let expected = format!("a video of {} frames", part.length);
            return Err(self.refused(episode, "", &expected, self.video.len().to_string()));
        } else {
            self.start_by_times(index, part, fps)?
        };
        let frames = start..start + part.length;
        self.check_times(episode, &frames, fps)?;
        Ok(frames)
    }

    fn refused(&self, episode: usize, field: &str, expected: &str, got: String) -> Error {
        let field = format!("episode {episode} {}{field}", self.camera);
        Error::content(self.video.path(), field, expected, got)
    }

    fn time(&self, frame: usize) -> f64 {
        self.video.times().get(frame).copied().unwrap_or(f64::INFINITY)
    }

    /// The first frame of part `index` of a file that has exactly the frames of its episodes.
    fn start_by_lengths(&self, index: usize, part: &Part, fps: f64) -> Result<usize> {
        let start = self.parts.iter().take(index).map(|part| part.length).sum();
        let time = self.time(start);
        if (time - part.from_secs).abs() * fps < TOLERANCE {
            return Ok(start);
        }
        let expected = format!("{time:.4} (where frame {start} of the video is)");
        Err(self.refused(part.episode, "/from_timestamp", &expected, format!("{:.4}", part.from_secs)))
    }

    /// Fewest frames of episodes that are not in the table: half of the shortest that is.
    fn smallest_gap(&self) -> usize {
        self.parts.iter().map(|part| part.length).min().unwrap_or(0).div_ceil(2).max(1)
    }

    /// The number of the frame at the start of `part`, by its time alone; behind the end, the number of frames.
    fn frame_at(&self, part: &Part, fps: f64) -> usize {
        let times = self.video.times();
        let after = times.partition_point(|time| *time < part.from_secs);
        let off = |frame: usize| (self.time(frame) - part.from_secs).abs();
        let before = after.saturating_sub(1);
        if off(before) < off(after) && off(before) * fps < TOLERANCE { before } else { after }
    }

    /// The first frame of part `index` of a file with more or fewer frames than its episodes have.
    ///
    /// What is wrong before the part, or directly behind it, makes its own place doubtful.
    fn start_by_times(&self, index: usize, part: &Part, fps: f64) -> Result<usize> {
        let total: usize = self.parts.iter().map(|part| part.length).sum();
        let counts = format!("; the video has {} frames for {total} timesteps", self.video.len());
        let mut end = 0;
        for other in self.parts.iter().take(index + 1) {
            let start = self.frame_at(other, fps);
            let off = (self.time(start) - other.from_secs).abs() * fps;
            if off.is_nan() || off > EXACT {
                let expected = format!("the time of a frame{counts}");
                return Err(self.refused(
                    other.episode,
                    "/from_timestamp",
                    &expected,
                    format!("{:.4}", other.from_secs),
                ));
            }
            self.check_order(end..start, other.episode, &counts)?;
            end = start + other.length;
        }
        if end > self.video.len() {
            let expected = format!("{} frames from {:.4} seconds on", part.length, part.from_secs);
            let got = format!("{}{counts}", (self.video.len() + part.length).saturating_sub(end));
            return Err(self.refused(part.episode, "", &expected, got));
        }
        let after = self.parts.get(index + 1).map_or(self.video.len(), |part| self.frame_at(part, fps));
        self.check_order(end..after, part.episode, &counts)?;
        Ok(end - part.length)
    }

    /// Refuses episodes with frames in common, and too few frames between one episode and the next.
    fn check_order(&self, between: Range<usize>, episode: usize, counts: &str) -> Result<()> {
        let expected = "one episode after the other";
        if between.start > between.end {
            let got = format!("frames {} to {} of two episodes{counts}", between.end, between.start - 1);
            return Err(self.refused(episode, "/from_timestamp", expected, got));
        }
        if !between.is_empty() && between.len() < self.smallest_gap() {
            let got = format!("frames {} to {} of none{counts}", between.start, between.end - 1);
            return Err(self.refused(episode, "/from_timestamp", expected, got));
        }
        Ok(())
    }

    /// Refuses frames whose distances in time are not those of the timesteps.
    fn check_times(&self, episode: usize, frames: &Range<usize>, fps: f64) -> Result<()> {
        let start = self.time(frames.start);
        for (timestep, frame) in frames.clone().enumerate() {
            let (expected, got) = (start + timestep as f64 / fps, self.time(frame));
            let off = (got - expected).abs() * fps;
            if off.is_nan() || off >= TOLERANCE {
                let expected = format!("a frame {expected:.4} seconds after the start ({fps} a second)");
                return Err(self.refused(episode, &format!(" frame {timestep}"), &expected, format!("{got:.4}")));
            }
        }
        Ok(())
    }
}
