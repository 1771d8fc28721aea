//! A state probe learns to read named states from latents.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use crate::support::resumes_to_the_same_weights;
use mindseye_interface::Seed;
use mindseye_world_model::heads::state_probe::{
    StateProbeConfig, StateProbeTrainingConfig, StateSamples, train_state_probe,
};
use mindseye_world_model::training::RunOptions;
use mindseye_world_model::values_of;
use mindseye_world_model::{Error, Head, Result, StateProbe, StateProbeEngine};
use rand::Rng;

fn config() -> StateProbeConfig {
    StateProbeConfig {
        latent_width: 3,
        state_names: vec!["x_m".into(), "turn_rad".into()],
        step_scales: vec![0.1, 0.2],
        hidden: 32,
        layers: 1,
    }
}

/// A position that is a product of two numbers of the latent, and an angle that crosses its seam at π.
fn samples(count: usize, seed: u64) -> StateSamples {
    let mut rng = Seed::new(seed).rng();
    let mut samples = StateSamples::default();
    for _ in 0..count {
        let (a, angle) = (rng.random_range(-1.0..1.0f32), rng.random_range(2.0..4.0f32));
        samples.latents.extend([a, angle.sin() + 1.0, angle.cos()]);
        samples.states.extend([5.0 + 3.0 * a * angle.sin(), angle.sin().atan2(angle.cos())]);
    }
    samples
}

fn train(samples: &StateSamples, steps: usize, options: &RunOptions<'_>) -> Result<Option<StateProbe>> {
    let training = StateProbeTrainingConfig { steps, ..StateProbeTrainingConfig::default() };
    train_state_probe(config(), samples, &training, options)
}

#[test]
fn products_and_angles_across_the_seam_are_read_with_any_number_of_threads() {
    let (samples, unseen) = (samples(4000, 1), self::samples(500, 2));
    let learn =
        |threads| train(&samples, 600, &RunOptions { threads, ..RunOptions::new(Seed::new(1)) }).unwrap().unwrap();
    let state_probe = learn(1);
    let engine = StateProbeEngine::new(&state_probe).unwrap();
    let errors = engine.errors_on(&unseen.latents, &unseen.states).unwrap();
    assert!(errors.r2.iter().all(|r2| *r2 > 0.99), "{errors:?}");
    assert!(errors.median[0] < 0.05 && errors.median[1] < 0.03, "{errors:?}");
    let read = engine.read(&unseen.latents).unwrap();
    assert!(read.iter().skip(1).step_by(2).any(|angle| *angle > 3.0) && read.iter().any(|angle| *angle < -2.5));
    let again = StateProbeEngine::new(&learn(2)).unwrap();
    assert_eq!(again.read(&unseen.latents).unwrap(), read, "equal bits");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state_probe.safetensors");
    state_probe.save(&path).unwrap();
    let loaded = StateProbe::load(&path).unwrap();
    assert_eq!(loaded.config(), state_probe.config());
    assert_eq!(StateProbeEngine::new(&loaded).unwrap().read(&unseen.latents).unwrap(), read);
}

#[test]
fn an_interrupted_state_probe_training_ends_in_the_same_bits() {
    let samples = samples(300, 1);
    let train = |options: &RunOptions<'_>| train(&samples, 9, options);
    resumes_to_the_same_weights(&[1, 4, 8], train, |probe| values_of(probe.weights()).unwrap());
}

#[test]
fn samples_that_do_not_fit_or_are_not_finite_are_refused() {
    let mut samples = samples(10, 1);
    let options = RunOptions::new(Seed::new(1));
    let learn = |samples: &StateSamples| train(samples, 3, &options).map(drop);
    assert!(learn(&StateSamples::default()).unwrap_err().to_string().contains("latents of 3"));
    samples.states.pop();
    assert!(learn(&samples).unwrap_err().to_string().contains("states of 2"));
    samples.states.push(f32::NAN);
    assert!(matches!(learn(&samples), Err(Error::Diverged { .. })));
    let narrow = StateProbeConfig { step_scales: vec![0.1], ..config() };
    let training = StateProbeTrainingConfig { steps: 3, ..StateProbeTrainingConfig::default() };
    let error = train_state_probe(narrow, &self::samples(10, 1), &training, &options).unwrap_err();
    assert!(error.to_string().contains("state_probe.step_scales"), "{error}");
}
