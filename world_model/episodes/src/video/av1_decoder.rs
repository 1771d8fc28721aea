//! A safe face of the C interface of `re_rav1d`: a fork of rav1d that mends a crash on broken streams, which rav1d
//! 1.1.0 still has. Its Rust interface loses 48 bytes per frame, and whenever there is none: what
//! `dav1d_picture_unref` writes into the structure that it empties has an allocation of its own. Here that is freed,
//! too.
//!
//! One thread decodes and no frame is delayed: what is sent is answered at once.

#![allow(unsafe_code)] // calls of functions that take pointers; each says why it holds

use std::ffi::c_int;
use std::io::ErrorKind;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use re_rav1d::Dav1dResult;
use re_rav1d::include::dav1d::data::Dav1dData;
use re_rav1d::include::dav1d::dav1d::{Dav1dContext, Dav1dSettings};
use re_rav1d::include::dav1d::headers::{
    DAV1D_PIXEL_LAYOUT_I400, DAV1D_PIXEL_LAYOUT_I420, DAV1D_PIXEL_LAYOUT_I422, Dav1dSequenceHeader,
};
use re_rav1d::include::dav1d::picture::Dav1dPicture;
use re_rav1d::src::lib::{
    dav1d_close, dav1d_data_create, dav1d_data_unref, dav1d_default_settings, dav1d_get_picture, dav1d_open,
    dav1d_picture_unref, dav1d_send_data,
};

use super::yuv::packed;

/// A decoder of one stream.
pub(super) struct Decoder {
    /// Open until it is dropped.
    context: Option<Dav1dContext>,
    /// Data that the decoder has not taken yet, or none.
    pending: Dav1dData,
}

/// A decoded picture of 8 bits per channel or more.
pub(super) struct Frame(Dav1dPicture);

/// Samples of the colour planes per sample of brightness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    Grey,
    /// Halves across and down.
    Yuv420,
    /// Halves across.
    Yuv422,
    Yuv444,
}

/// Whether the decoder did it; `false`: it has nothing, or takes nothing, for now.
fn outcome(result: Dav1dResult) -> Result<bool, String> {
    let reason = match result.0.abs() {
        0 => return Ok(true),
        1 => "what the decoder refuses".into(), // its code for all that the system's codes do not tell
        code => match std::io::Error::from_raw_os_error(code) {
            error if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            error if error.kind() == ErrorKind::InvalidInput => "data that are not AV1".into(),
            error => format!("what the decoder refuses ({error})"),
        },
    };
    Err(reason)
}

impl Decoder {
    /// One for frames of up to `frame_size_limit` pixels.
    pub(super) fn new(frame_size_limit: u32) -> Result<Self, String> {
        let mut settings = MaybeUninit::<Dav1dSettings>::uninit();
        // SAFETY: the function writes all of the settings, and they are read after it.
        let mut settings = unsafe {
            dav1d_default_settings(NonNull::from(&mut settings).cast());
            settings.assume_init()
        };
        settings.n_threads = 1; // work is split by the caller
        settings.max_frame_delay = 1;
        settings.frame_size_limit = frame_size_limit;
        let mut context = None;
        // SAFETY: both are references that live during the call.
        let opened = unsafe { dav1d_open(Some(NonNull::from(&mut context)), Some(NonNull::from(&mut settings))) };
        match outcome(opened)? && context.is_some() {
            true => Ok(Self { context, pending: Dav1dData::default() }),
            false => Err("a decoder that does not open".into()),
        }
    }

    /// Sends one sample, whose frames have `number`, and returns whether the decoder took all of it. What it did not
    /// take is sent by [`send_pending`](Self::send_pending), after a frame was taken from it.
    pub(super) fn send(&mut self, sample: &[u8], number: i64) -> Result<bool, String> {
        self.forget_pending();
        if sample.is_empty() {
            return Err("an empty sample".into());
        }
        // SAFETY: the structure is empty and lives during the call.
        let bytes = unsafe { dav1d_data_create(Some(NonNull::from(&mut self.pending)), sample.len()) };
        if bytes.is_null() {
            return Err("a sample that memory has no room for".into());
        }
        // SAFETY: the decoder allocated as many bytes as the sample has, at another place.
        unsafe { bytes.copy_from_nonoverlapping(sample.as_ptr(), sample.len()) };
        self.pending.m.timestamp = number;
        self.send_pending()
    }

    /// Sends what is left of a sample, and returns whether the decoder took all of it.
    pub(super) fn send_pending(&mut self) -> Result<bool, String> {
        if self.pending.sz == 0 {
            return Ok(true);
        }
        // SAFETY: the context is open; the data are the decoder's own and are written back by it.
        let sent = outcome(unsafe { dav1d_send_data(self.context, Some(NonNull::from(&mut self.pending))) });
        if sent.is_err() {
            self.forget_pending();
        }
        Ok(sent? && self.pending.sz == 0)
    }

    /// The next frame, or none until more data are sent.
    pub(super) fn frame(&mut self) -> Result<Option<Frame>, String> {
        let mut frame = Frame(Dav1dPicture::default());
        // SAFETY: the context is open; the picture lives during the call and holds nothing before it.
        let got = unsafe { dav1d_get_picture(self.context, Some(NonNull::from(&mut frame.0))) };
        Ok(outcome(got)?.then_some(frame))
    }

    fn forget_pending(&mut self) {
        // SAFETY: the structure is empty or holds data of the decoder; it is left empty.
        unsafe { dav1d_data_unref(Some(NonNull::from(&mut self.pending))) };
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        self.forget_pending();
        // SAFETY: the context is open, and nobody uses it any more.
        unsafe { dav1d_close(Some(NonNull::from(&mut self.context))) };
    }
}

impl Frame {
    /// The number of the sample that it was decoded from.
    pub(super) fn number(&self) -> Option<usize> {
        usize::try_from(self.0.m.timestamp).ok()
    }

    pub(super) fn bits(&self) -> c_int {
        self.0.p.bpc
    }

    /// (width, height) in pixels.
    pub(super) fn size(&self) -> (usize, usize) {
        (usize::try_from(self.0.p.w).unwrap_or(0), usize::try_from(self.0.p.h).unwrap_or(0))
    }

    pub(super) fn layout(&self) -> Layout {
        match self.0.p.layout {
            DAV1D_PIXEL_LAYOUT_I400 => Layout::Grey,
            DAV1D_PIXEL_LAYOUT_I420 => Layout::Yuv420,
            DAV1D_PIXEL_LAYOUT_I422 => Layout::Yuv422,
            _ => Layout::Yuv444,
        }
    }

    /// Code of the matrix of colours (ITU-T H.273), and whether they use the full range.
    pub(super) fn colours(&self) -> (Option<u8>, Option<bool>) {
        // SAFETY: the picture holds its sequence's header as long as it lives, and nobody writes to it.
        let header: Option<&Dav1dSequenceHeader> = self.0.seq_hdr.map(|header| unsafe { &*header.as_ptr() });
        let matrix = header.map(|header| header.mtrx.try_into().unwrap_or(u8::MAX));
        (matrix, header.map(|header| header.color_range != 0))
    }

    /// Plane `index` (0: brightness, 1 and 2: colours) of 8 bits a sample, row by row, or none where the picture has no
    /// such plane.
    pub(super) fn plane(&self, index: usize) -> Option<Vec<u8>> {
        let (width, height) = self.plane_size(index)?;
        let stride = usize::try_from(*self.0.stride.get(index.min(1))?).ok()?;
        let first = (*self.0.data.get(index)?)?.cast::<u8>();
        if self.bits() != 8 || stride < width {
            return None;
        }
        let length = height.checked_sub(1)?.checked_mul(stride)?.checked_add(width)?;
        // SAFETY: a plane of the picture has as many rows as its size says, `stride` bytes apart and not shorter than
        // its width, and lives as long as the picture.
        let rows = unsafe { std::slice::from_raw_parts(first.as_ptr(), length) };
        packed(rows, stride, width, height)
    }

    fn plane_size(&self, index: usize) -> Option<(usize, usize)> {
        let (width, height) = self.size();
        Some(match (index, self.layout()) {
            (0, _) | (_, Layout::Yuv444) => (width, height),
            (_, Layout::Yuv422) => (width.div_ceil(2), height),
            (_, Layout::Yuv420) => (width.div_ceil(2), height.div_ceil(2)),
            (_, Layout::Grey) => return None,
        })
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        // SAFETY: the picture is empty or the decoder's; it is left empty but for the allocation that is freed next.
        unsafe { dav1d_picture_unref(Some(NonNull::from(&mut self.0))) };
        if let Some(left) = self.0.itut_t35_ref.take() {
            // SAFETY: it comes from the call above, which is the only one that knows of it.
            drop(unsafe { left.into_arc() });
        }
    }
}
