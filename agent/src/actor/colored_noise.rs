//! Noise whose power falls with frequency as `1 / f^beta`: smooth action sequences reach far, white ones tremble in
//! place (Timmer and König 1995; iCEM, Pinneri et al. 2020).

use mindseye_interface::Rng;
use rand_distr::{Distribution, StandardNormal};

/// Draws sequences of a fixed length with unit variance at every time.
#[derive(Debug, Clone)]
pub struct ColoredNoise {
    length: usize,
    /// Cosine and sine waves, scaled: `[waves, length]`.
    waves: Vec<f32>,
}

impl ColoredNoise {
    /// Sequences of `length` values with spectrum `1 / f^beta`; `beta` 0 is white, 2 is a random walk's.
    pub fn new(length: usize, beta: f64) -> Self {
        let mut waves = Vec::new();
        let mut power = 0.0;
        for frequency in 0..=length / 2 {
            // The constant part gets the power of the lowest frequency, else it would be infinite.
            let scale = (frequency.max(1) as f64 / length.max(1) as f64).powf(-beta / 2.0);
            let angle = |time: usize| std::f64::consts::TAU * (frequency * time) as f64 / length.max(1) as f64;
            // The constant and the highest wave have no sine partner: they count once.
            let single = frequency == 0 || 2 * frequency == length;
            waves.extend((0..length).map(|time| scale * angle(time).cos()));
            if !single {
                waves.extend((0..length).map(|time| scale * angle(time).sin()));
            }
            power += scale * scale;
        }
        let norm = power.sqrt();
        Self { length, waves: waves.into_iter().map(|wave| (wave / norm) as f32).collect() }
    }

    /// Values per sequence.
    pub fn length(&self) -> usize {
        self.length
    }

    /// One sequence, added to `sequence` at every `stride`-th place from `first`.
    pub fn add_to(&self, sequence: &mut [f32], first: usize, stride: usize, rng: &mut Rng) {
        for wave in self.waves.chunks_exact(self.length.max(1)) {
            let strength: f32 = StandardNormal.sample(rng);
            for (value, wave) in sequence.iter_mut().skip(first).step_by(stride).zip(wave) {
                *value += strength * wave;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mindseye_interface::Seed;

    fn sequences(beta: f64) -> Vec<Vec<f32>> {
        let (noise, mut rng) = (ColoredNoise::new(25, beta), Seed::new(0).rng());
        (0..4000)
            .map(|_| {
                let mut sequence = vec![0.0; 25];
                noise.add_to(&mut sequence, 0, 1, &mut rng);
                sequence
            })
            .collect()
    }

    #[test]
    fn every_value_has_unit_variance() {
        for beta in [0.0, 1.0, 2.0] {
            let sequences = sequences(beta);
            for time in [0, 7, 24] {
                let variance = sequences.iter().map(|s| s[time] * s[time]).sum::<f32>() / sequences.len() as f32;
                assert!((variance - 1.0).abs() < 0.1, "beta {beta}, time {time}: {variance}");
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
}
