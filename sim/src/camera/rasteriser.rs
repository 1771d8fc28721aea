//! The z-buffer: triangles that never move are drawn once, the others over a copy of the small piece that they cover.

use mindseye_interface::Image;
use nalgebra::Point3;

use super::{Camera, NEAR_M, Projection, Triangle};

/// Samples per pixel side: 4x4 samples a pixel, so that a move of a tenth of a pixel shows.
const SAMPLES: usize = 4;
/// Largest side of the sampled image; beyond it fewer samples are taken.
const LARGEST_SAMPLED_SIDE: usize = 4096;

/// Colour and depth of samples in a rectangle, row-major.
#[derive(Debug, Clone, Default)]
struct Layer {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
    rgb: Vec<[u8; 3]>,
    depth: Vec<f32>,
}

/// A triangle on the screen: column and row in samples, and a depth that is linear there.
#[derive(Debug, Clone, Copy)]
struct FlatTriangle {
    corners: [[f32; 3]; 3],
    rgb: [u8; 3],
}

/// Draws images of one camera.
#[derive(Debug, Clone)]
pub struct Rasteriser {
    camera: Camera,
    samples: usize,
    still: Layer,
    still_image: Image,
    moving: Layer,
}

impl Rasteriser {
    /// A rasteriser for `camera`, with the scene's unmoving triangles drawn on a background of one colour.
    pub fn new(camera: Camera, background: [u8; 3], still: impl IntoIterator<Item = Triangle>) -> Self {
        let (width, height) = (camera.size.width(), camera.size.height());
        let samples = (LARGEST_SAMPLED_SIDE / width.max(height)).clamp(1, SAMPLES);
        let (width, height) = (width * samples, height * samples);
        let area = width * height;
        let layer =
            Layer { left: 0, top: 0, width, height, rgb: vec![background; area], depth: vec![f32::INFINITY; area] };
        let still_image = Image::filled(camera.size, background);
        let mut rasteriser = Self { camera, samples, still: layer, still_image, moving: Layer::default() };
        let mut projected = Vec::new();
        still.into_iter().for_each(|triangle| rasteriser.project(&triangle, &mut projected));
        projected.iter().for_each(|flat| rasteriser.still.draw(flat));
        resolve(&rasteriser.still, samples, &mut rasteriser.still_image);
        rasteriser
    }

    /// The image with `moving` triangles in front of (or behind) the unmoving ones.
    pub fn draw(&mut self, moving: impl IntoIterator<Item = Triangle>) -> Image {
        let mut image = self.still_image.clone();
        let mut projected = Vec::new();
        moving.into_iter().for_each(|triangle| self.project(&triangle, &mut projected));
        if !self.copy_covered(&projected) {
            return image;
        }
        projected.iter().for_each(|flat| self.moving.draw(flat));
        resolve(&self.moving, self.samples, &mut image);
        image
    }

    /// Adds the visible part of a triangle: nothing, the triangle, or one or two triangles cut off at [`NEAR_M`].
    fn project(&self, triangle: &Triangle, projected: &mut Vec<FlatTriangle>) {
        let corners = triangle.corners.map(|corner| self.camera.world_from_camera.inverse_transform_point(&corner));
        let mut add = |corners: [Point3<f32>; 3]| {
            projected.push(FlatTriangle { corners: corners.map(|corner| self.flatten(&corner)), rgb: triangle.rgb });
        };
        if corners.iter().all(|corner| corner.z >= NEAR_M) {
            return add(corners);
        }
        let cut = cut_near(&corners);
        for last in 2..cut.len() {
            add([cut[0], cut[last - 1], cut[last]]);
        }
    }

    /// Column and row in samples, and depth, of a point in camera coordinates.
    fn flatten(&self, point: &Point3<f32>) -> [f32; 3] {
        let [column, row, depth] = self.camera.project_from_camera(point);
        // What is linear on the screen: depth under parallel rays, the inverse of depth under rays through a point.
        let key = match self.camera.projection {
            Projection::Orthographic { .. } => depth,
            Projection::Perspective { .. } => -1.0 / depth,
        };
        [column * self.samples as f32, row * self.samples as f32, key]
    }

    /// Copies the unmoving samples under the triangles, whole pixels only; false if nothing is visible.
    fn copy_covered(&mut self, projected: &[FlatTriangle]) -> bool {
        let corners = || projected.iter().flat_map(|flat| &flat.corners);
        let bounds = |axis: usize, side: usize| {
            let low = corners().map(|corner| corner[axis]).fold(f32::INFINITY, f32::min);
            let high = corners().map(|corner| corner[axis]).fold(f32::NEG_INFINITY, f32::max);
            let first = low.floor().clamp(0.0, side as f32) as usize / self.samples * self.samples;
            let last = (high.ceil().clamp(0.0, side as f32) as usize).next_multiple_of(self.samples).min(side);
            (first, last)
        };
        let ((left, right), (top, bottom)) = (bounds(0, self.still.width), bounds(1, self.still.height));
        if left >= right || top >= bottom {
            return false;
        }
        let moving = &mut self.moving;
        (moving.left, moving.top, moving.width, moving.height) = (left, top, right - left, bottom - top);
        moving.rgb.clear();
        moving.depth.clear();
        for row in top..bottom {
            let samples = row * self.still.width + left..row * self.still.width + right;
            moving.rgb.extend_from_slice(&self.still.rgb[samples.clone()]);
            moving.depth.extend_from_slice(&self.still.depth[samples]);
        }
        true
    }
}

impl Layer {
    /// Draws a triangle: samples whose centres it covers and that lie nearer than what is there.
    fn draw(&mut self, triangle: &FlatTriangle) {
        let [a, b, c] = &triangle.corners;
        let area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
        if area == 0.0 || !area.is_finite() {
            return;
        }
        let range = |axis: usize, first: usize, count: usize| {
            let low = a[axis].min(b[axis]).min(c[axis]) - first as f32;
            let high = a[axis].max(b[axis]).max(c[axis]) - first as f32;
            low.floor().clamp(0.0, count as f32) as usize..high.ceil().clamp(0.0, count as f32) as usize
        };
        let columns = range(0, self.left, self.width);
        for row in range(1, self.top, self.height) {
            let y = (self.top + row) as f32 + 0.5;
            for column in columns.clone() {
                let x = (self.left + column) as f32 + 0.5;
                let weight =
                    |p: &[f32; 3], q: &[f32; 3]| ((q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0])) / area;
                let (to_c, to_a, to_b) = (weight(a, b), weight(b, c), weight(c, a));
                if to_a < 0.0 || to_b < 0.0 || to_c < 0.0 {
                    continue;
                }
                let depth = to_a * a[2] + to_b * b[2] + to_c * c[2];
                let index = row * self.width + column;
                if depth < self.depth[index] {
                    self.depth[index] = depth;
                    self.rgb[index] = triangle.rgb;
                }
            }
        }
    }
}

/// The part of a triangle in camera coordinates that is at [`NEAR_M`] or farther: no corner, three or four.
fn cut_near(corners: &[Point3<f32>; 3]) -> Vec<Point3<f32>> {
    let mut polygon = Vec::with_capacity(4);
    for (index, from) in corners.iter().enumerate() {
        let to = &corners[(index + 1) % 3];
        if from.z >= NEAR_M {
            polygon.push(*from);
        }
        if (from.z >= NEAR_M) != (to.z >= NEAR_M) {
            let cut = from + (to - from) * ((NEAR_M - from.z) / (to.z - from.z));
            polygon.push(Point3::new(cut.x, cut.y, NEAR_M));
        }
    }
    polygon
}

/// Averages samples to pixels of `image`, where `layer` lies.
fn resolve(layer: &Layer, samples: usize, image: &mut Image) {
    let image_width = image.size().width();
    let (columns, rows) = (layer.width / samples, layer.height / samples);
    let count = (samples * samples) as u32;
    for row in 0..rows {
        for column in 0..columns {
            let mut sums = [0u32; 3];
            for sample_row in row * samples..(row + 1) * samples {
                let first = sample_row * layer.width + column * samples;
                for rgb in &layer.rgb[first..first + samples] {
                    sums.iter_mut().zip(rgb).for_each(|(sum, &channel)| *sum += u32::from(channel));
                }
            }
            let pixel = ((layer.top / samples + row) * image_width + layer.left / samples + column) * 3;
            for (channel, sum) in image.pixels_mut()[pixel..pixel + 3].iter_mut().zip(sums) {
                *channel = ((sum + count / 2) / count) as u8;
            }
        }
    }
}
