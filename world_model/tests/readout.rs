//! A readout learns to name what a latent means.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use mindseye_interface::Seed;
use mindseye_world_model::readout::{Lessons, ReadoutConfig, train_readout};
use mindseye_world_model::{Error, Part, Readout, ReadoutEngine};
use rand::Rng;

fn config() -> ReadoutConfig {
    ReadoutConfig {
        latent_width: 3,
        state_names: vec!["x_m".into(), "turn_rad".into()],
        typical_steps: vec![0.1, 0.2],
        hidden: 32,
        layers: 1,
    }
}

/// A place that is a product of two numbers of the latent, and an angle that goes through its seam at π.
fn lessons(count: usize, seed: u64) -> Lessons {
    let mut rng = Seed::new(seed).rng();
    let mut lessons = Lessons::default();
    for _ in 0..count {
        let (a, angle) = (rng.random_range(-1.0..1.0f32), rng.random_range(2.0..4.0f32));
        lessons.latents.extend([a, angle.sin() + 1.0, angle.cos()]);
        lessons.states.extend([5.0 + 3.0 * a * angle.sin(), angle.sin().atan2(angle.cos())]);
    }
    lessons
}

#[test]
fn products_and_angles_across_the_seam_are_read_whatever_the_number_of_threads() {
    let (lessons, fresh) = (lessons(4000, 1), lessons(500, 2));
    let learn = |threads| train_readout(config(), &lessons, 600, Seed::new(1), threads, |_, _| true).unwrap().unwrap();
    let readout = learn(1);
    let engine = ReadoutEngine::new(&readout).unwrap();
    let errors = engine.judge(&fresh.latents, &fresh.states).unwrap();
    assert!(errors.r2.iter().all(|r2| *r2 > 0.99), "{errors:?}");
    assert!(errors.median[0] < 0.05 && errors.median[1] < 0.03, "{errors:?}");
    let read = engine.read(&fresh.latents).unwrap();
    assert!(read.iter().skip(1).step_by(2).any(|angle| *angle > 3.0) && read.iter().any(|angle| *angle < -2.5));
    let again = ReadoutEngine::new(&learn(2)).unwrap();
    assert_eq!(again.read(&fresh.latents).unwrap(), read, "equal bits");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("readout.safetensors");
    readout.save(&path).unwrap();
    let loaded = Readout::load(&path).unwrap();
    assert_eq!(loaded.config(), readout.config());
    assert_eq!(ReadoutEngine::new(&loaded).unwrap().read(&fresh.latents).unwrap(), read);
}

#[test]
fn lessons_that_do_not_fit_and_lessons_that_make_no_sense_are_refused() {
    let mut lessons = lessons(10, 1);
    let learn = |lessons: &Lessons| train_readout(config(), lessons, 3, Seed::new(1), 1, |_, _| true).map(drop);
    assert!(learn(&Lessons::default()).unwrap_err().to_string().contains("latents of 3"));
    lessons.states.pop();
    assert!(learn(&lessons).unwrap_err().to_string().contains("states of 2"));
    lessons.states.push(f32::NAN);
    assert!(matches!(learn(&lessons), Err(Error::Diverged { .. })));
    let narrow = ReadoutConfig { typical_steps: vec![0.1], ..config() };
    let error = train_readout(narrow, &self::lessons(10, 1), 3, Seed::new(1), 1, |_, _| true).unwrap_err();
    assert!(error.to_string().contains("readout.typical_steps"), "{error}");
    let stopped = train_readout(config(), &self::lessons(10, 1), 5, Seed::new(1), 1, |step, _| step < 3).unwrap();
    assert!(stopped.is_none());
}
