//! Costs of named dimensions of the state. All intrinsic costs are linear in their weights, have exact gradients, and
//! never change.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::sync::Arc;

use crate::support::{PointMass, directive, modules, observation};
use mindseye_agent::cost::{
    CostModule, Effort, GoalDistance, Gradients, IntrinsicTerm, PrivilegedState, Reduction, SharedEstimator,
    Smoothness, StateCost,
};
use mindseye_agent::directive::{Interval, KeepOutBox, StateGoals, StateTarget};
use mindseye_agent::{Agent, Directive, Modules, Plans, Rollouts};
use mindseye_interface::{ManualClock, Seed};

/// A state of a place and an angle.
fn reader() -> SharedEstimator {
    Arc::new(PrivilegedState::new(vec!["x_m".into(), "turn_rad".into()]))
}

fn target(dimension: usize, value: f32, scale: f32) -> StateTarget {
    StateTarget { dimension, value, scale, angle: dimension == 1 }
}

fn interval(dimension: usize, low: f32, high: f32, scale: f32) -> Interval {
    Interval { middle: target(dimension, (low + high) / 2.0, scale), half: (high - low) / 2.0 }
}

fn state_goals() -> StateGoals {
    StateGoals {
        pose: vec![target(0, 0.3, 0.5), target(1, 3.0, 0.8)],
        region: vec![interval(0, -0.1, 0.4, 0.2), interval(1, 2.5, 3.5, 0.3)],
        keep_out: vec![KeepOutBox {
            sides: vec![interval(0, -0.5, 0.5, 0.2), interval(1, -1.0, 1.0, 0.4)],
            margin: 0.1,
        }],
        workspace: vec![interval(0, -0.6, 0.7, 0.1)],
    }
}

fn terms() -> Vec<Box<dyn IntrinsicTerm>> {
    vec![
        Box::new(StateCost::pose(reader())),
        Box::new(StateCost::region(reader())),
        Box::new(StateCost::keep_out(reader())),
        Box::new(StateCost::workspace(reader())),
        Box::new(Smoothness),
    ]
}

fn about(state_goals: StateGoals) -> Directive {
    Directive { state_goals: Arc::new(state_goals), ..directive([0.0; 2], 4) }
}

/// The energy of one state by one term.
fn energy(term: &dyn IntrinsicTerm, state: [f32; 2]) -> f32 {
    let plans = Plans::new(1, 1, 10, vec![0.0; 10]).unwrap();
    term.energy(&Rollouts::new([1, 1, 1, 1, 2], state.to_vec()).unwrap(), &plans, &about(state_goals())).unwrap()[0]
}

/// Three plans with two samples over four chunks.
fn imagined() -> (Rollouts, Plans) {
    let wave = |index: usize| ((index * 7919 + 13) % 101) as f32 / 50.0 - 1.0;
    let rollouts = Rollouts::new([3, 2, 4, 1, 2], (0..3 * 2 * 4 * 2).map(wave).collect()).unwrap();
    (rollouts, Plans::new(3, 4, 10, (0..3 * 4 * 10).map(|index| wave(index + 5)).collect()).unwrap())
}

#[test]
fn a_pose_is_near_where_its_values_are_the_short_way_round() {
    let pose = StateCost::pose(reader());
    assert!(energy(&pose, [0.3, 3.0]) < 1e-9);
    assert!((energy(&pose, [0.8, 3.0]) - 0.5).abs() < 1e-5, "one scale away in one of two dimensions");
    let across = energy(&pose, [0.3, -3.0]);
    let off = std::f32::consts::TAU - 6.0;
    assert!((across - 0.5 * (off / 0.8).powi(2)).abs() < 1e-4, "{across}: across the seam, not all the way back");
}

#[test]
fn a_region_costs_nothing_inside_and_grows_outside() {
    let region = StateCost::region(reader());
    assert_eq!(energy(&region, [0.39, 2.6]), 0.0);
    assert!((energy(&region, [0.6, 2.6]) - 0.5).abs() < 1e-4);
    assert!(energy(&region, [f32::NAN, 2.6]).is_nan(), "what is not known is not inside");
    assert!(state_goals().is_in_region(&[0.39, 2.6]) && !state_goals().is_in_region(&[0.6, 2.6]));
}

#[test]
fn a_place_to_keep_out_of_costs_inside_and_within_its_margin_and_pushes_to_the_nearest_side() {
    let keep_out = StateCost::keep_out(reader());
    assert_eq!(energy(&keep_out, [0.61, 0.0]), 0.0);
    assert!((energy(&keep_out, [0.55, 0.0]) - (0.05f32 / 0.2).powi(2)).abs() < 1e-4, "in the margin");
    assert!(energy(&keep_out, [0.2, 0.0]) > energy(&keep_out, [0.45, 0.0]), "deeper is worse");
    assert!(energy(&keep_out, [f32::NAN, 0.0]).is_nan());
    let state_goals = state_goals();
    assert!(
        state_goals.violates(&[0.45, 0.0])
            && !state_goals.violates(&[0.55, 0.0])
            && state_goals.is_too_near(&[0.55, 0.0])
    );
    assert!(!state_goals.violates(&[0.45, 1.05]) && state_goals.violates(&[0.75, 2.0]), "outside the workspace");
    let workspace = StateCost::workspace(reader());
    assert_eq!(energy(&workspace, [0.69, 0.0]), 0.0);
    assert!((energy(&workspace, [0.9, 0.0]) - 4.0).abs() < 1e-3);
}

#[test]
fn gradients_are_those_of_small_differences() {
    let (rollouts, plans) = imagined();
    let directive = about(state_goals());
    let upstream: Vec<f32> = (0..24).map(|index| (index as f32).cos()).collect();
    for term in terms() {
        let total = |rollouts: &Rollouts, plans: &Plans| -> f32 {
            let energies = term.energy(rollouts, plans, &directive).unwrap();
            energies.iter().zip(&upstream).map(|(energy, upstream)| energy * upstream).sum()
        };
        let mut gradients = Gradients::level(&rollouts, &plans);
        term.add_gradients(&rollouts, &plans, &directive, &upstream, &mut gradients).unwrap();
        let check = |index: usize, gradient: f32, moved: &dyn Fn(f32) -> f32| {
            let numeric = (moved(1e-3) - moved(-1e-3)) / 2e-3;
            let off = (gradient - numeric).abs();
            assert!(off < 2e-2 * (1.0 + numeric.abs()), "{} {index}: {gradient} against {numeric}", term.name());
        };
        for index in 0..rollouts.values().len() {
            check(index, gradients.states[index], &|by| {
                let mut values = rollouts.values().to_vec();
                values[index] += by;
                total(&Rollouts::new([3, 2, 4, 1, 2], values).unwrap(), &plans)
            });
        }
        for index in 0..plans.values().len() {
            check(index, gradients.plans[index], &|by| {
                let mut values = plans.values().to_vec();
                values[index] += by;
                total(&rollouts, &Plans::new(3, 4, 10, values).unwrap())
            });
        }
        let somewhere = gradients.states.iter().chain(&gradients.plans).any(|gradient| *gradient != 0.0);
        assert!(somewhere, "{} has gradients", term.name());
    }
}

#[test]
fn safety_counts_in_every_chunk_whatever_the_reduction() {
    let module = CostModule::new(vec![Box::new(StateCost::keep_out(reader())), Box::new(StateCost::pose(reader()))]);
    // The second of three chunks leads through the middle of the place; the first is the pose.
    let rollouts = Rollouts::new([1, 1, 3, 1, 2], vec![0.3, 3.0, 0.0, 0.0, 0.3, 3.0]).unwrap();
    let plans = Plans::new(1, 3, 10, vec![0.0; 30]).unwrap();
    for reduction in [Reduction::MinOverHorizon { step_cost: 0.5 }, Reduction::Last] {
        let weights = vec![("pose".to_owned(), 1.0), ("keep_out".to_owned(), 2.0)];
        let directive = Directive { weights, reduction, ..about(state_goals()) };
        let (energies, gradients) = module.energies_and_gradients(&rollouts, &plans, &directive).unwrap();
        let depth = ((1.0f32 + 0.1) / 0.4).min((0.5 + 0.1) / 0.2);
        assert!((energies[0] - 2.0 * depth * depth).abs() < 1e-3, "{reduction:?}: {energies:?}");
        assert_eq!(energies, module.energies(&rollouts, &plans, &directive).unwrap());
        assert!(gradients.states[2..4].iter().any(|gradient| *gradient != 0.0), "{reduction:?}: {gradients:?}");
    }
}

#[test]
fn the_cost_is_linear_in_every_weight() {
    let (rollouts, plans) = imagined();
    let module = CostModule::new(terms());
    let energies = |weights: &[(&str, f32)]| {
        let weights = weights.iter().map(|&(name, weight)| (name.to_owned(), weight)).collect();
        let directive = Directive { weights, reduction: Reduction::Mean, ..about(state_goals()) };
        module.energies(&rollouts, &plans, &directive).unwrap()
    };
    let weights = [("pose", 0.7), ("region", 0.2), ("keep_out", 3.0), ("workspace", 1.5), ("smoothness", 0.4)];
    let all = energies(&weights);
    for (plan, all) in all.iter().enumerate() {
        let sum: f32 = weights.iter().map(|&(name, weight)| weight * energies(&[(name, 1.0)])[plan]).sum();
        assert!((all - sum).abs() < 1e-4 * (1.0 + sum.abs()), "{all} {sum}");
    }
    let doubled = energies(&weights.map(|(name, weight)| (name, 2.0 * weight)));
    assert_eq!(all.iter().map(|energy| 2.0 * energy).collect::<Vec<_>>(), doubled, "to the bit");
}

#[test]
fn smoothness_counts_changes_between_actions_and_not_the_actions() {
    let rollouts = Rollouts::new([1, 1, 2, 1, 2], vec![0.0; 4]).unwrap();
    let of = |values: [f32; 20]| {
        let plans = Plans::new(1, 2, 10, values.to_vec()).unwrap();
        Smoothness.energy(&rollouts, &plans, &directive([0.0; 2], 2)).unwrap()
    };
    assert_eq!(of([0.9; 20]), [0.0, 0.0], "full speed ahead is smooth");
    let mut jerk = [0.0; 20];
    jerk[10] = 1.0; // the first action of the second chunk, in x alone
    assert_eq!(of(jerk), [0.0, 0.2], "there and back again: two changes in ten values");
    // Symptom: plans for an arm of absolutely commanded joints trembled, whatever weight smoothness had. Cause: its
    // changes counted in shares of the range, a hundredth of which is a large step. Fix: they count in largest steps.
    let plans = Plans::new(1, 2, 10, jerk.map(|value| 0.1 * value).to_vec()).unwrap();
    let stepwise = Directive { max_step: [0.1, f32::INFINITY].into(), ..directive([0.0; 2], 2) };
    let energies = Smoothness.energy(&rollouts, &plans, &stepwise).unwrap();
    assert!((energies[1] - 0.2).abs() < 1e-6 && energies[0] == 0.0, "{energies:?}");
}

#[test]
fn the_intrinsic_cost_of_an_agent_never_changes() {
    let module = || {
        let terms: Vec<Box<dyn IntrinsicTerm>> =
            vec![Box::new(GoalDistance::euclidean(2)), Box::new(Effort), Box::new(StateCost::keep_out(reader()))];
        CostModule::new(terms)
    };
    let modules = Modules { cost: module(), ..modules(&[[1.0, -0.5]], Box::new(PointMass)) };
    let mut agent = Agent::new(modules, Seed::new(0));
    let first = agent.cost_fingerprint();
    for _ in 0..5 {
        let report = agent.tick(&observation(Some([0.0; 2])), &ManualClock::default());
        assert!(report.error.is_none() && agent.cost_fingerprint() == first);
    }
    let other = |term: Box<dyn IntrinsicTerm>| CostModule::new(vec![term]).fingerprint();
    let one = other(Box::new(GoalDistance::euclidean(2)));
    assert_ne!(one, other(Box::new(GoalDistance::new(vec![1.0, 0.0, 0.0, 1.000_001]).unwrap())), "one number differs");
    assert_ne!(other(Box::new(StateCost::pose(reader()))), other(Box::new(StateCost::region(reader()))));
    assert_eq!(first, module().fingerprint());
}
