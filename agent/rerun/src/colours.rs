//! Colours of plans: those of the window.

use mindseye_runs::ImaginedPlan;

/// Colour of the best plan, RGBA.
pub const BEST: [u8; 4] = [255, 158, 31, 255];
/// Colour of the goal, RGBA.
pub const GOAL: [u8; 4] = [51, 199, 115, 255];
/// Colour of samples of the best plan's outcome, RGBA.
pub const SAMPLE: [u8; 4] = [191, 115, 242, 200];
/// Colours of energies from the lowest of the candidates to the highest, RGB: as in the window.
const ENERGIES: [[f32; 3]; 4] = [[255.0, 158.0, 31.0], [237.0, 76.0, 92.0], [135.0, 82.0, 199.0], [64.0, 97.0, 179.0]];

/// Where the energies of `plans` lie between the lowest (0) and the highest (1) of them.
pub fn energy_shares(plans: &[ImaginedPlan]) -> Vec<f32> {
    let finite = || plans.iter().map(|plan| plan.energy).filter(|energy| energy.is_finite());
    let (low, high) = (finite().fold(f32::INFINITY, f32::min), finite().fold(f32::NEG_INFINITY, f32::max));
    let share = |energy: f32| if high > low { ((energy - low) / (high - low)).clamp(0.0, 1.0) } else { 0.0 };
    plans.iter().map(|plan| share(plan.energy)).collect()
}

/// The colour of an energy from 0 (the lowest of the candidates) to 1 (the highest), RGBA; the highest are faint.
pub fn energy_colour(share: f32) -> [u8; 4] {
    let at = if share.is_finite() { share.clamp(0.0, 1.0) } else { 1.0 } * (ENERGIES.len() - 1) as f32;
    let low = (at as usize).min(ENERGIES.len() - 2);
    let part = at - low as f32;
    let channel = |index: usize| ENERGIES[low][index] * (1.0 - part) + ENERGIES[low + 1][index] * part;
    [channel(0) as u8, channel(1) as u8, channel(2) as u8, (230.0 - 40.0 * at) as u8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_energy_has_the_colour_of_the_best_plan_and_plans_without_one_the_last() {
        let plan = |energy| ImaginedPlan { energy, actions: Vec::new(), states: Vec::new(), end: Vec::new() };
        let shares = energy_shares(&[plan(1.0), plan(2.0), plan(3.0), plan(f32::NAN)]);
        assert_eq!(shares[..3], [0.0, 0.5, 1.0]);
        assert_eq!(energy_colour(shares[0])[..3], BEST[..3]);
        assert_eq!(energy_colour(shares[3]), energy_colour(1.0));
    }
}
