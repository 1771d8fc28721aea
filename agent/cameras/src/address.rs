//! Addresses of cameras: `SCHEME:PLACE#setting=value,setting=value`.

use std::fmt::{Display, Formatter};
use std::str::FromStr;

use crate::settings::CameraSettings;
use crate::{Error, Result};

/// Where a camera is, and what is asked of it.
///
/// ```
/// use mindseye_cameras::CameraUri;
///
/// let uri: CameraUri = "http://me:secret@10.0.0.7/video.mjpg#name=front,resize=64x64".parse()?;
/// assert_eq!((uri.scheme.as_str(), uri.place.as_str()), ("http", "//me:secret@10.0.0.7/video.mjpg"));
/// assert_eq!(uri.settings.resize.map(|size| size.width()), Some(64));
/// assert_eq!(uri.to_string(), "http://***@10.0.0.7/video.mjpg"); // without the password
/// # Ok::<(), mindseye_cameras::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct CameraUri {
    /// Kind of source: `v4l2`, `http`, `file`, `synthetic`, or what a program adds.
    pub scheme: String,
    /// What follows the colon, up to a `#`.
    pub place: String,
    /// Name that frames carry: `name=...` in the settings, else made from the address.
    pub name: String,
    /// What is asked of the camera.
    pub settings: CameraSettings,
}

impl FromStr for CameraUri {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (address, settings) = text.split_once('#').map_or((text, ""), |(address, settings)| (address, settings));
        let Some((scheme, place)) = address.split_once(':').filter(|(scheme, _)| !scheme.is_empty()) else {
            let expected =
                "SCHEME:PLACE, as v4l2:/dev/video0, http://10.0.0.7:8080/video.mjpg, file:clip.mp4 or synthetic:";
            return Err(Error::argument("camera", format!("{expected}{}", meant(address)), text));
        };
        let place = place.replace("%23", "#");
        let mut uri =
            Self { scheme: scheme.into(), name: name_of(scheme, &place), place, settings: CameraSettings::default() };
        for setting in settings.split(',').filter(|setting| !setting.is_empty()) {
            match setting.split_once('=') {
                Some(("name", name)) if is_name(name) => uri.name = name.into(),
                Some(("name", name)) => {
                    let expected = format!("1 to {MAX_NAME} letters, digits, _, - or ., a letter or digit first");
                    return Err(Error::argument("name", expected, name));
                }
                Some((name, value)) => uri.settings.set(name, value)?,
                None => return Err(Error::argument("setting of a camera", "NAME=VALUE", setting)),
            }
        }
        uri.settings.validate()?;
        Ok(uri)
    }
}

/// Longest name of a camera.
const MAX_NAME: usize = 64;

/// Whether a camera may be called so: files are called by it, and columns of recordings.
fn is_name(name: &str) -> bool {
    let is_first = name.starts_with(char::is_alphanumeric);
    is_first && name.chars().count() <= MAX_NAME && name.chars().all(|it| it.is_alphanumeric() || "_-.".contains(it))
}

/// What somebody who left the scheme out may have meant.
fn meant(address: &str) -> String {
    let is_number = !address.is_empty() && address.len() <= 3 && address.bytes().all(|byte| byte.is_ascii_digit());
    match address {
        _ if is_number => format!(" (did you mean v4l2:/dev/video{address}?)"),
        _ if address.starts_with("/dev/") => format!(" (did you mean v4l2:{address}?)"),
        _ if std::path::Path::new(address).exists() => format!(" (did you mean file:{address}?)"),
        _ => String::new(),
    }
}

/// Name of a camera without one: the end of its path.
fn name_of(scheme: &str, place: &str) -> String {
    let path = place.split('?').next().unwrap_or_default().trim_end_matches('/');
    let end = path.rsplit(['/', '@']).next().unwrap_or_default();
    let name: String = end.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
    if name.is_empty() { scheme.into() } else { name }
}

impl Display for CameraUri {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", self.scheme, without_password(&self.place))
    }
}

/// `place` with `***` for who logs in, and with what.
fn without_password(place: &str) -> String {
    let Some(rest) = place.strip_prefix("//") else { return place.into() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match host.rsplit_once('@') {
        Some((_, host)) => format!("//***@{host}{path}"),
        None => place.into(),
    }
}
