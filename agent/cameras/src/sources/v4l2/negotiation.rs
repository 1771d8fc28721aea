//! What is asked of a V4L2 driver, and what it grants.

use mindseye_interface::text::printable;

use crate::FourCc;
use crate::frame::Granted;
use crate::settings::CameraSettings;

/// Columns and rows up to which uncompressed formats are preferred: above, USB 2 carries few frames a second.
const UNCOMPRESSED: [u32; 2] = [640, 480];

/// Controls that are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Control {
    /// Whether exposure is automatic: 1 is by hand.
    ExposureAuto,
    /// Exposure time in units of 100 microseconds.
    Exposure,
    /// Whether white balance is automatic: 0 is by hand.
    WhiteBalanceAuto,
    /// Colour temperature in kelvin.
    WhiteBalance,
    /// Whether gain is automatic: 0 is by hand.
    GainAuto,
    /// Gain, in units of the driver.
    Gain,
}

/// A driver's controls.
pub(super) trait Controls {
    /// Sets a control and reads it back.
    fn set(&mut self, control: Control, value: i32) -> Result<i32, String>;
}

/// What was asked for and not granted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Difference {
    pub field: &'static str,
    pub requested: String,
    pub granted: String,
}

impl Difference {
    fn new(field: &'static str, requested: impl ToString, granted: impl ToString) -> Self {
        Self { field, requested: requested.to_string(), granted: granted.to_string() }
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: asked for {}, granted {}", self.field, self.requested, printable(&self.granted))
    }
}

/// The format to ask for, of those that the driver has, for images of `size`.
///
/// # Errors
/// A message on one line that lists what the driver has.
pub(super) fn choose(formats: &[FourCc], size: [u32; 2], settings: &CameraSettings) -> Result<FourCc, String> {
    if let Some(asked) = settings.fourcc {
        return Ok(asked); // the driver says what it makes of it
    }
    let small = size[0] <= UNCOMPRESSED[0] && size[1] <= UNCOMPRESSED[1];
    let (jpeg, uncompressed): (Vec<FourCc>, Vec<FourCc>) = FourCc::DECODED.iter().partition(|format| format.is_jpeg());
    let order = if small { [uncompressed, jpeg] } else { [jpeg, uncompressed] }.concat();
    order.iter().find(|format| formats.contains(format)).copied().ok_or_else(|| {
        let shown = |formats: &[FourCc]| formats.iter().map(FourCc::to_string).collect::<Vec<_>>().join(", ");
        format!("expected one of the formats {}, the device has {}", shown(&FourCc::DECODED), shown(formats))
    })
}

/// Fixes exposure, white balance and gain where that is asked for, and enters what was granted.
pub(super) fn fix(controls: &mut dyn Controls, settings: &CameraSettings, granted: &mut Granted) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut set = |field: &'static str, automatic: (Control, i32), control: Control, asked: Option<i32>| {
        let value = asked?;
        // Some drivers have no automatic mode, and no control for it.
        let by_hand = controls.set(automatic.0, automatic.1);
        match controls.set(control, value) {
            Ok(got) if got == value => return Some(got),
            Ok(got) => differences.push(Difference::new(field, value, got)),
            Err(error) => {
                let automatic = by_hand.err().map(|error| format!(", by hand: {error}")).unwrap_or_default();
                differences.push(Difference::new(field, value, format!("nothing ({error}{automatic})")));
            }
        }
        None
    };
    granted.exposure = set("exposure", (Control::ExposureAuto, 1), Control::Exposure, settings.exposure);
    let white = (Control::WhiteBalanceAuto, 0);
    granted.white_balance = set("white_balance", white, Control::WhiteBalance, settings.white_balance);
    granted.gain = set("gain", (Control::GainAuto, 0), Control::Gain, settings.gain);
    differences
}

/// What of the format in `granted` is not what `settings` ask for.
pub(super) fn compare(settings: &CameraSettings, granted: &Granted) -> Vec<Difference> {
    /// Rates are fractions: 30 is granted as 29.97 by some.
    const RATE: f64 = 0.02;
    let (width, height) = settings.captured_size();
    let mut differences = Vec::new();
    for (field, asked, got) in [("width", width, granted.width), ("height", height, granted.height)] {
        if let (Some(asked), Some(got)) = (asked, got)
            && asked != got
        {
            differences.push(Difference::new(field, asked, got));
        }
    }
    if let (Some(asked), Some(got)) = (settings.fourcc, granted.fourcc)
        && asked != got
    {
        differences.push(Difference::new("fourcc", asked, got));
    }
    match (settings.fps, granted.fps) {
        (Some(asked), Some(got)) if (got / asked - 1.0).abs() > RATE => {
            differences.push(Difference::new("fps", asked, format!("{got:.2}")));
        }
        (Some(asked), None) => differences.push(Difference::new("fps", asked, "a rate that the driver does not say")),
        _ => {}
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::CameraUri;

    fn settings(text: &str) -> CameraSettings {
        format!("v4l2:/dev/video0#{text}").parse::<CameraUri>().unwrap().settings
    }

    /// Formats as common webcams list them.
    const WEBCAM: [FourCc; 3] = [FourCc::YUYV, FourCc(*b"H264"), FourCc::MJPG];

    #[test]
    fn large_images_are_jpeg_and_small_ones_are_not_where_there_is_a_choice() {
        assert_eq!(choose(&WEBCAM, [640, 480], &settings("")), Ok(FourCc::YUYV));
        assert_eq!(choose(&WEBCAM, [1280, 720], &settings("")), Ok(FourCc::MJPG));
        assert_eq!(choose(&[FourCc::NV12], [1920, 1080], &settings("")), Ok(FourCc::NV12));
        assert_eq!(choose(&WEBCAM, [640, 480], &settings("fourcc=MJPG")), Ok(FourCc::MJPG));
        let error = choose(&[FourCc(*b"pRAA")], [640, 480], &settings("")).unwrap_err();
        assert!(error.contains("pRAA") && error.contains("MJPG"), "{error}");
    }

    #[test]
    fn what_is_not_granted_is_named_with_both_values() {
        let granted = |width, height, fps| Granted {
            width: Some(width),
            height: Some(height),
            fps,
            fourcc: Some(FourCc::YUYV),
            ..Granted::default()
        };
        let asked = settings("width=1280,height=720,fps=60,fourcc=MJPG");
        let differences: Vec<String> =
            compare(&asked, &granted(640, 480, Some(30.0))).iter().map(ToString::to_string).collect();
        assert_eq!(
            differences,
            [
                "width: asked for 1280, granted 640",
                "height: asked for 720, granted 480",
                "fourcc: asked for MJPG, granted YUYV",
                "fps: asked for 60, granted 30.00",
            ]
        );
        let turned = settings("width=480,height=640,rotation=90,fps=30");
        assert_eq!(compare(&turned, &granted(640, 480, Some(30_000.0 / 1001.0))), []);
        assert_eq!(compare(&settings("fps=30"), &granted(640, 480, None))[0].field, "fps");
        assert_eq!(compare(&settings(""), &granted(640, 480, None)), []);
    }

    /// A driver's controls: those it has, with their highest values.
    struct Recorded {
        highest: Vec<(Control, i32)>,
        calls: Vec<(Control, i32)>,
    }

    impl Controls for Recorded {
        fn set(&mut self, control: Control, value: i32) -> Result<i32, String> {
            self.calls.push((control, value));
            let found = self.highest.iter().find(|(name, _)| *name == control);
            found.map(|(_, highest)| value.min(*highest)).ok_or_else(|| "Invalid argument (os error 22)".into())
        }
    }

    #[test]
    fn automatic_control_is_turned_off_first_and_values_are_read_back() {
        let highest = vec![
            (Control::ExposureAuto, 3),
            (Control::Exposure, 2047),
            (Control::WhiteBalanceAuto, 1),
            (Control::WhiteBalance, 6500),
        ];
        let mut driver = Recorded { highest, calls: Vec::new() };
        let mut granted = Granted::default();
        let differences = fix(&mut driver, &settings("exposure=120,white_balance=9000,gain=3"), &mut granted);
        assert_eq!(driver.calls[..2], [(Control::ExposureAuto, 1), (Control::Exposure, 120)]);
        assert_eq!((granted.exposure, granted.white_balance, granted.gain), (Some(120), None, None));
        let fields: Vec<&str> = differences.iter().map(|difference| difference.field).collect();
        assert_eq!(fields, ["white_balance", "gain"]);
        assert!(differences[0].to_string().contains("9000") && differences[0].to_string().contains("6500"));
        assert!(differences[1].granted.contains("os error 22"));
        let mut driver = Recorded { highest: Vec::new(), calls: Vec::new() };
        assert_eq!(fix(&mut driver, &settings(""), &mut Granted::default()), []);
        assert_eq!(driver.calls, [], "nothing is touched that was not asked for");
    }
}
