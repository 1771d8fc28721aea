//! What a feature of a data set holds: images of some size, numbers, or something that is not read. Nothing is
//! refused here: only a column that is asked for must be readable.

use mindseye_interface::ImageSize;

use super::frames_table::DEFAULT_FEATURES;
use super::info::{Feature, MAX_WIDTH};
use crate::mapping::{AvailableColumn, ColumnKind};

/// What columns of texts hold.
pub(super) const TEXTS: &str = "texts";

/// The column of a feature that can be mapped; `None` for counters of timesteps.
pub(super) fn available_column((name, feature): &(String, Feature)) -> Option<AvailableColumn> {
    if DEFAULT_FEATURES.contains(&name.as_str()) {
        return None;
    }
    let elements = if feature.has_images() { Vec::new() } else { feature.element_names() };
    let (kind, is_colour) = match image(feature) {
        Some(Ok((size, channels))) => (ColumnKind::Image(size), channels != 1),
        Some(Err(got)) => (ColumnKind::Unread(got), false),
        None => (numbers(feature), false),
    };
    Some(AvailableColumn { name: name.clone(), kind, elements, is_colour })
}

/// Size and number of channels of a camera's images; `None` for other features, the reason where they are not read.
fn image(feature: &Feature) -> Option<Result<(ImageSize, usize), String>> {
    if !feature.has_images() {
        return None;
    }
    if feature.is_depth() {
        return Some(Err("depth images, which are not read".into()));
    }
    let sides = sides(&feature.shape, &feature.element_names());
    let size = sides.and_then(|[height, width, channels]| Some((ImageSize::new(height, width).ok()?, channels)));
    let size = size.ok_or_else(|| format!("images of shape {:?}", feature.shape));
    Some(size)
}

/// Height, width and channels of images of `shape`, in the order that `names` say. Where these contradict the number
/// of channels (1, 3 or 4), or say nothing, the place of that number tells the order.
fn sides(shape: &[usize], names: &[String]) -> Option<[usize; 3]> {
    let is_channels = |side: usize| matches!(side, 1 | 3 | 4);
    let [first, second, third] = match *shape {
        [height, width] => [height, width, 1],
        [first, second, third] => [first, second, third],
        _ => return None,
    };
    let place = |wanted: &[&str]| {
        let is_wanted = |name: &String| wanted.contains(&name.to_lowercase().as_str());
        names.iter().position(is_wanted).filter(|_| names.len() == shape.len())
    };
    let named = (place(&["height", "h"]), place(&["width", "w"]), place(&["channels", "channel", "c"]));
    if let (Some(height), Some(width), Some(channels)) = named
        && let Some(&channels) = shape.get(channels).filter(|side| is_channels(**side))
    {
        return Some([shape[height], shape[width], channels]);
    }
    match () {
        () if is_channels(third) => Some([first, second, third]),
        () if is_channels(first) => Some([second, third, first]),
        () => None,
    }
}

/// What a feature without images holds.
fn numbers(feature: &Feature) -> ColumnKind {
    if feature.dtype == "string" || feature.dtype == "language" {
        return ColumnKind::Unread(TEXTS.into());
    }
    match feature.shape.iter().try_fold(1usize, |width, &side| width.checked_mul(side)) {
        Some(width @ 1..=MAX_WIDTH) => ColumnKind::Vector(width),
        _ => ColumnKind::Unread(format!("{:?} numbers (1 to {MAX_WIDTH} are read)", feature.shape)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_a_shape_is_taken_from_names_and_from_the_number_of_channels() {
        let sides = |shape: &[usize], names: &[&str]| {
            sides(shape, &names.iter().map(ToString::to_string).collect::<Vec<_>>()) //
        };
        let expected = Some([32, 48, 3]);
        for (shape, names) in [
            (&[32, 48, 3][..], &["height", "width", "channels"][..]),
            (&[3, 32, 48], &["channels", "height", "width"]),
            (&[3, 32, 48], &["c", "H", "W"]),
            (&[48, 32, 3], &["width", "height", "channel"]),
            (&[3, 32, 48], &[]),
            (&[32, 48, 3], &[]),
            (&[3, 32, 48], &["height", "width", "channels"]),
            (&[32, 48, 3], &["channels", "height", "width"]),
        ] {
            assert_eq!(sides(shape, names), expected, "{shape:?} {names:?}");
        }
        assert_eq!(sides(&[3, 4, 3], &["channels", "height", "width"]), Some([4, 3, 3]), "names decide where they can");
        assert_eq!(sides(&[32, 48], &[]), Some([32, 48, 1]));
        assert_eq!(sides(&[4, 32, 48], &[]), Some([32, 48, 4]));
        assert_eq!(sides(&[32, 48, 2], &[]), None);
        assert_eq!(sides(&[2, 32, 48, 3], &[]), None);
    }
}
