//! Sampled episodes of a data set as a sheet or a film, with curves of actions and states.

use mindseye_episodes::{EpisodeData, EpisodeSource, image_codec::resized};
use mindseye_interface::{Image, ImageSize};

use crate::{Animation, BAD, CURVE, Canvas, FAINT, GOOD, INK, LETTER, Result, Rgb};

/// Evenly spaced episodes of a data set.
pub struct DatasetPreview<'a> {
    source: &'a dyn EpisodeSource,
    /// With their indices.
    episodes: Vec<(usize, EpisodeData)>,
}

/// Side of an image on the sheet, pixels.
const SIDE: usize = 96;
/// Side of an image of the film, pixels.
const FILM_SIDE: usize = 160;
/// Most frames of a film; longer episodes are sampled.
const FRAMES: usize = 100;
/// Duration of a frame, hundredths of a second.
const FRAME_HUNDREDTHS: u16 = 8;
/// Height of the curves under images, pixels.
const CURVES: usize = 40;
/// Distance between parts, pixels.
const GAP: usize = 10;
/// Colours of the curves of the dimensions, in turn.
const COLOURS: [Rgb; 4] = [CURVE, GOOD, BAD, INK];
/// Most names in a line of the legend.
const MOST_NAMES: usize = 8;
/// Height of the title and the legend, pixels.
const HEAD: usize = 3 * (LETTER + GAP / 2) + 2 * GAP;

impl<'a> DatasetPreview<'a> {
    /// Reads at most `count` episodes of `source`, evenly spaced, the first and the last among them.
    ///
    /// # Errors
    /// When one of them is broken.
    pub fn read(source: &'a dyn EpisodeSource, count: usize) -> Result<Self> {
        let chosen = evenly_spaced(source.len(), count).into_iter();
        let episodes = chosen.map(|index| Ok((index, source.read_episode(index)?))).collect::<Result<_>>()?;
        Ok(Self { source, episodes })
    }

    fn title(&self) -> String {
        let source = self.source;
        format!("{}, {} episodes, {} frames", source.format(), source.len(), source.frames())
    }

    /// A row of at most `images` images for each episode.
    ///
    /// # Errors
    /// When the sheet is too large for an image.
    pub fn sheet(&self, images: usize) -> Result<Canvas> {
        let row = SIDE + 2 * CURVES + 4 * GAP + LETTER;
        let width = GAP + images * (SIDE + GAP);
        let mut canvas = Canvas::new(width, HEAD + GAP + self.episodes.len() * row)?;
        canvas.text(GAP, GAP, &self.title(), INK);
        legend(&mut canvas, self.source, &self.episodes, GAP, GAP + LETTER + GAP / 2);
        for (place, (index, episode)) in self.episodes.iter().enumerate() {
            let top = HEAD + place * row;
            let task = self.source.episode(*index)?.tasks.join("; ");
            canvas.text(GAP, top, &format!("episode {index}, {} frames  {task}", episode.len()), FAINT);
            for (column, &frame) in evenly_spaced(episode.len(), images).iter().enumerate() {
                let left = GAP + column * (SIDE + GAP);
                canvas.draw_image(left, top + LETTER + GAP / 2, &fitted(&episode.frames[frame], SIDE)?, 1, FAINT);
            }
            let curves_top = top + SIDE + LETTER + GAP;
            curves(&mut canvas, episode, (GAP, curves_top, width - 2 * GAP), episode.len());
        }
        Ok(canvas)
    }

    /// All episodes side by side, timestep by timestep; those that have ended show their last image.
    ///
    /// # Errors
    /// When a frame is too large for an image.
    pub fn film(&self) -> Result<Animation> {
        let longest = self.episodes.iter().map(|(_, episode)| episode.len()).max().unwrap_or(0);
        let mut film = Animation::new();
        for timestep in evenly_spaced(longest, FRAMES) {
            film.push(&self.frame(timestep)?, FRAME_HUNDREDTHS)?;
        }
        Ok(film)
    }

    /// The frame of the film at `timestep`.
    fn frame(&self, timestep: usize) -> Result<Canvas> {
        let across = self.episodes.len().clamp(1, 3);
        let (cell, row) = (FILM_SIDE + GAP, FILM_SIDE + 2 * CURVES + 4 * GAP + LETTER);
        let width = (GAP + across * cell).max(5 * FILM_SIDE / 2);
        let mut canvas = Canvas::new(width, HEAD + GAP + self.episodes.len().div_ceil(across) * row)?;
        canvas.text(GAP, GAP, &self.title(), INK);
        legend(&mut canvas, self.source, &self.episodes, GAP, GAP + LETTER + GAP / 2);
        for (place, (index, episode)) in self.episodes.iter().enumerate() {
            let (left, top) = (GAP + place % across * cell, HEAD + place / across * row);
            let timestep = timestep.min(episode.len().saturating_sub(1));
            canvas.text(left, top, &format!("episode {index}: {timestep}"), FAINT);
            let image = fitted(&episode.frames[timestep], FILM_SIDE)?;
            canvas.draw_image(left, top + LETTER + GAP / 2, &image, 1, FAINT);
            curves(&mut canvas, episode, (left, top + FILM_SIDE + LETTER + GAP, FILM_SIDE), timestep + 1);
        }
        Ok(canvas)
    }
}

/// At most `count` evenly spaced numbers of `0..all`, including the first and the last.
fn evenly_spaced(all: usize, count: usize) -> Vec<usize> {
    let count = count.min(all);
    (0..count).map(|index| index * (all - 1) / (count - 1).max(1)).collect()
}

/// The image, scaled to fit a square of `side`.
fn fitted(image: &Image, side: usize) -> Result<Image> {
    let size = image.size();
    let most = size.height().max(size.width());
    let scaled = |pixels: usize| (pixels * side / most).max(1);
    let size = ImageSize::new(scaled(size.height()), scaled(size.width()))?;
    Ok(Image::new(size, resized(image, size))?)
}

/// What the two boxes of curves show, as a legend: the actions, and the true state or, without one, proprioception. In
/// each, the colours are those of the dimensions in their order.
fn legend(canvas: &mut Canvas, source: &dyn EpisodeSource, episodes: &[(usize, EpisodeData)], left: usize, top: usize) {
    let shape = source.shape();
    let named = |names: Vec<String>, width: usize| -> Vec<String> {
        if names.len() == width { names } else { (0..width).map(|index| index.to_string()).collect() }
    };
    let lower = if episodes.iter().any(|(_, episode)| has_state(episode)) {
        ("lower curves, state", named(source.state_names(), shape.state))
    } else {
        ("lower curves, proprioception", named(source.proprioception_names(), shape.proprioception))
    };
    let upper = ("upper curves, action", named(source.action_names(), shape.action));
    for (row, (what, names)) in [upper, lower].into_iter().enumerate() {
        let (mut left, top) = (left, top + row * (LETTER + GAP / 2));
        canvas.text(left, top, &format!("{what}:"), INK);
        left += Canvas::text_width(&format!("{what}: "));
        for (index, name) in names.iter().enumerate().take(MOST_NAMES) {
            canvas.text(left, top, name, COLOURS[index % COLOURS.len()]);
            left += Canvas::text_width(name) + GAP;
        }
        if names.len() > MOST_NAMES {
            canvas.text(left, top, &format!("and {} more", names.len() - MOST_NAMES), FAINT);
        }
    }
}

fn has_state(episode: &EpisodeData) -> bool {
    !episode.states.iter().all(Vec::is_empty)
}

/// Curves of the actions, and under them of the true state (without one, of proprioception), for the first `timesteps`.
fn curves(canvas: &mut Canvas, episode: &EpisodeData, (left, top, width): (usize, usize, usize), timesteps: usize) {
    let state = if has_state(episode) { &episode.states } else { &episode.proprioception };
    for (number, values) in [&episode.actions, state].into_iter().enumerate() {
        let area = (left, top + number * (CURVES + GAP / 2), width);
        canvas.frame(area.0, area.1, area.2, CURVES, FAINT);
        dimensions(canvas, values, area, timesteps);
    }
}

/// A curve per dimension of `values [T][width]`, scaled from its smallest to its largest value, for the first
/// `timesteps`.
fn dimensions(canvas: &mut Canvas, values: &[Vec<f32>], (left, top, width): (usize, usize, usize), timesteps: usize) {
    for dimension in 0..values.first().map_or(0, Vec::len) {
        let values: Vec<f64> = values.iter().map(|values| f64::from(values[dimension])).collect();
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let place = |(index, value): (usize, &f64)| {
            let across = index as f64 / (values.len() - 1).max(1) as f64;
            let up = if high > low { (value - low) / (high - low) } else { 0.5 };
            let height = (CURVES - 6) as f64;
            (left as f64 + 2.0 + across * (width as f64 - 5.0), top as f64 + 3.0 + (1.0 - up) * height)
        };
        let points: Vec<(f64, f64)> = values.iter().enumerate().take(timesteps).map(place).collect();
        let colour = COLOURS[dimension % COLOURS.len()];
        points.windows(2).for_each(|pair| canvas.line(pair[0], pair[1], colour));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_are_among_evenly_spaced_numbers() {
        assert_eq!(evenly_spaced(10, 4), [0, 3, 6, 9]);
        assert_eq!(evenly_spaced(3, 8), [0, 1, 2]);
        assert_eq!(evenly_spaced(5, 1), [0]);
        assert_eq!(evenly_spaced(0, 4), [0; 0]);
    }

    #[test]
    fn an_image_of_any_shape_fits_its_square() {
        let image = Image::filled(ImageSize::new(200, 50).unwrap(), [1, 2, 3]);
        let fitted = fitted(&image, 96).unwrap();
        assert_eq!((fitted.size().height(), fitted.size().width()), (96, 24));
    }
}
