//! stable-worldmodel's HDF5 files: columns over all steps of all episodes, with the episodes' lengths and places beside them.
//!
//! ```text
//! ep_len [E], ep_offset [E]     steps of every episode, and the row of its first
//! pixels [N, H, W, 3] u8        pictures
//! action [N, A]                 what was done at each step, floating point
//! proprio [N, P], state [N, K]  the body's own sense of itself, the true state; where there are any
//! episode_idx [N], step_idx [N]  which step of which episode a row is; written, not read
//! ```
//!
//! Both the current recorder's files and those of the older one, whose pictures went through Blosc, are read. What is written here has what
//! mindseye knows beside in an attribute of the root group, `mindseye`.

mod blosc;
mod notes;
mod writer;

use std::ops::Range;
use std::path::{Path, PathBuf};

use hdf5_pure::{DType, Dataset as Column, File};
use mindseye_interface::{Image, ImageSize};
use rayon::prelude::*;

use self::notes::Notes;
pub use self::writer::SwmWriter;
use crate::episode::EpisodeShape;
use crate::lerobot::dataset::EpisodeMeta;
use crate::lerobot::sidecar::Sidecar;
use crate::lerobot::summary::{DatasetSummary, FeatureSummary};
use crate::picture::fit;
use crate::source::{EpisodeSource, Numbers, PictureOptions, Wanted};
use crate::{Error, Result};

/// Columns that may hold pictures, the first that is there counts.
const PICTURES: [&str; 4] = ["pixels", "image", "images", "observation.images.front"];
const ACTIONS: [&str; 2] = ["action", "actions"];
const PROPRIOCEPTION: [&str; 2] = ["proprio", "observation.state"];
const STATES: [&str; 1] = ["state"];
/// Widest row of numbers that is believed.
const MAX_WIDTH: u64 = 1 << 16;
/// Episodes that are believed to be one.
const MAX_FRAMES: usize = u32::MAX as usize;

/// A file of stable-worldmodel, open for reading.
pub struct SwmFile {
    path: PathBuf,
    file: File,
    shape: EpisodeShape,
    pictures: String,
    /// Columns of numbers with their widths: actions, true state, proprioception.
    numbers: [Option<(String, usize)>; 3],
    episodes: Vec<Range<usize>>,
    frames: usize,
    /// What mindseye wrote beside the columns.
    notes: Option<Notes>,
}

impl std::fmt::Debug for SwmFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SwmFile").field("path", &self.path).field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl SwmFile {
    /// Whether the file at `path` begins as HDF5 files do.
    pub fn is_hdf5(path: &Path) -> bool {
        hdf5_pure::is_hdf5(path).unwrap_or(false)
    }

    /// Opens the file at `path`: reads what columns there are, not their rows.
    ///
    /// # Errors
    /// [`Error::File`] when it is broken; [`Error::Content`] when a column is missing or contradicts the others.
    pub fn open(path: &Path) -> Result<Self> {
        let broken = |error: hdf5_pure::Error| Error::file(path, "reading HDF5", error);
        let file = File::open_streaming(path).map_err(broken)?;
        let names = file.root().datasets().map_err(broken)?;
        let first_of = |wanted: &[&'static str]| -> Option<&'static str> {
            wanted.iter().copied().find(|name| names.iter().any(|known| known == name))
        };
        let missing = |wanted: &[&str]| {
            Error::content(path, wanted.join(" or "), "a column", format!("only {}", names.join(", ")))
        };
        let pictures = first_of(&PICTURES).ok_or_else(|| missing(&PICTURES))?;
        let action = first_of(&ACTIONS).ok_or_else(|| missing(&ACTIONS))?;
        let shape_of = |name: &str| file.dataset(name).and_then(|column| column.shape()).map_err(broken);
        let (image_size, rows) = match shape_of(pictures)?[..] {
            [rows, height, width, 3] if height.max(width) <= ImageSize::MAX_SIDE as u64 => {
                (ImageSize::new(height as usize, width as usize)?, rows)
            }
            ref other => return Err(Error::content(path, pictures, "[N, height, width, 3]", format!("{other:?}"))),
        };
        let width = |name: &str| -> Result<(String, usize)> {
            match shape_of(name)?[..] {
                [own, width] if own == rows && (1..=MAX_WIDTH).contains(&width) => Ok((name.into(), width as usize)),
                [own] if own == rows => Ok((name.into(), 1)),
                ref other => Err(Error::content(path, name, format!("[{rows}, width]"), format!("{other:?}"))),
            }
        };
        let optional = |wanted: &[&'static str]| first_of(wanted).map(width).transpose();
        let numbers = [Some(width(action)?), optional(&STATES)?, optional(&PROPRIOCEPTION)?];
        let of = |index: usize| numbers[index].as_ref().map_or(0, |(_, width)| *width);
        let shape = EpisodeShape { image_size, action: of(0), state: of(1), proprioception: of(2) };
        let whole = |name: &str| -> Result<Vec<usize>> {
            let column = file.dataset(name).map_err(|_| missing(&[name]))?;
            let values = column.read_i64().map_err(broken)?;
            let count = |value: i64| {
                usize::try_from(value).map_err(|_| Error::content(path, name, "at least 0", value)) //
            };
            values.into_iter().map(count).collect()
        };
        let (lengths, offsets) = (whole("ep_len")?, whole("ep_offset")?);
        if lengths.len() != offsets.len() {
            return Err(Error::content(path, "ep_offset", format!("{} episodes", lengths.len()), offsets.len()));
        }
        let mut episodes = Vec::with_capacity(lengths.len());
        let rows = usize::try_from(rows).unwrap_or(usize::MAX).min(MAX_FRAMES);
        for (episode, (&length, &offset)) in lengths.iter().zip(&offsets).enumerate() {
            match offset.checked_add(length) {
                Some(end) if length > 0 && end <= rows => episodes.push(offset..end),
                _ => {
                    let got = format!("{length} rows from {offset}");
                    return Err(Error::content(path, format!("episode {episode}"), format!("rows below {rows}"), got));
                }
            }
        }
        let frames = lengths.iter().sum();
        let notes = Notes::read(&file, path, &shape)?;
        Ok(Self { path: path.to_path_buf(), file, shape, pictures: pictures.into(), numbers, episodes, frames, notes })
    }

    fn broken(&self, error: hdf5_pure::Error) -> Error {
        Error::file(&self.path, "reading HDF5", error)
    }

    fn column(&self, name: &str) -> Result<Column> {
        self.file.dataset(name).map_err(|error| self.broken(error))
    }

    /// Rows `range` of a column of numbers `[N, width]`.
    fn rows(&self, column: &(String, usize), range: &Range<usize>, episode: usize) -> Result<Vec<f32>> {
        let (name, width) = column;
        let values = self.floats(&self.column(name)?, name, range)?;
        if values.len() != range.len() * width {
            let field = format!("episode {episode} {name}");
            return Err(Error::content(&self.path, field, format!("{} values", range.len() * width), values.len()));
        }
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(values),
            Some(bad) => {
                let field = format!("episode {episode} frame {} {name}[{}]", bad / width, bad % width);
                Err(Error::content(&self.path, field, "a finite number", values[bad]))
            }
        }
    }

    fn floats(&self, column: &Column, name: &str, range: &Range<usize>) -> Result<Vec<f32>> {
        let (start, count) = (range.start as u64, range.len() as u64);
        let kind = column.dtype().map_err(|error| self.broken(error))?;
        if blosc::is_used(column) {
            let bytes = blosc::read_rows(column, &self.path, start, count)?;
            return blosc::floats(&bytes, &kind).ok_or_else(|| {
                Error::content(&self.path, name, "numbers", format!("{kind:?} compressed with Blosc")) //
            });
        }
        let read = match kind {
            DType::F32 => column.read_f32_rows(start, count),
            _ => {
                column.read_f64_rows(start, count).map(|values| values.into_iter().map(|value| value as f32).collect())
            }
        };
        read.map_err(|error| self.broken(error))
    }

    /// The pictures of rows `range`, `[rows, H, W, 3]`.
    fn picture_rows(&self, range: &Range<usize>) -> Result<Vec<u8>> {
        let (column, count) = (self.column(&self.pictures)?, range.len() as u64);
        let bytes = if blosc::is_used(&column) {
            blosc::read_rows(&column, &self.path, range.start as u64, count)?
        } else {
            column.read_u8_rows(range.start as u64, count).map_err(|error| self.broken(error))?
        };
        let expected = range.len() * self.shape.image_size.rgb_len();
        if bytes.len() != expected {
            return Err(Error::content(&self.path, &self.pictures, format!("{expected} bytes"), bytes.len()));
        }
        Ok(bytes)
    }

    fn range(&self, episode: usize) -> Result<&Range<usize>> {
        let missing = || Error::content(&self.path, "episode", format!("below {}", self.episodes.len()), episode);
        self.episodes.get(episode).ok_or_else(missing)
    }
}

impl EpisodeSource for SwmFile {
    fn format(&self) -> String {
        "stable-worldmodel HDF5".into()
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn shape(&self) -> &EpisodeShape {
        &self.shape
    }

    fn len(&self) -> usize {
        self.episodes.len()
    }

    fn frames(&self) -> usize {
        self.frames
    }

    fn episode(&self, index: usize) -> Result<EpisodeMeta> {
        let task = self.notes.as_ref().and_then(|notes| notes.task(index));
        let tasks = task.map(String::from).into_iter().collect();
        Ok(EpisodeMeta { index, length: self.range(index)?.len(), tasks })
    }

    fn frames_per_second(&self) -> Option<f64> {
        self.notes.as_ref().map(|notes| notes.frames_per_second)
    }

    fn state_names(&self) -> Vec<String> {
        self.notes.as_ref().map(|notes| notes.state_names.clone()).unwrap_or_default()
    }

    fn proprioception_names(&self) -> Vec<String> {
        self.notes.as_ref().map(|notes| notes.proprioception_names.clone()).unwrap_or_default()
    }

    fn action_names(&self) -> Vec<String> {
        self.notes.as_ref().map(|notes| notes.action_names.clone()).unwrap_or_default()
    }

    fn sidecar(&self) -> Option<&Sidecar> {
        self.notes.as_ref()?.sidecar.as_ref()
    }

    fn summary(&self) -> Result<DatasetSummary> {
        let lengths = || self.episodes.iter().map(Range::len);
        let mut features = Vec::new();
        for name in self.file.root().datasets().map_err(|error| self.broken(error))? {
            let column = self.column(&name)?;
            let shape = column.shape().map_err(|error| self.broken(error))?;
            let dtype = column.dtype().map_err(|error| self.broken(error))?;
            let named = |of: usize| self.numbers[of].as_ref().is_some_and(|(known, _)| *known == name);
            let element_names = match () {
                () if named(0) => self.action_names(),
                () if named(1) => self.state_names(),
                () if named(2) => self.proprioception_names(),
                () => Vec::new(),
            };
            features.push(FeatureSummary {
                name,
                dtype: format!("{dtype:?}").to_lowercase(),
                shape: shape.into_iter().map(|side| side as usize).collect(),
                element_names,
            });
        }
        let metadata = std::fs::metadata(&self.path).map_err(|error| Error::file(&self.path, "opening", error))?;
        Ok(DatasetSummary {
            path: self.path.clone(),
            format: self.format(),
            episodes: self.len(),
            frames: self.frames,
            frames_per_second: self.frames_per_second(),
            episode_frames: [lengths().min().unwrap_or(0), lengths().max().unwrap_or(0)],
            tasks: self.notes.as_ref().map(Notes::texts).unwrap_or_default(),
            features,
            bytes_on_disk: metadata.len(),
            action: None,
            sidecar: self.sidecar().cloned(),
        })
    }

    fn parts(&self, episodes: Range<usize>) -> Vec<Range<usize>> {
        (episodes.start..episodes.end.min(self.len())).map(|episode| episode..episode + 1).collect()
    }

    fn read(
        &self,
        part: Vec<Wanted<'_>>,
        options: PictureOptions,
        done: &(dyn Fn(usize) + Sync),
    ) -> Result<Vec<Numbers>> {
        let one = |wanted: Wanted<'_>| -> Result<Numbers> {
            let range = self.range(wanted.episode)?;
            let [actions, states, proprioception] = self.numbers.each_ref().map(|column| match column {
                Some(column) => self.rows(column, range, wanted.episode),
                None => Ok(Vec::new()),
            });
            let numbers = Numbers { actions: actions?, states: states?, proprioception: proprioception? };
            let (own, size) = (self.shape.image_size, options.size);
            // A few pictures at a time: a row is a chunk, mostly.
            const SOME: usize = 64;
            let targets = wanted.pictures.chunks_mut(SOME * size.rgb_len());
            for (some, targets) in targets.enumerate() {
                let count = targets.len() / size.rgb_len();
                let first = range.start + some * SOME * options.stride;
                let last = first + (count - 1) * options.stride;
                let bytes = if options.stride == 1 {
                    self.picture_rows(&(first..last + 1))?
                } else {
                    let rows = (first..=last).step_by(options.stride).map(|row| self.picture_rows(&(row..row + 1)));
                    rows.collect::<Result<Vec<_>>>()?.concat()
                };
                let pairs = bytes.par_chunks_exact(own.rgb_len()).zip(targets.par_chunks_exact_mut(size.rgb_len()));
                pairs.try_for_each(|(bytes, target)| -> Result<()> {
                    fit(&Image::new(own, bytes.to_vec())?, size, target);
                    Ok(())
                })?;
            }
            done(range.len());
            Ok(numbers)
        };
        part.into_iter().map(one).collect()
    }
}
