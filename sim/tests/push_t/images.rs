//! The scene's images.

use mindseye_interface::{Environment, Image, ImageSize, Seed, Simulator};
use mindseye_sim::scenes::push_t::{PushT, State};
use nalgebra::Point2;

use super::{all_factors, options, state, world_with_side};

const FLOOR: [u8; 3] = [255; 3];
const BLOCK: [u8; 3] = [119, 136, 153];
const PUSHER: [u8; 3] = [65, 105, 225];
const WALL: [u8; 3] = [40; 3];

fn at(image: &Image, x: f64, y: f64) -> [u8; 3] {
    let side = image.size().width() as f64;
    image.rgb((y / 512.0 * side) as usize, (x / 512.0 * side) as usize)
}

#[test]
fn a_grey_t_and_a_blue_pusher_on_white() {
    let mut world = world_with_side(256, &[]);
    let image = world.set_state(&state([100.0, 300.0], [256.0, 256.0], 0.0)).unwrap().image().unwrap().clone();
    for (x, y, rgb) in [
        (100.0, 300.0, PUSHER),
        (100.0, 312.0, PUSHER),
        (100.0, 320.0, FLOOR),
        (256.0, 225.0, BLOCK), // the bar
        (200.0, 225.0, BLOCK),
        (312.0, 225.0, BLOCK),
        (256.0, 320.0, BLOCK), // the stem
        (300.0, 300.0, FLOOR),
        (320.0, 225.0, FLOOR),
        (256.0, 340.0, FLOOR),
        (2.0, 256.0, WALL),
        (256.0, 510.0, WALL),
        (12.0, 256.0, FLOOR),
    ] {
        assert_eq!(at(&image, x, y), rgb, "at {x}, {y}");
    }
}

#[test]
fn the_block_is_drawn_where_the_physics_has_it() {
    // Every pixel clear of an edge is the block's exactly if its place lies in the block.
    for factors in [vec![], all_factors()] {
        let mut world = world_with_side(128, &factors);
        for seed in (0..10).map(Seed::new) {
            let image = world.reset(seed).unwrap().image().unwrap().clone();
            let layout = world.layout().clone();
            let now = State::from_slice(&world.state()).unwrap();
            for (row, column) in (0..128).flat_map(|row| (0..128).map(move |column| (row, column))) {
                let place = Point2::new((column as f64 + 0.5) / 128.0, (row as f64 + 0.5) / 128.0);
                let to_block = layout.surface_distance_m(&now.block().inverse_transform_point(&place));
                let to_pusher = (place - now.agent()).norm() - layout.agent_radius_m;
                if to_block.abs() < 0.01 || to_pusher.abs() < 0.01 {
                    continue;
                }
                let got = image.rgb(row, column);
                assert_eq!(got == layout.block_rgb, to_block < 0.0, "seed {seed:?}, pixel {row}, {column}: {got:?}");
            }
        }
    }
}

#[test]
fn the_occlusion_target_is_the_block_in_the_image() {
    let mut world = world_with_side(64, &[]);
    world.set_state(&state([100.0, 300.0], [384.0, 256.0], 0.0)).unwrap();
    assert_eq!(world.occlusion_target(), Some([0.5, 0.75]));
    let mut wide = options(64, &[]);
    wide.image_size = ImageSize::new(32, 64).unwrap();
    let mut world = PushT::new(&wide);
    world.set_state(&state([100.0, 300.0], [384.0, 320.0], 0.0)).unwrap();
    assert_eq!(world.occlusion_target(), Some([0.75, 0.75]), "the image shows the middle half of the floor");
    world.set_state(&state([100.0, 300.0], [384.0, 400.0], 0.0)).unwrap();
    assert_eq!(world.occlusion_target(), None, "below the image");
}
