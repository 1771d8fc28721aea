//! Columns of HDF5 files. Their stated sizes are compared with the size of the file before memory is allocated.

use std::ops::Range;
use std::path::Path;

use hdf5_pure::{Chunk, DType, Dataset, File, Layout};
use mindseye_interface::{Image, ImageSize};
use rayon::prelude::*;

use super::file::broken;
use super::filters;
use super::image_column::{EXPECTED, Images, Value, bytes_of_floats};
use super::tree::Node;
use crate::cameras::ImageOptions;
use crate::columns::ColumnSlice;
use crate::image_codec::fit;
use crate::mapping::{AvailableColumn, ColumnKind};
use crate::rows;
use crate::summary::FeatureSummary;
use crate::{Error, Result};

/// Bytes of images of floats that are in memory at once.
const FLOATS_AT_ONCE: usize = 64 << 20;

/// One column of an open file: rows along its first axis.
pub(super) struct Column<'a> {
    path: &'a Path,
    name: &'a str,
    data: Dataset,
    pub shape: Vec<u64>,
}

/// The parsed description of a column, shared by all its readings.
pub(super) struct SharedColumn {
    data: Dataset,
    shape: Vec<u64>,
}

impl<'a> Column<'a> {
    /// The column `inside` of group `node` of `file` at `path`; `name` is its whole name. A path from the root would
    /// read the list of all groups on the way, for every column.
    ///
    /// # Errors
    /// [`Error::Content`] when it states more values than the file can hold.
    pub fn open(node: &Node, inside: &str, file: &File, path: &'a Path, name: &'a str) -> Result<Self> {
        Self::of(node.dataset(inside, file, path, name)?, file.file_size(), path, name)
    }

    fn of(data: Dataset, file_bytes: u64, path: &'a Path, name: &'a str) -> Result<Self> {
        let shape = data.shape().map_err(|error| broken(path, error))?;
        let element = data.element_size().map_err(|error| broken(path, error))?;
        let most = file_bytes.saturating_mul(filters::largest_ratio(&data));
        // A chunk is decompressed as a whole.
        let chunk = data.chunk_shape().map_err(|error| broken(path, error))?.unwrap_or_default();
        for (what, sides) in [("values", &shape), ("values in a chunk", &chunk)] {
            let bytes = sides.iter().try_fold(element, |bytes, side| bytes.checked_mul(*side));
            if bytes.is_none_or(|bytes| bytes > most) {
                let expected = format!("what {file_bytes} bytes of file can hold");
                return Err(Error::content(path, name, expected, format!("{sides:?} {what} of {element} bytes")));
            }
        }
        Ok(Self { path, name, data, shape })
    }

    /// The parsed description, so that the index of chunks is read only once.
    pub fn shared(&self) -> SharedColumn {
        SharedColumn { data: self.data.clone(), shape: self.shape.clone() }
    }

    /// The column `name` of the file at `path`, from its parsed description.
    pub fn from_shared(shared: &SharedColumn, path: &'a Path, name: &'a str) -> Self {
        Self { path, name, data: shared.data.clone(), shape: shared.shape.clone() }
    }

    /// Returns the column after checking that its values can be read: that they are in this file, by filters that are
    /// known, and that all chunks lie within the `file_bytes` bytes of the file. The library would otherwise allocate
    /// memory for chunks that the file does not have.
    ///
    /// # Errors
    /// [`Error::Content`] when a chunk ends behind the file, or for values that cannot be read.
    pub fn within(self, file_bytes: u64) -> Result<Self> {
        if matches!(self.data.layout(), Ok(Layout::Virtual)) {
            let got = "a virtual dataset, made of others (h5py copies them: file[NAME] = other[NAME][:])";
            return Err(Error::content(self.path, self.name, "values in this file", got));
        }
        if let Some(filter) = filters::unknown(&self.data) {
            let got = format!("{filter} (h5repack -f GZIP=4 FILE NEW_FILE makes a file that is read)");
            let expected = "values that are not compressed, or by gzip, LZF, Blosc, LZ4, Zstandard or bitshuffle";
            return Err(Error::content(self.path, self.name, expected, got));
        }
        // If the list of chunks cannot be read, reading rows reports why.
        let chunks = if self.data.is_chunked() { self.data.chunks().unwrap_or_default() } else { Vec::new() };
        let end = |chunk: &Chunk| chunk.address.saturating_add(chunk.storage_size);
        match chunks.iter().map(end).max().filter(|end| *end > file_bytes) {
            None => Ok(self),
            Some(end) => {
                let (expected, got) = (format!("chunks within {file_bytes} bytes of file"), end);
                Err(Error::content(self.path, self.name, expected, format!("one that ends at byte {got}")))
            }
        }
    }

    /// The layout of the column's images.
    ///
    /// # Errors
    /// [`Error::Content`] when this is no column of images.
    pub fn images(&self) -> Result<Images> {
        let kind = self.data.dtype().map_err(|error| broken(self.path, error))?;
        let images = Images::of(&self.shape, &kind);
        let got = || format!("{:?} of {}", self.shape, kind_name(&kind));
        images.ok_or_else(|| Error::content(self.path, self.name, EXPECTED, got()))
    }

    /// What the column holds, under the name that a mapping uses. What cannot be read is refused when it is asked for.
    pub fn available(&self, name: &str) -> AvailableColumn {
        let Ok(kind) = self.data.dtype() else {
            return AvailableColumn::new(name, ColumnKind::Unread("values of an unknown type".into()));
        };
        match Images::of(&self.shape, &kind) {
            Some(images) => AvailableColumn {
                is_colour: images.is_colour(),
                ..AvailableColumn::new(name, ColumnKind::Image(images.size))
            },
            None => match ColumnKind::numbers(&self.shape) {
                ColumnKind::Unread(shape) => {
                    AvailableColumn::new(name, ColumnKind::Unread(format!("{shape} of {}", kind_name(&kind))))
                }
                numbers => AvailableColumn::new(name, numbers),
            },
        }
    }

    /// Width of a row.
    ///
    /// # Errors
    /// [`Error::Content`] when there are not `rows` rows.
    pub fn width(&self, rows: u64) -> Result<usize> {
        rows::width(self.path, self.name, &self.shape, rows)
    }

    /// Name, type and shape.
    pub fn summary(&self) -> Result<FeatureSummary> {
        let kind = self.data.dtype().map_err(|error| broken(self.path, error))?;
        Ok(FeatureSummary {
            name: self.name.to_owned(),
            dtype: format!("{kind:?}").to_lowercase(),
            shape: self.shape.iter().map(|side| *side as usize).collect(),
            element_names: Vec::new(),
        })
    }

    /// All values, as integers.
    pub fn integers(&self) -> Result<Vec<i64>> {
        self.data.read_i64().map_err(|error| broken(self.path, error))
    }

    /// Rows `range` of the column of `slice`, whose values must be finite there.
    pub fn numbers(&self, range: &Range<usize>, slice: &ColumnSlice, episode: usize) -> Result<Vec<f32>> {
        rows::finite(self.path, episode, (self.name, slice), range.len(), self.values(range)?)
    }

    /// [`Column::numbers`] of actions: the last row may be NaN, see [`rows::finite_but_last`].
    pub fn actions(&self, range: &Range<usize>, slice: &ColumnSlice, episode: usize) -> Result<Vec<f32>> {
        rows::finite_but_last(self.path, episode, (self.name, slice), range.len(), self.values(range)?)
    }

    /// The values of rows `range`, as `f32`.
    fn values(&self, range: &Range<usize>) -> Result<Vec<f32>> {
        let (start, count) = (range.start as u64, range.len() as u64);
        let kind = self.data.dtype().map_err(|error| broken(self.path, error))?;
        if filters::are_used(&self.data) {
            let bytes = filters::read_rows(&self.data, self.path, self.name, start, count)?;
            return filters::floats(&bytes, &kind).ok_or_else(|| {
                Error::content(self.path, self.name, "numbers", format!("packed values of {}", kind_name(&kind))) //
            });
        }
        let narrow = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect();
        let read = match kind {
            DType::F32 => self.data.read_f32_rows(start, count),
            _ => self.data.read_f64_rows(start, count).map(narrow),
        };
        read.map_err(|error| broken(self.path, error))
    }

    /// Writes the images, recorded at size `own`, of rows `first`, `first + stride`, ... to `target` until it is full,
    /// scaled as `options` say.
    pub fn fill(&self, first: usize, own: ImageSize, options: ImageOptions, target: &mut [u8]) -> Result<()> {
        // Rows that share a chunk are decompressed together. If chunks are shorter than a stride, only the requested
        // rows are read.
        const ROWS_AT_ONCE: usize = 64;
        let ImageOptions { stride, size } = options;
        let images = self.images()?;
        let rows_at_once = match images.value {
            Value::U8 => ROWS_AT_ONCE,
            _ => (FLOATS_AT_ONCE / images.bytes().max(1)).clamp(1, ROWS_AT_ONCE),
        };
        let chunk = self.data.chunk_shape().map_err(|error| broken(self.path, error))?;
        let share = chunk.and_then(|chunk| chunk.first().copied()).unwrap_or(1) >= stride as u64;
        let count = if share { (rows_at_once / stride).max(1) } else { rows_at_once };
        for (number, targets) in target.chunks_mut(count * size.rgb_len()).enumerate() {
            let rows = (0..targets.len() / size.rgb_len()).map(|image| first + (number * count + image) * stride);
            let (bytes, step) = match (share, rows.clone().next(), rows.clone().next_back()) {
                (true, Some(first), Some(last)) => (self.image_rows(&(first..last + 1), &images)?, stride),
                _ => {
                    let single = rows.map(|row| self.image_rows(&(row..row + 1), &images));
                    (single.collect::<Result<Vec<_>>>()?.concat(), 1)
                }
            };
            let images = bytes.par_chunks_exact(own.rgb_len()).step_by(step);
            images.zip(targets.par_chunks_exact_mut(size.rgb_len())).try_for_each(|(bytes, target)| -> Result<()> {
                fit(&Image::new(own, bytes.to_vec())?, size, target);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// The images of rows `range`, `[rows, H, W, 3]`.
    fn image_rows(&self, range: &Range<usize>, images: &Images) -> Result<Vec<u8>> {
        let (start, count) = (range.start as u64, range.len() as u64);
        let bytes = match images.value {
            Value::U8 if filters::are_used(&self.data) => {
                filters::read_rows(&self.data, self.path, self.name, start, count)?
            }
            Value::U8 => self.data.read_u8_rows(start, count).map_err(|error| broken(self.path, error))?,
            Value::F32 | Value::F64 => bytes_of_floats(&self.values(range)?).map_err(|got| {
                Error::content(self.path, format!("{} rows {range:?}", self.name), "images of floats from 0 to 1", got)
            })?,
        };
        let expected = range.len() * images.values();
        if bytes.len() != expected {
            return Err(Error::content(self.path, self.name, format!("{expected} values"), bytes.len()));
        }
        if images.are_rgb_bytes() {
            return Ok(bytes);
        }
        Ok(bytes.par_chunks_exact(images.values()).flat_map_iter(|values| images.rgb(values)).collect())
    }
}

/// The name of a type, as in `u8`.
fn kind_name(kind: &DType) -> String {
    kind.to_string()
}
