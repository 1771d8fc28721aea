//! `synthetic:` images without hardware: a moving square and the number of the image.

use std::sync::atomic::{AtomicU64, Ordering};

use mindseye_interface::{Image, ImageSize};

use crate::address::CameraUri;
use crate::error::Fault;
use crate::frame::{FrameData, Granted};
use crate::settings::CameraSettings;
use crate::source::{Connect, Paced, SharedClock, Source};
use crate::{Error, Result};

/// Frames per second and size, where none are asked for: those of a webcam.
const FPS: f64 = 30.0;
const SIZE: (usize, usize) = (640, 480);

/// `synthetic:` or `synthetic:square`: a square on grey, which moves with each image; `synthetic:still`: it does not.
pub(crate) struct Synthetic {
    moves: bool,
}

/// Images made by all synthetic cameras of this process: they go on counting over reconnections.
static MADE: AtomicU64 = AtomicU64::new(0);

impl Synthetic {
    pub fn new(uri: &CameraUri) -> Result<Self> {
        match uri.place.as_str() {
            "" | "square" => Ok(Self { moves: true }),
            "still" => Ok(Self { moves: false }),
            other => Err(Error::argument("synthetic", "square or still", other)),
        }
    }
}

impl Connect for Synthetic {
    fn connect(
        &mut self,
        settings: &CameraSettings,
        clock: &SharedClock,
    ) -> std::result::Result<Box<dyn Source>, Fault> {
        let (width, height) = settings.captured_size();
        let size = ImageSize::new(height.unwrap_or(SIZE.1), width.unwrap_or(SIZE.0));
        let size = size.map_err(|error| Fault::Lasting(error.to_string()))?;
        let moves = self.moves;
        let produce = move || {
            let number = if moves { MADE.fetch_add(1, Ordering::Relaxed) } else { 0 };
            Ok(Some(FrameData::Image(square(size, number))))
        };
        let device = Some("synthetic".into());
        let granted = Granted { width: Some(size.width()), height: Some(size.height()), device, ..Granted::default() };
        Ok(Box::new(Paced::new(settings.fps.unwrap_or(FPS), clock.clone(), granted, produce)))
    }
}

/// A square that goes from left to right, over a ramp of grey; 16 blocks in the first rows are the bits of `number`.
fn square(size: ImageSize, number: u64) -> Image {
    let (height, width) = (size.height(), size.width());
    let side = (height.min(width) / 4).max(1);
    let left = (number as usize).wrapping_mul(4) % width;
    let rows = height / 2 - side / 2..height / 2 + side.div_ceil(2);
    let mut image = Image::filled(size, [96; 3]);
    for (index, pixel) in image.pixels_mut().chunks_exact_mut(3).enumerate() {
        let (row, column) = (index / width, index % width);
        let rgb = if row < height / 16 {
            [if number >> (column * 16 / width) & 1 == 1 { 255 } else { 0 }; 3]
        } else if rows.contains(&row) && (column + width - left) % width < side {
            [230, 120, 40]
        } else {
            [64 + (row * 128 / height) as u8; 3]
        };
        pixel.copy_from_slice(&rgb);
    }
    image
}
