//! Actions that are not applied as commanded are found out from a few transitions, and only where that helps.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::cell::RefCell;
use std::sync::Arc;

use mindseye_interface::Seed;
use mindseye_world_model::CorrectedDynamics;
use mindseye_world_model::testing::TokenModel;
use mindseye_world_model::{
    AdaptationConfig, AffineActionMap, Context, EncoderConfig, Error, InferenceOptions, Jepa, Latent, Model,
    ModelConfig, OnlineCorrection, PatchConfig, Plans, Precision, PredictorConfig, RolloutEngine, Transitions,
};
use rand::Rng;

const WIDTH: usize = 6;

fn model() -> Jepa {
    let config = ModelConfig {
        image_side: 16,
        cameras: 1,
        proprioception_width: 0,
        action_width: 2,
        action_chunk: 2,
        latent_width: WIDTH,
        whitening: false,
        encoder: EncoderConfig::Patch(PatchConfig { patch: 8, channels: 4, blocks: 0, bottleneck: 2, hidden: 8 }),
        predictor: PredictorConfig { hidden: 32, layers: 1, gated: true },
    };
    Jepa::initialise(config, Seed::new(5)).unwrap()
}

fn correction(model: &Jepa) -> OnlineCorrection {
    OnlineCorrection::new(model.predictor(), WIDTH, 4).unwrap()
}

/// Random states and chunks, and what the model predicts when `map` is applied to the chunks, plus `noise`.
fn transitions(model: &Jepa, map: &AffineActionMap, count: usize, seed: u64, noise: impl Fn() -> f32) -> Transitions {
    let engine = RolloutEngine::with_precision(model, Precision::F32).unwrap();
    let mut rng = Seed::new(seed).rng();
    let mut transitions = Transitions::default();
    for _ in 0..count {
        let state: Vec<f32> = (0..WIDTH).map(|_| rng.random_range(-1.0..1.0)).collect();
        let chunk: Vec<f32> = (0..4).map(|_| rng.random_range(-1.0..1.0)).collect();
        let predicted = engine.rollout(&state, &map.applied(&chunk), 1, 1).unwrap();
        let next: Vec<f32> = predicted.iter().map(|value| value + noise()).collect();
        transitions.push(&state, &chunk, &next);
    }
    transitions
}

/// A motor that is mounted askew and weaker than in training.
fn askew() -> AffineActionMap {
    AffineActionMap::new(vec![0.6, -0.5, 0.5, 0.6], vec![0.1, -0.05]).unwrap()
}

fn values(map: &AffineActionMap) -> Vec<f32> {
    [map.parts().0, map.parts().1].concat()
}

#[test]
fn a_rotated_motor_is_identified_from_a_few_transitions() {
    let (model, config) = (model(), AdaptationConfig { ridge: 1e-3, ..AdaptationConfig::default() });
    assert_eq!(askew().applied(&[1.0, 0.0, 0.0, 1.0]), [0.6 + 0.1, 0.5 - 0.05, -0.5 + 0.1, 0.6 - 0.05]);
    let recorded = transitions(&model, &askew(), 20, 1, || 0.0);
    let (found, report) = correction(&model).affine_action_map(&recorded, 2, &config).unwrap();
    assert!(report.adopted && report.after < 0.05 * report.before, "{report:?}");
    for (found, expected) in values(&found).iter().zip(values(&askew())) {
        assert!((found - expected).abs() < 0.05, "{found} instead of {expected}");
    }
}

#[test]
fn gradients_go_back_from_applied_to_commanded_actions() {
    let (commanded, on_applied) = ([0.3, -0.7], [0.2, 0.9]);
    let energy = |commanded: [f32; 2]| -> f32 {
        askew().applied(&commanded).iter().zip(on_applied).map(|(value, gradient)| value * gradient).sum()
    };
    for (axis, gradient) in askew().gradients_on_commanded(&on_applied).into_iter().enumerate() {
        let mut moved = commanded;
        moved[axis] += 0.5;
        assert!(((energy(moved) - energy(commanded)) / 0.5 - gradient).abs() < 1e-5);
    }
}

#[test]
fn without_a_useful_correction_the_action_map_is_the_identity() {
    let (model, config) = (model(), AdaptationConfig::default());
    let exact = AffineActionMap::exact(2);
    let faithful = transitions(&model, &exact, 20, 1, || 0.0);
    let (found, report) = correction(&model).affine_action_map(&faithful, 2, &config).unwrap();
    assert!(!report.adopted && found == exact, "{report:?}");
    let rng = RefCell::new(Seed::new(9).rng());
    let noisy = transitions(&model, &exact, 40, 3, || rng.borrow_mut().random_range(-0.5..0.5));
    let (found, report) = correction(&model).affine_action_map(&noisy, 2, &config).unwrap();
    assert!(!report.adopted && found == exact, "{report:?}");
}

#[test]
fn transitions_of_other_shapes_are_refused() {
    let (model, config) = (model(), AdaptationConfig::default());
    let mut recorded = transitions(&model, &AffineActionMap::exact(2), 3, 1, || 0.0);
    let refused = correction(&model).affine_action_map(&recorded, 3, &config).unwrap_err().to_string();
    assert!(refused.contains("divides 4"), "{refused}");
    recorded.chunks.pop();
    let refused = correction(&model).affine_action_map(&recorded, 2, &config).unwrap_err();
    assert!(matches!(refused, Error::Shape { .. }) && refused.to_string().contains("6 and 4 and 6"), "{refused}");
    assert!(correction(&model).affine_action_map(&Transitions::default(), 2, &config).is_err());
    assert!(AffineActionMap::new(vec![1.0; 4], vec![0.0; 3]).is_err());
}

#[test]
fn a_model_with_many_tokens_adapts_too_and_plans_of_commanded_actions_are_predicted_right() {
    let model = TokenModel::default();
    let spec = model.spec().clone();
    let dynamics: Arc<dyn mindseye_world_model::Dynamics> =
        Arc::from(model.dynamics(&InferenceOptions::default()).unwrap());
    let body = CorrectedDynamics::new(dynamics.clone(), askew());
    let mut rng = Seed::new(2).rng();
    let mut random = |count: usize| -> Vec<f32> { (0..count).map(|_| rng.random_range(-1.0..1.0)).collect() };
    let mut recorded = Transitions::default();
    for _ in 0..12 {
        let state = Latent::new(spec.latent.tokens, spec.latent.width, random(spec.latent.values())).unwrap();
        let plan = Plans::new(1, 1, 4, random(4)).unwrap();
        let next = mindseye_world_model::Dynamics::rollout(&body, &Context::of(&state), &plan).unwrap();
        recorded.push(state.values(), plan.values(), next.values());
    }
    let correction = OnlineCorrection::of_dynamics(dynamics, spec.latent, spec.chunk_width());
    let config = AdaptationConfig { ridge: 1e-4, ..AdaptationConfig::default() };
    let (found, report) = correction.affine_action_map(&recorded, 2, &config).unwrap();
    assert!(report.adopted && report.after < 0.01 * report.before, "{report:?}");
    for (found, expected) in values(&found).iter().zip(values(&askew())) {
        assert!((found - expected).abs() < 0.05, "{found} instead of {expected}");
    }
}
