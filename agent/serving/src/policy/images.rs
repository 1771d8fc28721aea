//! Images of messages, and which camera of the model each is of.

use mindseye_agent::session::CameraImage;
use mindseye_cameras::decode_encoded;
use mindseye_interface::{Image, ImageSize};
use mindseye_world_model::CameraSpec;

use crate::message::{Array, Dtype, Value};
use crate::{Error, Result};

/// What an image can be, for errors.
const EXPECTED: &str = "an image: uint8 [H, W, 3] or [3, H, W], floats 0 to 1 of the same shapes, or bytes of a JPEG \
                        or PNG";
/// How far from 0 and 1 floats of an image may lie by rounding.
const ROUNDING: f64 = 1e-3;

/// An image, and the key that it stood at.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenImage {
    /// The key.
    pub key: String,
    /// The image.
    pub image: Image,
}

impl GivenImage {
    /// Whether its key names `camera`.
    pub fn is_of(&self, camera: &str) -> bool {
        let names = |name: &str| name == camera || name.strip_suffix("_image") == Some(camera);
        let last = self.key.rsplit('/').next().unwrap_or_default();
        let lerobot = self.key.strip_prefix("observation.images.");
        !camera.is_empty() && (names(&self.key) || names(last) || lerobot.is_some_and(names))
    }
}

/// The image in `value`, which stands at `key`.
///
/// # Errors
/// [`Error::Field`] for other shapes and types, values that are none of an image, and broken JPEG or PNG.
pub fn image(key: &str, value: &Value) -> Result<Image> {
    let refused = |got: String| Error::field(key, EXPECTED, got);
    match value {
        Value::Bytes(bytes) => decode_encoded(bytes, false).map_err(refused),
        Value::Array(array) => {
            let shape = match array.shape() {
                [1, rest @ ..] if rest.len() == 3 => rest, // a batch of one, as policies of LeRobot are called
                shape => shape,
            };
            let (height, width, is_channels_last) = match *shape {
                [height, width, 3] => (height, width, true),
                [3, height, width] => (height, width, false),
                _ => return Err(refused(value.kind())),
            };
            let size = ImageSize::new(height, width).map_err(|error| refused(error.to_string()))?;
            let bytes = bytes_of(array).map_err(refused)?;
            let pixels = if is_channels_last { bytes } else { interleaved(&bytes, size) };
            Ok(Image::new(size, pixels)?)
        }
        other => Err(refused(other.kind())),
    }
}

/// The numbers of `array` as bytes from 0 to 255; what it is instead where it is no image.
fn bytes_of(array: &Array) -> std::result::Result<Vec<u8>, String> {
    if array.dtype() == Dtype::U8 {
        return Ok(array.data().to_vec());
    }
    if !array.dtype().is_float() {
        return Err(format!("{} {:?}", array.dtype(), array.shape()));
    }
    let legal = -ROUNDING..=1.0 + ROUNDING;
    if let Some(other) = array.numbers().find(|value| !legal.contains(value)) {
        return Err(format!("{} with the value {other}", array.dtype()));
    }
    Ok(array.numbers().map(|value| (255.0 * value).round().clamp(0.0, 255.0) as u8).collect())
}

/// Planes `[3, H, W]` as pixels `[H, W, 3]`.
fn interleaved(planes: &[u8], size: ImageSize) -> Vec<u8> {
    let area = size.area();
    (0..area).flat_map(|pixel| [planes[pixel], planes[area + pixel], planes[2 * area + pixel]]).collect()
}

/// The images of the model's `cameras` among `given`. A name counts as a camera's with or without `_image` at its end;
/// one image without a known name is that of the only camera that is left.
///
/// # Errors
/// [`Error::Field`] naming the key of an image of no camera, or the camera without an image.
pub(super) fn by_camera(given: Vec<GivenImage>, cameras: &[CameraSpec]) -> Result<Vec<CameraImage>> {
    let names = || cameras.iter().map(|camera| camera.name.as_str()).filter(|name| !name.is_empty());
    let known = || {
        let named = names().collect::<Vec<_>>().join(", ");
        let of = if named.is_empty() { String::new() } else { format!(": {named}") };
        format!("an image for each of the model's {} cameras{of}", cameras.len())
    };
    let mut places: Vec<Option<GivenImage>> = cameras.iter().map(|_| None).collect();
    let mut unnamed = Vec::new();
    for image in given {
        match cameras.iter().position(|camera| image.is_of(&camera.name)) {
            Some(place) if places[place].is_none() => places[place] = Some(image),
            Some(_) => return Err(Error::field(image.key, known(), "two of one camera")),
            None => unnamed.push(image),
        }
    }
    for image in unnamed {
        let free: Vec<usize> = (0..places.len()).filter(|place| places[*place].is_none()).collect();
        match free[..] {
            // Positions count where cameras have no names.
            [place] => places[place] = Some(image),
            [place, ..] if names().next().is_none() => places[place] = Some(image),
            _ => return Err(Error::field(image.key, known(), "one of another camera")),
        }
    }
    let image = |(place, camera): (Option<GivenImage>, &CameraSpec)| match place {
        Some(GivenImage { image, .. }) => Ok(CameraImage { camera: Some(camera.name.clone()), image }),
        None => Err(Error::field("images", known(), format!("none of {}", camera.name))),
    };
    places.into_iter().zip(cameras).map(image).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(key: &str) -> GivenImage {
        let image = Image::filled(ImageSize::square(1).unwrap(), [key.len() as u8; 3]);
        GivenImage { key: key.into(), image }
    }

    fn cameras(names: &[&str]) -> Vec<CameraSpec> {
        names.iter().map(|name| CameraSpec { name: (*name).into(), height: 1, width: 1 }).collect()
    }

    fn found(keys: &[&str], names: &[&str]) -> Result<Vec<u8>> {
        let images = by_camera(keys.iter().map(|key| given(key)).collect(), &cameras(names))?;
        Ok(images.iter().map(|image| image.image.pixels()[0]).collect())
    }

    #[test]
    fn images_are_found_by_the_names_of_openpi_of_lerobot_and_of_the_model() {
        let (base, wrist) = ("observation/image", "observation/wrist_image");
        let expected = [base.len() as u8, wrist.len() as u8];
        assert_eq!(found(&[wrist, base], &["base", "wrist"]).unwrap(), expected);
        assert_eq!(found(&["observation.images.top"], &["top"]).unwrap(), [22]);
        assert_eq!(found(&["observation.images.top"], &["observation.images.top"]).unwrap(), [22]);
        assert_eq!(found(&["observation/anything"], &["top"]).unwrap(), [20]);
        assert_eq!(found(&["image/top", "image/side"], &["side", "top"]).unwrap(), [10, 9]);
        let error = found(&[base, wrist], &["top"]).unwrap_err().to_string();
        assert!(error.starts_with("observation/wrist_image: expected an image for each"), "{error}");
        let error = found(&["observation/wrist_image"], &["top", "wrist"]).unwrap_err().to_string();
        assert!(error.contains("top, wrist") && error.contains("none of top"), "{error}");
        assert!(found(&[base, "observation/other"], &["top", "wrist"]).is_err(), "which is which is not guessed");
    }
}
