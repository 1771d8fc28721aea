//! Matched films of possible and impossible events.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use mindseye_interface::{Image, ImageSize, Seed};
use mindseye_sim::intuition::{Clip, Concept, FRAMES, Quadruple, possible_clip, quadruple};

fn size() -> ImageSize {
    ImageSize::square(48).unwrap()
}

fn sets(concept: Concept) -> impl Iterator<Item = Quadruple> {
    (0..12).map(move |seed| quadruple(concept, Seed::new(seed), size()))
}

fn all_clips(set: &Quadruple) -> impl Iterator<Item = &Clip> {
    set.possible.iter().chain(&set.impossible)
}

#[test]
fn equal_seeds_give_equal_films_and_others_other_ones() {
    for (name, concept) in Concept::ALL {
        assert_eq!((name.parse::<Concept>().unwrap(), concept.name()), (concept, name));
        let of = |seed: u64| quadruple(concept, Seed::new(seed), size());
        assert!(of(1) == of(1) && of(1) != of(2), "{name}");
        assert!(all_clips(&of(3)).all(|clip| clip.images.len() == FRAMES));
    }
    assert_eq!(possible_clip(Seed::new(4), size()), possible_clip(Seed::new(4), size()));
    assert!("magic".parse::<Concept>().unwrap_err().to_string().contains("permanence"));
}

#[test]
fn an_impossible_film_begins_as_a_possible_one_and_ends_as_another() {
    for (name, concept) in Concept::ALL {
        for set in sets(concept) {
            for (number, (possible, impossible)) in set.possible.iter().zip(&set.impossible).enumerate() {
                let at = set.breaks[number];
                // Time to see what is there before it happens, and to see what follows.
                assert!((3..FRAMES - 3).contains(&at), "{name}: breaks at image {at}");
                assert_eq!(possible.images[..at], impossible.images[..at]);
                assert_ne!(possible.images[at], impossible.images[at]);
            }
        }
    }
}

/// Only the order of events tells the clips apart: every image of a clip that is spliced behind a screen is an image of
/// a possible clip at the same time.
#[test]
fn what_changes_behind_a_screen_shows_no_image_of_its_own_and_no_seam() {
    let hidden = [Concept::Permanence, Concept::Continuity, Concept::ShapeConstancy, Concept::ColourConstancy];
    for concept in hidden {
        for set in sets(concept) {
            for (number, impossible) in set.impossible.iter().enumerate() {
                for (at, image) in impossible.images.iter().enumerate() {
                    let is_possible = set.possible.iter().any(|clip| clip.images[at] == *image);
                    assert!(is_possible, "{}: image {at} of clip {number}", concept.name());
                }
                // One image before the break nothing of the object can be seen: all clips look alike.
                let before = set.breaks[number] - 1;
                let [one, other] = &set.possible;
                assert_eq!(one.images[before], other.images[before], "{}: a seam in the open", concept.name());
            }
        }
    }
}

/// Row and column of the mean of all pixels of `image` that differ from `other`, shares of the image.
fn place(image: &Image, other: &Image) -> Option<[f64; 2]> {
    let (width, height) = (image.size().width(), image.size().height());
    let pixels = image.pixels().chunks_exact(3).zip(other.pixels().chunks_exact(3)).enumerate();
    let differing: Vec<usize> = pixels.filter(|(_, (one, other))| one != other).map(|(index, _)| index).collect();
    let mean = |of: &dyn Fn(usize) -> usize| {
        differing.iter().map(|&index| of(index) as f64).sum::<f64>() / differing.len() as f64
    };
    (!differing.is_empty())
        .then(|| [mean(&|index| index / width) / height as f64, mean(&|index| index % width) / width as f64])
}

#[test]
fn objects_fall_bounce_and_rest_as_rapier_has_it() {
    // In the first image the object is not there yet.
    let at = |clip: &Clip, image: usize| place(&clip.images[image], &clip.images[0]).unwrap();
    for set in sets(Concept::Support) {
        let [falls, slides] = &set.possible;
        let (edge, later) = (set.breaks[0], set.breaks[0] + 4);
        assert!((at(slides, edge)[0] - at(slides, 4)[0]).abs() < 0.02, "a table is level");
        assert!(at(falls, later)[0] > at(slides, later)[0] + 0.02, "without one a box is lower");
    }
    for set in sets(Concept::Solidity) {
        let [bounces, rolls_on] = &set.possible;
        let (entry, middle, later) = (at(bounces, 4)[1], at(bounces, set.breaks[0])[1], set.breaks[0] + 4);
        let towards_entry = |clip: &Clip| (at(clip, later)[1] - middle) * (entry - middle);
        assert!(towards_entry(bounces) > 0.0 && towards_entry(rolls_on) < 0.0, "back where it came from, or on");
    }
    for set in sets(Concept::Gravity) {
        let [falls, _] = &set.possible;
        let rows: Vec<f64> = (1..8).map(|image| at(falls, image)[0]).collect();
        let changes: Vec<f64> = rows.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(changes.last() > changes.first(), "faster and faster downwards: {changes:?}");
    }
}
