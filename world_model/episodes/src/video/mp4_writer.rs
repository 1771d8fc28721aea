//! Writing of the container: one track of AV1 at a constant rate, the index before the samples (ISO/IEC 14496-12 and
//! "AV1 Codec ISO Media File Format Binding").
//!
//! Reason for an own writer: crates that write mp4 have a fixed number of ticks per second, which 7 or 11 frames per
//! second do not divide. Here a frame has `TICKS` ticks, so that the presentation time of a frame is exactly its number
//! over the rate.

use mindseye_interface::ImageSize;

use super::encode::{KEY_EVERY, sequence_header};

/// Ticks from a frame to the next.
const TICKS: u32 = 512;

/// A box with its size and name around `parts`.
fn boxed(name: &[u8; 4], parts: &[&[u8]]) -> Result<Vec<u8>, String> {
    let length = 8 + parts.iter().map(|part| part.len()).sum::<usize>();
    let mut bytes = Vec::with_capacity(length);
    bytes.extend(number(length)?);
    bytes.extend(name);
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    Ok(bytes)
}

/// A box with version 0 and `flags` before `parts`.
fn full(name: &[u8; 4], flags: u32, parts: &[&[u8]]) -> Result<Vec<u8>, String> {
    let head = flags.to_be_bytes();
    boxed(name, &[&[&head[..]], parts].concat())
}

/// `value` in four bytes, the widest number in these boxes.
fn number(value: usize) -> Result<[u8; 4], String> {
    u32::try_from(value)
        .map(u32::to_be_bytes)
        .map_err(|_| format!("{value} where an mp4 file allows at most {}", u32::MAX))
}

/// The identity matrix, in 16.16 and 2.30 fixed point.
fn identity_matrix() -> Vec<u8> {
    let one: u32 = 1 << 16;
    [one, 0, 0, 0, one, 0, 0, 0, 1 << 30].into_iter().flat_map(u32::to_be_bytes).collect()
}

/// Description of the stream: marker and version; profile 0 at any level; 8 bits, 4:2:0.
const CONFIGURATION: [u8; 4] = [0x81, 31, 0x0c, 0];
/// Unspecified primaries and transfer, BT.601, limited range.
const COLOURS: [u8; 11] = [b'n', b'c', b'l', b'x', 0, 2, 0, 2, 0, 6, 0];

/// The sample entry: `av01` with `av1C` and `colr`.
fn entry(size: ImageSize, description: &[u8]) -> Result<Vec<u8>, String> {
    let side = |pixels: usize| {
        u16::try_from(pixels).map(u16::to_be_bytes).map_err(|_| format!("a side of {pixels} pixels")) //
    };
    let configuration = boxed(b"av1C", &[&CONFIGURATION, description])?;
    let resolution = 0x0048_0000_u32.to_be_bytes(); // 72 dots per inch
    boxed(
        b"av01",
        &[
            &[0, 0, 0, 0, 0, 0, 0, 1], // data reference 1
            &[0; 16],
            &side(size.width())?,
            &side(size.height())?,
            &resolution,
            &resolution,
            &[0, 0, 0, 0, 0, 1], // one frame per sample
            &[0; 32],            // no compressor name
            &[0, 24, 0xff, 0xff],
            &configuration,
            &boxed(b"colr", &[&COLOURS])?,
        ],
    )
}

/// The index of samples; they start at `first_byte` of the file.
fn sample_table(samples: &Samples<'_>, entry: &[u8], first_byte: usize) -> Result<Vec<u8>, String> {
    let count = number(samples.sizes.len())?;
    let list = |values: &[usize]| values.iter().map(|value| number(*value)).collect::<Result<Vec<_>, _>>();
    let one = number(1)?;
    let keys = list(samples.keys)?;
    boxed(
        b"stbl",
        &[
            &full(b"stsd", 0, &[&one, entry])?,
            &full(b"stts", 0, &[&one, &count, &TICKS.to_be_bytes()])?,
            &full(b"stss", 0, &[&number(keys.len())?, keys.as_flattened()])?,
            &full(b"stsc", 0, &[&one, &one, &count, &one])?, // all samples in one chunk
            &full(b"stsz", 0, &[&[0; 4], &count, list(samples.sizes)?.as_flattened()])?,
            &full(b"stco", 0, &[&one, &number(first_byte)?])?,
        ],
    )
}

/// Sizes of all samples, and the numbers of key frames, counted from 1.
struct Samples<'a> {
    sizes: &'a [usize],
    keys: &'a [usize],
}

fn movie(samples: &Samples<'_>, size: ImageSize, fps: u32, entry: &[u8], first_byte: usize) -> Result<Vec<u8>, String> {
    let scale = number(fps as usize * TICKS as usize)?;
    let duration = number(samples.sizes.len() * TICKS as usize)?;
    let side = |pixels: usize| number(pixels << 16);
    let one = number(1)?;
    let header = full(
        b"mvhd",
        0,
        &[&[0; 8], &scale, &duration, &[0, 1, 0, 0, 1, 0], &[0; 10], &identity_matrix(), &[0; 24], &number(2)?],
    )?;
    // Enabled, part of the movie.
    let track_header = full(
        b"tkhd",
        3,
        &[&[0; 8], &one, &[0; 4], &duration, &[0; 16], &identity_matrix(), &side(size.width())?, &side(size.height())?],
    )?;
    let media_header = full(b"mdhd", 0, &[&[0; 8], &scale, &duration, &[0x55, 0xc4, 0, 0]])?; // language undetermined
    let handler = full(b"hdlr", 0, &[&[0; 4], b"vide", &[0; 12], b"video\0"])?;
    let here = full(b"url ", 1, &[])?; // samples are in this file
    let references = boxed(b"dinf", &[&full(b"dref", 0, &[&one, &here])?])?;
    let table = sample_table(samples, entry, first_byte)?;
    let information = boxed(b"minf", &[&full(b"vmhd", 1, &[&[0; 8]])?, &references, &table])?;
    let media = boxed(b"mdia", &[&media_header, &handler, &information])?;
    boxed(b"moov", &[&header, &boxed(b"trak", &[&track_header, &media])?])
}

/// The bytes of an mp4 file with the samples of `episodes`, frames of `size`, one episode after the other, `fps` frames
/// per second.
///
/// # Errors
/// The value that does not fit into the container, on one line.
pub(crate) fn mp4(episodes: &[&[Vec<u8>]], size: ImageSize, fps: u32) -> Result<Vec<u8>, String> {
    let (mut sizes, mut keys) = (Vec::new(), Vec::new());
    for samples in episodes {
        for (number, sample) in samples.iter().enumerate() {
            sizes.push(sample.len());
            if number % KEY_EVERY == 0 {
                keys.push(sizes.len());
            }
        }
    }
    let first = episodes.iter().find_map(|samples| samples.first()).ok_or("no frame")?;
    let description = sequence_header(first).ok_or("a stream without a sequence header")?;
    let (entry, samples) = (entry(size, description)?, Samples { sizes: &sizes, keys: &keys });
    let kind = boxed(b"ftyp", &[b"isom", &number(512)?, b"isomiso2av01mp41"])?;
    // The index contains the offset of the samples, which depends on its own length. That length is the same for every
    // offset.
    let before = kind.len() + movie(&samples, size, fps, &entry, 0)?.len() + 8;
    let movie = movie(&samples, size, fps, &entry, before)?;
    let data: usize = sizes.iter().sum();
    let mut bytes = Vec::with_capacity(before + data);
    bytes.extend(kind);
    bytes.extend(movie);
    bytes.extend(number(data + 8)?);
    bytes.extend(b"mdat");
    episodes.iter().flat_map(|samples| samples.iter()).for_each(|sample| bytes.extend_from_slice(sample));
    number(bytes.len())?; // offsets have four bytes
    Ok(bytes)
}
