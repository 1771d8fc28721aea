//! What is kept of an episode, and how much it moves.

use mindseye_interface::ImageSize;

use crate::Result;
use crate::cameras::{size_in_stack, stack_size};
use crate::episode::{EpisodeArrays, EpisodeShape};
use crate::outliers::RobustRange;
use crate::source::{EpisodeSource, read_scaled};

/// Largest side of the images that are looked at, pixels: what a training sees by default.
pub(super) const SIDE: usize = 64;

/// One episode, without its images.
#[derive(Debug)]
pub(crate) struct Observed {
    /// Its index.
    pub episode: usize,
    /// Number of timesteps `T`.
    pub length: usize,
    pub numbers: EpisodeArrays,
    /// One for each camera.
    pub cameras: Vec<CameraObserved>,
}

/// The images of one camera.
#[derive(Debug)]
pub(crate) struct CameraObserved {
    /// Mean absolute difference of each image and the next, of 255: `T - 1` values.
    pub changes: Vec<f32>,
    /// Largest difference over time of any value of a pixel, of 255.
    pub contrast: u8,
}

impl Observed {
    /// Reads episode `index` with small images.
    ///
    /// # Errors
    /// As [`EpisodeSource::read`].
    pub fn read(source: &dyn EpisodeSource, index: usize) -> Result<Self> {
        let cameras = source.cameras().len();
        let each = small(size_in_stack(source.shape().image_size, cameras)?)?;
        let size = stack_size(each, cameras)?;
        let (numbers, pixels) = read_scaled(source, index, size)?;
        let stacks: Vec<&[u8]> = pixels.chunks_exact(size.rgb_len()).collect();
        let camera = |number: usize| {
            let images = stacks.iter().map(|stack| &stack[number * each.rgb_len()..(number + 1) * each.rgb_len()]);
            CameraObserved::of(&images.collect::<Vec<&[u8]>>())
        };
        let cameras = (0..cameras).map(camera).collect();
        Ok(Self { episode: index, length: stacks.len(), numbers, cameras })
    }
}

/// `size` with sides of at most [`SIDE`].
fn small(size: ImageSize) -> Result<ImageSize> {
    let largest = size.height().max(size.width());
    if largest <= SIDE {
        return Ok(size);
    }
    let scaled = |side: usize| (side * SIDE / largest).max(1);
    Ok(ImageSize::new(scaled(size.height()), scaled(size.width()))?)
}

impl CameraObserved {
    fn of(images: &[&[u8]]) -> Self {
        let change = |pair: &[&[u8]]| {
            let differences = pair[0].iter().zip(pair[1]).map(|(a, b)| u64::from(a.abs_diff(*b)));
            differences.sum::<u64>() as f32 / pair[0].len().max(1) as f32
        };
        let mut low = images.first().map(|image| image.to_vec()).unwrap_or_default();
        let mut high = low.clone();
        for image in images {
            low.iter_mut().zip(*image).for_each(|(low, value)| *low = *value.min(low));
            high.iter_mut().zip(*image).for_each(|(high, value)| *high = *value.max(high));
        }
        let contrast = low.iter().zip(&high).map(|(low, high)| high - low).max().unwrap_or(0);
        Self { changes: images.windows(2).map(change).collect(), contrast }
    }
}

/// Vectors `[T, width]` of an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vectors {
    Action,
    State,
    Proprioception,
}

impl Vectors {
    pub fn of(self, numbers: &EpisodeArrays) -> &[f32] {
        match self {
            Self::Action => &numbers.actions,
            Self::State => &numbers.states,
            Self::Proprioception => &numbers.proprioception,
        }
    }

    pub fn width(self, shape: &EpisodeShape) -> usize {
        match self {
            Self::Action => shape.action,
            Self::State => shape.state,
            Self::Proprioception => shape.proprioception,
        }
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::State => "true state",
            Self::Proprioception => "proprioception",
        }
    }
}

/// The range of every dimension over all episodes. Indices of outliers count the timesteps of the episodes in turn.
#[derive(Debug)]
pub(super) struct Ranges {
    pub actions: Vec<RobustRange>,
    pub states: Vec<RobustRange>,
    pub proprioception: Vec<RobustRange>,
}

impl Ranges {
    pub fn of(episodes: &[Observed], shape: &EpisodeShape) -> Self {
        let all = |vectors: Vectors| {
            let width = vectors.width(shape);
            let dimension = |dimension: usize| {
                let values = |episode: &Observed| {
                    vectors.of(&episode.numbers).iter().skip(dimension).step_by(width).copied().collect::<Vec<f32>>()
                };
                RobustRange::of(&episodes.iter().flat_map(values).collect::<Vec<f32>>())
            };
            (0..width).map(dimension).collect()
        };
        Self {
            actions: all(Vectors::Action),
            states: all(Vectors::State),
            proprioception: all(Vectors::Proprioception),
        }
    }

    pub fn get(&self, vectors: Vectors) -> &[RobustRange] {
        match vectors {
            Vectors::Action => &self.actions,
            Vectors::State => &self.states,
            Vectors::Proprioception => &self.proprioception,
        }
    }

    /// How far the vectors of `episode` move from each timestep to the next, in ranges of the dimensions: `T - 1`
    /// values. None where they never do.
    pub fn motion(&self, episode: &Observed, vectors: Vectors) -> Option<Vec<f32>> {
        let (ranges, values) = (self.get(vectors), vectors.of(&episode.numbers));
        let rows: Vec<&[f32]> = values.chunks_exact(ranges.len().max(1)).collect();
        let between = |pair: &[&[f32]]| norm(ranges, |dimension| pair[1][dimension] - pair[0][dimension]);
        let motion: Vec<f32> = rows.windows(2).map(between).collect();
        motion.iter().any(|step| *step > 0.0).then_some(motion)
    }

    /// How large the actions of `episode` are, measured from 0 (from the middle of a range without 0), in ranges of the
    /// dimensions: `T - 1` values.
    pub fn strength(&self, episode: &Observed) -> Option<Vec<f32>> {
        let ranges = &self.actions;
        let centre = |range: &RobustRange| {
            if range.low <= 0.0 && range.high >= 0.0 { 0.0 } else { (range.low + range.high) / 2.0 }
        };
        let centres: Vec<f32> = ranges.iter().map(centre).collect();
        let rows = episode.numbers.actions.chunks_exact(ranges.len().max(1));
        let strength = rows.map(|row| norm(ranges, |dimension| row[dimension] - centres[dimension]));
        let strength: Vec<f32> = strength.take(episode.length.saturating_sub(1)).collect();
        strength.iter().any(|step| *step > 0.0).then_some(strength)
    }
}

/// Length of a difference in ranges of its dimensions, without those that are constant. What is no number counts as 0.
fn norm(ranges: &[RobustRange], difference: impl Fn(usize) -> f32) -> f32 {
    let moving = ranges.iter().enumerate().filter(|(_, range)| !range.is_constant());
    let squares = moving.map(|(dimension, range)| (difference(dimension) / (range.high - range.low)).powi(2));
    squares.filter(|square| square.is_finite()).sum::<f32>().sqrt()
}
