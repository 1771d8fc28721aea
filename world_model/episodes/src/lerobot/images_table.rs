//! Images in a data file: read a few rows at a time, and decoded in parallel.

use std::collections::BTreeMap;
use std::ops::Range;

use arrow::array::Array as _;
use rayon::prelude::*;

use super::tables::TableFile;
use crate::cameras::{ImageOptions, RecordedCamera};
use crate::image_codec::{decode_image, fit};
use crate::{Error, Result};

/// Images that are in memory compressed, of one episode.
const ROWS_AT_ONCE: usize = 64;

/// Decodes the images of `camera` at every `stride`-th timestep of an episode, whose index and rows are given, into
/// `target` `[T / stride, H, W, 3]`.
///
/// # Errors
/// [`Error::Content`] that names the episode and the frame; [`Error::File`] when the file is broken.
pub(super) fn fill_from_table(
    table: &TableFile,
    (episode, rows): (usize, Range<usize>),
    camera: &RecordedCamera,
    ImageOptions { stride, size }: ImageOptions,
    target: &mut [u8],
) -> Result<()> {
    let (mut frame, mut rest) = (0, target);
    table.read_parts(&[&camera.column], rows, ROWS_AT_ONCE, &mut |rows| {
        let images = rows.images(&camera.column)?;
        // Of the rows that share their bytes (in a dictionary), the first is decoded.
        let (mut unique, mut places, mut copies) = (BTreeMap::new(), Vec::new(), Vec::new());
        for row in (0..images.len()).filter(|row| (frame + row) % stride == 0) {
            let bytes = images.value(row);
            let first = *unique.entry((bytes.as_ptr(), bytes.len())).or_insert(places.len());
            if first == places.len() {
                places.push(Some((row, bytes)));
            } else {
                copies.push((first, places.len()));
                places.push(None);
            }
        }
        let (part, after) = std::mem::take(&mut rest).split_at_mut(places.len() * size.rgb_len());
        rest = after;
        let decode = |(place, target): (Option<(usize, &[u8])>, &mut [u8])| -> Result<()> {
            let Some((row, bytes)) = place else { return Ok(()) };
            let image = decode_image(bytes, camera.size).map_err(|reason| {
                let field = format!("episode {episode} frame {} {}", frame + row, camera.column);
                Error::content(table.path(), field, "a PNG or JPEG image", reason)
            })?;
            fit(&image, size, target);
            Ok(())
        };
        places.into_par_iter().zip(part.par_chunks_exact_mut(size.rgb_len())).try_for_each(decode)?;
        for (first, copy) in copies {
            part.copy_within(first * size.rgb_len()..(first + 1) * size.rgb_len(), copy * size.rgb_len());
        }
        frame += images.len();
        Ok(())
    })
}
