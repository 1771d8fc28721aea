//! stable-worldmodel's HDF5 files: columns over all steps of all episodes, with the episodes' lengths and places beside them.
//!
//! ```text
//! ep_len [E], ep_offset [E]     steps of every episode, and the row of its first
//! pixels [N, H, W, 3] u8        pictures
//! action [N, A]                 what was done at each step, floating point
//! proprio [N, P], state [N, K]  the body's own sense of itself, the true state; where there are any
//! ```
//!
//! Both the current recorder's files and those of the older one, whose pictures went through Blosc, are read.

mod blosc;

use std::ops::Range;
use std::path::{Path, PathBuf};

use hdf5_pure::{DType, Dataset as Column, File};
use mindseye_interface::{Image, ImageSize};
use rayon::prelude::*;

use crate::episode::EpisodeShape;
use crate::lerobot::dataset::{EpisodeMeta, share_of};
use crate::lerobot::summary::{DatasetSummary, FeatureSummary};
use crate::mapping::{Columns, Kind, Known, Mapping, Part, Usual, side_by_side};
use crate::picture::fit;
use crate::source::{EpisodeSource, Numbers, PictureOptions, Wanted};
use crate::{Error, Result};

/// Names that columns usually have.
const USUAL: Usual = Usual {
    cameras: Some(&["pixels", "image", "images", "observation.images.front"]),
    action: &["action", "actions"],
    proprioception: &["proprio", "observation.state"],
    state: &["state"],
};
/// Widest row of numbers that is believed.
const MAX_WIDTH: u64 = 1 << 16;
/// Episodes that are believed to be one.
const MAX_FRAMES: usize = u32::MAX as usize;

/// A file of stable-worldmodel, open for reading.
pub struct SwmFile {
    path: PathBuf,
    file: File,
    shape: EpisodeShape,
    columns: Columns,
    fps: Option<f64>,
    episodes: Vec<Range<usize>>,
    frames: usize,
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
        Self::open_with(path, &Mapping::default())
    }

    /// As [`SwmFile::open`], with the columns that `mapping` names.
    ///
    /// # Errors
    /// As [`SwmFile::open`].
    pub fn open_with(path: &Path, mapping: &Mapping) -> Result<Self> {
        let broken = |error: hdf5_pure::Error| Error::file(path, "reading HDF5", error);
        let file = File::open_streaming(path).map_err(broken)?;
        let names = file.root().datasets().map_err(broken)?;
        let mut shapes = Vec::with_capacity(names.len());
        for name in &names {
            shapes.push((name, file.dataset(name).and_then(|column| column.shape()).map_err(broken)?));
        }
        let known: Vec<Known> = shapes.iter().filter_map(|(name, shape)| known(name, shape)).collect();
        let columns = mapping.resolve(path, &known, &USUAL)?;
        let rows_of = |wanted: &str| shapes.iter().find(|(name, _)| *name == wanted).map_or(0, |(_, shape)| shape[0]);
        let rows = rows_of(&columns.cameras[0].0);
        let numbers = [&columns.action, &columns.proprioception, &columns.state].into_iter().flatten();
        for name in columns.cameras.iter().map(|(name, _)| name).chain(numbers.map(|part| &part.column)) {
            if rows_of(name) != rows {
                return Err(Error::content(path, name, format!("{rows} rows"), rows_of(name)));
            }
        }
        let shape = columns.shape()?;
        let missing = |name: &str| Error::content(path, name, "a column", format!("only {}", names.join(", ")));
        let whole = |name: &str| -> Result<Vec<usize>> {
            let column = file.dataset(name).map_err(|_| missing(name))?;
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
        Ok(Self { path: path.to_path_buf(), file, shape, columns, fps: mapping.fps, episodes, frames })
    }

    fn broken(&self, error: hdf5_pure::Error) -> Error {
        Error::file(&self.path, "reading HDF5", error)
    }

    fn column(&self, name: &str) -> Result<Column> {
        self.file.dataset(name).map_err(|error| self.broken(error))
    }

    /// Rows `range` of a column of numbers `[N, width]`.
    fn rows(&self, part: &Part, range: &Range<usize>, episode: usize) -> Result<Vec<f32>> {
        let Part { column: name, width, .. } = part;
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

    /// The pictures of rows `range` of a camera, `[rows, H, W, 3]`.
    fn picture_rows(&self, (name, size): (&str, ImageSize), range: &Range<usize>) -> Result<Vec<u8>> {
        let (column, count) = (self.column(name)?, range.len() as u64);
        let bytes = if blosc::is_used(&column) {
            blosc::read_rows(&column, &self.path, range.start as u64, count)?
        } else {
            column.read_u8_rows(range.start as u64, count).map_err(|error| self.broken(error))?
        };
        let expected = range.len() * size.rgb_len();
        if bytes.len() != expected {
            return Err(Error::content(&self.path, name, format!("{expected} bytes"), bytes.len()));
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

    fn frames_per_second(&self) -> Option<f64> {
        self.fps
    }

    fn episode(&self, index: usize) -> Result<EpisodeMeta> {
        Ok(EpisodeMeta { index, length: self.range(index)?.len(), tasks: Vec::new() })
    }

    fn mapping(&self) -> Mapping {
        self.columns.mapping(self.fps)
    }

    fn summary(&self) -> Result<DatasetSummary> {
        let lengths = || self.episodes.iter().map(Range::len);
        let mut features = Vec::new();
        for name in self.file.root().datasets().map_err(|error| self.broken(error))? {
            let column = self.column(&name)?;
            let shape = column.shape().map_err(|error| self.broken(error))?;
            let dtype = column.dtype().map_err(|error| self.broken(error))?;
            features.push(FeatureSummary {
                name,
                dtype: format!("{dtype:?}").to_lowercase(),
                shape: shape.into_iter().map(|side| side as usize).collect(),
                element_names: Vec::new(),
            });
        }
        let metadata = std::fs::metadata(&self.path).map_err(|error| Error::file(&self.path, "opening", error))?;
        Ok(DatasetSummary {
            path: self.path.clone(),
            format: self.format(),
            episodes: self.len(),
            frames: self.frames,
            frames_per_second: self.fps,
            episode_frames: [lengths().min().unwrap_or(0), lengths().max().unwrap_or(0)],
            tasks: Vec::new(),
            features,
            bytes_on_disk: metadata.len(),
            action: None,
            sidecar: None,
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
            let numbers = |parts: &[Part]| side_by_side(parts, |part| self.rows(part, range, wanted.episode));
            let numbers = Numbers {
                actions: numbers(&self.columns.action)?,
                states: numbers(&self.columns.state)?,
                proprioception: numbers(&self.columns.proprioception)?,
            };
            let each = share_of(options.size, self.columns.cameras.len())?;
            for (number, (name, own)) in self.columns.cameras.iter().enumerate() {
                let place = number * each.rgb_len()..(number + 1) * each.rgb_len();
                // A few pictures at a time: a row is a chunk, mostly.
                const SOME: usize = 64;
                for (some, targets) in wanted.pictures.chunks_mut(SOME * options.size.rgb_len()).enumerate() {
                    let count = targets.len() / options.size.rgb_len();
                    let first = range.start + some * SOME * options.stride;
                    let last = first + (count - 1) * options.stride;
                    let camera = (name.as_str(), *own);
                    let bytes = if options.stride == 1 {
                        self.picture_rows(camera, &(first..last + 1))?
                    } else {
                        let rows = (first..=last).step_by(options.stride);
                        let rows = rows.map(|row| self.picture_rows(camera, &(row..row + 1)));
                        rows.collect::<Result<Vec<_>>>()?.concat()
                    };
                    let targets = targets.par_chunks_exact_mut(options.size.rgb_len());
                    bytes.par_chunks_exact(own.rgb_len()).zip(targets).try_for_each(
                        |(bytes, target)| -> Result<()> {
                            fit(&Image::new(*own, bytes.to_vec())?, each, &mut target[place.clone()]);
                            Ok(())
                        },
                    )?;
                }
            }
            done(range.len());
            Ok(numbers)
        };
        part.into_iter().map(one).collect()
    }
}

/// What can be mapped of a column of `shape`.
fn known(name: &str, shape: &[u64]) -> Option<Known> {
    let kind = match *shape {
        [_, height, width, 3] if height.max(width) <= ImageSize::MAX_SIDE as u64 => {
            Kind::Pictures(ImageSize::new(height as usize, width as usize).ok()?)
        }
        [_, width] if (1..=MAX_WIDTH).contains(&width) => Kind::Numbers(width as usize),
        [_] => Kind::Numbers(1),
        _ => return None,
    };
    Some(Known { name: name.into(), kind, elements: Vec::new() })
}
