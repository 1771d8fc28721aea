//! The camera that every scene has: straight above the middle of a square floor, with parallel rays, as wide as the
//! floor.

use mindseye_interface::ImageSize;
use nalgebra::Isometry3;

use crate::camera::{Camera, Projection};

/// The camera over a floor whose side is `side_m` metres, outside of everything that stands on it. World coordinates
/// are those of the image: x to the right, y down, z into the floor; the origin is the floor's top left corner.
pub(super) fn camera(side_m: f64, size: ImageSize) -> Camera {
    let middle = (side_m / 2.0) as f32;
    Camera {
        world_from_camera: Isometry3::translation(middle, middle, -1.0),
        projection: Projection::Orthographic { width_m: side_m as f32 },
        size,
    }
}

/// Where that camera shows a position (x, y, metres): row and column as shares of the image's height and width, 0 to 1
/// from the top left; `None` outside the image.
pub(super) fn in_image(side_m: f64, size: ImageSize, [x, y]: [f64; 2]) -> Option<[f64; 2]> {
    // An image that is not square shows more or less than the floor from top to bottom.
    let shown_m = side_m * size.height() as f64 / size.width() as f64;
    let top_m = (side_m - shown_m) / 2.0;
    let shares = [(y - top_m) / shown_m, x / side_m];
    shares.iter().all(|share| (0.0..=1.0).contains(share)).then_some(shares)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::Point3;

    #[test]
    fn positions_in_the_image_are_where_the_camera_projects_them() {
        for (height, width) in [(64, 64), (24, 40), (40, 24)] {
            let size = ImageSize::new(height, width).unwrap();
            for position in [[0.5, 0.5], [0.1, 0.9], [0.7, 0.3], [0.0, 1.0]] {
                let [column, row, _] =
                    camera(1.0, size).project(&Point3::new(position[0] as f32, position[1] as f32, 0.0)).unwrap();
                let [row, column] = [f64::from(row) / height as f64, f64::from(column) / width as f64];
                let is_inside = (-1e-6..1.0 + 1e-6).contains(&row);
                match in_image(1.0, size, position) {
                    Some(got) => assert!((got[0] - row).abs() < 1e-5 && (got[1] - column).abs() < 1e-5, "{got:?}"),
                    None => assert!(!is_inside, "{position:?} is at row {row}"),
                }
            }
        }
        let wide = ImageSize::new(24, 40).unwrap();
        assert_eq!(in_image(1.0, wide, [0.5, 0.1]), None, "above the upper edge");
        assert_eq!(in_image(1.0, ImageSize::square(64).unwrap(), [0.3, 0.7]), Some([0.7, 0.3]));
    }
}
