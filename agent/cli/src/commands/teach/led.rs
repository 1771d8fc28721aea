//! Situations that a policy leads to, as a model imagines them.

use mindseye_interface::Rng;
use mindseye_world_model::policy::Situations;
use mindseye_world_model::{Policy, Result, RolloutEngine};
use rand::Rng as _;

/// A situation whose state is led on.
pub struct Led {
    /// Which.
    pub index: usize,
    /// How many blocks.
    pub blocks: usize,
    /// Actions are at most so far from those that the policy takes for the best.
    pub off: f32,
    /// How far.
    pub rng: Rng,
}

/// Puts the states that `policy` leads to in the place of those that it begins with.
///
/// # Errors
/// When sizes do not fit.
pub fn lead(
    situations: &mut Situations,
    mut led: Vec<Led>,
    policy: &Policy,
    engine: &RolloutEngine,
    threads: usize,
) -> Result<()> {
    let (width, block_width) = (engine.latent_width(), engine.block_width());
    for block in 0.. {
        led.retain(|led| led.blocks > block);
        if led.is_empty() {
            break;
        }
        let of = |values: &[f32]| -> Vec<f32> {
            led.iter().flat_map(|led| &values[led.index * width..(led.index + 1) * width]).copied().collect()
        };
        let states = of(&situations.states);
        let guesses = policy.guesses(&states, &of(&situations.goals))?;
        let mut blocks: Vec<f32> = guesses.iter().flat_map(|guesses| &guesses[0][..block_width]).copied().collect();
        for (led, actions) in led.iter_mut().zip(blocks.chunks_exact_mut(block_width)) {
            if led.off > 0.0 {
                for action in actions {
                    *action = (*action + led.off * led.rng.random_range(-1.0..1.0)).clamp(-1.0, 1.0);
                }
            }
        }
        let next = engine.rollout(&states, &blocks, 1, threads)?;
        for (led, next) in led.iter().zip(next.chunks_exact(width)) {
            situations.states[led.index * width..(led.index + 1) * width].copy_from_slice(next);
        }
    }
    Ok(())
}
