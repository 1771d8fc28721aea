//! What images of a recording show: what stays, and the small things of one colour.

/// Bytes of a colour's full range.
pub(super) const TO_BYTE: f32 = 255.0;
/// A pixel differs from the background if one of its bytes is further from it.
const CHANGED_BYTE: u8 = 20;
/// Shades of red, of green and of blue that are told apart, and bytes in each.
const SHADES: usize = 4;
const SHADE: usize = 256 / SHADES;
/// Classes of colours.
const CLASSES: usize = SHADES * SHADES * SHADES;
/// A small thing is in this part of the images at least,
const LEAST_PRESENT: f64 = 0.3;
/// with more pixels than this,
const LEAST_PIXELS: usize = 2;
/// whose distance from their centre (root mean square) is below this part of the image's side.
const LARGEST_SPREAD: f64 = 1.0 / 16.0;
/// The commonest classes of colours that are looked at.
const LOOKED_AT: usize = 12;
/// How much rarer colours count more, as a power, and how much at most.
const RARITY: (f32, f32) = (0.5, 60.0);

/// What images show.
#[derive(Debug)]
pub(super) struct Appearance {
    /// The median of every byte `[S, S, 3]`: what stays.
    pub background: Vec<u8>,
    /// Classes of the colours of small things, the commonest first.
    pub dots: Vec<usize>,
    /// How much a changed pixel of a class counts.
    pub rarity: Vec<f32>,
    side: usize,
}

impl Appearance {
    /// What `images` of `side` pixels show.
    pub fn of(images: &[&[u8]], side: usize) -> Self {
        let background = median(images);
        let mut appearance = Self { background, dots: Vec::new(), rarity: vec![1.0; CLASSES], side };
        let mut counts = vec![0usize; CLASSES];
        for image in images {
            appearance.changed(image).for_each(|(_, class)| counts[class] += 1);
        }
        let total: usize = counts.iter().sum();
        let (power, most) = RARITY;
        let rarity = |&count: &usize| (total as f32 / (count + 1) as f32).max(1.0).powf(power).min(most);
        appearance.rarity = counts.iter().map(rarity).collect();
        let mut classes: Vec<usize> = (0..CLASSES).filter(|&class| counts[class] > 0).collect();
        classes.sort_by_key(|&class| (std::cmp::Reverse(counts[class]), class));
        classes.truncate(LOOKED_AT);
        classes.retain(|&class| appearance.is_small(images, class));
        appearance.dots = classes;
        appearance
    }

    /// Bytes of a colour for every small thing: the middle of its class.
    pub fn colours(&self) -> Vec<u8> {
        let middle = |shade: usize| (shade * SHADE + SHADE / 2) as u8;
        let shades =
            self.dots.iter().flat_map(|class| [class / SHADES / SHADES, class / SHADES % SHADES, class % SHADES]);
        shades.map(middle).collect()
    }

    /// The pixels of `image` that differ from the background, with the class of their colour.
    pub fn changed<'a>(&'a self, image: &'a [u8]) -> impl Iterator<Item = (usize, usize)> + 'a {
        let pixels = image.chunks_exact(3).zip(self.background.chunks_exact(3)).enumerate();
        pixels.filter_map(|(index, (pixel, background))| {
            let differs = pixel.iter().zip(background).any(|(byte, other)| byte.abs_diff(*other) > CHANGED_BYTE);
            let class = || pixel.iter().fold(0, |class, &byte| class * SHADES + usize::from(byte) / SHADE);
            differs.then(|| (index, class()))
        })
    }

    /// The mean place `(x, y)` in pixels of the changed pixels of `class`, and how many there are.
    pub fn centre(&self, image: &[u8], class: usize) -> ([f64; 2], usize) {
        let (mut sums, mut count) = ([0.0; 2], 0);
        for (index, _) in self.changed(image).filter(|(_, of)| *of == class) {
            sums[0] += (index % self.side) as f64;
            sums[1] += (index / self.side) as f64;
            count += 1;
        }
        (sums.map(|sum| sum / count.max(1) as f64), count)
    }

    fn is_small(&self, images: &[&[u8]], class: usize) -> bool {
        let mut spreads = Vec::new();
        for image in images {
            let (centre, count) = self.centre(image, class);
            if count > LEAST_PIXELS {
                let places = self.changed(image).filter(|(_, of)| *of == class);
                let squares = places.map(|(index, _)| {
                    let [x, y] = [index % self.side, index / self.side].map(|along| along as f64);
                    (x - centre[0]).powi(2) + (y - centre[1]).powi(2)
                });
                spreads.push((squares.sum::<f64>() / count as f64).sqrt());
            }
        }
        spreads.sort_by(f64::total_cmp);
        let is_present = spreads.len() as f64 >= LEAST_PRESENT * images.len() as f64;
        is_present && spreads.get(spreads.len() / 2).is_some_and(|&spread| spread < LARGEST_SPREAD * self.side as f64)
    }
}

/// The median of images, byte by byte.
fn median(images: &[&[u8]]) -> Vec<u8> {
    let bytes = images.first().map_or(0, |image| image.len());
    let mut column = Vec::with_capacity(images.len());
    let middle = |index: usize| {
        column.clear();
        column.extend(images.iter().map(|image| image[index]));
        *column.select_nth_unstable(images.len() / 2).1
    };
    (0..bytes).map(middle).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 32;

    /// A grey bar of 4 x 16 pixels at the left and a blue square of 3 x 3 pixels, on white.
    fn image(index: usize) -> Vec<u8> {
        let mut image = vec![255; SIDE * SIDE * 3];
        let mut fill = |left: usize, top: usize, width: usize, height: usize, colour: [u8; 3]| {
            for (row, column) in
                (top..top + height).flat_map(|row| (left..left + width).map(move |column| (row, column)))
            {
                image[(row * SIDE + column) * 3..][..3].copy_from_slice(&colour);
            }
        };
        fill(1 + index % 7, index % 13, 4, 16, [120, 136, 150]);
        fill(14 + index % 15, (index * 5) % 29, 3, 3, [65, 105, 225]);
        image
    }

    #[test]
    fn what_stays_is_the_background_and_small_things_are_found_by_their_colour() {
        let images: Vec<Vec<u8>> = (0..60).map(image).collect();
        let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
        let appearance = Appearance::of(&images, SIDE);
        assert!(appearance.background.iter().filter(|&&byte| byte == 255).count() > SIDE * SIDE * 2);
        assert_eq!(appearance.dots.len(), 1, "the bar is no small thing");
        assert_eq!(appearance.colours(), [96, 96, 224]);
        let (centre, count) = appearance.centre(images[20], appearance.dots[0]);
        assert_eq!((centre, count), ([20.0, 14.0], 9));
        let (small, large) = (appearance.rarity[appearance.dots[0]], appearance.rarity[(16 + 2 * 4 + 2) as usize]);
        assert!(small > large && large >= 1.0, "{small} {large}");
    }
}
