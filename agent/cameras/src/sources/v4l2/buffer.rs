//! What `linuxvideo` keeps to itself: when a buffer was filled, its number, and the colours of the format.

use std::os::fd::AsFd;
use std::os::raw::{c_ulong, c_void};

use mindseye_episodes::Colours;
use uoctl::{_IOWR, Ioctl};

use crate::pixels::v4l2_colours;

/// `V4L2_BUF_TYPE_VIDEO_CAPTURE`.
const VIDEO_CAPTURE: u32 = 1;
/// `V4L2_MEMORY_MMAP`.
const MMAP: u32 = 1;
/// `V4L2_BUF_FLAG_DONE`.
const DONE: u32 = 4;
/// `V4L2_BUF_FLAG_TIMESTAMP_MASK` and its value of the monotonic clock.
const TIMESTAMP_MASK: u32 = 0xe000;
const TIMESTAMP_MONOTONIC: u32 = 0x2000;
/// `V4L2_PIX_FMT_PRIV_MAGIC`: the fields behind it are filled in.
const PRIV_MAGIC: u32 = 0xfeed_cafe;
/// Most buffers that a stream of `linuxvideo` has.
const MAX_BUFFERS: u32 = 32;

/// `struct v4l2_buffer` of linux/videodev2.h.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Buffer {
    index: u32,
    kind: u32,
    bytes_used: u32,
    flags: u32,
    field: u32,
    timestamp: libc::timeval,
    timecode: [u32; 4],
    sequence: u32,
    memory: u32,
    place: c_ulong,
    length: u32,
    reserved: u32,
    request: i32,
}

/// `struct v4l2_format` with the member of its union for single-plane video.
#[repr(C)]
#[derive(Clone, Copy)]
struct Format {
    kind: u32,
    /// The union has pointers in other members.
    aligned: [*mut c_void; 0],
    pixels: [u32; 12],
    rest: [u8; 200 - 12 * 4],
}

const VIDIOC_QUERYBUF: Ioctl<*mut Buffer> = _IOWR(b'V', 9);
const VIDIOC_G_FMT: Ioctl<*mut Format> = _IOWR(b'V', 4);

/// When the driver filled a buffer, and its number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stamp {
    /// The driver's count of frames.
    pub sequence: u32,
    /// Seconds of the system's monotonic clock; none if the driver has another clock.
    pub monotonic_secs: Option<f64>,
}

/// The stamp of the buffer that the next `dequeue` returns; none if none is filled.
pub(super) fn next_stamp(device: &impl AsFd) -> std::io::Result<Option<Stamp>> {
    let mut buffers = Vec::new();
    for index in 0..MAX_BUFFERS {
        match query(device, index) {
            Ok(buffer) => buffers.push(buffer),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) && index > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(oldest_filled(&buffers))
}

#[allow(unsafe_code)] // an ioctl
fn query(device: &impl AsFd, index: u32) -> std::io::Result<Buffer> {
    let timestamp = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let mut buffer = Buffer {
        index,
        kind: VIDEO_CAPTURE,
        bytes_used: 0,
        flags: 0,
        field: 0,
        timestamp,
        timecode: [0; 4],
        sequence: 0,
        memory: MMAP,
        place: 0,
        length: 0,
        reserved: 0,
        request: 0,
    };
    // SAFETY: `Buffer` has the layout of `struct v4l2_buffer` (a test compares the request's code, which has its size),
    // the pointer is valid for the call, and every bit pattern is a valid `Buffer`.
    unsafe { VIDIOC_QUERYBUF.ioctl(&device.as_fd(), &raw mut buffer)? };
    Ok(buffer)
}

/// Drivers return filled buffers in the order of their numbers, which may wrap.
fn oldest_filled(buffers: &[Buffer]) -> Option<Stamp> {
    let filled: Vec<&Buffer> = buffers.iter().filter(|buffer| buffer.flags & DONE != 0).collect();
    let first = filled.first()?.sequence;
    let oldest = filled.iter().min_by_key(|buffer| buffer.sequence.wrapping_sub(first) as i32)?;
    let secs = oldest.timestamp.tv_sec as f64 + oldest.timestamp.tv_usec as f64 * 1e-6;
    let is_monotonic = oldest.flags & TIMESTAMP_MASK == TIMESTAMP_MONOTONIC;
    Some(Stamp { sequence: oldest.sequence, monotonic_secs: is_monotonic.then_some(secs) })
}

/// Matrix and range of the format in use.
#[allow(unsafe_code)] // an ioctl
pub(super) fn colours(device: &impl AsFd) -> std::io::Result<Colours> {
    let mut format = Format { kind: VIDEO_CAPTURE, aligned: [], pixels: [0; 12], rest: [0; 152] };
    // SAFETY: as in `query`, with `struct v4l2_format`.
    unsafe { VIDIOC_G_FMT.ioctl(&device.as_fd(), &raw mut format)? };
    Ok(colours_of(&format.pixels))
}

/// Of the words of `struct v4l2_pix_format`.
fn colours_of(pixels: &[u32; 12]) -> Colours {
    let [.., colorspace, private, _flags, encoding, quantization, _transfer] = *pixels;
    if private == PRIV_MAGIC {
        v4l2_colours(colorspace, encoding, quantization)
    } else {
        v4l2_colours(colorspace, 0, 0)
    }
}

/// Waits until a buffer is filled, at most `milliseconds`; false if none is.
///
/// # Errors
/// The operating system's; [`std::io::ErrorKind::NotConnected`] when the device is gone.
#[allow(unsafe_code)] // poll
pub(super) fn wait(device: &impl AsFd, milliseconds: i32) -> std::io::Result<bool> {
    use std::os::fd::AsRawFd as _;
    let mut asked = libc::pollfd { fd: device.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one descriptor, which is open and valid for the call.
    match unsafe { libc::poll(&raw mut asked, 1, milliseconds) } {
        0 => Ok(false),
        count if count > 0 && asked.revents & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0 => {
            Err(std::io::Error::new(std::io::ErrorKind::NotConnected, "the device is gone or has stopped"))
        }
        count if count > 0 => Ok(true),
        _ => {
            let error = std::io::Error::last_os_error();
            if error.kind() == std::io::ErrorKind::Interrupted { Ok(false) } else { Err(error) }
        }
    }
}

/// Now by the system's monotonic clock, which drivers stamp frames with, seconds.
#[allow(unsafe_code)] // clock_gettime
pub(super) fn monotonic_secs() -> f64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is valid for the call, and this clock is always there.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec as f64 + now.tv_nsec as f64 * 1e-9
}

#[cfg(test)]
mod tests {
    use mindseye_episodes::Matrix;

    use super::*;

    /// The codes of linux/videodev2.h on 64-bit systems hold the sizes of the structs.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn the_structs_have_the_kernels_sizes_and_places() {
        assert_eq!(VIDIOC_QUERYBUF.request(), 0xc058_5609);
        assert_eq!(VIDIOC_G_FMT.request(), 0xc0d0_5604);
        let places = [
            std::mem::offset_of!(Buffer, flags),
            std::mem::offset_of!(Buffer, timestamp),
            std::mem::offset_of!(Buffer, sequence),
            std::mem::offset_of!(Buffer, memory),
            std::mem::offset_of!(Buffer, length),
            std::mem::offset_of!(Format, pixels),
        ];
        assert_eq!(places, [12, 24, 56, 60, 72, 8]);
    }

    /// A buffer as `uvcvideo` answers `VIDIOC_QUERYBUF`, as bytes.
    fn answer(flags: u32, secs: i64, microseconds: i64, sequence: u32) -> Buffer {
        Buffer {
            index: 0,
            kind: 1,
            bytes_used: 48_321,
            flags,
            field: 1,
            timestamp: libc::timeval { tv_sec: secs, tv_usec: microseconds },
            timecode: [0; 4],
            sequence,
            memory: 1,
            place: 0,
            length: 614_400,
            reserved: 0,
            request: 0,
        }
    }

    #[test]
    fn the_next_buffer_is_the_filled_one_with_the_lowest_number() {
        // Mapped and queued 0x2003, mapped and filled 0x2005: monotonic time stamps.
        let buffers = [answer(0x2005, 812, 500_000, 8), answer(0x2005, 812, 466_667, 7), answer(0x2003, 0, 0, 0)];
        let stamp = oldest_filled(&buffers).unwrap();
        assert_eq!(stamp.sequence, 7);
        assert!((stamp.monotonic_secs.unwrap() - 812.466_667).abs() < 1e-9);
        assert_eq!(oldest_filled(&buffers[2..]), None);
        let wrapped = [answer(0x2005, 1, 0, 0), answer(0x2005, 1, 0, u32::MAX)];
        assert_eq!(oldest_filled(&wrapped).unwrap().sequence, u32::MAX);
        let copied = [answer(0x4005, 1, 0, 3)]; // a loopback device: the writer's stamps
        assert_eq!(oldest_filled(&copied).unwrap().monotonic_secs, None);
    }

    #[test]
    fn colours_are_those_of_the_format_where_the_driver_fills_them_in() {
        let mut pixels = [640, 480, u32::from_le_bytes(*b"YUYV"), 1, 1280, 614_400, 8, PRIV_MAGIC, 0, 2, 1, 2];
        assert_eq!(colours_of(&pixels), Colours { matrix: Matrix::Bt709, full_range: true });
        pixels[7] = 0;
        assert_eq!(colours_of(&pixels), Colours { matrix: Matrix::Bt601, full_range: false });
    }

    #[test]
    fn a_file_that_is_no_device_is_an_error() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(next_stamp(&file).is_err() && colours(&file).is_err());
        let before = monotonic_secs();
        assert!(before > 0.0 && monotonic_secs() >= before);
    }
}
