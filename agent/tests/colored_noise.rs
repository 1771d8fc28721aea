//! The spectrum of coloured noise.

use mindseye_agent::actor::ColoredNoise;
use mindseye_interface::Seed;

#[test]
fn the_spectrum_of_coloured_noise_falls_with_beta() {
    let (length, draws) = (40, 2000);
    let power = |beta: f64, frequency: usize| -> f64 {
        let (noise, mut rng) = (ColoredNoise::new(length, beta), Seed::new(9).rng());
        let mut total = 0.0;
        for _ in 0..draws {
            let mut sequence = vec![0.0; length];
            noise.add_to(&mut sequence, 0, 1, &mut rng);
            let angle = |time: usize| std::f64::consts::TAU * (frequency * time) as f64 / length as f64;
            let part = |of: fn(f64) -> f64| -> f64 {
                sequence.iter().enumerate().map(|(time, &value)| f64::from(value) * of(angle(time))).sum()
            };
            total += part(f64::cos).powi(2) + part(f64::sin).powi(2);
        }
        total / f64::from(draws)
    };
    for beta in [0.0, 1.0, 2.0, 3.0] {
        let gradient = (power(beta, 2) / power(beta, 16)).ln() / 8f64.ln();
        assert!((gradient - beta).abs() < 0.1, "beta {beta}: power falls with exponent {gradient}");
    }
}
