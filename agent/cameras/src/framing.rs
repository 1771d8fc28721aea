//! JPEG images in a stream of bytes: `multipart/x-mixed-replace` as servers really send it, or one image after another.
//!
//! Boundaries are written in many ways, lengths are missing or wrong, and images are cut off. So an image begins where
//! JPEG's start marker is, and ends where its header of the part says, if that is the end of an image, or else where
//! its own segments end. Whatever stands between images is skipped.

use std::ops::ControlFlow;

/// Most bytes before an image that can be the header of its part.
const HEADER_BYTES: usize = 4096;
/// Wrong lengths after which a server's lengths are not believed any more.
const BELIEVED_LIES: u32 = 3;
/// Defects in a row after which a stream is of no use: each may take a walk over as many bytes as an image has.
const MOST_DEFECTS: u32 = 100;
/// Start of an image: its marker, and the first byte of the next.
const START: [u8; 3] = [0xff, 0xd8, 0xff];
/// The end of a header, and the start of an image.
const HEADED_START: [u8; 5] = [b'\r', b'\n', 0xff, 0xd8, 0xff];

/// What became of the bytes so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framing {
    /// A whole image.
    Image(Vec<u8>),
    /// Something that began as an image and is none; it was skipped.
    Broken(String),
    /// More bytes are needed.
    More,
}

/// Cuts a stream of bytes into JPEG images.
#[derive(Debug)]
pub struct JpegFraming {
    max_frame_bytes: usize,
    bytes: Vec<u8>,
    /// Length that the header of the part states; images begin at byte 0 of `bytes`.
    stated: Option<usize>,
    begun: bool,
    walk: Walk,
    lies: u32,
    /// Bytes without an image since the last one.
    skipped: usize,
    /// Defects since the last image.
    defects: u32,
}

/// Walks over the segments of an image.
#[derive(Debug, Clone, Copy)]
struct Walk {
    at: usize,
    /// Within entropy-coded data, where only some markers count.
    entropy: bool,
}

/// Where a walk ended.
enum End {
    /// The byte after the image.
    At(usize),
    /// Where it goes on after a defect: the byte to look from.
    Defect(usize, &'static str),
}

const BEGIN: Walk = Walk { at: 2, entropy: false };

impl JpegFraming {
    /// Images of at most `max_frame_bytes`.
    pub fn new(max_frame_bytes: usize) -> Self {
        let (bytes, walk) = (Vec::new(), BEGIN);
        Self { max_frame_bytes, bytes, stated: None, begun: false, walk, lies: 0, skipped: 0, defects: 0 }
    }

    /// Takes the next bytes of the stream. Call [`JpegFraming::next`] until it needs more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether an image has begun and not ended.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// The next image in what was pushed.
    ///
    /// # Errors
    /// A message on one line when the stream cannot be one of JPEG images within the bounds: the connection is of no
    /// use.
    #[expect(clippy::should_implement_trait, reason = "not an end of the stream, but of what was pushed")]
    pub fn next(&mut self) -> Result<Framing, String> {
        if !self.begun && !self.begin()? {
            return Ok(Framing::More);
        }
        if let Some(length) = self.stated {
            if self.bytes.len() < length {
                return Ok(Framing::More);
            }
            if let Some(end) = end_of_padded(&self.bytes[..length]) {
                let mut image = self.take(length);
                image.truncate(end);
                return Ok(Framing::Image(image));
            }
            let Some(honest) = is_boundary(&self.bytes[length..]) else { return Ok(Framing::More) };
            if honest {
                return self.defect(length, format!("a JPEG image of {length} bytes without an end"));
            }
            // The length is wrong: the image's own segments count.
            (self.stated, self.lies) = (None, self.lies + 1);
        }
        match self.walk() {
            ControlFlow::Break(End::At(end)) => Ok(Framing::Image(self.take(end))),
            ControlFlow::Break(End::Defect(at, reason)) => {
                // A damaged length leads far into the next images: the first that follows a header is one.
                let next = self.bytes[..at].windows(HEADED_START.len()).position(|bytes| bytes == HEADED_START);
                self.defect(next.map_or(at, |place| place + 2), reason.into())
            }
            ControlFlow::Continue(()) if self.bytes.len().max(self.walk.at) > self.max_frame_bytes => {
                let bytes = self.max_frame_bytes;
                Err(format!("expected JPEG images of at most {bytes} bytes (max_frame_bytes), got a longer one"))
            }
            ControlFlow::Continue(()) => Ok(Framing::More),
        }
    }

    /// Looks for the start of an image, and drops what is before it.
    fn begin(&mut self) -> Result<bool, String> {
        let start = self.bytes.windows(START.len()).position(|bytes| bytes == START);
        // A header may lie before a start that has not come yet.
        let dropped = start.unwrap_or_else(|| self.bytes.len().saturating_sub(HEADER_BYTES + START.len()));
        self.skipped += dropped;
        if self.skipped > self.max_frame_bytes + HEADER_BYTES {
            return Err(format!("expected JPEG images, got {} bytes without one", self.skipped));
        }
        if start.is_none() {
            self.bytes.drain(..dropped);
            return Ok(false);
        }
        let stated = stated_length(&self.bytes[dropped.saturating_sub(HEADER_BYTES)..dropped]);
        self.stated = stated.filter(|_| self.lies < BELIEVED_LIES);
        if let Some(length) = self.stated.filter(|length| *length > self.max_frame_bytes) {
            let most = self.max_frame_bytes;
            return Err(format!("expected a Content-Length of at most {most} (max_frame_bytes), got {length}"));
        }
        self.bytes.drain(..dropped);
        (self.begun, self.walk) = (true, BEGIN);
        Ok(true)
    }

    /// The first `length` bytes.
    fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.bytes.split_off(length);
        (self.begun, self.skipped, self.defects) = (false, 0, 0);
        std::mem::replace(&mut self.bytes, rest)
    }

    /// Drops `length` bytes of what is no image.
    fn defect(&mut self, length: usize, reason: String) -> Result<Framing, String> {
        self.defects += 1;
        if self.defects > MOST_DEFECTS {
            return Err(format!(
                "expected JPEG images, got {MOST_DEFECTS} defects one after the other; last: {reason}"
            ));
        }
        self.skipped += length;
        self.bytes.drain(..length);
        self.begun = false;
        Ok(Framing::Broken(reason))
    }

    /// Goes on over the segments, as far as there are bytes.
    fn walk(&mut self) -> ControlFlow<End> {
        while let Some(rest) = self.bytes.get(self.walk.at..) {
            if self.walk.entropy {
                match rest.iter().position(|byte| *byte == 0xff) {
                    Some(place) => self.walk.at += place,
                    None => {
                        self.walk.at = self.bytes.len();
                        break;
                    }
                }
            }
            let at = self.walk.at;
            let Some(&[first, code]) = self.bytes.get(at..at + 2).and_then(|pair| pair.first_chunk()) else { break };
            if first != 0xff {
                return ControlFlow::Break(End::Defect(at, "a JPEG segment that does not begin with a marker"));
            }
            match code {
                0xd8 => return ControlFlow::Break(End::Defect(at, "a JPEG image that ends where the next begins")),
                0xd9 => return ControlFlow::Break(End::At(at + 2)),
                0xff => self.walk.at += 1, // fill bytes
                0x01 | 0xd0..=0xd7 => self.walk.at += 2,
                0x00 if self.walk.entropy => self.walk.at += 2,
                0x00 => return ControlFlow::Break(End::Defect(at, "a JPEG segment without a marker")),
                _ => {
                    let Some(length) = self.bytes.get(at + 2..at + 4) else { break };
                    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
                    if length < 2 {
                        return ControlFlow::Break(End::Defect(at, "a JPEG segment of no length"));
                    }
                    self.walk = Walk { at: at + 2 + length, entropy: code == 0xda };
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// Whether `bytes` begin with the boundary of a part; none if there are too few to say.
fn is_boundary(bytes: &[u8]) -> Option<bool> {
    let breaks = bytes.iter().take(4).take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    (bytes.len() >= breaks + 2).then(|| bytes[breaks..].starts_with(b"--"))
}

/// The end of a JPEG image in `bytes`, which may be padded with zeros and line breaks.
fn end_of_padded(bytes: &[u8]) -> Option<usize> {
    let padding = bytes.iter().rev().take_while(|byte| matches!(byte, 0 | b'\r' | b'\n')).count();
    let end = bytes.len() - padding;
    bytes[..end].ends_with(&[0xff, 0xd9]).then_some(end)
}

/// The length that the header of a part states, if `before` ends with such a header.
fn stated_length(before: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    let header = before.strip_suffix(b"\r\n\r\n").or_else(|| before.strip_suffix(b"\n\n"))?;
    let place = header.windows(NAME.len()).rposition(|bytes| bytes.eq_ignore_ascii_case(NAME))?;
    let value = header[place + NAME.len()..].split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
    // An earlier part's header is not this one's.
    let between = &header[place..];
    if between.windows(2).any(|pair| pair == b"\n\n") || between.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        return None;
    }
    std::str::from_utf8(value).ok()?.trim().parse().ok().filter(|length| *length > START.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: usize = 100_000;

    /// A made-up image: the structure of JPEG around `filling`.
    fn jpeg(filling: u8) -> Vec<u8> {
        let mut bytes = vec![0xff, 0xd8, 0xff, 0xe0, 0, 6, 0xff, 0xd9, 0xff, 0xd8]; // a segment with markers in it
        bytes.extend([0xff, 0xda, 0, 3, 7, filling, 0xff, 0, filling, 0xff, 0xd0, filling, 0xff, 0xd9]);
        bytes
    }

    fn part(header: &str, image: &[u8]) -> Vec<u8> {
        [format!("--frame\r\nContent-Type: image/jpeg\r\n{header}\r\n").as_bytes(), image, b"\r\n"].concat()
    }

    fn length(image: &[u8]) -> String {
        format!("Content-Length: {}\r\n", image.len())
    }

    /// What `stream` is cut into, when it comes in pieces of `piece` bytes.
    fn cut(stream: &[u8], piece: usize) -> Result<Vec<Framing>, String> {
        let (mut framing, mut found) = (JpegFraming::new(BOUND), Vec::new());
        for bytes in stream.chunks(piece) {
            framing.push(bytes);
            loop {
                match framing.next()? {
                    Framing::More => break,
                    other => found.push(other),
                }
            }
        }
        Ok(found)
    }

    fn images(stream: &[u8]) -> Vec<Vec<u8>> {
        let of = |piece: usize| -> Vec<Vec<u8>> {
            let found = cut(stream, piece).unwrap().into_iter();
            found.filter_map(|framing| if let Framing::Image(image) = framing { Some(image) } else { None }).collect()
        };
        let whole = of(stream.len());
        for piece in [1, 2, 3, 7, 64] {
            assert_eq!(of(piece), whole, "in pieces of {piece}");
        }
        whole
    }

    #[test]
    fn images_are_cut_out_with_and_without_lengths_and_boundaries() {
        let (one, two) = (jpeg(1), jpeg(2));
        let both = [one.clone(), two.clone()];
        for stream in [
            [part(&length(&one), &one), part(&length(&two), &two)].concat(),
            [part("", &one), part("", &two)].concat(),
            [part("content-LENGTH:24\n", &one), part("X: 1\r\n", &two)].concat(),
            [&one[..], &two].concat(),
            [&one[..], b"\r\n\r\n--other\r\n\r\n", &two].concat(),
        ] {
            assert_eq!(images(&stream), both);
        }
        assert_eq!(one.len(), 24, "of the third case");
    }

    #[test]
    fn an_image_is_there_with_its_last_byte() {
        let one = jpeg(1);
        for header in [length(&one), String::new()] {
            let stream = part(&header, &one);
            assert_eq!(images(&stream[..stream.len() - 2]), std::slice::from_ref(&one));
            assert_eq!(images(&stream[..stream.len() - 3]), [[0; 0]; 0]);
        }
    }

    #[test]
    fn padding_that_a_length_counts_is_cut_off() {
        let one = jpeg(1);
        let padded = [&one[..], &[0, 0, b'\r', b'\n']].concat();
        assert_eq!(images(&part(&length(&padded), &padded)), [one]);
    }

    #[test]
    fn lengths_that_lie_cost_no_image() {
        let image = jpeg(1);
        for lie in [12, 20, 40, 500] {
            let stream = part(&format!("Content-Length: {lie}\r\n"), &image).repeat(60);
            let found = images(&stream);
            assert!(found.len() >= 50 && found.iter().all(|found| *found == image), "{lie}: {}", found.len());
        }
    }

    #[test]
    fn an_image_that_is_cut_off_costs_no_other() {
        let (one, two) = (jpeg(1), jpeg(2));
        for header in [length(&one), String::new()] {
            let stream = [part(&header, &one[..15]), part(&length(&two), &two), part("", &one)].concat();
            let found = images(&stream);
            assert!(found.last() == Some(&one), "{header}: {found:?}");
        }
        let stream = [part("", &one[..15]), part("", &two)].concat();
        assert_eq!(images(&stream), [two]);
    }

    /// Symptom: after three damaged images of a right length, lengths counted as wrong, and damage cost whole images.
    /// Cause: an image without its end was taken for a wrong length.
    /// Fix: a length is right if a boundary follows; a walk that leads astray goes back to the first image behind a
    /// header.
    #[test]
    fn damaged_images_of_a_right_length_cost_no_other() {
        let (one, nonsense) = (jpeg(1), [&START[..], &[7; 50]].concat());
        let bad = [part(&length(&nonsense), &nonsense), part(&length(&one[..15]), &one[..15])].concat();
        let stream = [bad.repeat(4), part(&length(&one), &one)].concat().repeat(5);
        assert_eq!(images(&stream), vec![one.clone(); 5]);
        let unstated = [part("", &nonsense), part("", &one), part("", &one)].concat().repeat(50);
        // The last ones wait for the end of a segment.
        assert!(images(&unstated).len() >= 80, "{}", images(&unstated).len())
    }

    #[test]
    fn defects_inside_of_an_image_are_named_and_passed_over() {
        let one = jpeg(1);
        for defect in [[0xff, 0xd8, 0xff, 0x00], [0xff, 0xd8, 0xff, 0xd8]] {
            let stream = [&defect[..], &part("", &one)].concat();
            assert!(matches!(cut(&stream, 9).unwrap()[0], Framing::Broken(_)), "{defect:?}");
            assert_eq!(images(&stream), std::slice::from_ref(&one));
        }
    }

    #[test]
    fn what_has_no_bound_is_refused() {
        for (stream, named) in [
            (vec![b'a'; 2 * BOUND], "without one"),
            ([&[0xff, 0xd8, 0xff, 0xda, 0, 2][..], &vec![5; 2 * BOUND]].concat(), "max_frame_bytes"),
            (part("Content-Length: 99999999999\r\n", &jpeg(1)), "Content-Length"),
            (part("Content-Length: 100001\r\n", &jpeg(1)), "100001"),
            ([0xff, 0xd8, 0xff, 0x00].repeat(BOUND), "defects"),
        ] {
            for piece in [1000, stream.len()] {
                let error = cut(&stream, piece).unwrap_err();
                assert!(error.contains(named) && !error.contains('\n'), "{error}");
            }
        }
    }

    #[test]
    fn memory_is_bounded_by_the_largest_image() {
        let mut framing = JpegFraming::new(BOUND);
        let stream = part("", &jpeg(1)).repeat(100);
        for _ in 0..200 {
            framing.push(&stream);
            while framing.next().unwrap() != Framing::More {}
            assert!(framing.bytes.capacity() < 4 * BOUND, "{}", framing.bytes.capacity());
        }
    }
}
