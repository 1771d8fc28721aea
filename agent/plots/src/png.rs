//! Images as PNG files.

use std::path::Path;

use mindseye_interface::{Image, files};

use crate::{Error, Result};

/// Writes `image` as a PNG, whole or not at all; missing folders are made.
///
/// # Errors
/// When it cannot be encoded or written.
pub fn write_png(path: &Path, image: &Image) -> Result<()> {
    let size = image.size();
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::write_buffer_with_format(
        &mut bytes,
        image.pixels(),
        size.width() as u32,
        size.height() as u32,
        image::ExtendedColorType::Rgb8,
        image::ImageFormat::Png,
    )
    .map_err(|error| Error::encode(path, "PNG", error))?;
    files::write_whole_with_folders(path, bytes.get_ref()).map_err(|error| Error::write(path, error))
}
