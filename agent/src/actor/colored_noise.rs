//! Noise whose power falls with frequency as `1 / f^beta`: smooth action sequences reach far, white ones tremble in
//! place (Timmer and König 1995; iCEM, Pinneri et al. 2020).

use mindseye_interface::Rng;
use rand_distr::{Distribution, StandardNormal};

/// Longest sequence whose waves are kept as a table of `length * length` values and summed one by one: plans of
/// ordinary length keep their bits. A longer one is the beginning of a sequence of the next power of two, whose waves
/// are summed by a fast Fourier transform (Cooley and Tukey 1965).
const LONGEST_TABLE: usize = 64;

/// Draws sequences of a fixed length with unit variance at every time, in `O(length * log length)`.
#[derive(Debug, Clone)]
pub struct ColoredNoise {
    length: usize,
    waves: Waves,
}

/// Cosine and sine waves, scaled.
#[derive(Debug, Clone)]
enum Waves {
    /// `[waves, length]`.
    Table(Vec<f32>),
    /// Of a sequence of `2 * turns.len()` values, a power of two: the scale of each frequency from 0 to half of its
    /// length, and the cosine and sine of each time of its first half.
    Transform { scales: Vec<f32>, turns: Vec<[f32; 2]> },
}

impl ColoredNoise {
    /// Sequences of `length` values with spectrum `1 / f^beta`; `beta` 0 is white, 2 is a random walk's.
    pub fn new(length: usize, beta: f64) -> Self {
        let is_short = length <= LONGEST_TABLE;
        let waves =
            if is_short { Waves::table(length, beta) } else { Waves::transform(length.next_power_of_two(), beta) };
        Self { length, waves }
    }

    /// Values per sequence.
    pub fn length(&self) -> usize {
        self.length
    }

    /// One sequence, added to `sequence` at every `stride`-th place from `first`.
    pub fn add_to(&self, sequence: &mut [f32], first: usize, stride: usize, rng: &mut Rng) {
        match &self.waves {
            Waves::Table(waves) => {
                for wave in waves.chunks_exact(self.length.max(1)) {
                    let strength: f32 = StandardNormal.sample(rng);
                    for (value, wave) in sequence.iter_mut().skip(first).step_by(stride).zip(wave) {
                        *value += strength * wave;
                    }
                }
            }
            Waves::Transform { scales, turns } => {
                let sums = sums_of_waves(scales, turns, rng);
                let places = sequence.iter_mut().skip(first).step_by(stride).take(self.length);
                places.zip(sums).for_each(|(value, [sum, _])| *value += sum);
            }
        }
    }
}

impl Waves {
    fn table(length: usize, beta: f64) -> Self {
        let mut waves = Vec::new();
        let mut power = 0.0;
        for frequency in 0..=length / 2 {
            let scale = scale(frequency, length, beta);
            let angle = |time: usize| std::f64::consts::TAU * (frequency * time) as f64 / length.max(1) as f64;
            waves.extend((0..length).map(|time| scale * angle(time).cos()));
            if !is_single(frequency, length) {
                waves.extend((0..length).map(|time| scale * angle(time).sin()));
            }
            power += scale * scale;
        }
        let norm = power.sqrt();
        Self::Table(waves.into_iter().map(|wave| (wave / norm) as f32).collect())
    }

    /// `length` is a power of two.
    fn transform(length: usize, beta: f64) -> Self {
        let scales: Vec<f64> = (0..=length / 2).map(|frequency| scale(frequency, length, beta)).collect();
        let norm = scales.iter().map(|scale| scale * scale).sum::<f64>().sqrt();
        let angle = |time: usize| std::f64::consts::TAU * time as f64 / length as f64;
        let turns = (0..length / 2).map(|time| [angle(time).cos() as f32, angle(time).sin() as f32]).collect();
        Self::Transform { scales: scales.into_iter().map(|scale| (scale / norm) as f32).collect(), turns }
    }
}

/// The sum of all waves, each with a strength that is drawn, in the order of the table: the real parts of what is
/// returned.
fn sums_of_waves(scales: &[f32], turns: &[[f32; 2]], rng: &mut Rng) -> Vec<[f32; 2]> {
    let length = 2 * turns.len();
    let mut values = vec![[0.0f32; 2]; length];
    for (frequency, scale) in scales.iter().enumerate() {
        let cosine: f32 = StandardNormal.sample(rng);
        let sine: f32 = if is_single(frequency, length) { 0.0 } else { StandardNormal.sample(rng) };
        let reversed = frequency.reverse_bits() >> (usize::BITS - length.ilog2());
        values[reversed] = [scale * cosine, -scale * sine];
    }
    let mut half = 1;
    while half < length {
        let stride = turns.len() / half;
        for block in values.chunks_exact_mut(2 * half) {
            let (even, odd) = block.split_at_mut(half);
            for ((even, odd), [cos, sin]) in even.iter_mut().zip(odd).zip(turns.iter().step_by(stride)) {
                let turned = [odd[0] * cos - odd[1] * sin, odd[0] * sin + odd[1] * cos];
                *odd = [even[0] - turned[0], even[1] - turned[1]];
                *even = [even[0] + turned[0], even[1] + turned[1]];
            }
        }
        half *= 2;
    }
    values
}

/// The strength of waves of `frequency`. The constant part gets the power of the lowest frequency, else it would be
/// infinite.
fn scale(frequency: usize, length: usize, beta: f64) -> f64 {
    (frequency.max(1) as f64 / length.max(1) as f64).powf(-beta / 2.0)
}

/// The constant and the highest wave have no sine partner: they count once.
fn is_single(frequency: usize, length: usize) -> bool {
    frequency == 0 || 2 * frequency == length
}

#[cfg(test)]
mod tests {
    use super::*;
    use mindseye_interface::Seed;

    fn sequences(beta: f64) -> Vec<Vec<f32>> {
        sequences_of(25, beta)
    }

    fn sequences_of(length: usize, beta: f64) -> Vec<Vec<f32>> {
        let (noise, mut rng) = (ColoredNoise::new(length, beta), Seed::new(0).rng());
        (0..4000)
            .map(|_| {
                let mut sequence = vec![0.0; length];
                noise.add_to(&mut sequence, 0, 1, &mut rng);
                sequence
            })
            .collect()
    }

    #[test]
    fn every_value_has_unit_variance() {
        for beta in [0.0, 1.0, 2.0] {
            for sequences in [sequences(beta), sequences_of(70, beta)] {
                for time in [0, 7, sequences[0].len() - 1] {
                    let variance = sequences.iter().map(|s| s[time] * s[time]).sum::<f32>() / sequences.len() as f32;
                    assert!((variance - 1.0).abs() < 0.1, "beta {beta}, time {time}: {variance}");
                }
            }
        }
    }

    #[test]
    fn redder_noise_is_smoother() {
        let roughness = |beta| {
            let sequences = sequences(beta);
            let steps =
                sequences.iter().flat_map(|s| s.windows(2).map(|pair| (pair[1] - pair[0]).powi(2)).collect::<Vec<_>>());
            steps.sum::<f32>() / (24.0 * sequences.len() as f32)
        };
        let (white, pink, red) = (roughness(0.0), roughness(1.0), roughness(2.0));
        assert!(white > 1.7 && pink < 0.6 * white && red < 0.4 * pink, "{white} {pink} {red}");
    }

    #[test]
    fn the_transform_adds_up_the_waves_of_the_table() {
        for length in [2, 8, 128, 256] {
            let table = ColoredNoise { length, waves: Waves::table(length, 1.5) };
            let transform = ColoredNoise { length, waves: Waves::transform(length, 1.5) };
            let drawn = |noise: &ColoredNoise| {
                let (mut rng, mut sequence) = (Seed::new(4).rng(), vec![0.0; 2 * length]);
                noise.add_to(&mut sequence, 1, 2, &mut rng);
                noise.add_to(&mut sequence, 0, 2, &mut rng);
                sequence
            };
            for (one, other) in drawn(&table).iter().zip(drawn(&transform)) {
                assert!((one - other).abs() < 1e-4, "length {length}: {one} and {other}");
            }
        }
    }

    #[test]
    fn memory_grows_with_the_length_and_not_with_its_square() {
        // Symptom: a plan of 1000 chunks of 5 steps took 100 MB and 25 million products per sequence. Cause: a table of
        // all waves at all times. Fix: a Fourier transform beyond short sequences.
        let Waves::Transform { scales, turns } = ColoredNoise::new(5000, 2.0).waves else { panic!("a table") };
        assert_eq!((scales.len(), turns.len()), (4097, 4096));
        let Waves::Table(waves) = ColoredNoise::new(LONGEST_TABLE, 2.0).waves else { panic!("a transform") };
        assert_eq!(waves.len(), LONGEST_TABLE * LONGEST_TABLE, "plans of ordinary length keep their bits");
        let mut sequence = vec![0.0; 71];
        ColoredNoise::new(70, 2.0).add_to(&mut sequence, 0, 1, &mut Seed::new(0).rng());
        assert!(sequence[69] != 0.0 && sequence[70] == 0.0, "as many values as asked for");
    }
}
