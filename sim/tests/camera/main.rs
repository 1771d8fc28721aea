//! The rasteriser against ray casting, and its edges.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod ray_caster;

use mindseye_interface::{Image, ImageSize, Seed, Simulator};
use mindseye_sim::camera::{Camera, Mesh, NEAR_M, Projection, Rasteriser, Triangle};
use mindseye_sim::scenes::two_room::TwoRoom;
use mindseye_sim::{Factor, Factors, SceneOptions};
use nalgebra::{Isometry3, Point3, Translation3, UnitQuaternion, Vector3};
use rapier3d::prelude::{ColliderBuilder, PhysicsWorld, Pose, Vector};

const BACKGROUND: [u8; 3] = [120, 160, 200];

/// A shape in both worlds, the rasteriser's and Rapier's.
struct Thing {
    mesh: Mesh,
    collider: ColliderBuilder,
    pose: Isometry3<f32>,
    rgb: [u8; 3],
}

fn cuboid(half: [f32; 3], pose: Isometry3<f32>, rgb: [u8; 3]) -> Thing {
    let mesh = Mesh::cuboid(Vector3::from(half), rgb);
    Thing { mesh, collider: ColliderBuilder::cuboid(half[0], half[1], half[2]), pose, rgb }
}

/// Its triangles in both worlds: Rapier's own cylinder is intersected by an iteration that is off by half a pixel at
/// the rim.
fn cylinder(radius: f32, half_height: f32, segments: usize, pose: Isometry3<f32>, rgb: [u8; 3]) -> Thing {
    let mesh = Mesh::cylinder(radius, half_height, segments, rgb);
    let corners: Vec<Vector> = mesh
        .placed(&Isometry3::identity())
        .flat_map(|triangle| triangle.corners)
        .map(|corner| Vector::new(corner.x, corner.y, corner.z))
        .collect();
    let triangles = (0..corners.len() as u32 / 3).map(|index| [3 * index, 3 * index + 1, 3 * index + 2]).collect();
    Thing { mesh, collider: ColliderBuilder::trimesh(corners, triangles).unwrap(), pose, rgb }
}

fn at(x: f32, y: f32, z: f32, turn: [f32; 3]) -> Isometry3<f32> {
    Isometry3::new(Vector3::new(x, y, z), Vector3::from(turn))
}

fn rasterised(camera: Camera, things: &[Thing], moving_from: usize) -> Image {
    let placed = |things: &[Thing]| -> Vec<Triangle> {
        things.iter().flat_map(|thing| thing.mesh.placed(&thing.pose).collect::<Vec<_>>()).collect()
    };
    let (still, moving) = things.split_at(moving_from);
    Rasteriser::new(camera, BACKGROUND, placed(still)).draw(placed(moving))
}

fn ray_cast(camera: &Camera, things: &[Thing], background: [u8; 3]) -> Image {
    let mut world = PhysicsWorld::new();
    let mut colours = Vec::new();
    for thing in things {
        let (turn, place) = (thing.pose.rotation.scaled_axis(), thing.pose.translation.vector);
        let pose = Pose::new(Vector::new(place.x, place.y, place.z), Vector::new(turn.x, turn.y, turn.z));
        let collider = thing.collider.clone().build();
        let pose = pose * *collider.position();
        let handle = world.insert_collider(thing.collider.clone().position(pose), None);
        colours.push((handle, thing.rgb));
    }
    world.detect_collisions(&(), &());
    let rgb = |handle| colours.iter().find(|(known, _)| *known == handle).unwrap().1;
    ray_caster::cast(camera, &world, rgb, background, 4)
}

/// Pixels that differ by more than `tolerance` in some channel, as a share of all.
fn differing(a: &Image, b: &Image, tolerance: u8) -> f64 {
    assert_eq!(a.size(), b.size());
    let pixels = a.pixels().chunks(3).zip(b.pixels().chunks(3));
    let differ = pixels.filter(|(a, b)| a.iter().zip(*b).any(|(a, b)| a.abs_diff(*b) > tolerance)).count();
    differ as f64 / a.size().area() as f64
}

fn colours(image: &Image) -> usize {
    image.pixels().chunks(3).collect::<std::collections::HashSet<_>>().len()
}

/// A table that reaches behind the camera, with things on it, viewed at a slant.
fn table() -> (Camera, Vec<Thing>) {
    let eye = Point3::new(0.0, 1.0, -0.7);
    let pose = Isometry3::face_towards(&eye, &Point3::new(0.0, 0.0, 0.0), &-Vector3::new(0.0, 0.0, -1.0));
    let size = ImageSize::new(48, 64).unwrap();
    let camera = Camera { world_from_camera: pose, projection: Projection::Perspective { angle_of_view: 1.0 }, size };
    let things = vec![
        cuboid([3.0, 3.0, 0.05], at(0.0, 0.0, 0.05, [0.0; 3]), [230, 220, 200]),
        cuboid([0.1, 0.1, 0.1], at(-0.25, 0.1, -0.1, [0.0, 0.0, 0.5]), [200, 40, 40]),
        cuboid([0.05, 0.2, 0.08], at(0.05, -0.2, -0.15, [0.3, 0.2, 0.9]), [40, 160, 60]),
        cylinder(0.1, 0.15, 128, at(0.25, 0.1, -0.15, [0.0; 3]), [40, 60, 200]),
        cylinder(0.04, 0.3, 128, at(0.0, 0.2, -0.05, [0.0, 1.4, 0.4]), [220, 180, 30]),
    ];
    (camera, things)
}

#[test]
fn perspective_images_are_those_of_ray_casting() {
    let (camera, things) = table();
    let expected = ray_cast(&camera, &things, BACKGROUND);
    assert!(colours(&expected) > 50, "the oracle sees something");
    for moving_from in [0, 1, 3, things.len()] {
        let got = rasterised(camera, &things, moving_from);
        assert!(differing(&got, &expected, 6) < 0.01, "{} of the pixels differ", differing(&got, &expected, 6));
        assert!(differing(&got, &expected, 48) == 0.0, "a pixel is of another thing");
    }
}

#[test]
fn orthographic_images_are_those_of_ray_casting() {
    let (mut camera, things) = table();
    camera.projection = Projection::Orthographic { width_m: 1.2 };
    let expected = ray_cast(&camera, &things, BACKGROUND);
    let got = rasterised(camera, &things, 2);
    assert!(differing(&got, &expected, 6) < 0.01, "{} of the pixels differ", differing(&got, &expected, 6));
    assert!(differing(&got, &expected, 48) == 0.0, "a pixel is of another thing");
}

#[test]
fn a_cylinder_is_closed_and_has_its_size() {
    let (radius, half_height) = (0.3, 0.5);
    let mesh = Mesh::cylinder(radius, half_height, 128, [0; 3]);
    let (mut volume, mut area) = (0.0, 0.0);
    for Triangle { corners: [a, b, c], .. } in mesh.placed(&Isometry3::identity()) {
        for corner in [a, b, c] {
            assert!((corner.z.abs() - half_height).abs() < 1e-6 && corner.x.hypot(corner.y) < radius + 1e-6);
        }
        let normal = (b - a).cross(&(c - a));
        area += normal.norm() / 2.0;
        volume += (a.coords.dot(&normal) / 6.0).abs(); // the middle is inside: every face looks away from it
    }
    let near = |got: f32, expected: f32| (got / expected - 1.0).abs() < 1e-3;
    let (circle, side) = (std::f32::consts::PI * radius * radius, std::f32::consts::TAU * radius * 2.0 * half_height);
    assert!(near(volume, circle * 2.0 * half_height) && near(area, 2.0 * circle + side), "{volume} {area}");
}

#[test]
fn images_of_two_room_are_those_of_ray_casting() {
    let factors = Factors(Factor::ALL.iter().map(|(_, factor)| *factor).collect());
    for (seed, factors) in [(0, Factors::default()), (1, factors.clone()), (2, factors)] {
        let options = SceneOptions { factors, ..SceneOptions::with_side(64).unwrap() };
        let mut world = TwoRoom::new(&options);
        let got = mindseye_interface::Environment::reset(&mut world, Seed::new(seed)).unwrap().image().unwrap().clone();
        let layout = world.layout();
        let place = world.state();
        let wall = |wall: mindseye_sim::scenes::two_room::Wall| {
            cuboid(wall.half_extents.into(), Translation3::from(wall.centre).into(), layout.wall_rgb)
        };
        let mut things: Vec<Thing> = layout.walls().into_iter().map(wall).collect();
        let pose = at(place[0] as f32, place[1] as f32, 0.0, [0.0; 3]);
        things.push(cylinder(layout.agent_radius_m as f32, 0.03, 32, pose, layout.agent_rgb));
        let camera = Camera {
            world_from_camera: Isometry3::translation(0.5, 0.5, -1.0),
            projection: Projection::Orthographic { width_m: 1.0 },
            size: options.image_size,
        };
        let expected = ray_cast(&camera, &things, layout.floor_rgb);
        // One of 16 samples may fall on the other side of an edge, here and there.
        assert!(differing(&got, &expected, 1) < 0.01, "{} of the pixels differ", differing(&got, &expected, 1));
        assert!(differing(&got, &expected, 40) == 0.0, "an edge is off by more than two samples");
    }
}

#[test]
fn moving_triangles_are_drawn_like_still_ones() {
    let (camera, things) = table();
    let still = rasterised(camera, &things, things.len());
    for moving_from in 0..things.len() {
        assert_eq!(rasterised(camera, &things, moving_from).pixels(), still.pixels());
    }
}

#[test]
fn nothing_behind_the_camera_or_beside_the_image_is_drawn() {
    let (camera, _) = table();
    let empty = Image::filled(camera.size, BACKGROUND);
    for projection in [camera.projection, Projection::Orthographic { width_m: 1.0 }] {
        let camera = Camera { projection, ..camera };
        for place in [[0.0, 0.0, -1.0], [50.0, 0.0, 1.0], [0.0, -50.0, 1.0]] {
            let seen = camera.world_from_camera * Isometry3::translation(place[0], place[1], place[2]);
            let things = [cuboid([0.1; 3], seen, [255, 0, 0])];
            assert_eq!(rasterised(camera, &things, 0), empty);
        }
    }
}

#[test]
fn a_face_through_the_camera_hides_the_half_it_covers() {
    // A floor 1 m below the camera that continues behind it covers the image below the horizon, however it is cut.
    let size = ImageSize::square(32).unwrap();
    let camera = Camera {
        world_from_camera: Isometry3::identity(),
        projection: Projection::Perspective { angle_of_view: 1.2 },
        size,
    };
    let corner = |x: f32, z: f32| Point3::new(x, 1.0, z);
    let corners = [corner(-9999.0, -9999.0), corner(0.0, 9999.0), corner(9999.0, -9999.0)];
    let image = Rasteriser::new(camera, BACKGROUND, [Triangle { corners, rgb: [9, 9, 9] }]).draw([]);
    assert_eq!(image.rgb(31, 16), [9, 9, 9]);
    assert_eq!(image.rgb(17, 16), [9, 9, 9]);
    assert_eq!(image.rgb(15, 16), BACKGROUND);
}

#[test]
fn points_project_to_their_pixels() {
    let size = ImageSize::new(50, 100).unwrap();
    let quarter = UnitQuaternion::from_axis_angle(&Vector3::y_axis(), std::f32::consts::FRAC_PI_2);
    let camera = Camera {
        world_from_camera: Isometry3::from_parts(Translation3::new(1.0, 0.0, 0.0), quarter), // looks along x
        projection: Projection::Perspective { angle_of_view: std::f32::consts::FRAC_PI_2 },
        size,
    };
    let near = |point: [f32; 3], expected: [f32; 3]| {
        let got = camera.project(&Point3::from(point)).unwrap();
        assert!(got.iter().zip(expected).all(|(got, expected)| (got - expected).abs() < 1e-3), "{got:?}");
    };
    near([3.0, 0.0, 0.0], [50.0, 25.0, 2.0]);
    near([3.0, 0.5, -1.0], [75.0, 37.5, 2.0]); // -z is to the right of a camera that looks along x with y down
    assert!(camera.project(&Point3::new(1.0 + NEAR_M / 2.0, 0.0, 0.0)).is_none());
    assert!(camera.project(&Point3::new(0.0, 0.0, 0.0)).is_none());
}

#[test]
fn degenerate_triangles_are_not_drawn() {
    let camera = Camera {
        world_from_camera: Isometry3::identity(),
        projection: Projection::Orthographic { width_m: 1.0 },
        size: ImageSize::square(8).unwrap(),
    };
    let point = |x: f32, y: f32| Point3::new(x, y, 1.0);
    let nothing = [
        [point(0.0, 0.0); 3],
        [point(-0.5, 0.0), point(0.0, 0.0), point(0.5, 0.0)],
        [point(f32::NAN, 0.0), point(0.3, 0.3), point(0.0, 0.5)],
        [point(f32::INFINITY, 0.0), point(0.3, 0.3), point(0.0, 0.5)],
    ];
    let triangles = nothing.map(|corners| Triangle { corners, rgb: [0; 3] });
    let image = Rasteriser::new(camera, BACKGROUND, triangles).draw(triangles);
    assert_eq!(image, Image::filled(camera.size, BACKGROUND));
}
