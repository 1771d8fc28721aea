//! One palette for all frames of an animation.

use std::collections::{BTreeMap, HashMap};

use color_quant::NeuQuant;

use crate::Rgb;

/// Colours of an animation; one more index is kept for pixels that do not change.
const COLOURS: usize = 255;
/// Index of pixels that do not change.
pub(crate) const UNCHANGED: u8 = 255;
/// Of many colours, so many of the most frequent ones are kept exactly: flat areas of a scene do not flicker.
const EXACT: usize = 127;

/// Up to 255 colours, and the index of every colour that was counted.
#[derive(Debug)]
pub(crate) struct Palette {
    colours: Vec<Rgb>,
    indices: HashMap<Rgb, u8>,
}

impl Palette {
    /// The palette for pixels that were counted by colour. Equal counts give equal palettes.
    pub(crate) fn of(counts: &BTreeMap<Rgb, u64>) -> Self {
        let mut by_count: Vec<(Rgb, u64)> = counts.iter().map(|(colour, count)| (*colour, *count)).collect();
        by_count.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        let exact = if by_count.len() <= COLOURS { by_count.len() } else { EXACT };
        let (frequent, others) = by_count.split_at(exact);
        let mut colours: Vec<Rgb> = frequent.iter().map(|(colour, _)| *colour).collect();
        if !others.is_empty() {
            colours.extend(quantised(others, COLOURS - exact));
        }
        let mut indices: HashMap<Rgb, u8> = HashMap::with_capacity(counts.len());
        for (index, (colour, _)) in by_count.iter().enumerate() {
            let index = if index < exact { index } else { nearest(&colours, *colour) };
            indices.insert(*colour, index as u8); // there are at most 255 colours
        }
        Self { colours, indices }
    }

    /// The index of a colour that was counted; of another one, that of the nearest colour.
    pub(crate) fn index(&self, colour: Rgb) -> u8 {
        self.indices.get(&colour).copied().unwrap_or_else(|| nearest(&self.colours, colour) as u8)
    }

    /// RGB after RGB.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.colours.concat();
        bytes.resize(256 * 3, 0);
        bytes
    }
}

/// `count` colours for `colours`, weighted by the logarithm of their frequency: rare ones are seen too.
fn quantised(colours: &[(Rgb, u64)], count: usize) -> Vec<Rgb> {
    let mut samples = Vec::new();
    for ([red, green, blue], frequency) in colours {
        for _ in 0..=frequency.ilog2() {
            samples.extend([*red, *green, *blue, u8::MAX]);
        }
    }
    let map = NeuQuant::new(1, count, &samples).color_map_rgb();
    map.chunks_exact(3).map(|rgb| [rgb[0], rgb[1], rgb[2]]).collect()
}

fn nearest(colours: &[Rgb], wanted: Rgb) -> usize {
    let distance =
        |colour: &Rgb| -> i32 { colour.iter().zip(wanted).map(|(a, b)| (i32::from(*a) - i32::from(b)).pow(2)).sum() };
    let best = colours.iter().enumerate().min_by_key(|(_, colour)| distance(colour));
    best.map_or(0, |(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_colours_are_kept_exactly() {
        let counts: BTreeMap<Rgb, u64> = (0..200u8).map(|value| ([value, 7, 255 - value], 1)).collect();
        let palette = Palette::of(&counts);
        for colour in counts.keys() {
            assert_eq!(palette.colours[usize::from(palette.index(*colour))], *colour);
        }
    }

    #[test]
    fn of_many_colours_the_frequent_ones_are_exact_and_the_others_near() {
        let shades = (0..30u8).flat_map(|a| (0..30u8).map(move |b| ([a * 8, b * 8, 128], 2)));
        let counts: BTreeMap<Rgb, u64> = shades.chain([([255, 0, 0], 10_000), ([0, 0, 255], 9_000)]).collect();
        let palette = Palette::of(&counts);
        let shown = |colour: Rgb| palette.colours[usize::from(palette.index(colour))];
        assert_eq!((shown([255, 0, 0]), shown([0, 0, 255])), ([255, 0, 0], [0, 0, 255]));
        let off = |colour: &Rgb| colour.iter().zip(shown(*colour)).map(|(a, b)| a.abs_diff(b)).max();
        assert!(counts.keys().filter_map(off).max() < Some(40));
        assert!(palette.colours.len() <= COLOURS);
    }
}
