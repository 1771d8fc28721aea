//! From the energies of a plan's futures to the energy of the plan: their mean, and what is not known about it.

/// The mean of the energies `[S]` of a plan's futures plus `risk` times their standard deviation. Above 0, plans whose outcome is uncertain are avoided; below 0
/// they are sought.
pub(super) fn energy(energies: &[f32], risk: f32) -> f32 {
    let (mean, spread) = moments(energies);
    // Without risk the spread is left out, so that one that is not finite harms nobody.
    if risk == 0.0 { mean } else { mean + risk * spread }
}

/// The slope of [`energy`] on the energy of every future, `[S]`. Where all are equal, that of their mean.
pub(super) fn slopes(energies: &[f32], risk: f32) -> Vec<f32> {
    let (mean, spread) = moments(energies);
    let count = energies.len().max(1) as f32;
    let of_spread = |energy: f32| if spread > 0.0 && risk != 0.0 { (energy - mean) / (count * spread) } else { 0.0 };
    energies.iter().map(|&energy| 1.0 / count + risk * of_spread(energy)).collect()
}

fn moments(energies: &[f32]) -> (f32, f32) {
    let count = energies.len().max(1) as f32;
    let mean = energies.iter().sum::<f32>() / count;
    let variance = energies.iter().map(|energy| (energy - mean) * (energy - mean)).sum::<f32>() / count;
    (mean, variance.sqrt())
}
