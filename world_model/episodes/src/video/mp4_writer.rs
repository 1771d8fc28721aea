//! The container as this crate writes it: one track of AV1 at a constant rate, its description before its bytes (ISO/IEC 14496-12 and "AV1 Codec
//! ISO Media File Format Binding").
//!
//! Crates that write mp4 count time in a fixed number of ticks per second, which 7 or 11 moments a second do not divide; here a second has
//! `TICKS` ticks per frame, so that every frame is shown exactly at its number over the rate.

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

/// As [`boxed`], with a version of 0 and `flags` before the rest.
fn full(name: &[u8; 4], flags: u32, parts: &[&[u8]]) -> Result<Vec<u8>, String> {
    let head = flags.to_be_bytes();
    boxed(name, &[&[&head[..]], parts].concat())
}

/// Four bytes, the widest number in these boxes.
fn number(value: usize) -> Result<[u8; 4], String> {
    u32::try_from(value)
        .map(u32::to_be_bytes)
        .map_err(|_| format!("{value} where a file of mp4 counts to {}", u32::MAX))
}

/// Rotation by nothing: ones in 16.16 and in 2.30.
fn upright() -> Vec<u8> {
    let one: u32 = 1 << 16;
    [one, 0, 0, 0, one, 0, 0, 0, 1 << 30].into_iter().flat_map(u32::to_be_bytes).collect()
}

/// What the stream is, for those who have not read it: marker and version; profile 0 at any level; 8 bits, colours at half the resolution.
const CONFIGURATION: [u8; 4] = [0x81, 31, 0x0c, 0];
/// Unspecified primaries and transfer, BT.601, limited range.
const COLOURS: [u8; 11] = [b'n', b'c', b'l', b'x', 0, 2, 0, 2, 0, 6, 0];

/// The sample entry: `av01` with `av1C` and `colr`.
fn entry(size: ImageSize, description: &[u8]) -> Result<Vec<u8>, String> {
    let side = |pixels: usize| {
        u16::try_from(pixels).map(u16::to_be_bytes).map_err(|_| format!("a side of {pixels} pixels")) //
    };
    let configuration = boxed(b"av1C", &[&CONFIGURATION, description])?;
    let resolution = 0x0048_0000_u32.to_be_bytes(); // 72 dots per inch, as everywhere
    boxed(
        b"av01",
        &[
            &[0, 0, 0, 0, 0, 0, 0, 1], // the first reference
            &[0; 16],
            &side(size.width())?,
            &side(size.height())?,
            &resolution,
            &resolution,
            &[0, 0, 0, 0, 0, 1], // a frame per sample
            &[0; 32],            // no name of a compressor
            &[0, 24, 0xff, 0xff],
            &configuration,
            &boxed(b"colr", &[&COLOURS])?,
        ],
    )
}

/// Where samples lie and when they are shown. `first_byte` is where they begin in the file.
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
            &full(b"stsc", 0, &[&one, &one, &count, &one])?, // all in one run
            &full(b"stsz", 0, &[&[0; 4], &count, list(samples.sizes)?.as_flattened()])?,
            &full(b"stco", 0, &[&one, &number(first_byte)?])?,
        ],
    )
}

/// Sizes of all samples, and the numbers, from 1, of those that stand alone.
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
        &[&[0; 8], &scale, &duration, &[0, 1, 0, 0, 1, 0], &[0; 10], &upright(), &[0; 24], &number(2)?],
    )?;
    // Enabled, part of the movie.
    let track_header = full(
        b"tkhd",
        3,
        &[&[0; 8], &one, &[0; 4], &duration, &[0; 16], &upright(), &side(size.width())?, &side(size.height())?],
    )?;
    let media_header = full(b"mdhd", 0, &[&[0; 8], &scale, &duration, &[0x55, 0xc4, 0, 0]])?; // no language
    let handler = full(b"hdlr", 0, &[&[0; 4], b"vide", &[0; 12], b"video\0"])?;
    let here = full(b"url ", 1, &[])?; // in this file
    let references = boxed(b"dinf", &[&full(b"dref", 0, &[&one, &here])?])?;
    let table = sample_table(samples, entry, first_byte)?;
    let information = boxed(b"minf", &[&full(b"vmhd", 1, &[&[0; 8]])?, &references, &table])?;
    let media = boxed(b"mdia", &[&media_header, &handler, &information])?;
    boxed(b"moov", &[&header, &boxed(b"trak", &[&track_header, &media])?])
}

/// A file of the samples of `episodes`, pictures of `size`, one episode after the other, `fps` frames a second.
///
/// # Errors
/// What does not fit into the container, on one line.
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
    let description = sequence_header(first).ok_or("a stream without its description")?;
    let (entry, samples) = (entry(size, description)?, Samples { sizes: &sizes, keys: &keys });
    let kind = boxed(b"ftyp", &[b"isom", &number(512)?, b"isomiso2av01mp41"])?;
    // The description tells where the samples are, which depends on its own length: that is the same for every place.
    let before = kind.len() + movie(&samples, size, fps, &entry, 0)?.len() + 8;
    let movie = movie(&samples, size, fps, &entry, before)?;
    let data: usize = sizes.iter().sum();
    let mut bytes = Vec::with_capacity(before + data);
    bytes.extend(kind);
    bytes.extend(movie);
    bytes.extend(number(data + 8)?);
    bytes.extend(b"mdat");
    episodes.iter().flat_map(|samples| samples.iter()).for_each(|sample| bytes.extend_from_slice(sample));
    number(bytes.len())?; // places within the file have four bytes
    Ok(bytes)
}
