//! Inputs of a parity file in the layouts that authors and libraries use: clips and masks.

use super::encoder::Clip;
use super::folder::Vit;
use crate::parity::{Io, IoTensor};
use crate::{Error, Result};

/// A clip `[T, C, H, W]` with its values.
pub(super) struct OwnedClip {
    values: Vec<f32>,
    frames: usize,
    height: usize,
    width: usize,
}

impl OwnedClip {
    pub fn view(&self) -> Clip<'_> {
        let Self { values, frames, height, width } = self;
        Clip { values, frames: *frames, height: *height, width: *width }
    }
}

/// The clips of a batch: `[B, C, H, W]` images, `[B, T, C, H, W]` of Hugging Face's library, or `[B, C, T, H, W]` of
/// the authors'; where both may be, that of the folder's kind.
pub(super) fn clips(pixels: &IoTensor, channels: usize, vit: &Vit) -> Result<Vec<OwnedClip>> {
    let time_first = vit.is_ported();
    let (batch, outer, inner, height, width) = match *pixels.shape.as_slice() {
        [batch, of, height, width] if of == channels => (batch, 1, of, height, width),
        [first, second, height, width] => (1, first, second, height, width),
        [batch, first, second, height, width] => (batch, first, second, height, width),
        _ => (0, 0, 0, 0, 0),
    };
    let time_first = match (outer == channels, inner == channels) {
        (true, false) => false,
        (false, true) => true,
        _ => time_first || outer == 1,
    };
    let (frames, found) = if time_first { (outer, inner) } else { (inner, outer) };
    if batch == 0 || found != channels {
        return Err(Error::Shape {
            operation: "checking parity",
            expected: format!("clips of {channels} channels, [B, T, C, H, W], [B, C, T, H, W] or [B, C, H, W]"),
            got: format!("{:?}", pixels.shape),
        });
    }
    let (area, len) = (height * width, outer * inner * height * width);
    let clip = |values: &[f32]| {
        let values = match time_first {
            true => values.to_vec(),
            false => {
                let mut ordered = Vec::with_capacity(len);
                for frame in 0..frames {
                    for channel in 0..channels {
                        ordered.extend_from_slice(&values[(channel * frames + frame) * area..][..area]);
                    }
                }
                ordered
            }
        };
        OwnedClip { values, frames, height, width }
    };
    Ok(pixels.values.chunks_exact(len.max(1)).map(clip).collect())
}

/// Frames, height and width of the first clip or image of a file, for models whose folder does not say.
pub(super) fn clip_size(io: &Io) -> Option<[usize; 3]> {
    io.inputs.values().find_map(|tensor| match *tensor.shape.as_slice() {
        [_, _, height, width] => Some([1, height, width]),
        [_, 3, frames, height, width] | [_, frames, 3, height, width] => Some([frames, height, width]),
        _ => None,
    })
}

/// For each mask, for each clip: the numbers of the context and of the targets.
pub(super) type Pairs = Vec<Vec<[Vec<usize>; 2]>>;

/// Words in the names of the context's masks, and in those of the targets'.
const WORDS: [&[&str]; 2] =
    [&["context", "ctx", "ctxt", "enc", "visible", "keep", "_x"], &["target", "tgt", "pred", "hidden", "_y"]];

/// The masks of a file, for `batch` clips each: as many of the context as of targets, or one for all. Masks are whole
/// numbers, or flags per patch; of two without a known word the first is the context's.
pub(super) fn mask_pairs(io: &Io, batch: usize) -> Pairs {
    let all: Vec<(&String, &IoTensor)> = io.inputs.iter().filter(|(_, tensor)| is_mask(tensor)).collect();
    let has = |name: &str, words: &[&str]| words.iter().any(|word| name.contains(word));
    let is_target = |name: &str| has(name, WORDS[1]) && !has(name, WORDS[0]);
    let known = all.iter().any(|(name, _)| is_target(name));
    let of = |targets: bool| -> Vec<Vec<Vec<usize>>> {
        let named = all.iter().enumerate().filter(|(index, (name, _))| match known {
            true => is_target(name) == targets,
            false => (*index > 0) == targets,
        });
        named.flat_map(|(_, (_, tensor))| masks(tensor, batch)).collect()
    };
    let (contexts, targets) = (of(false), of(true));
    let count = contexts.len().max(targets.len());
    let pair = |index: usize| {
        let context = contexts.get(index).or(contexts.first())?;
        let target = targets.get(index).or(targets.first())?;
        Some(context.iter().zip(target).map(|(context, target)| [context.clone(), target.clone()]).collect())
    };
    (0..count).map_while(pair).collect()
}

/// The pairs whose numbers are all below `tokens`: those that are of clips of this size.
pub(super) fn within(pairs: Pairs, tokens: usize) -> Pairs {
    let fits = |numbers: &Vec<usize>| !numbers.is_empty() && numbers.iter().all(|number| *number < tokens);
    pairs.into_iter().filter(|masks| masks.iter().flatten().all(fits)).collect()
}

/// The number of the mask token that a file names.
pub(super) fn mask_token(io: &Io) -> Option<usize> {
    let named = io.inputs.iter().find(|(name, tensor)| {
        tensor.is_whole && tensor.values.len() == 1 && (name.contains("mask_index") || name.contains("mask_token"))
    });
    named.map(|(_, tensor)| tensor.values[0] as usize)
}

fn is_mask(tensor: &IoTensor) -> bool {
    tensor.is_whole && (1..=3).contains(&tensor.shape.len()) && tensor.values.len() > 1
}

/// The masks in one tensor: `[n]`, `[B, n]`, or `[M, B, n]`.
fn masks(tensor: &IoTensor, batch: usize) -> Vec<Vec<Vec<usize>>> {
    let len = tensor.shape.last().copied().unwrap_or(0).max(1);
    let numbers = |row: &[f32]| -> Vec<usize> {
        match tensor.is_flag {
            true => row.iter().enumerate().filter(|(_, flag)| **flag != 0.0).map(|(number, _)| number).collect(),
            false => row.iter().map(|number| *number as usize).collect(),
        }
    };
    let rows: Vec<Vec<usize>> = tensor.values.chunks_exact(len).map(numbers).collect();
    if rows.len() == 1 {
        return vec![vec![rows.concat(); batch]];
    }
    rows.chunks_exact(batch.max(1)).map(<[_]>::to_vec).collect()
}
