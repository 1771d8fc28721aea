//! Images from files or from text, as a model takes them.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mindseye_episodes::image_codec::{decode_upright, resized};
use mindseye_interface::{Frame, Image, ImageSize, inputs};
use mindseye_world_model::ModelSpec;

use crate::{Error, Result};

/// An image, and the camera that it is of.
#[derive(Debug, Clone, PartialEq)]
pub struct CameraImage {
    /// Name of the camera; none: in the order of the model's cameras.
    pub camera: Option<String>,
    /// What it shows.
    pub image: Image,
}

/// Images as they are named in text: paths of PNG or JPEG files, or their bytes in base64.
#[derive(Debug, Clone, PartialEq)]
pub enum NamedImages {
    /// Of a model's only camera.
    One(String),
    /// By camera.
    ByCamera(BTreeMap<String, String>),
}

/// Most bytes of an image.
const MAX_IMAGE_BYTES: u64 = 256 << 20;
/// How the bytes of a PNG and of a JPEG begin in base64: no path does.
const BASE64_STARTS: [&str; 2] = ["iVBORw0KGgo", "/9j/"];

impl NamedImages {
    /// Reads them.
    ///
    /// # Errors
    /// [`Error::GoalFile`] for a file that cannot be read, [`Error::Shape`] for text that is no image.
    pub fn read(&self, field: &'static str) -> Result<Vec<CameraImage>> {
        let image = |camera: Option<&String>, text: &str| -> Result<CameraImage> {
            Ok(CameraImage { camera: camera.cloned(), image: read(field, text)? })
        };
        match self {
            Self::One(text) => Ok(vec![image(None, text)?]),
            Self::ByCamera(all) => all.iter().map(|(camera, text)| image(Some(camera), text)).collect(),
        }
    }
}

impl CameraImage {
    /// The image that an argument names: `path`, or `camera=path` where no file is called so.
    ///
    /// # Errors
    /// As [`NamedImages::read`].
    pub fn of_argument(field: &'static str, argument: &str) -> Result<Self> {
        match argument.split_once('=') {
            Some((camera, path)) if !Path::new(argument).exists() => {
                Ok(Self { camera: Some(camera.to_owned()), image: read(field, path)? })
            }
            _ => Ok(Self { camera: None, image: read(field, argument)? }),
        }
    }
}

/// The image in the file that `text` names, or whose bytes it is in base64.
fn read(field: &'static str, text: &str) -> Result<Image> {
    let encoded = text.strip_prefix("data:").and_then(|rest| Some(rest.split_once("base64,")?.1));
    let encoded = encoded.or_else(|| BASE64_STARTS.iter().any(|start| text.starts_with(start)).then_some(text));
    let (bytes, name) = match encoded {
        Some(encoded) => {
            let bytes = STANDARD.decode(encoded.trim()).map_err(|error| Error::Shape {
                operation: field,
                expected: "an image in base64".into(),
                got: error.to_string(),
            })?;
            (bytes, "base64")
        }
        None => {
            let unreadable = |reason: String| Error::GoalFile { field, path: text.into(), reason };
            let bytes = inputs::read(Path::new(text), MAX_IMAGE_BYTES);
            let neither = "expected a PNG or JPEG file, or the bytes of one in base64";
            (bytes.map_err(|error| unreadable(format!("{error} ({neither})")))?, text)
        }
    };
    decode_upright(&bytes).map_err(|reason| Error::GoalFile { field, path: name.into(), reason })
}

/// The frames of a model's cameras among the `images` of a goal, scaled as training scales recorded images; `field` is
/// named in errors.
///
/// # Errors
/// [`Error::Shape`] when a camera's image is missing, or an image is of no camera of the model.
pub fn goal_frames(spec: &ModelSpec, images: Vec<CameraImage>, field: &'static str) -> Result<Vec<Frame>> {
    Ok(frames(spec, images, field)?.0)
}

/// The frames of a model's cameras among `images`, scaled as training scales recorded images, and what was scaled.
///
/// # Errors
/// [`Error::Shape`] when a camera's image is missing, or an image is of no camera of the model.
pub(super) fn frames(
    spec: &ModelSpec,
    images: Vec<CameraImage>,
    field: &'static str,
) -> Result<(Vec<Frame>, Vec<String>)> {
    let names: Vec<&str> = spec.cameras.iter().map(|camera| camera.name.as_str()).collect();
    let wrong = |got: String| {
        let named: Vec<String> = names.iter().filter(|name| !name.is_empty()).map(|&name| name.to_owned()).collect();
        let of = if named.is_empty() { String::new() } else { format!(" ({})", named.join(", ")) };
        let expected = format!("one image for each of the model's {} cameras{of}", names.len());
        Error::Shape { operation: field, expected, got }
    };
    if images.len() != names.len() {
        return Err(wrong(images.len().to_string()));
    }
    let (mut frames, mut notes) = (Vec::new(), Vec::new());
    for (index, camera) in spec.cameras.iter().enumerate() {
        let is_of = |given: &&CameraImage| given.camera.as_deref() == Some(camera.name.as_str());
        let given = match images.iter().find(is_of) {
            Some(given) => given,
            // A model with one camera takes its image whatever it is called.
            None if images[index].camera.is_none() || names.len() == 1 => &images[index],
            None => return Err(wrong(format!("one of {}", images[index].camera.as_deref().unwrap_or_default()))),
        };
        let (size, own) = (ImageSize::new(camera.height, camera.width)?, given.image.size());
        let image = if own == size { given.image.clone() } else { Image::new(size, resized(&given.image, size))? };
        if own != size {
            let [from, to] = [own, size].map(|size| format!("{}x{}", size.width(), size.height()));
            let of = if camera.name.is_empty() { String::new() } else { format!(" of {}", camera.name) };
            notes.push(format!("{field}{of}: scaled from {from} to {to} pixels, as in training"));
        }
        frames.push(Frame::new(&camera.name.as_str().into(), image, 0.0));
    }
    Ok((frames, notes))
}
