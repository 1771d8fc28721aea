//! Images as PNG files.

use std::path::Path;

use mindseye_interface::{Image, files};

use crate::{Error, Result};

/// Writes `image` as a PNG, whole or not at all, as one of several files of a folder that is there: one that was moved
/// away meanwhile is not made anew.
///
/// # Errors
/// When it cannot be encoded or written.
pub(crate) fn write_png_into(folder: &Path, name: &str, image: &Image) -> Result<()> {
    let path = folder.join(name);
    let bytes = encode_png(image, &path)?;
    files::write_whole(&path, &bytes).map_err(|error| Error::write(&path, error))
}

/// Writes `image` as a PNG, whole or not at all; missing folders are made.
///
/// # Errors
/// When it cannot be encoded or written.
pub fn write_png(path: &Path, image: &Image) -> Result<()> {
    let bytes = encode_png(image, path)?;
    files::write_whole_with_folders(path, &bytes).map_err(|error| Error::write(path, error))
}

/// `image` as the bytes of a PNG, for the file `path`, which errors name.
pub(crate) fn encode_png(image: &Image, path: &Path) -> Result<Vec<u8>> {
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
    Ok(bytes.into_inner())
}
