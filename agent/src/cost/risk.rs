//! From the energies of a plan's samples to the energy of the plan: their mean, and their standard deviation.

/// The mean of the energies `[S]` of a plan's samples plus `risk` times their standard deviation. Above 0, plans with
/// uncertain outcomes are avoided; below 0 they are preferred.
pub(super) fn energy(energies: &[f32], risk: f32) -> f32 {
    let (mean, std) = mean_and_std(energies);
    // Without risk the standard deviation is left out: it may not be finite.
    if risk == 0.0 { mean } else { mean + risk * std }
}

/// The gradient of [`energy`] on the energy of every sample, `[S]`. Where all are equal, that of their mean.
pub(super) fn gradients(energies: &[f32], risk: f32) -> Vec<f32> {
    let (mean, std) = mean_and_std(energies);
    let count = energies.len().max(1) as f32;
    let of_std = |energy: f32| if std > 0.0 && risk != 0.0 { (energy - mean) / (count * std) } else { 0.0 };
    energies.iter().map(|&energy| 1.0 / count + risk * of_std(energy)).collect()
}

fn mean_and_std(energies: &[f32]) -> (f32, f32) {
    let count = energies.len().max(1) as f32;
    let mean = energies.iter().sum::<f32>() / count;
    let variance = energies.iter().map(|energy| (energy - mean) * (energy - mean)).sum::<f32>() / count;
    (mean, variance.sqrt())
}
