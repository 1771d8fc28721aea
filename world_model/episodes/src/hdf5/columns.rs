//! Columns of HDF5 files: what they say of themselves is compared with the size of the file before memory is taken for it.

use std::ops::Range;
use std::path::Path;

use hdf5_pure::{Chunk, DType, Dataset, File};
use mindseye_interface::{Image, ImageSize};
use rayon::prelude::*;

use super::blosc;
use crate::lerobot::summary::FeatureSummary;
use crate::picture::fit;
use crate::rows;
use crate::source::PictureOptions;
use crate::{Error, Result};

/// What the best compression makes of a byte (deflate: 1032).
const MOST_UNPACKED: u64 = 1100;

/// One column of an open file: rows along its first axis.
pub(super) struct Column<'a> {
    path: &'a Path,
    name: &'a str,
    data: Dataset,
    pub shape: Vec<u64>,
}

/// A column between two readings.
pub(super) struct Kept {
    data: Dataset,
    shape: Vec<u64>,
}

impl<'a> Column<'a> {
    /// The column `name` of `file` at `path`; refused if it promises more than the file can hold.
    pub fn open(file: &File, path: &'a Path, name: &'a str) -> Result<Self> {
        let data = file.dataset(name).map_err(|error| broken(path, error))?;
        let shape = data.shape().map_err(|error| broken(path, error))?;
        let element = data.element_size().map_err(|error| broken(path, error))?;
        let factor = if data.filters().is_empty() { 1 } else { MOST_UNPACKED };
        let most = file.file_size().saturating_mul(factor);
        // A chunk is unpacked whole, whatever of it is wanted.
        let chunk = data.chunk_shape().map_err(|error| broken(path, error))?.unwrap_or_default();
        for (what, sides) in [("values", &shape), ("values in a chunk", &chunk)] {
            let bytes = sides.iter().try_fold(element, |bytes, side| bytes.checked_mul(*side));
            if bytes.is_none_or(|bytes| bytes > most) {
                let expected = format!("what {} bytes of file can hold", file.file_size());
                return Err(Error::content(path, name, expected, format!("{sides:?} {what} of {element} bytes")));
            }
        }
        Ok(Self { path, name, data, shape })
    }

    /// What is known of the column, to be kept: where its chunks lie is read only once for all that share this.
    pub fn kept(&self) -> Kept {
        Kept { data: self.data.clone(), shape: self.shape.clone() }
    }

    /// The column `name` of the file at `path`, of which this was kept.
    pub fn of(kept: &Kept, path: &'a Path, name: &'a str) -> Self {
        Self { path, name, data: kept.data.clone(), shape: kept.shape.clone() }
    }

    /// The same column, if all of its chunks lie in `file`: one that says it is larger would have memory cleared for it before it is missed.
    pub fn within(self, file: &File) -> Result<Self> {
        // Where the list of chunks cannot be read, reading rows says why.
        let chunks = if self.data.is_chunked() { self.data.chunks().unwrap_or_default() } else { Vec::new() };
        let end = |chunk: &Chunk| chunk.address.saturating_add(chunk.storage_size);
        match chunks.iter().map(end).max().filter(|end| *end > file.file_size()) {
            None => Ok(self),
            Some(end) => {
                let (expected, got) = (format!("chunks within {} bytes of file", file.file_size()), end);
                Err(Error::content(self.path, self.name, expected, format!("one that ends at byte {got}")))
            }
        }
    }

    /// Number of rows, and the size of the pictures in them.
    pub fn pictures(&self) -> Result<(u64, ImageSize)> {
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

    /// Width of the rows, of which there must be `rows`.
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

    /// All values, as whole numbers.
    pub fn wholes(&self) -> Result<Vec<i64>> {
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

    /// Writes the pictures of `size` in rows `first`, `first + stride`, ... to `target` until it is full, scaled as `options` say.
    pub fn fill(&self, first: usize, own: ImageSize, options: PictureOptions, target: &mut [u8]) -> Result<()> {
        // Rows that share a chunk are unpacked together; where chunks are shorter than a stride, only the rows that are wanted.
        const TOGETHER: usize = 64;
        let PictureOptions { stride, size } = options;
        let chunk = self.data.chunk_shape().map_err(|error| broken(self.path, error))?;
        let share = chunk.and_then(|chunk| chunk.first().copied()).unwrap_or(1) >= stride as u64;
        let count = if share { (TOGETHER / stride).max(1) } else { TOGETHER };
        for (number, targets) in target.chunks_mut(count * size.rgb_len()).enumerate() {
            let rows = (0..targets.len() / size.rgb_len()).map(|picture| first + (number * count + picture) * stride);
            let (bytes, step) = match (share, rows.clone().next(), rows.clone().next_back()) {
                (true, Some(first), Some(last)) => (self.picture_rows(&(first..last + 1), own)?, stride),
                _ => {
                    let single = rows.map(|row| self.picture_rows(&(row..row + 1), own));
                    (single.collect::<Result<Vec<_>>>()?.concat(), 1)
                }
            };
            let pictures = bytes.par_chunks_exact(own.rgb_len()).step_by(step);
            pictures.zip(targets.par_chunks_exact_mut(size.rgb_len())).try_for_each(
                |(bytes, target)| -> Result<()> {
                    fit(&Image::new(own, bytes.to_vec())?, size, target);
                    Ok(())
                },
            )?;
        }
        Ok(())
    }

    /// The pictures of rows `range`, `[rows, H, W, 3]`.
    fn picture_rows(&self, range: &Range<usize>, own: ImageSize) -> Result<Vec<u8>> {
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

/// What the parser of HDF5 says.
pub(super) fn broken(path: &Path, error: hdf5_pure::Error) -> Error {
    Error::file(path, "reading HDF5", error)
}
