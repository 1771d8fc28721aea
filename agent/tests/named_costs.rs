//! Costs about named things, and what makes intrinsic costs trustworthy: they are linear in their weights, have exact slopes, and never change.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

mod support;

use std::sync::Arc;

use mindseye_agent::configurator::{Aims, Focus, FocusConfig, Interval, Place, Wanted};
use mindseye_agent::cost::{
    CostModule, Effort, GoalDistance, IntrinsicTerm, Named, Reduction, SharedReader, Slopes, Smoothness, TrueState,
};
use mindseye_agent::{Agent, Directive, Latent, Modules, Plans, Rollouts};
use mindseye_interface::{ManualClock, Seed};
use support::{PointMass, directive, modules, observation};

/// A state of a place and an angle.
fn reader() -> SharedReader {
    Arc::new(TrueState::new(vec!["x_m".into(), "turn_rad".into()]))
}

fn wanted(dimension: usize, value: f32, scale: f32) -> Wanted {
    Wanted { dimension, value, scale, angle: dimension == 1 }
}

fn interval(dimension: usize, low: f32, high: f32, scale: f32) -> Interval {
    Interval { middle: wanted(dimension, (low + high) / 2.0, scale), half: (high - low) / 2.0 }
}

fn aims() -> Aims {
    Aims {
        pose: vec![wanted(0, 0.3, 0.5), wanted(1, 3.0, 0.8)],
        region: vec![interval(0, -0.1, 0.4, 0.2), interval(1, 2.5, 3.5, 0.3)],
        keep_out: vec![Place { sides: vec![interval(0, -0.5, 0.5, 0.2), interval(1, -1.0, 1.0, 0.4)], margin: 0.1 }],
        workspace: vec![interval(0, -0.6, 0.7, 0.1)],
        focus: None,
    }
}

fn terms() -> Vec<Box<dyn IntrinsicTerm>> {
    vec![
        Box::new(Named::pose(reader())),
        Box::new(Named::region(reader())),
        Box::new(Named::keep_out(reader())),
        Box::new(Named::workspace(reader())),
        Box::new(Smoothness),
    ]
}

fn about(aims: Aims) -> Directive {
    Directive { aims: Arc::new(aims), ..directive([0.0; 2], 4) }
}

/// The energy of one state by one term.
fn energy(term: &dyn IntrinsicTerm, state: [f32; 2]) -> f32 {
    let plans = Plans::new(1, 1, 10, vec![0.0; 10]).unwrap();
    term.energy(&Rollouts::new([1, 1, 1, 1, 2], state.to_vec()).unwrap(), &plans, &about(aims())).unwrap()[0]
}

/// Three plans with two futures over four blocks.
fn imagined() -> (Rollouts, Plans) {
    let wave = |index: usize| ((index * 7919 + 13) % 101) as f32 / 50.0 - 1.0;
    let rollouts = Rollouts::new([3, 2, 4, 1, 2], (0..3 * 2 * 4 * 2).map(wave).collect()).unwrap();
    (rollouts, Plans::new(3, 4, 10, (0..3 * 4 * 10).map(|index| wave(index + 5)).collect()).unwrap())
}

#[test]
fn a_pose_is_near_where_its_values_are_the_short_way_round() {
    let pose = Named::pose(reader());
    assert!(energy(&pose, [0.3, 3.0]) < 1e-9);
    assert!((energy(&pose, [0.8, 3.0]) - 0.5).abs() < 1e-5, "one scale away in one of two dimensions");
    let across = energy(&pose, [0.3, -3.0]);
    let off = std::f32::consts::TAU - 6.0;
    assert!((across - 0.5 * (off / 0.8).powi(2)).abs() < 1e-4, "{across}: across the seam, not all the way back");
}

#[test]
fn a_region_costs_nothing_inside_and_grows_outside() {
    let region = Named::region(reader());
    assert_eq!(energy(&region, [0.39, 2.6]), 0.0);
    assert!((energy(&region, [0.6, 2.6]) - 0.5).abs() < 1e-4);
    assert!(energy(&region, [f32::NAN, 2.6]).is_nan(), "what is not known is not inside");
    assert!(aims().is_in_region(&[0.39, 2.6]) && !aims().is_in_region(&[0.6, 2.6]));
}

#[test]
fn a_place_to_keep_out_of_costs_inside_and_within_its_margin_and_pushes_to_the_nearest_side() {
    let keep_out = Named::keep_out(reader());
    assert_eq!(energy(&keep_out, [0.61, 0.0]), 0.0);
    assert!((energy(&keep_out, [0.55, 0.0]) - (0.05f32 / 0.2).powi(2)).abs() < 1e-4, "in the margin");
    assert!(energy(&keep_out, [0.2, 0.0]) > energy(&keep_out, [0.45, 0.0]), "deeper is worse");
    assert!(energy(&keep_out, [f32::NAN, 0.0]).is_nan());
    let aims = aims();
    assert!(aims.violates(&[0.45, 0.0]) && !aims.violates(&[0.55, 0.0]) && aims.is_too_near(&[0.55, 0.0]));
    assert!(!aims.violates(&[0.45, 1.05]) && aims.violates(&[0.75, 2.0]), "outside the workspace");
    let workspace = Named::workspace(reader());
    assert_eq!(energy(&workspace, [0.69, 0.0]), 0.0);
    assert!((energy(&workspace, [0.9, 0.0]) - 4.0).abs() < 1e-3);
}

#[test]
fn slopes_are_those_of_small_differences() {
    let (rollouts, plans) = imagined();
    let directive = about(aims());
    let pull: Vec<f32> = (0..24).map(|index| (index as f32).cos()).collect();
    for term in terms() {
        let total = |rollouts: &Rollouts, plans: &Plans| -> f32 {
            let energies = term.energy(rollouts, plans, &directive).unwrap();
            energies.iter().zip(&pull).map(|(energy, pull)| energy * pull).sum()
        };
        let mut slopes = Slopes::level(&rollouts, &plans);
        term.add_slopes(&rollouts, &plans, &directive, &pull, &mut slopes).unwrap();
        let check = |index: usize, slope: f32, moved: &dyn Fn(f32) -> f32| {
            let numeric = (moved(1e-3) - moved(-1e-3)) / 2e-3;
            let off = (slope - numeric).abs();
            assert!(off < 2e-2 * (1.0 + numeric.abs()), "{} {index}: {slope} against {numeric}", term.name());
        };
        for index in 0..rollouts.values().len() {
            check(index, slopes.states[index], &|by| {
                let mut values = rollouts.values().to_vec();
                values[index] += by;
                total(&Rollouts::new([3, 2, 4, 1, 2], values).unwrap(), &plans)
            });
        }
        for index in 0..plans.values().len() {
            check(index, slopes.plans[index], &|by| {
                let mut values = plans.values().to_vec();
                values[index] += by;
                total(&rollouts, &Plans::new(3, 4, 10, values).unwrap())
            });
        }
        let somewhere = slopes.states.iter().chain(&slopes.plans).any(|slope| *slope != 0.0);
        assert!(somewhere, "{} has slopes", term.name());
    }
}

#[test]
fn safety_counts_in_every_block_whatever_the_reduction() {
    let module = CostModule::new(vec![Box::new(Named::keep_out(reader())), Box::new(Named::pose(reader()))]);
    // The second of three blocks leads through the middle of the place; the first is the pose.
    let rollouts = Rollouts::new([1, 1, 3, 1, 2], vec![0.3, 3.0, 0.0, 0.0, 0.3, 3.0]).unwrap();
    let plans = Plans::new(1, 3, 10, vec![0.0; 30]).unwrap();
    for reduction in [Reduction::Soonest { per_block: 0.5 }, Reduction::Last] {
        let weights = vec![("pose".to_owned(), 1.0), ("keep_out".to_owned(), 2.0)];
        let directive = Directive { weights, reduction, ..about(aims()) };
        let (energies, slopes) = module.judge_with_slopes(&rollouts, &plans, &directive).unwrap();
        let depth = ((1.0f32 + 0.1) / 0.4).min((0.5 + 0.1) / 0.2);
        assert!((energies[0] - 2.0 * depth * depth).abs() < 1e-3, "{reduction:?}: {energies:?}");
        assert_eq!(energies, module.judge(&rollouts, &plans, &directive).unwrap());
        assert!(slopes.states[2..4].iter().any(|slope| *slope != 0.0), "{reduction:?}: {slopes:?}");
    }
}

#[test]
fn the_cost_is_linear_in_every_weight() {
    let (rollouts, plans) = imagined();
    let module = CostModule::new(terms());
    let judge = |weights: &[(&str, f32)]| {
        let weights = weights.iter().map(|&(name, weight)| (name.to_owned(), weight)).collect();
        let directive = Directive { weights, reduction: Reduction::Mean, ..about(aims()) };
        module.judge(&rollouts, &plans, &directive).unwrap()
    };
    let weights = [("pose", 0.7), ("region", 0.2), ("keep_out", 3.0), ("workspace", 1.5), ("smoothness", 0.4)];
    let all = judge(&weights);
    for (plan, all) in all.iter().enumerate() {
        let sum: f32 = weights.iter().map(|&(name, weight)| weight * judge(&[(name, 1.0)])[plan]).sum();
        assert!((all - sum).abs() < 1e-4 * (1.0 + sum.abs()), "{all} {sum}");
    }
    let doubled = judge(&weights.map(|(name, weight)| (name, 2.0 * weight)));
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
    jerk[10] = 1.0; // the first action of the second block, in x alone
    assert_eq!(of(jerk), [0.0, 0.2], "there and back again: two changes in ten values");
}

#[test]
fn the_intrinsic_cost_of_a_life_never_changes() {
    let module = || {
        let terms: Vec<Box<dyn IntrinsicTerm>> =
            vec![Box::new(GoalDistance::euclidean(2)), Box::new(Effort), Box::new(Named::keep_out(reader()))];
        CostModule::new(terms)
    };
    let modules = Modules { cost: module(), ..modules(&[[1.0, -0.5]], Box::new(PointMass)) };
    let mut agent = Agent::new(modules, Seed::new(0));
    let born = agent.cost_fingerprint();
    for _ in 0..5 {
        let report = agent.tick(&observation(Some([0.0; 2])), &ManualClock::default());
        assert!(report.error.is_none() && agent.cost_fingerprint() == born);
    }
    let other = |term: Box<dyn IntrinsicTerm>| CostModule::new(vec![term]).fingerprint();
    let one = other(Box::new(GoalDistance::euclidean(2)));
    assert_ne!(one, other(Box::new(GoalDistance::new(vec![1.0, 0.0, 0.0, 1.000_001]).unwrap())), "one number differs");
    assert_ne!(other(Box::new(Named::pose(reader()))), other(Box::new(Named::region(reader()))));
    assert_eq!(born, module().fingerprint());
}

#[test]
fn a_focus_has_the_goal_distance_look_at_some_of_the_state_only() {
    let goal = Latent::global(vec![0.3, -0.2]);
    let focus = |states: &[&str], keep: f32| {
        let states = states.iter().map(|name| (*name).to_owned()).collect();
        Focus::on(&FocusConfig { states, keep }, reader().as_ref(), &goal)
    };
    let (rollouts, plans) = imagined();
    let distance = GoalDistance::new(vec![2.0, 1.0, 0.0, 3.0]).unwrap();
    let energies = |focus: Option<Focus>| {
        let directive = Directive { goal: Arc::new(goal.clone()), ..about(Aims { focus, ..Aims::default() }) };
        let energies = distance.energy(&rollouts, &plans, &directive).unwrap();
        let mut slopes = Slopes::level(&rollouts, &plans);
        distance.add_slopes(&rollouts, &plans, &directive, &[1.0; 24], &mut slopes).unwrap();
        (energies, slopes.states)
    };
    let (x_alone, slopes) = energies(Some(focus(&["x_m"], 0.0).unwrap()));
    for (state, (energy, slope)) in rollouts.values().chunks(2).zip(x_alone.iter().zip(slopes.chunks(2))) {
        let off = state[0] - 0.3;
        assert!((energy - (2.0 * off).powi(2)).abs() < 1e-5, "{state:?}: {energy}");
        assert!((slope[0] - 8.0 * off).abs() < 1e-4 && slope[1] == 0.0, "{slope:?}");
    }
    let everything = energies(None);
    assert_eq!(everything, energies(Some(focus(&["x_m", "turn_rad", "x_m"], 0.0).unwrap())), "all of it, one twice");
    assert_eq!(everything, energies(Some(focus(&["x_m"], 1.0).unwrap())), "nothing is left out");
    assert_ne!(x_alone, energies(Some(focus(&["turn_rad"], 0.0).unwrap())).0);
    let error = focus(&["z_m"], 0.0).unwrap_err().to_string();
    assert!(error.contains("focus.states") && error.contains("turn_rad"), "{error}");
}
