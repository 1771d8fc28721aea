//! The scene's images.

use mindseye_interface::{Environment, Image, ImageSize, Seed, Simulator};
use mindseye_sim::Factor;

use super::{action, world_with_side};

/// Where the red of an image is on average: column and row, pixels.
fn middle_of_red(image: &Image) -> [f64; 2] {
    let (mut sum, mut middle) = (0.0, [0.0; 2]);
    for row in 0..image.size().height() {
        for column in 0..image.size().width() {
            let [red, green, _] = image.rgb(row, column);
            let weight = f64::from(red) - f64::from(green);
            sum += weight;
            middle[0] += weight * (column as f64 + 0.5);
            middle[1] += weight * (row as f64 + 0.5);
        }
    }
    middle.map(|part| part / sum)
}

#[test]
fn a_red_disc_on_white_between_black_walls() {
    let mut world = world_with_side(64, &[]);
    let image = world.set_state(&[0.25, 0.75]).unwrap().image().unwrap().clone();
    for (row, column, rgb) in [
        (48, 16, [255, 0, 0]),
        (48, 40, [255; 3]),
        (0, 0, [0; 3]),
        (3, 20, [0; 3]),
        (4, 20, [255; 3]),
        (59, 20, [255; 3]),
        (60, 20, [0; 3]),
        (40, 32, [0; 3]),
        (14, 32, [255; 3]), // the door
        (9, 32, [0; 3]),
        (10, 32, [255; 3]),
        (17, 32, [255; 3]),
        (18, 32, [0; 3]),
    ] {
        assert_eq!(image.rgb(row, column), rgb, "row {row}, column {column}");
    }
}

#[test]
fn the_disc_is_drawn_where_the_state_says() {
    for side in [32, 64, 224] {
        let mut world = world_with_side(side, &[]);
        for state in [[0.25, 0.75], [0.7013, 0.3331], [0.5, 14.0 / 64.0]] {
            let seen = middle_of_red(&world.set_state(&state).unwrap().image().unwrap().clone());
            for (seen, true_m) in seen.iter().zip(state) {
                let true_pixel = true_m * side as f64;
                assert!((seen - true_pixel).abs() < 0.05, "side {side}: seen at {seen}, is at {true_pixel} pixels");
            }
        }
    }
}

#[test]
fn a_move_of_a_tenth_of_a_pixel_shows() {
    let mut world = world_with_side(64, &[]);
    for axis in 0..2 {
        let mut last = None;
        for tenth in 0..=10 {
            let mut state = [0.25, 0.75];
            state[axis] += f64::from(tenth) / 10.0 / 64.0;
            let image = world.set_state(&state).unwrap().image().cloned();
            assert_ne!(image, last, "{tenth} tenths along axis {axis}");
            last = image;
        }
    }
}

#[test]
fn images_of_every_size_and_shape_are_drawn() {
    for (height, width) in [(1, 1), (7, 5), (48, 64), (224, 224)] {
        let mut options = mindseye_sim::SceneOptions::with_side(16).unwrap();
        options.image_size = ImageSize::new(height, width).unwrap();
        let mut world = mindseye_sim::make("two_room", &options).unwrap();
        let image = world.reset(Seed::new(0)).unwrap().image().unwrap().clone();
        assert_eq!((image.size().height(), image.size().width()), (height, width));
    }
}

#[test]
fn colours_change_the_image_and_not_the_motion() {
    let colours = [Factor::AgentColor, Factor::WallColor, Factor::FloorColor];
    let (mut plain, mut coloured) = (world_with_side(32, &[]), world_with_side(32, &colours));
    for seed in (0..5).map(Seed::new) {
        assert_ne!(plain.reset(seed).unwrap().frames, coloured.reset(seed).unwrap().frames);
        for _ in 0..30 {
            plain.step_blind(&action(0.9, -0.7)).unwrap();
            coloured.step_blind(&action(0.9, -0.7)).unwrap();
            assert_eq!(plain.state(), coloured.state());
        }
    }
}
