//! A scene's solids as Rerun's boxes and cylinders.
//!
//! Coordinates are the scene's own: x to the right, y down in the camera's image, z into the floor, metres.

use anyhow::Result;
use mindseye_sim::Figure;
use mindseye_sim::figure::{Solid, SolidShape};
use nalgebra::{Isometry3, Vector3};
use rerun::components::FillMode;
use rerun::{Boxes3D, Cylinders3D, Quaternion, RecordingStream, Transform3D, ViewCoordinates};

/// Thickness of the drawn floor, metres.
const FLOOR_M: f32 = 0.01;

/// A solid somewhere in the world (or in its body), with a colour.
struct Placed {
    shape: SolidShape,
    pose: Isometry3<f32>,
    rgba: [u8; 4],
}

impl Placed {
    fn of(solid: &Solid, world_from_body: &Isometry3<f32>, rgba: Option<[u8; 4]>) -> Self {
        let [r, g, b] = solid.rgb;
        Self { shape: solid.shape, pose: world_from_body * solid.body_from_solid, rgba: rgba.unwrap_or([r, g, b, 255]) }
    }
}

/// `[x, y, z]`.
pub fn position(pose: &Isometry3<f32>) -> [f32; 3] {
    [pose.translation.x, pose.translation.y, pose.translation.z]
}

fn rotation(pose: &Isometry3<f32>) -> Quaternion {
    let turn = pose.rotation;
    Quaternion::from_xyzw([turn.i, turn.j, turn.k, turn.w])
}

/// Logs everything that never changes: the axes, the floor, what is fixed, and the shapes of the bodies.
pub fn log_static(stream: &RecordingStream, figure: &Figure) -> Result<()> {
    stream.log_static("world", &ViewCoordinates::RBD())?;
    let half = figure.side_m as f32 / 2.0;
    let [r, g, b] = figure.floor_rgb;
    let middle = [half, half, figure.floor_z_m + FLOOR_M / 2.0];
    let floor = Boxes3D::from_centers_and_half_sizes([middle], [[half, half, FLOOR_M / 2.0]])
        .with_colors([[r, g, b, 255]])
        .with_fill_mode(FillMode::Solid);
    stream.log_static("world/floor", &floor)?;
    let fixed: Vec<Placed> = figure.fixed.iter().map(|solid| Placed::of(solid, &Isometry3::identity(), None)).collect();
    log(stream, "world/fixed", &fixed, Kinds::of(&fixed), (true, FillMode::Solid))?;
    for body in &figure.bodies {
        let solids: Vec<Placed> =
            body.solids.iter().map(|solid| Placed::of(solid, &Isometry3::identity(), None)).collect();
        log(stream, &format!("world/bodies/{}", body.name), &solids, Kinds::of(&solids), (true, FillMode::Solid))?;
    }
    Ok(())
}

/// Logs where the bodies are in `state [K]`, at the stream's present time.
pub fn log_bodies(stream: &RecordingStream, figure: &Figure, state: &[f64]) -> Result<()> {
    for (body, pose) in figure.bodies.iter().zip(figure.poses(state)) {
        let transform = Transform3D::from_translation_rotation(position(&pose), rotation(&pose));
        stream.log(format!("world/bodies/{}", body.name), &transform)?;
    }
    Ok(())
}

/// Logs outlines of all bodies in each of `states [..][K]`, at the stream's present time; those of before are gone.
pub fn log_outlines(
    stream: &RecordingStream,
    path: &str,
    figure: &Figure,
    states: &[Vec<f64>],
    rgba: [u8; 4],
) -> Result<()> {
    let mut placed = Vec::new();
    for state in states {
        for (body, pose) in figure.bodies.iter().zip(figure.poses(state)) {
            placed.extend(body.solids.iter().map(|solid| Placed::of(solid, &pose, Some(rgba))));
        }
    }
    let all = figure.bodies.iter().flat_map(|body| &body.solids);
    let kinds = all.map(|solid| Kinds::of_shape(solid.shape)).fold(Kinds::default(), Kinds::or);
    log(stream, path, &placed, kinds, (false, FillMode::MajorWireframe))
}

/// Which kinds of solids there may be.
#[derive(Debug, Clone, Copy, Default)]
struct Kinds {
    boxes: bool,
    cylinders: bool,
}

impl Kinds {
    fn of_shape(shape: SolidShape) -> Self {
        let boxes = matches!(shape, SolidShape::Cuboid { .. });
        Self { boxes, cylinders: !boxes }
    }

    fn of(placed: &[Placed]) -> Self {
        placed.iter().map(|solid| Self::of_shape(solid.shape)).fold(Self::default(), Self::or)
    }

    fn or(self, other: Self) -> Self {
        Self { boxes: self.boxes || other.boxes, cylinders: self.cylinders || other.cylinders }
    }
}

/// Logs solids as `path/boxes` and `path/cylinders`, where there may be any.
fn log(
    stream: &RecordingStream,
    path: &str,
    placed: &[Placed],
    kinds: Kinds,
    (is_static, fill): (bool, FillMode),
) -> Result<()> {
    if kinds.boxes {
        let boxes = || {
            placed.iter().filter_map(|solid| match solid.shape {
                SolidShape::Cuboid { half_extents } => Some((solid, half_extents)),
                SolidShape::Cylinder { .. } => None,
            })
        };
        let half = |half: Vector3<f32>| [half.x, half.y, half.z];
        let centers = boxes().map(|(solid, _)| position(&solid.pose));
        let drawn = Boxes3D::from_centers_and_half_sizes(centers, boxes().map(|(_, extents)| half(extents)))
            .with_quaternions(boxes().map(|(solid, _)| rotation(&solid.pose)))
            .with_colors(boxes().map(|(solid, _)| solid.rgba))
            .with_fill_mode(fill);
        stream.log_with_static(format!("{path}/boxes"), is_static, &drawn)?;
    }
    if kinds.cylinders {
        let cylinders = || {
            placed.iter().filter_map(|solid| match solid.shape {
                SolidShape::Cylinder { radius_m, half_height_m } => Some((solid, radius_m, half_height_m)),
                SolidShape::Cuboid { .. } => None,
            })
        };
        let lengths = cylinders().map(|(_, _, half)| 2.0 * half);
        let drawn = Cylinders3D::from_lengths_and_radii(lengths, cylinders().map(|(_, radius, _)| radius))
            .with_centers(cylinders().map(|(solid, ..)| position(&solid.pose)))
            .with_quaternions(cylinders().map(|(solid, ..)| rotation(&solid.pose)))
            .with_colors(cylinders().map(|(solid, ..)| solid.rgba))
            .with_fill_mode(fill);
        stream.log_with_static(format!("{path}/cylinders"), is_static, &drawn)?;
    }
    Ok(())
}
