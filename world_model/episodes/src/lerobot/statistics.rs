//! Statistics per feature, per episode and over all episodes, as LeRobot's normalisers expect them.

use mindseye_interface::Image;

/// Names of the statistics that are vectors, in LeRobot's order; `count` stands between `std` and `q01`.
pub(crate) const VECTORS: [&str; 9] = ["min", "max", "mean", "std", "q01", "q10", "q50", "q90", "q99"];
/// Probabilities of the quantiles among [`VECTORS`].
const QUANTILES: [f64; 5] = [0.01, 0.10, 0.50, 0.90, 0.99];

/// Statistics of one feature; every vector has one entry per element (per channel for cameras, in `[0, 1]`).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Statistics {
    /// Number of frames that the statistics are of.
    pub count: u64,
    pub min: Vec<f64>,
    pub max: Vec<f64>,
    pub mean: Vec<f64>,
    /// Population standard deviation.
    pub std: Vec<f64>,
    /// 1, 10, 50, 90 and 99 %. Of one episode: the smallest value that at least this fraction of the values do not
    /// exceed.
    pub quantiles: [Vec<f64>; 5],
}

impl Statistics {
    /// The vectors in the order of [`VECTORS`].
    pub fn vectors(&self) -> [&[f64]; 9] {
        let [q01, q10, q50, q90, q99] = &self.quantiles;
        [&self.min, &self.max, &self.mean, &self.std, q01, q10, q50, q90, q99]
    }

    /// The reverse of [`Statistics::vectors`].
    pub fn from_vectors(count: u64, vectors: [Vec<f64>; 9]) -> Self {
        let [min, max, mean, std, q01, q10, q50, q90, q99] = vectors;
        Self { count, min, max, mean, std, quantiles: [q01, q10, q50, q90, q99] }
    }

    fn with_width(width: usize, count: usize) -> Self {
        Self::from_vectors(count as u64, std::array::from_fn(|_| vec![0.0; width]))
    }

    /// Statistics of `values [T, width]`, `T` at least 1.
    pub fn of_rows(values: &[f64], width: usize) -> Self {
        let rows = values.len().checked_div(width).unwrap_or(0);
        let mut statistics = Self::with_width(width, rows);
        for element in 0..width {
            let mut column: Vec<f64> = values.iter().skip(element).step_by(width).copied().collect();
            let mean = column.iter().sum::<f64>() / rows as f64;
            let variance = column.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / rows as f64;
            column.sort_unstable_by(f64::total_cmp);
            statistics.set(element, mean, variance, |rank| column[rank.min(rows - 1)], rows);
        }
        statistics
    }

    /// Statistics of the channels of a sample of `frames`, chosen as in LeRobot.
    pub fn of_images(frames: &[Image]) -> Self {
        let sample = sampled_frames(frames.len());
        let mut histograms = [[0u64; 256]; 3];
        for &frame in &sample {
            count_bytes(&frames[frame], &mut histograms);
        }
        let mut statistics = Self::with_width(3, sample.len());
        for (channel, histogram) in histograms.iter().enumerate() {
            let pixels: u64 = histogram.iter().sum();
            let power_mean = |power: i32| {
                let weighted = histogram.iter().enumerate().map(|(value, &n)| n as f64 * (value as f64).powi(power));
                weighted.sum::<f64>() / pixels as f64
            };
            let (mean, square) = (power_mean(1), power_mean(2));
            let value_at = |rank: usize| {
                let mut below = 0;
                let reached = |&n: &u64| {
                    below += n;
                    below > rank as u64
                };
                histogram.iter().position(reached).unwrap_or(255) as f64 / 255.0
            };
            let variance = (square - mean * mean).max(0.0) / (255.0 * 255.0);
            statistics.set(channel, mean / 255.0, variance, value_at, pixels as usize);
        }
        statistics
    }

    /// Sets one element from its mean, its variance and `value_at(rank)`, the value with `rank` values below it.
    fn set(&mut self, element: usize, mean: f64, variance: f64, mut value_at: impl FnMut(usize) -> f64, values: usize) {
        self.min[element] = value_at(0);
        self.max[element] = value_at(values.saturating_sub(1));
        self.mean[element] = mean;
        self.std[element] = variance.sqrt();
        for (quantile, share) in self.quantiles.iter_mut().zip(QUANTILES) {
            quantile[element] = value_at(((values as f64 * share).ceil() as usize).saturating_sub(1));
        }
    }

    /// Adds the statistics of more frames of the same feature. Quantiles become the weighted average over episodes, as
    /// in LeRobot 0.6 (checked against its files), which are not the quantiles of all frames.
    pub fn merge(&mut self, other: &Self) {
        let total = (self.count + other.count) as f64;
        let (own, others) = (self.count as f64 / total, other.count as f64 / total);
        let blend = |a: f64, b: f64| a * own + b * others;
        for element in 0..self.min.len().min(other.min.len()) {
            self.min[element] = self.min[element].min(other.min[element]);
            self.max[element] = self.max[element].max(other.max[element]);
            let (mean, other_mean) = (self.mean[element], other.mean[element]);
            let between = (mean - other_mean).powi(2) * own * others;
            let within = blend(self.std[element].powi(2), other.std[element].powi(2));
            self.std[element] = (within + between).sqrt();
            self.mean[element] = blend(mean, other_mean);
            for (quantile, other_quantile) in self.quantiles.iter_mut().zip(&other.quantiles) {
                quantile[element] = blend(quantile[element], other_quantile[element]);
            }
        }
        self.count += other.count;
    }
}

/// Evenly spaced frames: `max(min(100, n), min(n^0.75, 10000))` of them.
fn sampled_frames(frames: usize) -> Vec<usize> {
    let by_power = ((frames as f64).powf(0.75) as usize).min(10_000);
    let samples = frames.min(100).max(by_power).min(frames);
    let last = frames.saturating_sub(1) as f64;
    let spacing = if samples > 1 { last / (samples - 1) as f64 } else { 0.0 };
    (0..samples).map(|sample| (sample as f64 * spacing).round_ties_even() as usize).collect()
}

/// Adds the bytes of `image` per channel. Of images with a side of 300 pixels or more, about 150 rows and columns are
/// counted.
fn count_bytes(image: &Image, histograms: &mut [[u64; 256]; 3]) {
    let size = image.size();
    let side = size.height().max(size.width());
    let stride = if side < 300 { 1 } else { side / 150 };
    for row in image.pixels().chunks(size.width() * 3).step_by(stride) {
        for pixel in row.chunks_exact(3).step_by(stride) {
            for (histogram, &value) in histograms.iter_mut().zip(pixel) {
                histogram[usize::from(value)] += 1;
            }
        }
    }
}
