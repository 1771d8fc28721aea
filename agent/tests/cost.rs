//! Energies: what they are, and how they add up.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use crate::support::directive;
use mindseye_agent::cost::{
    ActionLimits, CostModule, Critic, Effort, GoalDistance, Gradients, IntrinsicTerm, Reduction, Saturating,
};
use mindseye_agent::{Directive, Plans, Result, Rollouts};

const REDUCTIONS: [Reduction; 5] = [
    Reduction::Last,
    Reduction::Mean,
    Reduction::MeanPlusLast { weight: 5.0 },
    Reduction::MinOverHorizon { step_cost: 0.0 },
    Reduction::Discounted { discount: 0.5 },
];

/// Three plans with two samples over four chunks.
fn imagined() -> (Rollouts, Plans) {
    let wave = |index: usize| ((index * 7919 + 13) % 101) as f32 / 50.0 - 1.0;
    let rollouts = Rollouts::new([3, 2, 4, 1, 2], (0..3 * 2 * 4 * 2).map(wave).collect()).unwrap();
    (rollouts, Plans::new(3, 4, 10, (0..3 * 4 * 10).map(|index| 1.5 * wave(index + 5)).collect()).unwrap())
}

fn module() -> CostModule {
    CostModule::new(vec![Box::new(GoalDistance::euclidean(2)), Box::new(Effort), Box::new(ActionLimits)])
}

fn weighted(weights: &[(&str, f32)], reduction: Reduction) -> Directive {
    let weights = weights.iter().map(|&(name, weight)| (name.to_owned(), weight)).collect();
    Directive { weights, reduction, ..directive([0.3, -0.2], 4) }
}

fn energies_of(weights: &[(&str, f32)], reduction: Reduction) -> Vec<f32> {
    let (rollouts, plans) = imagined();
    module().energies(&rollouts, &plans, &weighted(weights, reduction)).unwrap()
}

fn near(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-5 * (1.0 + a.abs()))
}

#[test]
fn cost_is_linear_in_the_weights() {
    for reduction in [Reduction::Last, Reduction::Mean, Reduction::MeanPlusLast { weight: 5.0 }] {
        let (goal, effort) =
            (energies_of(&[("goal_distance", 1.0)], reduction), energies_of(&[("effort", 1.0)], reduction));
        let both = energies_of(&[("goal_distance", 0.7), ("effort", 3.0)], reduction);
        let sum: Vec<f32> = goal.iter().zip(&effort).map(|(goal, effort)| 0.7 * goal + 3.0 * effort).collect();
        assert!(near(&both, &sum), "{reduction:?}: {both:?} {sum:?}");
    }
}

#[test]
fn doubling_every_weight_doubles_every_energy_to_the_bit() {
    for reduction in REDUCTIONS {
        let once = energies_of(&[("goal_distance", 0.7), ("effort", 0.3)], reduction);
        let twice = energies_of(&[("goal_distance", 1.4), ("effort", 0.6)], reduction);
        assert_eq!(once.iter().map(|energy| 2.0 * energy).collect::<Vec<_>>(), twice, "{reduction:?}");
    }
}

#[test]
fn a_term_without_a_weight_takes_no_part() {
    for reduction in REDUCTIONS {
        let alone = energies_of(&[("goal_distance", 1.0)], reduction);
        assert_eq!(alone, energies_of(&[("goal_distance", 1.0), ("effort", 0.0)], reduction));
        assert_eq!(energies_of(&[], reduction), [0.0; 3]);
    }
}

#[test]
fn a_weight_without_a_term_is_refused_by_name() {
    let directive = weighted(&[("goal_distanc", 1.0)], Reduction::Last);
    let error = module().require_terms(&directive).unwrap_err().to_string();
    assert!(error.starts_with("weights.goal_distanc:") && error.ends_with("got goal_distanc"), "{error}");
    assert!(error.contains("effort") && error.contains("action_limits"), "{error}");
}

#[test]
fn goal_distance_is_the_squared_length_of_the_measured_difference() {
    let (rollouts, plans) = imagined();
    let directive = directive([0.3, -0.2], 4);
    let metric = GoalDistance::new(vec![2.0, 1.0, 0.0, 3.0]).unwrap();
    let energies = metric.energy(&rollouts, &plans, &directive).unwrap();
    let by_hand: Vec<f32> = rollouts
        .values()
        .chunks_exact(2)
        .map(|state| {
            let (x, y) = (state[0] - 0.3, state[1] + 0.2);
            (2.0 * x + y).powi(2) + (3.0 * y).powi(2)
        })
        .collect();
    assert_eq!(energies.len(), 3 * 2 * 4);
    assert!(near(&energies, &by_hand), "{energies:?} {by_hand:?}");
    let narrow = GoalDistance::euclidean(3).energy(&rollouts, &plans, &directive).unwrap_err().to_string();
    assert!(narrow.contains("3 values") && narrow.contains("states of 1x2"), "{narrow}");
    assert!(GoalDistance::new(vec![0.0; 5]).is_err());
}

#[test]
fn a_saturating_term_counts_near_states_as_before_and_none_above_its_limit() {
    let (rollouts, plans) = imagined();
    let directive = directive([0.3, -0.2], 4);
    let plain = GoalDistance::euclidean(2).energy(&rollouts, &plans, &directive).unwrap();
    let saturated = |at| Saturating::new(GoalDistance::euclidean(2), at).energy(&rollouts, &plans, &directive).unwrap();
    assert!(near(&saturated(1e6), &plain), "a limit far above changes nothing");
    let (low, order) = (saturated(0.01), |energies: &[f32]| {
        let mut order: Vec<usize> = (0..energies.len()).collect();
        order.sort_by(|&a, &b| energies[a].total_cmp(&energies[b]));
        order
    });
    assert!(low.iter().all(|energy| *energy < 0.01), "{low:?}");
    assert_eq!(order(&low), order(&plain), "nearer is still better");
    assert_eq!(Saturating::new(GoalDistance::euclidean(2), 1.0).name(), "goal_distance");
}

#[test]
fn effort_and_limits_are_those_of_the_plan_in_every_sample() {
    let (rollouts, plans) = imagined();
    let directive = directive([0.0; 2], 4);
    let effort = Effort.energy(&rollouts, &plans, &directive).unwrap();
    let limits = ActionLimits.energy(&rollouts, &plans, &directive).unwrap();
    for plan in 0..3 {
        for chunk in 0..4 {
            let actions = &plans.plan(plan).values()[chunk * 10..(chunk + 1) * 10].to_vec();
            let mean = |of: fn(f32) -> f32| actions.iter().map(|&action| of(action)).sum::<f32>() / 10.0;
            for sample in 0..2 {
                let index = (plan * 2 + sample) * 4 + chunk;
                assert!((effort[index] - mean(|action| action * action)).abs() < 1e-6);
                assert!((limits[index] - mean(|action| (action.abs() - 1.0).max(0.0).powi(2))).abs() < 1e-6);
            }
        }
    }
}

#[test]
fn reductions_are_what_they_are_called() {
    let energies = [4.0, 1.0, 3.0, 2.0];
    let reduced = REDUCTIONS.map(|reduction| reduction.reduce(&energies));
    assert_eq!(reduced, [2.0, 2.5, 2.5 + 5.0 * 2.0, 1.0, 0.5 * (4.0 + 0.5 + 0.75 + 0.25)]);
    assert_eq!(REDUCTIONS.map(|reduction| reduction.tail(2)), [1.0, 1.0, 1.0, 1.0, 0.25]);
    for reduction in REDUCTIONS {
        assert!(reduction.reduce(&[1.0, 2.0, f32::NAN]).is_nan(), "{reduction:?} forgets a NaN");
    }
    let min_over_horizon = |step_cost| Reduction::MinOverHorizon { step_cost };
    assert_eq!(min_over_horizon(0.5).reduce(&energies), 1.5, "1 after one chunk of waiting");
    assert_eq!(min_over_horizon(4.0).reduce(&energies), 4.0, "waiting is too expensive");
    assert!(min_over_horizon(0.5).reduce(&[f32::NAN, 1.0, 2.0]).is_nan(), "the smallest of NaN and 1 is not known");
}

#[test]
fn a_plan_costs_the_mean_of_its_samples() {
    let plans = Plans::new(1, 1, 2, vec![0.0; 2]).unwrap();
    let weights = [("goal_distance", 1.0)];
    let directive = weighted(&weights, Reduction::Last);
    let energy = |states: &[f32]| {
        let rollouts = Rollouts::new([1, states.len() / 2, 1, 1, 2], states.to_vec()).unwrap();
        module().energies(&rollouts, &plans, &directive).unwrap()[0]
    };
    let (one, other) = (energy(&[0.9, 0.1]), energy(&[-0.4, 0.5]));
    assert!((energy(&[0.9, 0.1, -0.4, 0.5]) - (one + other) / 2.0).abs() < 1e-6);
}

#[test]
fn a_critic_adds_the_energy_to_come_after_the_last_chunk() {
    struct FirstValue;
    impl Critic for FirstValue {
        fn future_energy(&self, states: &[f32], _directive: &Directive) -> Result<Vec<f32>> {
            Ok(states.iter().step_by(2).copied().collect())
        }
    }
    let (rollouts, plans) = imagined();
    let weights = [("goal_distance", 1.0), ("critic", 2.0)];
    let directive = weighted(&weights, Reduction::Last);
    let without = module().energies(&rollouts, &plans, &directive).unwrap();
    let with = module().with_critic(Box::new(FirstValue)).energies(&rollouts, &plans, &directive).unwrap();
    for plan in 0..3 {
        let to_come = (0..2).map(|sample| rollouts.state(plan, sample, 3).values()[0]).sum::<f32>() / 2.0;
        assert!((with[plan] - without[plan] - 2.0 * to_come).abs() < 1e-5);
    }
}

#[test]
fn effort_is_the_distance_from_the_action_that_holds_still() {
    let (rollouts, plans) = (Rollouts::new([1, 1, 1, 1, 2], vec![0.0; 2]).unwrap(), |values: [f32; 4]| {
        Plans::new(1, 1, 4, values.to_vec()).unwrap()
    });
    let directive = Directive { neutral: vec![0.5, -1.0].into(), ..directive([0.0; 2], 1) };
    let of = |values| Effort.energy(&rollouts, &plans(values), &directive).unwrap()[0];
    assert_eq!(of([0.5, -1.0, 0.5, -1.0]), 0.0);
    assert_eq!(of([0.5, 0.0, 0.5, -1.0]), 0.25, "one of four values is 1 away");
    let mut gradients = Gradients::level(&rollouts, &plans([0.0; 4]));
    Effort.add_gradients(&rollouts, &plans([0.5, 0.0, 0.0, -1.0]), &directive, &[1.0], &mut gradients).unwrap();
    assert_eq!(gradients.plans, [0.0, 0.5, -0.25, 0.0]);
}
