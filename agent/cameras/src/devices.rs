//! Video devices of a machine, and their formats.

use std::fmt::{Display, Formatter};

use mindseye_interface::text::printable;
use serde::{Deserialize, Serialize};

use crate::FourCc;

/// A video device of this machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// Its address.
    pub uri: String,
    /// Its name.
    pub name: String,
    /// Pixel formats it has.
    pub formats: Vec<DeviceFormat>,
    /// Why it could not be asked, for example that another program has it.
    pub problem: Option<String>,
}

/// A pixel format of a device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeviceFormat {
    /// The format.
    pub fourcc: FourCc,
    /// Whether it is decoded here.
    pub decoded: bool,
    /// Columns and rows, the smallest first.
    pub sizes: Vec<[u32; 2]>,
    /// Highest rate at the largest size, frames per second.
    pub fps: Option<f64>,
}

impl Display for Device {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}  {}", self.uri, printable(&self.name))?;
        if let Some(problem) = &self.problem {
            write!(formatter, "\n    {}", printable(problem))?;
        }
        for format in &self.formats {
            let sizes: Vec<String> = format.sizes.iter().map(|[width, height]| format!("{width}x{height}")).collect();
            let decoded = if format.decoded { "" } else { " (not decoded)" };
            write!(formatter, "\n    {}{decoded}: {}", format.fourcc, sizes.join(", "))?;
            if let Some(fps) = format.fps {
                write!(formatter, "; up to {fps:.0} frames/s at the largest")?;
            }
        }
        Ok(())
    }
}
