//! Addresses of arms: `arm:PORT?calibration=FILE&setting=value`.

use std::fmt::{Display, Formatter};
use std::path::PathBuf;
use std::str::FromStr;

use mindseye_interface::config;
use mindseye_interface::config::Validate;

use crate::calibration::Calibration;
use crate::error::{Error, Result};
use crate::settings::ArmSettings;

/// Where an arm is, and how it may be used.
///
/// ```
/// use mindseye_arms::ArmUri;
///
/// let uri: ArmUri = "arm:/dev/ttyACM0?calibration=me.json&hz=20&release".parse()?;
/// assert_eq!((uri.port.as_str(), uri.calibration.to_str()), ("/dev/ttyACM0", Some("me.json")));
/// assert!("arm:/dev/ttyACM0".parse::<ArmUri>().is_err()); // whose positions would mean nothing
/// # Ok::<(), mindseye_arms::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ArmUri {
    /// The serial port.
    pub port: String,
    /// Its calibration, a file in LeRobot's form.
    pub calibration: PathBuf,
    /// A file with settings.
    pub settings: Option<PathBuf>,
    /// Settings that the address names, in its order; they come after those of the file.
    changes: Vec<(String, String)>,
}

/// What an address begins with.
pub const SCHEME: &str = "arm:";
/// What can be named.
const NAMES: &str = "calibration, settings, units, hz, baud, max_speed, max_lead, torque, max_celsius, release";

impl ArmUri {
    /// Whether `text` is meant to be the address of an arm.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(SCHEME)
    }

    /// The settings of the file and of the address.
    ///
    /// # Errors
    /// [`Error::Field`] and those of the file.
    pub fn settings(&self) -> Result<ArmSettings> {
        let mut settings: ArmSettings = match &self.settings {
            Some(path) => config::load(path)?,
            None => ArmSettings::default(),
        };
        for (name, value) in &self.changes {
            change(&mut settings, name, value)?;
        }
        settings.validate()?;
        Ok(settings)
    }

    /// The calibration in its file.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn calibration(&self) -> Result<Calibration> {
        Calibration::load(&self.calibration)
    }
}

fn change(settings: &mut ArmSettings, name: &str, value: &str) -> Result<()> {
    let number = || value.parse::<f64>().map_err(|_| Error::field(name, "a number", value));
    match name {
        "units" => settings.units = value.parse()?,
        "hz" => settings.hz = number()?,
        "baud" => settings.baud = value.parse().map_err(|_| Error::field(name, "a whole number", value))?,
        "max_speed" => settings.max_speed = number()?,
        "max_lead" => settings.max_lead = number()?,
        "torque" => settings.torque = number()?,
        "max_celsius" => settings.max_celsius = number()?,
        "release" => {
            settings.release = match value {
                "" | "true" => true,
                "false" => false,
                other => return Err(Error::field(name, "true or false", other)),
            }
        }
        other => return Err(Error::field("setting of an arm", NAMES, other)),
    }
    Ok(())
}

impl FromStr for ArmUri {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::field("arm", "arm:PORT?calibration=FILE, as arm:/dev/ttyACM0?calibration=my.json", text);
        let (port, query) = text.strip_prefix(SCHEME).and_then(|rest| rest.split_once('?')).ok_or_else(wrong)?;
        if port.is_empty() {
            return Err(wrong());
        }
        let (mut calibration, mut settings, mut changes) = (None, None, Vec::new());
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match name {
                "calibration" => calibration = Some(PathBuf::from(value)),
                "settings" => settings = Some(PathBuf::from(value)),
                _ => {
                    change(&mut ArmSettings::default(), name, value)?;
                    changes.push((name.to_owned(), value.to_owned()));
                }
            }
        }
        Ok(Self { port: port.to_owned(), calibration: calibration.ok_or_else(wrong)?, settings, changes })
    }
}

impl Display for ArmUri {
    fn fmt(&self, text: &mut Formatter<'_>) -> std::fmt::Result {
        write!(text, "{SCHEME}{}", self.port)
    }
}
