//! Several cameras and proprioception: each shows what the others cannot.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use crate::support::{KEYPOINT, PATCH, SIDE, image_of, origin, recipe, run};
use mindseye_episodes::{EpisodeData, FrameCache};
use mindseye_interface::{Image, ImageSize, Seed};
use mindseye_world_model::training::{TrainingConfig, TrainingData};
use mindseye_world_model::{Checkpoint, Error, Jepa};
use rand::Rng;

/// The square seen from the front (columns only) and from the side (rows only), on top of each other.
fn both_views(place: [f32; 2]) -> Image {
    let views = [image_of([place[0], 6.0]), image_of([6.0, place[1]])];
    let pixels = views.iter().flat_map(|view| view.pixels().to_vec()).collect();
    Image::new(ImageSize::new(2 * SIDE, SIDE).unwrap(), pixels).unwrap()
}

/// Something is pushed across, up, and towards the camera. Only proprioception tells how far away it is, in other
/// units, beside a value that never changes.
fn episode(seed: Seed) -> EpisodeData {
    let mut rng = seed.rng();
    let mut place = [rng.random_range(0.0..12.0f32), rng.random_range(0.0..12.0f32), rng.random_range(0.0..12.0f32)];
    let mut episode = EpisodeData::default();
    let mut action = [0.0f32; 2];
    for step in 0..30 {
        if step % 4 == 0 {
            action = [rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0)];
        }
        episode.frames.push(both_views([place[0], place[1]]));
        episode.states.push(place.to_vec());
        episode.proprioception.push(vec![1000.0 + 300.0 * place[2], 7.0]);
        episode.actions.push(action.to_vec());
        let pushes = [action[0], action[1], action[0] - action[1]];
        place.iter_mut().zip(pushes).for_each(|(place, push)| *place = (*place + push).clamp(0.0, 12.0));
    }
    episode
}

fn data(config: &TrainingConfig) -> TrainingData {
    let mut cache = FrameCache::new(ImageSize::new(2 * SIDE, SIDE).unwrap(), 2, 3, 2);
    (0..40).for_each(|index| cache.push(&episode(Seed::new(index))).unwrap());
    TrainingData::new(cache, config).unwrap()
}

fn with_sensors(steps: usize, encoder: &str, whitening: bool) -> TrainingConfig {
    let mut config = recipe(steps, encoder, whitening, "sigreg = 0.02");
    (config.model.cameras, config.model.proprioception_width) = (2, 2);
    config
}

#[test]
fn a_model_learns_from_every_sensor() {
    for (encoder, whitening) in [(PATCH, false), (KEYPOINT, true)] {
        let config = with_sensors(300, encoder, whitening);
        let folder = tempfile::tempdir().unwrap();
        let data = data(&config);
        let (model, report) = run(&config, &data, folder.path(), false, None).unwrap();
        let validation = report.validation.clone().unwrap();
        assert!(validation.probe_r2.iter().all(|&r2| r2 > 0.8), "{validation:?}");
        for rollout in &validation.rollout {
            assert!(rollout.error < 0.6 * rollout.copy_last, "{validation:?}");
        }
        let mut origin = origin();
        origin.state_names.push("z_px".into());
        let saved = Checkpoint::of_run(model, report, config, &data, origin).unwrap();
        saved.save(folder.path()).unwrap();
        let loaded = Checkpoint::load(folder.path()).unwrap();
        let latent = |checkpoint: &Checkpoint, place, distance| {
            checkpoint.model.encode_timestep(&both_views(place), &[distance, 7.0]).unwrap()
        };
        let here = latent(&saved, [3.0, 4.0], 2000.0);
        assert_eq!(here, latent(&loaded, [3.0, 4.0], 2000.0), "the constants of proprioception are saved, too");
        for (place, distance) in [([9.0, 4.0], 2000.0), ([3.0, 9.0], 2000.0), ([3.0, 4.0], 3500.0)] {
            assert_ne!(here, latent(&saved, place, distance));
        }
    }
}

#[test]
fn a_missing_sensor_is_named() {
    let model = Jepa::initialise(with_sensors(1, PATCH, false).model, Seed::new(0)).unwrap();
    let error = model.encode_image(&both_views([1.0, 2.0])).unwrap_err().to_string();
    assert!(error.contains("2 numbers of proprioception"), "{error}");
    let error = model.encode_timestep(&image_of([1.0, 2.0]), &[0.0; 2]).unwrap_err().to_string();
    assert!(error.contains("32x16"), "{error}");
    let config = recipe(1, PATCH, false, "");
    let folder = tempfile::tempdir().unwrap();
    let (one, with_proprioception) =
        (crate::support::data(&config, 5), TrainingConfig { model: with_sensors(1, PATCH, false).model, ..config });
    let error = run(&with_proprioception, &one, folder.path(), false, None).unwrap_err();
    assert!(matches!(error, Error::Data { field: "proprioception width", .. }), "{error}");
    let mut one_camera = with_sensors(1, PATCH, false);
    one_camera.model.cameras = 1;
    let cache = FrameCache::new(ImageSize::new(2 * SIDE, SIDE).unwrap(), 2, 3, 2);
    assert!(TrainingData::new(cache, &one_camera).is_err(), "one camera is expected, two are there");
}

#[test]
fn a_model_without_proprioception_ignores_it() {
    let model = Jepa::initialise(recipe(1, PATCH, false, "").model, Seed::new(0)).unwrap();
    let seen = image_of([1.0, 2.0]);
    assert_eq!(model.encode_timestep(&seen, &[1.0, 2.0]).unwrap(), model.encode_image(&seen).unwrap());
}
