//! The last layer of a predictor learns from a changed world, and only where it helps.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use mindseye_interface::Seed;
use mindseye_world_model::encoder::{EncoderConfig, PatchConfig};
use mindseye_world_model::predictor::PredictorConfig;
use mindseye_world_model::{
    Actuation, AdaptationConfig, Adapter, Error, Experience, Jepa, ModelConfig, Precision, RolloutEngine,
};
use rand::Rng;

const WIDTH: usize = 6;

fn model() -> Jepa {
    let config = ModelConfig {
        image_side: 16,
        cameras: 1,
        proprioception_width: 0,
        action_width: 2,
        action_block: 2,
        latent_width: WIDTH,
        whitening: false,
        encoder: EncoderConfig::Patch(PatchConfig { patch: 8, channels: 4, blocks: 0, bottleneck: 2, hidden: 8 }),
        predictor: PredictorConfig { hidden: 32, layers: 1, gated: true },
    };
    Jepa::initialise(config, Seed::new(5)).unwrap()
}

fn adapter(model: &Jepa) -> Adapter {
    Adapter::new(model.predictor(), WIDTH, 4).unwrap()
}

/// Moments in a world in which what the model predicts comes, plus `miss` of the state and the action.
fn lived(model: &Jepa, count: usize, seed: u64, miss: impl Fn(&[f32], &[f32]) -> Vec<f32>) -> Experience {
    let engine = RolloutEngine::with_precision(model, Precision::F32).unwrap();
    let mut rng = Seed::new(seed).rng();
    let mut experience = Experience::default();
    for _ in 0..count {
        let state: Vec<f32> = (0..WIDTH).map(|_| rng.random_range(-1.0..1.0)).collect();
        let block: Vec<f32> = (0..4).map(|_| rng.random_range(-1.0..1.0)).collect();
        let predicted = engine.rollout(&state, &block, 1, 1).unwrap();
        experience.next.extend(predicted.iter().zip(miss(&state, &block)).map(|(value, miss)| value + miss));
        experience.states.extend(state);
        experience.blocks.extend(block);
    }
    experience
}

fn drift(_: &[f32], block: &[f32]) -> Vec<f32> {
    (0..WIDTH).map(|index| 0.2 + 0.1 * index as f32 * block[index % 4]).collect()
}

/// Mean square error of predictions with `layer`.
fn error(model: &Jepa, layer: &mindseye_world_model::adaptation::LastLayer, experience: &Experience) -> f32 {
    let engine = RolloutEngine::with_precision(model, Precision::F32).unwrap().with_last_layer(layer).unwrap();
    let moments = experience.states.chunks(WIDTH).zip(experience.blocks.chunks(4)).zip(experience.next.chunks(WIDTH));
    let squares = moments.map(|((state, block), next)| {
        let predicted = engine.rollout(state, block, 1, 1).unwrap();
        predicted.iter().zip(next).map(|(a, b)| (a - b) * (a - b)).sum::<f32>()
    });
    squares.sum::<f32>() / experience.next.len() as f32
}

#[test]
fn a_world_that_drifts_is_learnt_from_a_few_moments() {
    let model = model();
    let (adapter, config) =
        (adapter(&model), AdaptationConfig { ridge: 0.01, largest_step: 100.0, ..AdaptationConfig::default() });
    let (layer, found) = adapter.adapt(&lived(&model, 120, 1, drift), &config).unwrap();
    assert!(found.adopted && found.after < 0.5 * found.before, "{found:?}");
    let unseen = lived(&model, 200, 2, drift);
    let (before, after) = (error(&model, &adapter.trained(), &unseen), error(&model, &layer, &unseen));
    assert!(after < 0.5 * before, "on moments it has not seen: {before} before, {after} after");
    assert!(
        (found.before - before).abs() < 0.3 * before,
        "what it says of the trained weights is true: {found:?} {before}"
    );
}

#[test]
fn what_cannot_be_foreseen_is_not_learnt() {
    let model = model();
    let noise = std::cell::RefCell::new(Seed::new(9).rng());
    let chance = |_: &[f32], _: &[f32]| (0..WIDTH).map(|_| noise.borrow_mut().random_range(-0.5..0.5)).collect();
    let adapter = adapter(&model);
    let (layer, found) = adapter.adapt(&lived(&model, 12, 3, chance), &AdaptationConfig::default()).unwrap();
    assert!(!found.adopted && found.after > 0.9 * found.before, "{found:?}");
    assert_eq!(layer, adapter.trained());
}

/// What comes when a body does `done` of what it is told.
fn lived_by(model: &Jepa, done: &Actuation, count: usize, seed: u64) -> Experience {
    let mut experience = lived(model, count, seed, |_, _| vec![0.0; WIDTH]);
    let engine = RolloutEngine::with_precision(model, Precision::F32).unwrap();
    experience.next = engine.rollout(&experience.states, &done.done(&experience.blocks), 1, 1).unwrap();
    experience
}

#[test]
fn a_body_that_is_mounted_askew_is_found_out_from_a_few_moments() {
    let (model, config) = (model(), AdaptationConfig { ridge: 1e-3, ..AdaptationConfig::default() });
    let adapter = adapter(&model);
    let askew = Actuation::new(vec![0.6, -0.5, 0.5, 0.6], vec![0.1, -0.05]).unwrap();
    assert_eq!(askew.done(&[1.0, 0.0, 0.0, 1.0]), [0.6 + 0.1, 0.5 - 0.05, -0.5 + 0.1, 0.6 - 0.05]);
    let (found, said) = adapter.actuation(&lived_by(&model, &askew, 20, 1), 2, &config).unwrap();
    assert!(said.adopted && said.after < 0.05 * said.before, "{said:?}");
    let values = |actuation: &Actuation| [actuation.parts().0, actuation.parts().1].concat();
    for (found, true_value) in values(&found).iter().zip(values(&askew)) {
        assert!((found - true_value).abs() < 0.05, "{found} instead of {true_value}");
    }
    // Slopes go the way back.
    let (told, on_done) = ([0.3, -0.7], [0.2, 0.9]);
    let by = |told: [f32; 2]| askew.done(&told).iter().zip(on_done).map(|(done, slope)| done * slope).sum::<f32>();
    for (axis, slope) in askew.slopes_on_told(&on_done).into_iter().enumerate() {
        let mut moved = told;
        moved[axis] += 0.5;
        assert!(((by(moved) - by(told)) / 0.5 - slope).abs() < 1e-5);
    }
}

#[test]
fn a_body_that_does_what_it_is_told_is_left_alone_and_so_is_one_that_does_what_it_likes() {
    let (model, config) = (model(), AdaptationConfig::default());
    let adapter = adapter(&model);
    let exact = Actuation::exact(2);
    let (found, said) = adapter.actuation(&lived_by(&model, &exact, 20, 1), 2, &config).unwrap();
    assert!(!said.adopted && found == exact, "{said:?}");
    let noise = std::cell::RefCell::new(Seed::new(9).rng());
    let chance = |_: &[f32], _: &[f32]| (0..WIDTH).map(|_| noise.borrow_mut().random_range(-0.5..0.5)).collect();
    let (found, said) = adapter.actuation(&lived(&model, 40, 3, chance), 2, &config).unwrap();
    assert!(!said.adopted && found == exact, "{said:?}");
    let refused = adapter.actuation(&lived_by(&model, &exact, 3, 1), 3, &config).unwrap_err().to_string();
    assert!(refused.contains("divides 4") && Actuation::new(vec![1.0; 4], vec![0.0; 3]).is_err(), "{refused}");
}

#[test]
fn no_step_is_longer_than_allowed() {
    let model = model();
    let adapter = adapter(&model);
    let config = AdaptationConfig { largest_step: 0.01, ridge: 0.01, gain: 0.0, ..AdaptationConfig::default() };
    let (layer, found) = adapter.adapt(&lived(&model, 120, 1, drift), &config).unwrap();
    let trained = adapter.trained();
    let norm = |values: &[f32]| values.iter().map(|value| value * value).sum::<f32>().sqrt();
    let moved: Vec<f32> = layer.weight.iter().zip(&trained.weight).map(|(new, old)| new - old).collect();
    let allowed = 0.0101 * norm(&[trained.weight.as_slice(), &trained.bias].concat());
    assert!(norm(&moved) <= allowed && found.after > 0.9 * found.before, "{} of {allowed}: {found:?}", norm(&moved));
}

#[test]
fn experience_of_another_body_is_refused() {
    let model = model();
    let mut experience = lived(&model, 3, 1, drift);
    experience.blocks.pop();
    let refused = adapter(&model).adapt(&experience, &AdaptationConfig::default()).unwrap_err();
    assert!(matches!(refused, Error::Shape { .. }) && refused.to_string().contains("6 and 4 and 6"), "{refused}");
    assert!(adapter(&model).adapt(&Experience::default(), &AdaptationConfig::default()).is_err());
}
