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
        let expected =
            "SCHEME:PLACE, as v4l2:/dev/video0, http://10.0.0.7:8080/video.mjpg, file:clip.mp4 or synthetic:";
        let Some((scheme, place)) = address.split_once(':').filter(|(scheme, _)| !scheme.is_empty()) else {
            return Err(Error::argument("camera", expected, text));
        };
        let place = place.replace("%23", "#");
        let mut uri =
            Self { scheme: scheme.into(), name: name_of(scheme, &place), place, settings: CameraSettings::default() };
        for setting in settings.split(',').filter(|setting| !setting.is_empty()) {
            match setting.split_once('=') {
                Some(("name", name)) if !name.is_empty() => uri.name = name.into(),
                Some((name, value)) => uri.settings.set(name, value)?,
                None => return Err(Error::argument("setting of a camera", "NAME=VALUE", setting)),
            }
        }
        uri.settings.validate()?;
        Ok(uri)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ColorMode, Crop, FourCc, Rotation};

    #[test]
    fn settings_follow_the_address_and_never_reach_the_server() {
        let text = "v4l2:/dev/video0#fps=29.97,width=640,height=480,fourcc=MJPG,rotation=-90,warmup_s=2,\
                    color_mode=bgr,crop=400x400+10+20,exposure=120,best_effort=true,name=wrist";
        let uri: CameraUri = text.parse().unwrap();
        let settings = &uri.settings;
        assert_eq!((uri.scheme.as_str(), uri.place.as_str(), uri.name.as_str()), ("v4l2", "/dev/video0", "wrist"));
        assert_eq!((settings.fps, settings.width, settings.height), (Some(29.97), Some(640), Some(480)));
        assert_eq!((settings.fourcc, settings.rotation), (Some(FourCc::MJPG), Rotation::Left));
        assert_eq!(settings.captured_size(), (Some(480), Some(640)));
        assert_eq!((settings.color_mode, settings.exposure), (ColorMode::Bgr, Some(120)));
        assert_eq!(settings.crop, Some(Crop { left: 10, top: 20, width: 400, height: 400 }));
        let uri: CameraUri = "http://h:80/a?x=1&y=2#stale_s=1".parse().unwrap();
        assert_eq!((uri.place.as_str(), uri.name.as_str(), uri.settings.stale_s), ("//h:80/a?x=1&y=2", "a", 1.0));
        assert_eq!("file:a%23b".parse::<CameraUri>().unwrap().place, "a#b");
        assert_eq!("synthetic:".parse::<CameraUri>().unwrap().name, "synthetic");
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_name() {
        for (text, named) in [
            ("/dev/video0", "camera"),
            (":x", "camera"),
            ("synthetic:#fps", "NAME=VALUE"),
            ("synthetic:#fps=fast", "fps"),
            ("synthetic:#fps=0", "fps"),
            ("synthetic:#fps=NaN", "fps"),
            ("synthetic:#colour=1", "color_mode"),
            ("synthetic:#rotation=45", "rotation"),
            ("synthetic:#width=60000", "width"),
            ("synthetic:#crop=10x10", "crop"),
            ("synthetic:#resize=0x4", "resize"),
            ("synthetic:#fourcc=MJPEG", "fourcc"),
            ("synthetic:#lost_s=0.1", "lost_s"),
        ] {
            let error = text.parse::<CameraUri>().unwrap_err().to_string();
            assert!(error.contains(named) && !error.contains('\n'), "{text}: {error}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let uri: CameraUri = "http://user:secret@host/x@1".parse().unwrap();
        assert_eq!(uri.to_string(), "http://***@host/x@1");
    }

    #[test]
    fn settings_are_stored_and_read_back() {
        let uri: CameraUri = "v4l2:/dev/video0#fps=30,fourcc=YUYV,rotation=270,resize=64x48".parse().unwrap();
        let json = serde_json::to_string(&uri.settings).unwrap();
        assert!(json.contains("\"fourcc\":\"YUYV\"") && json.contains("\"rotation\":270"), "{json}");
        assert_eq!(serde_json::from_str::<CameraSettings>(&json).unwrap(), uri.settings);
        assert!(toml::from_str::<CameraSettings>("rotation = 45").is_err());
        assert!(toml::from_str::<CameraSettings>("speed = 1").is_err());
    }
}
