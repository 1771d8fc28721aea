//! What happens in the clips of each concept.

use mindseye_interface::{Rng, Seed};
use nalgebra::Isometry3;
use rand::Rng as _;

use super::physics::{Launch, NewGravity, poses};
use super::stage::{Block, HALF_WIDTH_M, Look, Scenario, Seen, Shape};
use super::{Concept, FRAMES};
use crate::factors::{colour, vivid_colour};

/// The scenarios of a set.
pub(super) struct Scenarios {
    pub look: Look,
    pub possible: [Scenario; 2],
    pub impossible: [Scenario; 2],
}

/// An object in motion: what is seen of it in each image.
type Motion = Vec<Option<Seen>>;

/// The set of `concept` under `seed`.
pub(super) fn scenarios(concept: Concept, seed: Seed) -> Scenarios {
    let mut rng = seed.child(concept.name()).rng();
    let look = Look {
        wall_rgb: colour(&mut rng, 170..=235),
        floor_rgb: colour(&mut rng, 110..=170),
        screen_rgb: colour(&mut rng, 60..=120),
        block_rgb: colour(&mut rng, 40..=100),
        mirrored: rng.random(),
    };
    let [possible, impossible] = match concept {
        Concept::Permanence => permanence(&mut rng),
        Concept::Continuity => continuity(&mut rng),
        Concept::Solidity => solidity(&mut rng),
        Concept::ShapeConstancy => constancy(&mut rng, false),
        Concept::ColourConstancy => constancy(&mut rng, true),
        Concept::Gravity => gravity(&mut rng),
        Concept::Support => support(&mut rng),
    };
    Scenarios { look, possible, impossible }
}

/// Possible scenarios and impossible ones.
type Set = [[Scenario; 2]; 2];

/// A ball that enters on the left at `speed` and rolls along the floor.
fn rolling(radius_m: f32, speed: f32) -> Launch {
    let from_m = [-HALF_WIDTH_M - radius_m, radius_m];
    Launch { shape: Shape::Ball { radius_m }, from_m, velocity: [speed, 0.0] }
}

/// What is seen of `launch` among `blocks`.
fn motion(launch: &Launch, rgb: [u8; 3], blocks: &[Block], new_gravity: NewGravity) -> Motion {
    let seen = |pose: Isometry3<f32>| Some(Seen { shape: launch.shape, rgb, pose });
    poses(launch, blocks, new_gravity).into_iter().map(seen).collect()
}

/// `before` up to image `at`, `after` from there on.
fn spliced(before: &Motion, after: &Motion, at: usize) -> Motion {
    before[..at].iter().chain(&after[at..]).copied().collect()
}

/// The image in the middle of those in which `motion` is behind a screen from `left` to `right`.
fn hidden(motion: &Motion, left: f32, right: f32) -> usize {
    let inside = |seen: &Option<Seen>| {
        seen.is_some_and(|seen| {
            let half = match seen.shape {
                Shape::Ball { radius_m } => radius_m,
                Shape::Cube { half_m } => half_m,
            };
            let x = seen.pose.translation.x;
            x - half > left && x + half < right
        })
    };
    let behind: Vec<usize> = (0..motion.len()).filter(|&image| inside(&motion[image])).collect();
    behind.get(behind.len() / 2).copied().unwrap_or(motion.len() / 2)
}

fn scenario(screens: &[Block], blocks: &[Block], object: Motion) -> Scenario {
    Scenario { screens: screens.to_vec(), blocks: blocks.to_vec(), object }
}

/// A ball rolls behind a screen; it comes out, or it does not.
fn permanence(rng: &mut Rng) -> Set {
    let launch = rolling(rng.random_range(0.11..0.17), rng.random_range(0.85..1.05));
    let (middle, half) = (rng.random_range(-0.2..0.1), rng.random_range(0.36..0.42));
    let (left, right) = (middle - half, middle + half);
    let (there, nothing) = (motion(&launch, vivid_colour(rng), &[], None), vec![None; FRAMES]);
    let at = hidden(&there, left, right);
    let screens = [Block::screen(left, right)];
    let shown = |object| scenario(&screens, &[], object);
    let (vanishes, appears) = (spliced(&there, &nothing, at), spliced(&nothing, &there, at));
    [[shown(there), shown(nothing)], [shown(vanishes), shown(appears)]]
}

/// A ball rolls behind two screens; in the gap between them it is seen, or it is not.
fn continuity(rng: &mut Rng) -> Set {
    let launch = rolling(rng.random_range(0.09..0.12), rng.random_range(0.85..0.95));
    let (inner, outer) = (rng.random_range(0.17..0.22), rng.random_range(0.66..0.72));
    let screens = [Block::screen(-outer, -inner), Block::screen(inner, outer)];
    let (there, nothing) = (motion(&launch, vivid_colour(rng), &[], None), vec![None; FRAMES]);
    let (first, second) = (hidden(&there, -outer, -inner), hidden(&there, inner, outer));
    let shown = |object| scenario(&screens, &[], object);
    let skips = spliced(&spliced(&there, &nothing, first), &there, second);
    let only_there = spliced(&spliced(&nothing, &there, first), &nothing, second);
    [[shown(there), shown(nothing)], [shown(skips), shown(only_there)]]
}

/// A ball rolls against a wall; it bounces off, or passes through. Without a wall it rolls on, or turns back in the
/// open.
fn solidity(rng: &mut Rng) -> Set {
    let launch = rolling(rng.random_range(0.11..0.17), rng.random_range(0.85..1.05));
    let left = rng.random_range(-0.1..0.4);
    let walls = [Block::standing(left, left + 0.12, rng.random_range(0.45..0.7))];
    let rgb = vivid_colour(rng);
    let (bounces, rolls_on) = (motion(&launch, rgb, &walls, None), motion(&launch, rgb, &[], None));
    let (with, without) = (|object| scenario(&[], &walls, object), |object| scenario(&[], &[], object));
    let possible = [with(bounces.clone()), without(rolls_on.clone())];
    [possible, [with(rolls_on), without(bounces)]]
}

/// An object passes behind a screen; another shape, or another colour, comes out.
fn constancy(rng: &mut Rng, of_colour: bool) -> Set {
    let radius_m = rng.random_range(0.12..0.16);
    let ball = rolling(radius_m, rng.random_range(0.85..1.05));
    let half_m = 0.9 * radius_m;
    let cube = Launch { shape: Shape::Cube { half_m }, from_m: [ball.from_m[0], half_m], ..ball };
    let rgb = vivid_colour(rng);
    // The same colour with its channels exchanged is as bright and as strong.
    let other_rgb = [rgb[1], rgb[2], rgb[0]];
    let (middle, half) = (rng.random_range(-0.2..0.1), rng.random_range(0.36..0.42));
    let (left, right) = (middle - half, middle + half);
    let (one, other) = match of_colour {
        true => {
            let launch = if rng.random() { ball } else { cube };
            (motion(&launch, rgb, &[], None), motion(&launch, other_rgb, &[], None))
        }
        false => (motion(&ball, rgb, &[], None), motion(&cube, rgb, &[], None)),
    };
    let at = hidden(&one, left, right);
    let screens = [Block::screen(left, right)];
    let shown = |object| scenario(&screens, &[], object);
    let impossible = [shown(spliced(&one, &other, at)), shown(spliced(&other, &one, at))];
    [[shown(one), shown(other)], impossible]
}

/// A ball is thrown; it comes down, or goes on straight, or rises again.
fn gravity(rng: &mut Rng) -> Set {
    let radius_m = rng.random_range(0.09..0.14);
    let rgb = vivid_colour(rng);
    let (across, up) = (rng.random_range(0.65..0.8), rng.random_range(1.0..1.3));
    let thrown = |height_m: f32, up: f32| Launch {
        shape: Shape::Ball { radius_m },
        from_m: [-1.0, height_m],
        velocity: [across, up],
    };
    let (high, low) = (thrown(rng.random_range(0.5..0.7), 0.6 * up), thrown(radius_m, up));
    let (falls, returns) = (motion(&high, rgb, &[], None), motion(&low, rgb, &[], None));
    let at = rng.random_range(9..14);
    let weightless = motion(&high, rgb, &[], Some((at, 0.0)));
    let rising = motion(&low, rgb, &[], Some((at, -super::physics::GRAVITY)));
    let shown = |object| scenario(&[], &[], object);
    [[shown(falls), shown(returns)], [shown(weightless), shown(rising)]]
}

/// A box slides along a table; beyond the edge it falls, or goes on through the air. On a longer table it slides on, or
/// sinks through.
fn support(rng: &mut Rng) -> Set {
    let half_m = rng.random_range(0.09..0.13);
    let (height_m, edge) = (rng.random_range(0.45..0.6), rng.random_range(-0.3..0.1));
    let tables = |right: f32| [Block::standing(-2.0, right, height_m)];
    let (short, long) = (tables(edge), tables(2.0));
    let launch = Launch {
        shape: Shape::Cube { half_m },
        from_m: [-HALF_WIDTH_M - half_m, height_m + half_m],
        velocity: [rng.random_range(0.72..0.88), 0.0],
    };
    let rgb = vivid_colour(rng);
    let (falls, slides) = (motion(&launch, rgb, &short, None), motion(&launch, rgb, &long, None));
    let (on_short, on_long) = (|object| scenario(&[], &short, object), |object| scenario(&[], &long, object));
    let possible = [on_short(falls.clone()), on_long(slides.clone())];
    [possible, [on_short(slides), on_long(falls)]]
}
