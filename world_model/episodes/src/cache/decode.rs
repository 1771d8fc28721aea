//! Decoding of a data set: files in parallel, with a result that does not depend on their order.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mindseye_interface::memory::product;
use mindseye_interface::text::printable_path;
use mindseye_interface::{ImageSize, MemoryLimit};
use rayon::prelude::*;

use super::store::Store;
use crate::cameras::ImageOptions;
use crate::episode::EpisodeArrays;
use crate::source::{EpisodeSource, ReadRequest};
use crate::{Error, Result};

/// Bytes of decoded images beyond which the episodes of one file are decoded one after the other.
const LARGE_PART: usize = 256 << 20;

/// Called with the numbers of timesteps that are done and of all, from any thread. Returning `false` stops the work.
pub(super) type Report<'a> = dyn Fn(usize, usize) -> bool + Sync + 'a;

/// Destination of decoded images.
pub(super) enum Target<'a> {
    Memory(&'a mut [u8]),
    File(&'a Store),
}

/// What is decoded, and how.
pub(super) struct Decoding<'a> {
    pub source: &'a dyn EpisodeSource,
    /// Of the first episodes of the source.
    pub lengths: &'a [usize],
    pub stride: usize,
    pub image_size: ImageSize,
}

impl Decoding<'_> {
    /// Decodes all images to `target`; returns actions, states and proprioception of all timesteps.
    ///
    /// # Errors
    /// Of several broken files that of the first; [`Error::Interface`] when the images of one episode need more memory
    /// than there is.
    pub fn run(&self, report: &Report<'_>, target: Target<'_>) -> Result<[Vec<f32>; 3]> {
        let (source, lengths) = (self.source, self.lengths);
        let options = ImageOptions { stride: self.stride, size: self.image_size };
        let image_bytes = options.size.rgb_len();
        let kept = |episode: usize| lengths[episode].div_ceil(self.stride);
        let bytes = |part: &Range<usize>| part.clone().map(kept).sum::<usize>() * image_bytes;
        let all = lengths.iter().sum();
        let (done, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let count = |length| {
            if !report(done.fetch_add(length, Ordering::Relaxed) + length, all) {
                stop.store(true, Ordering::Relaxed);
            }
        };
        let read = |part: &Range<usize>, memory: &mut [u8]| {
            if stop.load(Ordering::Relaxed) {
                return Err(stopped());
            }
            source.read(requests(part, memory, image_bytes, kept), options, &count)
        };
        let parts = source.parts(0..lengths.len());
        let files: Vec<Result<Vec<EpisodeArrays>>> = match target {
            Target::Memory(mut rest) => {
                // The memory is divided among the parts before any of them is read.
                let mut jobs = Vec::with_capacity(parts.len());
                for part in parts {
                    let (memory, after) = std::mem::take(&mut rest).split_at_mut(bytes(&part));
                    jobs.push((part, memory));
                    rest = after;
                }
                jobs.into_par_iter().map(|(part, memory)| read(&part, memory)).collect()
            }
            Target::File(store) => {
                let mut first = 0;
                let numbered = |part: Range<usize>| {
                    let number = first;
                    first += part.clone().map(kept).sum::<usize>();
                    (part, number)
                };
                let parts = parts.into_iter().flat_map(|part| split(part, &bytes));
                let jobs: Vec<(Range<usize>, usize)> = parts.map(numbered).collect();
                let largest = jobs.iter().map(|(part, _)| bytes(part)).max().unwrap_or(0);
                let at_once = jobs.len().min(rayon::current_num_threads());
                let field = format!("{}: images of {at_once} parts", printable_path(source.path()));
                MemoryLimit::of_this_machine().require(&field, product(&[largest, at_once]))?;
                let read = |(part, number): (Range<usize>, usize)| {
                    let mut memory = vec![0; bytes(&part)];
                    let arrays = read(&part, &mut memory)?;
                    store.put(number, &memory)?;
                    Ok(arrays)
                };
                jobs.into_par_iter().map(read).collect()
            }
        };
        let [mut actions, mut states, mut proprioception] = [(); 3].map(|()| Vec::new());
        for file in files {
            for arrays in file? {
                actions.extend(arrays.actions);
                states.extend(arrays.states);
                proprioception.extend(arrays.proprioception);
            }
        }
        Ok([actions, states, proprioception])
    }
}

/// `part`, or its episodes where their images are large.
fn split(part: Range<usize>, bytes: &dyn Fn(&Range<usize>) -> usize) -> Vec<Range<usize>> {
    if bytes(&part) <= LARGE_PART { vec![part] } else { part.map(|episode| episode..episode + 1).collect() }
}

/// The episodes of `part`, each with its piece of `memory` for `kept` images of `image_bytes`.
fn requests<'a>(
    part: &Range<usize>,
    mut memory: &'a mut [u8],
    image_bytes: usize,
    kept: impl Fn(usize) -> usize,
) -> Vec<ReadRequest<'a>> {
    let mut requests = Vec::with_capacity(part.len());
    for episode in part.clone() {
        let (images, rest) = memory.split_at_mut(kept(episode) * image_bytes);
        requests.push(ReadRequest { episode, images });
        memory = rest;
    }
    requests
}

/// The error of a decoding that was asked to stop.
pub(super) fn stopped() -> Error {
    Error::Stopped { operation: "decoding frames" }
}
