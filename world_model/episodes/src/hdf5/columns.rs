//! Columns of HDF5 files. Their stated sizes are compared with the size of the file before memory is allocated.

use std::ops::Range;
use std::path::Path;

use hdf5_pure::{Chunk, DType, Dataset, File, Group};
use mindseye_interface::{Image, ImageSize, inputs};
use rayon::prelude::*;

use super::blosc;
use crate::cameras::ImageOptions;
use crate::image_codec::fit;
use crate::rows;
use crate::summary::FeatureSummary;
use crate::{Error, Result};

/// Largest compression ratio that is accepted (deflate reaches 1032).
const MAX_COMPRESSION: u64 = 1100;

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
    /// The column `name` of `file` at `path`.
    ///
    /// # Errors
    /// [`Error::Content`] when it states more values than the file can hold.
    pub fn open(file: &File, path: &'a Path, name: &'a str) -> Result<Self> {
        let data = file.dataset(name).map_err(|error| broken(path, error))?;
        Self::of(data, file.file_size(), path, name)
    }

    /// The column `inside` of `group` in a file of `file_bytes` bytes; `name` is its whole name. A path from the root
    /// would read the list of all groups on the way, for every column.
    ///
    /// # Errors
    /// As [`Column::open`].
    pub fn open_in(group: &Group, inside: &str, file_bytes: u64, path: &'a Path, name: &'a str) -> Result<Self> {
        let data = group.dataset(inside).map_err(|error| broken(path, error))?;
        Self::of(data, file_bytes, path, name)
    }

    fn of(data: Dataset, file_bytes: u64, path: &'a Path, name: &'a str) -> Result<Self> {
        let shape = data.shape().map_err(|error| broken(path, error))?;
        let element = data.element_size().map_err(|error| broken(path, error))?;
        let factor = if data.filters().is_empty() { 1 } else { MAX_COMPRESSION };
        let most = file_bytes.saturating_mul(factor);
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

    /// Returns the column after checking that all of its chunks lie within the `file_bytes` bytes of the file.
    /// The library would otherwise allocate memory for chunks that the file does not have.
    ///
    /// # Errors
    /// [`Error::Content`] when a chunk ends behind the file.
    pub fn within(self, file_bytes: u64) -> Result<Self> {
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

    /// Number of rows, and the size of their images.
    ///
    /// # Errors
    /// [`Error::Content`] when this is no column of images.
    pub fn images(&self) -> Result<(u64, ImageSize)> {
        let kind = self.data.dtype().map_err(|error| broken(self.path, error))?;
        match (&self.shape[..], kind) {
            (&[rows, height, width, 3], DType::U8) if height.max(width) <= ImageSize::MAX_SIDE as u64 => {
                Ok((rows, ImageSize::new(height as usize, width as usize)?))
            }
            (other, kind) => {
                let got = format!("{other:?} of {kind}");
                Err(Error::content(self.path, self.name, "[N, height, width, 3] of u8", got))
            }
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

    /// Rows `range`, each of `width` finite numbers.
    pub fn numbers(&self, range: &Range<usize>, width: usize, episode: usize) -> Result<Vec<f32>> {
        let (start, count) = (range.start as u64, range.len() as u64);
        let kind = self.data.dtype().map_err(|error| broken(self.path, error))?;
        let values = if blosc::is_used(&self.data) {
            let bytes = blosc::read_rows(&self.data, self.path, start, count)?;
            blosc::floats(&bytes, &kind).ok_or_else(|| {
                Error::content(self.path, self.name, "numbers", format!("{kind:?} compressed with Blosc")) //
            })?
        } else {
            let narrow = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect();
            let read = match kind {
                DType::F32 => self.data.read_f32_rows(start, count),
                _ => self.data.read_f64_rows(start, count).map(narrow),
            };
            read.map_err(|error| broken(self.path, error))?
        };
        rows::finite(self.path, episode, self.name, [range.len(), width], values)
    }

    /// Writes the images, recorded at size `own`, of rows `first`, `first + stride`, ... to `target` until it is full,
    /// scaled as `options` say.
    pub fn fill(&self, first: usize, own: ImageSize, options: ImageOptions, target: &mut [u8]) -> Result<()> {
        // Rows that share a chunk are decompressed together. If chunks are shorter than a stride, only the requested
        // rows are read.
        const ROWS_AT_ONCE: usize = 64;
        let ImageOptions { stride, size } = options;
        let chunk = self.data.chunk_shape().map_err(|error| broken(self.path, error))?;
        let share = chunk.and_then(|chunk| chunk.first().copied()).unwrap_or(1) >= stride as u64;
        let count = if share { (ROWS_AT_ONCE / stride).max(1) } else { ROWS_AT_ONCE };
        for (number, targets) in target.chunks_mut(count * size.rgb_len()).enumerate() {
            let rows = (0..targets.len() / size.rgb_len()).map(|image| first + (number * count + image) * stride);
            let (bytes, step) = match (share, rows.clone().next(), rows.clone().next_back()) {
                (true, Some(first), Some(last)) => (self.image_rows(&(first..last + 1), own)?, stride),
                _ => {
                    let single = rows.map(|row| self.image_rows(&(row..row + 1), own));
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
    fn image_rows(&self, range: &Range<usize>, own: ImageSize) -> Result<Vec<u8>> {
        let (start, count) = (range.start as u64, range.len() as u64);
        let bytes = if blosc::is_used(&self.data) {
            blosc::read_rows(&self.data, self.path, start, count)?
        } else {
            self.data.read_u8_rows(start, count).map_err(|error| broken(self.path, error))?
        };
        let expected = range.len() * own.rgb_len();
        if bytes.len() != expected {
            return Err(Error::content(self.path, self.name, format!("{expected} bytes"), bytes.len()));
        }
        Ok(bytes)
    }
}

/// Whether the file at `path` begins like an HDF5 file.
pub(crate) fn is_hdf5(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_file()) && hdf5_pure::is_hdf5(path).unwrap_or(false)
}

/// Opens the HDF5 file at `path` for reading parts of it.
///
/// # Errors
/// [`Error::File`] when it is missing or broken.
pub(super) fn open_file(path: &Path) -> Result<File> {
    inputs::open(path, u64::MAX).map_err(|error| Error::file(path, "opening", error))?; // a regular file
    File::open_streaming(path).map_err(|error| broken(path, error))
}

/// The error of the HDF5 parser.
pub(super) fn broken(path: &Path, error: hdf5_pure::Error) -> Error {
    Error::file(path, "reading HDF5", error)
}
