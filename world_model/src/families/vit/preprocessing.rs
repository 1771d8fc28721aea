//! From an image to an encoder's input, as the family's own library does it: scaled by its shorter side, cropped in the
//! middle, normalised.

use std::path::Path;

use mindseye_interface::memory::{product, sum};
use mindseye_interface::{Image, inputs};
use serde::Serialize;
use serde_json::Value;

use super::config::VitKind;
use super::resampling::{Filter, Taps, taps};
use crate::{Error, Result};

/// Mean of ImageNet's colours.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Standard deviation of ImageNet's colours.
const STD: [f32; 3] = [0.229, 0.224, 0.225];
/// Largest side of an image on the way.
const MAX_SIDE: usize = 16_384;
/// Names of the file that says how a published model's images are prepared.
const FILES: [&str; 3] = ["preprocessor_config.json", "video_preprocessor_config.json", "processor_config.json"];

/// How an image is scaled first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scaling {
    /// Not at all.
    None,
    /// To this length of the shorter side, keeping the aspect.
    Shorter(usize),
    /// To this height and width.
    Exact([usize; 2]),
}

/// How images become an encoder's input.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Preprocessing {
    /// How they are scaled first.
    pub scaling: Scaling,
    /// Whether by cubic convolution; else by straight lines.
    pub cubic: bool,
    /// Whether scaling down averages (Pillow, torchvision) or takes neighbours alone (OpenCV).
    pub averaging: bool,
    /// Height and width that are cut out of the middle; none: all.
    pub crop: Option<[usize; 2]>,
    /// Mean of each colour, of values from 0 to 1.
    pub mean: [f32; 3],
    /// Standard deviation of each colour.
    pub std: [f32; 3],
}

/// An encoder's input: `values [C, H, W]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// Normalised values.
    pub values: Vec<f32>,
    /// Height and width.
    pub size: [usize; 2],
}

impl Preprocessing {
    /// That of a recipe, for images of `size`; `ported` models are Hugging Face's, whose library averages.
    pub fn usual(kind: VitKind, size: [usize; 2], ported: bool) -> Self {
        let [height, width] = size;
        let (shorter, cubic) = match kind {
            // Models of 518 pixels are used at 224.
            VitKind::Dinov2 => (256, true),
            _ => (height.min(width) * 256 / 224, false),
        };
        let crop = if kind == VitKind::Dinov2 { [224, 224] } else { size };
        let averaging = ported || !kind.takes_clips();
        Self { scaling: Scaling::Shorter(shorter), cubic, averaging, crop: Some(crop), mean: MEAN, std: STD }
    }

    /// What a file beside the model says, over `usual`; `usual` where there is none.
    ///
    /// # Errors
    /// [`Error::File`] when the file is broken or of a kind that we do not build.
    pub fn read(folder: &Path, usual: Self) -> Result<Self> {
        for name in FILES {
            let path = folder.join(name);
            let text = inputs::read_if_present(&path, inputs::MAX_CONFIG_BYTES);
            let Some(text) = text.map_err(|error| Error::file(&path, error))? else { continue };
            let mut value: Value = serde_json::from_slice(&text).map_err(|error| Error::file(&path, error))?;
            for inner in ["video_processor", "image_processor"] {
                if value[inner].is_object() {
                    value = value[inner].take();
                }
            }
            return usual.with(&value).map_err(|reason| Error::file(&path, reason));
        }
        Ok(usual)
    }

    fn with(mut self, value: &Value) -> std::result::Result<Self, String> {
        let flag = |name: &str| match &value[name] {
            Value::Null => Ok(None),
            Value::Bool(flag) => Ok(Some(*flag)),
            other => Err(format!("{name}: expected true or false, got {other}")),
        };
        let side = |value: &Value, name: &str| match value.as_u64().map(usize::try_from) {
            Some(Ok(side)) if (1..=MAX_SIDE).contains(&side) => Ok(side),
            _ => Err(format!("{name}: expected 1 to {MAX_SIDE} pixels, got {value}")),
        };
        let size = &value["size"];
        self.scaling = match (flag("do_resize")?.unwrap_or(true), size) {
            (false, _) => Scaling::None,
            (true, Value::Null) => self.scaling,
            (true, Value::Number(_)) => Scaling::Shorter(side(size, "size")?),
            (true, size) if !size["shortest_edge"].is_null() => {
                Scaling::Shorter(side(&size["shortest_edge"], "size.shortest_edge")?)
            }
            (true, size) => {
                Scaling::Exact([side(&size["height"], "size.height")?, side(&size["width"], "size.width")?])
            }
        };
        self.cubic = match (&value["resample"], value["resample"].as_u64()) {
            (Value::Null, _) => self.cubic,
            (_, Some(2)) => false,
            (_, Some(3)) => true,
            (other, _) => return Err(format!("resample: expected 2 (linear) or 3 (cubic), got {other}")),
        };
        let crop = &value["crop_size"];
        let crops = flag("do_center_crop")?.unwrap_or(!crop.is_null());
        self.crop = match (crops, crop) {
            (false, _) => None,
            (true, Value::Null) => self.crop,
            (true, Value::Number(_)) => Some([side(crop, "crop_size")?; 2]),
            (true, crop) => {
                Some([side(&crop["height"], "crop_size.height")?, side(&crop["width"], "crop_size.width")?])
            }
        };
        if flag("do_rescale")? == Some(false) {
            return Err("do_rescale: expected true, got false".into());
        }
        let factor = &value["rescale_factor"];
        if !factor.is_null() && !factor.as_f64().is_some_and(|factor| (factor * 255.0 - 1.0).abs() < 1e-6) {
            return Err(format!("rescale_factor: expected 1/255, got {factor}"));
        }
        let normalises = flag("do_normalize")?.unwrap_or(true);
        for (name, target) in [("image_mean", &mut self.mean), ("image_std", &mut self.std)] {
            if !normalises || value[name].is_null() {
                continue;
            }
            let list = value[name].as_array().map_or(&[][..], Vec::as_slice);
            let numbers: Option<Vec<f32>> = list.iter().map(|number| Some(number.as_f64()? as f32)).collect();
            let lowest = if name == "image_std" { 1e-6 } else { -1e3 };
            match numbers.map(<[f32; 3]>::try_from) {
                Some(Ok(numbers)) if numbers.iter().all(|number| (lowest..1e3).contains(number)) => *target = numbers,
                _ => return Err(format!("{name}: expected three numbers above {lowest}, got {}", value[name])),
            }
        }
        if !normalises {
            (self.mean, self.std) = ([0.0; 3], [1.0; 3]);
        }
        Ok(self)
    }

    /// Height and width of what is prepared from an image of `height` x `width`.
    pub fn output_size(&self, height: usize, width: usize) -> [usize; 2] {
        self.crop.unwrap_or_else(|| self.scaled_size(height, width))
    }

    /// Most bytes at once while images of `height` x `width` are prepared for a clip of `frames`: the image, what it is
    /// scaled to on the way, and the clip with what it is put together from.
    pub fn bytes(&self, frames: usize, height: usize, width: usize) -> u128 {
        let [scaled_height, scaled_width] = self.scaled_size(height, width);
        let [rows, columns] = self.output_size(height, width);
        sum(&[
            product(&[height, width, 3]),
            product(&[height, scaled_width, 3, size_of::<f32>()]),
            product(&[scaled_height, scaled_width, 3, size_of::<f32>()]),
            product(&[2, frames, rows, columns, 3, size_of::<f32>()]),
        ])
    }

    /// Prepares `image`. [`super::Vit::require_input`] says before whether there is memory for it.
    ///
    /// # Errors
    /// [`Error::Shape`] when it would become larger than 16384 pixels on a side.
    pub fn apply(&self, image: &Image) -> Result<Prepared> {
        let (height, width) = (image.size().height(), image.size().width());
        let scaled = self.scaled_size(height, width);
        if scaled.iter().any(|side| !(1..=MAX_SIDE).contains(side)) {
            return Err(Error::Shape {
                operation: "preparing an image",
                expected: format!("sides of 1 to {MAX_SIDE} pixels after scaling"),
                got: format!("{}x{}", scaled[0], scaled[1]),
            });
        }
        let pixels: Vec<f32> = match scaled == [height, width] {
            true => image.pixels().iter().map(|&byte| f32::from(byte)).collect(),
            false => self.scaled(image, scaled),
        };
        let size = self.crop.unwrap_or(scaled);
        // Half a pixel is rounded to even, as Python rounds.
        let offset = |full: usize, cut: usize| ((full as f64 - cut as f64) / 2.0).round_ties_even() as i64;
        let (top, left) = (offset(scaled[0], size[0]), offset(scaled[1], size[1]));
        let mut values = vec![0.0; 3 * size[0] * size[1]];
        for (channel, plane) in values.chunks_exact_mut(size[0] * size[1]).enumerate() {
            for (at, value) in plane.iter_mut().enumerate() {
                let (row, column) = (top + (at / size[1]) as i64, left + (at % size[1]) as i64);
                let inside = (0..scaled[0] as i64).contains(&row) && (0..scaled[1] as i64).contains(&column);
                let pixel =
                    if inside { pixels[(row as usize * scaled[1] + column as usize) * 3 + channel] } else { 0.0 };
                *value = (pixel / 255.0 - self.mean[channel]) / self.std[channel];
            }
        }
        Ok(Prepared { values, size })
    }

    /// The colours of `image` normalised, without scaling or cropping: `[C, H, W]`.
    pub fn normalised(&self, image: &Image) -> Vec<f32> {
        let of = |channel: usize| {
            let values = image.pixels().iter().skip(channel).step_by(3);
            values.map(move |&byte| (f32::from(byte) / 255.0 - self.mean[channel]) / self.std[channel])
        };
        (0..3).flat_map(of).collect()
    }

    fn scaled_size(&self, height: usize, width: usize) -> [usize; 2] {
        match self.scaling {
            Scaling::None => [height, width],
            Scaling::Exact(size) => size,
            Scaling::Shorter(side) if height <= width => [side, side * width / height.max(1)],
            Scaling::Shorter(side) => [side * height / width.max(1), side],
        }
    }

    /// Colours `[H, W, 3]`, whole numbers from 0 to 255: columns first, then rows.
    fn scaled(&self, image: &Image, [new_height, new_width]: [usize; 2]) -> Vec<f32> {
        let (height, width) = (image.size().height(), image.size().width());
        let filter = match (self.cubic, self.averaging) {
            (false, false) => Filter::Linear,
            (false, true) => Filter::LinearAveraging,
            (true, false) => Filter::Cubic,
            (true, true) => Filter::CubicAveraging,
        };
        let whole = |value: f64| value.round().clamp(0.0, 255.0) as f32;
        let sum = |taps: &Taps, value: &dyn Fn(usize) -> f32| -> f64 {
            (taps.first..).zip(&taps.weights).map(|(at, weight)| weight * f64::from(value(at))).sum()
        };
        let columns = taps(filter, width, new_width);
        let mut wide = Vec::with_capacity(height * new_width * 3);
        for row in image.pixels().chunks_exact(width * 3) {
            for taps in &columns {
                for channel in 0..3 {
                    let value = sum(taps, &|at| f32::from(row[at * 3 + channel]));
                    // Libraries that average store bytes between the two passes.
                    wide.push(if self.averaging { whole(value) } else { value as f32 });
                }
            }
        }
        let mut output = Vec::with_capacity(new_height * new_width * 3);
        for taps in taps(filter, height, new_height) {
            for at_column in 0..new_width * 3 {
                output.push(whole(sum(&taps, &|row| wide[row * new_width * 3 + at_column])));
            }
        }
        output
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mindseye_interface::ImageSize;

    fn gradient(height: usize, width: usize) -> Image {
        let pixel = |at: usize| [(at / width * 3) as u8, (at % width * 2) as u8, 77];
        let pixels = (0..height * width).flat_map(pixel).collect();
        Image::new(ImageSize::new(height, width).unwrap(), pixels).unwrap()
    }

    #[test]
    fn v_jepa_scales_the_shorter_side_and_cuts_the_middle() {
        let usual = Preprocessing::usual(VitKind::Vjepa2, [256, 256], true);
        assert_eq!(usual.scaling, Scaling::Shorter(292));
        assert_eq!(Preprocessing::usual(VitKind::Vjepa2, [384, 384], true).scaling, Scaling::Shorter(438));
        assert_eq!(usual.scaled_size(480, 640), [292, 389]);
        let prepared = Preprocessing::usual(VitKind::Vjepa2, [32, 32], true).apply(&gradient(40, 72)).unwrap();
        assert_eq!((prepared.size, prepared.values.len()), ([32, 32], 3 * 32 * 32));
        let blue = (77.0 / 255.0 - MEAN[2]) / STD[2];
        assert!(prepared.values[2 * 32 * 32..].iter().all(|value| (value - blue).abs() < 1e-6));
        let rows: Vec<f32> = (0..32).map(|row| prepared.values[row * 32 + 16]).collect();
        assert!(rows.windows(2).all(|pair| pair[1] > pair[0]), "red grows with the row: {rows:?}");
    }

    #[test]
    fn a_file_beside_the_model_says_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let usual = Preprocessing::usual(VitKind::Ijepa, [28, 28], true);
        assert_eq!(Preprocessing::read(folder.path(), usual.clone()).unwrap(), usual);
        let file = folder.path().join("preprocessor_config.json");
        let text = r#"{"size": {"height": 28, "width": 42}, "resample": 3, "do_center_crop": false,
            "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}"#;
        std::fs::write(&file, text).unwrap();
        let read = Preprocessing::read(folder.path(), usual.clone()).unwrap();
        assert_eq!((read.scaling, read.cubic, read.crop), (Scaling::Exact([28, 42]), true, None));
        assert_eq!(read.apply(&gradient(30, 30)).unwrap().size, [28, 42]);
        for (wrong, field) in [
            (r#"{"size": {"shortest_edge": 10000000}}"#, "size.shortest_edge"),
            (r#"{"image_std": [0.0, 1.0, 1.0]}"#, "image_std"),
            (r#"{"resample": 1}"#, "resample"),
            // Symptom: these were passed over, and images prepared as usual. Cause: what was of another type counted
            // as absent. Fix: a field that is there is understood, or refused.
            (r#"{"resample": "bicubic"}"#, "resample"),
            (r#"{"image_mean": "x"}"#, "image_mean"),
            (r#"{"image_mean": ["x", 0.5, 0.5, 0.5]}"#, "image_mean"),
            (r#"{"image_std": 0.5}"#, "image_std"),
            (r#"{"rescale_factor": 0.00784}"#, "rescale_factor: expected 1/255, got 0.00784"),
            (r#"{"rescale_factor": "1/255"}"#, "rescale_factor"),
            (r#"{"do_rescale": false}"#, "do_rescale"),
            (r#"{"do_resize": "no"}"#, "do_resize: expected true or false"),
        ] {
            std::fs::write(&file, wrong).unwrap();
            let error = Preprocessing::read(folder.path(), usual.clone()).unwrap_err().to_string();
            assert!(error.contains("preprocessor_config.json") && error.contains(field), "{error}");
        }
    }
}
