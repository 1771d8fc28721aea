//! Gradients of energies on plans, through world models and costs.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use crate::support::{PointMass, Predicted, choice_of, cost, directive};
use mindseye_agent::actor::{Icem, IcemConfig, Imagination};
use mindseye_agent::cost::{ActionLimits, CostModule, Effort, GoalDistance, Reduction, Saturating};
use mindseye_agent::world_model::{Cancel, Context, Dynamics, Recording};
use mindseye_agent::{Directive, Latent, Plans, Rollouts};
use mindseye_world_model::heads::ensemble::EnsembleDynamics;

#[test]
fn gradients_of_energies_are_those_of_small_differences() {
    let start = Latent::global(vec![0.1, 0.2]);
    let wave = |index: usize| ((index * 7919 + 13) % 101) as f32 / 40.0 - 1.25;
    let values: Vec<f32> = (0..3 * 4 * 10).map(wave).collect();
    let metric = || GoalDistance::new(vec![2.0, 1.0, 0.5, 3.0]).unwrap();
    let modules = [
        CostModule::new(vec![Box::new(metric()), Box::new(Effort), Box::new(ActionLimits)]),
        CostModule::new(vec![Box::new(Saturating::new(metric(), 0.5)), Box::new(Effort), Box::new(ActionLimits)]),
    ];
    let reductions = [
        Reduction::Last,
        Reduction::Mean,
        Reduction::MeanPlusLast { weight: 3.0 },
        Reduction::MinOverHorizon { step_cost: 0.01 },
    ];
    for (cost, reduction) in modules.iter().flat_map(|cost| reductions.map(|reduction| (cost, reduction))) {
        let weights =
            [("goal_distance", 1.0), ("effort", 0.3), ("action_limits", 0.7)].map(|(name, w)| (name.to_owned(), w));
        let directive = Directive { weights: weights.to_vec(), reduction, ..directive([0.4, -0.3], 4) };
        let imagination = Imagination::new(&PointMass, cost, &start, &directive);
        let energies = |values: Vec<f32>| imagination.energies(&Plans::new(3, 4, 10, values).unwrap()).unwrap();
        let plans = Plans::new(3, 4, 10, values.clone()).unwrap();
        let (scored, gradients) = imagination.energies_and_gradients(&plans).unwrap();
        assert_eq!(scored, energies(values.clone()));
        let steepest = gradients.iter().fold(0.0f32, |most, gradient| most.max(gradient.abs()));
        for index in 0..values.len() {
            let moved = |by: f32| {
                let mut values = values.clone();
                values[index] += by;
                energies(values).iter().map(|&energy| f64::from(energy)).sum::<f64>()
            };
            let numeric = ((moved(4e-3) - moved(-4e-3)) / 8e-3) as f32;
            let error = (gradients[index] - numeric).abs() / steepest;
            assert!(error < 1e-2, "{reduction:?}, value {index}: {} against {numeric}", gradients[index]);
        }
    }
}

/// A point mass on which actions act this many times as strongly.
#[derive(Debug)]
struct Scaled(f32);

impl Scaled {
    fn scaled(&self, plans: &Plans) -> Plans {
        let values = plans.values().iter().map(|value| value * self.0).collect();
        Plans::new(plans.count(), plans.horizon(), plans.chunk_width(), values).unwrap()
    }
}

impl Dynamics for Scaled {
    fn rollout(&self, context: &Context<'_>, plans: &Plans) -> Predicted<Rollouts> {
        PointMass.rollout(context, &self.scaled(plans))
    }

    fn rollout_recorded(&self, context: &Context<'_>, plans: &Plans) -> Predicted<(Rollouts, Recording)> {
        PointMass.rollout_recorded(context, &self.scaled(plans))
    }

    fn vjp(&self, recording: Recording, upstream: &[f32], cancel: Cancel<'_>) -> Predicted<Vec<f32>> {
        Ok(PointMass.vjp(recording, upstream, cancel)?.into_iter().map(|gradient| gradient * self.0).collect())
    }
}

#[test]
fn an_ensemble_has_the_mean_energy_of_its_members() {
    let (start, cost, directive) = (Latent::global(vec![0.1, 0.2]), cost(), directive([0.4, -0.3], 4));
    let values: Vec<f32> = (0..3 * 4 * 10).map(|index| ((index * 7919 + 13) % 101) as f32 / 60.0 - 0.8).collect();
    let plans = Plans::new(3, 4, 10, values).unwrap();
    let members = || [1.0, 0.5, 0.25].map(Scaled);
    let scored = |world: &dyn Dynamics| {
        let imagination = Imagination::new(world, &cost, &start, &directive);
        let (energies, gradients) = imagination.energies_and_gradients(&plans).unwrap();
        assert_eq!(energies, imagination.energies(&plans).unwrap());
        (energies, gradients)
    };
    let ensemble =
        EnsembleDynamics::new(members().into_iter().map(|member| Box::new(member) as Box<dyn Dynamics>).collect())
            .unwrap();
    let (energies, gradients) = scored(&ensemble);
    let apart = members().map(|member| scored(&member));
    type Scored = (Vec<f32>, Vec<f32>);
    let mean = |of: fn(&Scored) -> &Vec<f32>, index: usize| {
        apart.iter().map(|member| of(member)[index]).sum::<f32>() / apart.len() as f32
    };
    for (index, energy) in energies.iter().enumerate() {
        assert!((energy - mean(|member| &member.0, index)).abs() < 1e-5, "energy {index}: {energy}");
    }
    for (index, gradient) in gradients.iter().enumerate() {
        assert!((gradient - mean(|member| &member.1, index)).abs() < 1e-5, "gradient {index}: {gradient}");
    }
    let (choice, imagined) = choice_of(&mut Icem::new(IcemConfig::default()), &ensemble, &directive, 0).unwrap();
    let (_, alone) = choice_of(&mut Icem::new(IcemConfig::default()), &PointMass, &directive, 0).unwrap();
    assert!(choice.energies.last() < choice.energies.first() && imagined == 3 * alone, "{imagined} against {alone}");
    assert!(EnsembleDynamics::new(Vec::new()).is_err());
}
