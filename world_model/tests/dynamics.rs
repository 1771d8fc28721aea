//! Models behind the seam: what they encode, predict and differentiate.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{PATCH, SIDE, image_of, recipe};
use mindseye_interface::{Frame, Image, ImageSize, Observation, Seed};
use mindseye_world_model::CorrectedDynamics;
use mindseye_world_model::families::jepa::JepaDynamics;
use mindseye_world_model::heads::ensemble::{Ensemble, EnsembleConfig, EnsembleDynamics};
use mindseye_world_model::heads::stochastic::{Draws, StochasticConfig, StochasticDynamics, StochasticEngine};
use mindseye_world_model::testing::TokenModel;
use mindseye_world_model::{
    AffineActionMap, Cancel, Context, Dynamics, Error, InferenceOptions, Jepa, Latent, LatentShape, Model,
    PlanGradient, Plans, Precision, Result, RolloutEngine, SampleSource, StochasticPredictor,
};
use rand::Rng;

const WIDTH: usize = 8;
const CHUNK: usize = 4;

fn random(count: usize, seed: u64) -> Vec<f32> {
    let mut rng = Seed::new(seed).rng();
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn model() -> Jepa {
    let mut config = recipe(1, PATCH, false, "").model;
    config.predictor.gated = true;
    Jepa::initialise(config, Seed::new(3)).unwrap()
}

fn plans(count: usize, horizon: usize) -> Plans {
    Plans::new(count, horizon, CHUNK, random(count * horizon * CHUNK, 1)).unwrap()
}

fn start() -> Latent {
    Latent::global(random(WIDTH, 0))
}

#[test]
fn a_jepas_dynamics_have_the_bits_of_its_engines() -> Result<()> {
    let (model, start, plans) = (model(), start(), plans(70, 3));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    let weights = random(70 * 3 * WIDTH, 2);
    let upstream = |states: &[f32]| -> Vec<f32> { states.iter().zip(&weights).map(|(z, w)| 2.0 * w * z).collect() };
    let expected = RolloutEngine::new(&model)?.rollout(start.values(), plans.values(), 3, 1)?;
    let gradients =
        PlanGradient::new(&model)?
            .of(start.values(), plans.values(), 3, 1, |states| -> Result<Vec<f32>> { Ok(upstream(&states)) })?;
    for threads in [1, 3] {
        let dynamics = model.dynamics(&InferenceOptions { threads, ..InferenceOptions::default() })?;
        pool.install(|| -> Result<()> {
            let rollouts = dynamics.rollout(&Context::of(&start), &plans)?;
            assert_eq!((rollouts.shape(), rollouts.values()), ([70, 1, 3, 1, WIDTH], expected.as_slice()));
            let (rollouts, recording) = dynamics.rollout_recorded(&Context::of(&start), &plans)?;
            assert_eq!(dynamics.vjp(recording, &upstream(rollouts.values()), Cancel::never())?, gradients);
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn one_plan_from_each_context_is_what_each_alone_gives() -> Result<()> {
    let plans = plans(5, 2);
    let starts: Vec<Latent> = (0..5).map(|index| Latent::global(random(WIDTH, 10 + index))).collect();
    let contexts: Vec<Context<'_>> = starts.iter().map(Context::of).collect();
    let dynamics = model().dynamics(&InferenceOptions::default())?;
    let together = dynamics.rollout_each(&contexts, &plans)?;
    for (index, context) in contexts.iter().enumerate() {
        let alone = dynamics.rollout(context, &Plans::from(&plans.plan(index)))?;
        assert_eq!(alone.values(), &together.values()[index * 2 * WIDTH..(index + 1) * 2 * WIDTH]);
    }
    assert!(dynamics.rollout_each(&contexts[1..], &plans).is_err());
    Ok(())
}

#[test]
fn all_dynamics_end_a_rollout_that_is_cancelled_between_its_chunks() -> Result<()> {
    let (model, start, plans) = (model(), start(), plans(3, 6));
    let options = InferenceOptions::default();
    let config = StochasticConfig::for_model(model.config(), 4);
    let stochastic = StochasticPredictor::beginning_at(&model, config, Seed::new(4))?;
    let all: [(&str, Box<dyn Dynamics>); 4] = [
        ("jepa", model.dynamics(&options)?),
        ("stochastic", Box::new(StochasticDynamics::new(&stochastic, 2, &options)?)),
        ("ensemble", Box::new(EnsembleDynamics::new(vec![model.dynamics(&options)?, model.dynamics(&options)?])?)),
        ("corrected", Box::new(CorrectedDynamics::new(model.dynamics(&options)?.into(), AffineActionMap::exact(2)))),
    ];
    for (name, dynamics) in &all {
        let asked = AtomicUsize::new(0);
        let rollouts_if = |is_over: &(dyn Fn() -> bool + Sync), recorded: bool| {
            asked.store(0, Ordering::Relaxed);
            let context = Context { cancel: Cancel::when(is_over), ..Context::of(&start) };
            if recorded {
                dynamics.rollout_recorded(&context, &plans).map(|(rollouts, _)| rollouts)
            } else {
                dynamics.rollout(&context, &plans)
            }
        };
        for recorded in [false, true] {
            let never = || asked.fetch_add(1, Ordering::Relaxed) == usize::MAX;
            let whole = rollouts_if(&never, recorded)?;
            let times = asked.load(Ordering::Relaxed);
            assert!(times >= 6, "{name} asks between all chunks");
            for after in 0..times {
                let is_over = || asked.fetch_add(1, Ordering::Relaxed) == after;
                assert!(matches!(rollouts_if(&is_over, recorded), Err(Error::Cancelled)), "{name}");
                assert_eq!(asked.load(Ordering::Relaxed), after + 1, "{name} goes on when it is cancelled");
            }
            assert_eq!(rollouts_if(&never, recorded)?, whole, "{name}: a cancelled rollout leaves nothing behind");
        }
        let (rollouts, recording) = dynamics.rollout_recorded(&Context::of(&start), &plans)?;
        asked.store(0, Ordering::Relaxed);
        let is_over = || asked.fetch_add(1, Ordering::Relaxed) == 2;
        let back = dynamics.vjp(recording, rollouts.values(), Cancel::when(&is_over));
        assert!(matches!(back, Err(Error::Cancelled)), "{name}, on the way back");
    }
    Ok(())
}

#[test]
fn contexts_plans_and_gradients_of_other_shapes_are_refused() -> Result<()> {
    let (start, plans) = (start(), plans(3, 2));
    let dynamics = model().dynamics(&InferenceOptions::default())?;
    let refused = |context: &Context<'_>, plans: &Plans| dynamics.rollout(context, plans).unwrap_err().to_string();
    let wide = Latent::global(vec![0.0; WIDTH + 1]);
    assert!(refused(&Context::of(&wide), &plans).contains("1x8"));
    let none = Context::after(&[], &[]);
    assert!(refused(&none, &plans).contains("no state"));
    let two = [start.clone(), start.clone()];
    let without_actions = Context::after(&two, &[]);
    assert!(refused(&without_actions, &plans).contains("0 values of chunks"));
    assert!(dynamics.rollout(&Context { actions: &[0.0; CHUNK], ..without_actions }, &plans).is_ok());
    let narrow = Plans::new(1, 1, 3, vec![0.0; 3])?;
    assert!(refused(&Context::of(&start), &narrow).contains("3 values"));
    let (_, recording) = dynamics.rollout_recorded(&Context::of(&start), &plans)?;
    assert!(dynamics.vjp(recording, &[0.0; 7], Cancel::never()).unwrap_err().to_string().contains("7 gradients"));
    let (_, recording) = dynamics.rollout_recorded(&Context::of(&start), &plans)?;
    let other = TokenModel::default().dynamics(&InferenceOptions::default())?.vjp(recording, &[], Cancel::never());
    assert!(matches!(other, Err(Error::NotDifferentiable { .. })));
    let heads = InferenceOptions { samples: SampleSource::Ensemble, ..InferenceOptions::default() };
    assert!(model().dynamics(&heads).is_err());
    Ok(())
}

/// Gradients of a weighted sum of squares of all states against central differences.
fn has_gradients_of_finite_differences(dynamics: &dyn Dynamics, start: &Latent, plans: &Plans) -> Result<()> {
    let context = Context::of(start);
    let (rollouts, recording) = dynamics.rollout_recorded(&context, plans)?;
    let weights = random(rollouts.values().len(), 5);
    let upstream: Vec<f32> = rollouts.values().iter().zip(&weights).map(|(z, weight)| 2.0 * weight * z).collect();
    let gradients = dynamics.vjp(recording, &upstream, Cancel::never())?;
    let steepest = gradients.iter().fold(0.0f32, |most, gradient| most.max(gradient.abs()));
    for index in (0..plans.values().len()).step_by(5) {
        let energy = |by: f32| -> Result<f64> {
            let mut values = plans.values().to_vec();
            values[index] += by;
            let moved = Plans::new(plans.count(), plans.horizon(), plans.chunk_width(), values)?;
            let rollouts = dynamics.rollout(&context, &moved)?;
            Ok(rollouts.values().iter().zip(&weights).map(|(z, weight)| f64::from(weight * z * z)).sum())
        };
        let numeric = ((energy(1e-2)? - energy(-1e-2)?) / 2e-2) as f32;
        assert!((gradients[index] - numeric).abs() < 1e-2 * steepest, "{index}: {} {numeric}", gradients[index]);
    }
    Ok(())
}

#[test]
fn an_ensemble_has_its_members_samples_and_their_gradients() -> Result<()> {
    let (model, start, plans) = (model(), start(), plans(6, 3));
    let config = EnsembleConfig::for_model(model.config(), 2);
    let ensemble = Ensemble::initialise(config, Seed::new(8))?;
    let options = InferenceOptions::default();
    let members = || -> Result<Vec<Box<dyn Dynamics>>> {
        let mut members = vec![model.dynamics(&options)?];
        for member in ensemble.members() {
            members.push(Box::new(JepaDynamics::of_predictor(member, WIDTH, CHUNK, &options)?));
        }
        Ok(members)
    };
    let together = EnsembleDynamics::new(members()?)?;
    let rollouts = together.rollout(&Context::of(&start), &plans)?;
    assert_eq!(rollouts.shape(), [6, 3, 3, 1, WIDTH]);
    let (recorded, recording) = together.rollout_recorded(&Context::of(&start), &plans)?;
    assert_eq!(recorded, rollouts);
    let upstream = random(rollouts.values().len(), 4);
    let mut expected = vec![0.0; plans.values().len()];
    for (sample, member) in members()?.iter().enumerate() {
        let (own, recording) = member.rollout_recorded(&Context::of(&start), &plans)?;
        let of_plan = |plan: usize| upstream[(plan * 3 + sample) * 24..][..24].to_vec();
        let own_upstream: Vec<f32> = (0..6).flat_map(of_plan).collect();
        for plan in 0..6 {
            assert_eq!(own.state(plan, 0, 2), rollouts.state(plan, sample, 2));
        }
        let through = member.vjp(recording, &own_upstream, Cancel::never())?;
        expected.iter_mut().zip(through).for_each(|(sum, gradient)| *sum += gradient);
    }
    assert_eq!(together.vjp(recording, &upstream, Cancel::never())?, expected);
    assert!(EnsembleDynamics::new(Vec::new()).is_err());
    Ok(())
}

#[test]
fn samples_of_a_stochastic_predictor_are_its_engines_and_keep_their_codes_for_gradients() -> Result<()> {
    let (model, start, plans) = (model(), start(), plans(4, 2));
    let config = StochasticConfig::for_model(model.config(), 3);
    let predictor = StochasticPredictor::beginning_at(&model, config, Seed::new(2))?;
    let dynamics = StochasticDynamics::new(&predictor, 5, &InferenceOptions::default())?;
    let rollouts = dynamics.rollout(&Context::of(&start), &plans)?;
    let draws = Draws::new(5, Seed::new(0).child("futures"));
    let engine = StochasticEngine::new(&predictor, Precision::F32)?;
    let expected = engine.rollout(start.values(), plans.values(), 2, &draws, 1)?;
    assert_eq!((rollouts.shape(), rollouts.values()), ([4, 5, 2, 1, WIDTH], expected.latents.as_slice()));
    let (recorded, recording) = dynamics.rollout_recorded(&Context::of(&start), &plans)?;
    assert!(recorded.values().iter().zip(rollouts.values()).all(|(a, b)| (a - b).abs() < 1e-5));
    assert_eq!(
        dynamics.vjp(recording, &vec![1.0; rollouts.values().len()], Cancel::never())?.len(),
        plans.values().len()
    );
    // A small step changes no code here, so the gradients are those of finite differences.
    has_gradients_of_finite_differences(&dynamics, &start, &plans)
}

#[test]
fn corrected_dynamics_have_gradients_on_commanded_actions() -> Result<()> {
    let map = AffineActionMap::new(vec![0.6, -0.5, 0.5, 0.6], vec![0.1, -0.05])?;
    let dynamics = CorrectedDynamics::new(Arc::from(model().dynamics(&InferenceOptions::default())?), map);
    has_gradients_of_finite_differences(&dynamics, &start(), &plans(3, 3))
}

#[test]
fn a_model_of_four_tokens_predicts_and_differentiates() -> Result<()> {
    let model = TokenModel::default();
    let shape = model.spec().latent;
    assert_eq!(shape, LatentShape { tokens: 4, width: 3 });
    let dynamics = model.dynamics(&InferenceOptions::default())?;
    let start = Latent::new(4, 3, random(12, 0))?;
    let rollouts = dynamics.rollout(&Context::of(&start), &plans(6, 3))?;
    assert_eq!(rollouts.shape(), [6, 1, 3, 4, 3]);
    has_gradients_of_finite_differences(&*dynamics, &start, &plans(6, 3))
}

fn frame(camera: &str, image: Image) -> Frame {
    Frame::new(&Arc::from(camera), image, 0.0)
}

#[test]
fn frames_are_taken_by_the_names_of_cameras_or_by_position() -> Result<()> {
    let mut config = recipe(1, PATCH, false, "").model;
    (config.cameras, config.proprioception_width) = (2, 1);
    let model = Jepa::initialise(config, Seed::new(1))?;
    let (front, side) = (image_of([1.0, 2.0]), image_of([8.0, 5.0]));
    let observation = |frames: Vec<Frame>| Observation { frames, proprioception: vec![0.5], ..Observation::default() };
    let tall = [front.pixels(), side.pixels()].concat();
    let tall = Image::new(ImageSize::new(2 * SIDE, SIDE).unwrap(), tall).unwrap();
    let expected = Latent::global(model.encode_timestep(&tall, &[0.5])?);
    let encode = |model: &Jepa, frames: Vec<Frame>| Model::encode(model, &[observation(frames)]);
    let (front, side) = (frame("front", front), frame("side", side));
    assert_eq!(encode(&model, vec![front.clone(), side.clone()])?, std::slice::from_ref(&expected));
    let exchanged = encode(&model, vec![side.clone(), front.clone()])?;
    assert_ne!(exchanged, std::slice::from_ref(&expected), "by position");
    let named = model.with_camera_names(&["front".into(), "side".into()])?;
    assert_eq!(encode(&named, vec![side.clone(), front.clone()])?, [expected], "by name");
    let missing = encode(&named, vec![front.clone()]).unwrap_err().to_string();
    assert!(missing.contains("camera side") && missing.contains("no frame"), "{missing}");
    let large = frame("side", Image::filled(ImageSize::square(SIDE + 1).unwrap(), [0; 3]));
    let large = encode(&named, vec![front, large]).unwrap_err().to_string();
    assert!(large.contains("16x16 pixels of camera side") && large.contains("17x17"), "{large}");
    assert!(named.with_camera_names(&["front".into()]).is_err());
    Ok(())
}
