//! Planners in a world with known dynamics.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use crate::support::{NanPredictions, PointMass, Predicted, choice_of, cost, directive, end_of, planners, rolled_out};
use mindseye_agent::actor::{
    Actor, Choice, Deadline, GradientConfig, Hold, HybridConfig, Icem, IcemConfig, Imagination, RandomActions,
};
use mindseye_agent::configurator::PlannerConfig;
use mindseye_agent::world_model::{Cancel, Context, Dynamics, Recording};
use mindseye_agent::{Directive, Error, Latent, Plan, Plans, Rollouts};
use mindseye_interface::{ManualClock, Seed};

const GOAL: [f32; 2] = [0.7, -0.4];

fn all_actors() -> Vec<(&'static str, Box<dyn Actor>)> {
    let mut actors = planners();
    actors.push(("random", Box::new(RandomActions)));
    actors.push(("hold", Box::new(Hold)));
    actors
}

fn distance_to_goal(choice: &Choice) -> f32 {
    end_of(&choice.plan).iter().zip(GOAL).map(|(end, goal)| (end - goal).powi(2)).sum::<f32>().sqrt()
}

#[test]
fn every_planner_steers_a_point_to_the_goal() {
    for (name, mut actor) in planners() {
        let (choice, rows) = choice_of(actor.as_mut(), &PointMass, &directive(GOAL, 4), 0).unwrap();
        let distance = distance_to_goal(&choice);
        assert!(distance < 0.1, "{name}: {distance} m from the goal");
        assert!(rows > 0, "{name} imagined nothing");
    }
}

#[test]
fn equal_seeds_plan_with_equal_bits_and_other_seeds_otherwise() {
    let plan = |index: usize, seed| {
        let (_, mut actor) = all_actors().swap_remove(index);
        choice_of(actor.as_mut(), &PointMass, &directive(GOAL, 4), seed).unwrap().0
    };
    for index in 0..all_actors().len() - 1 {
        assert_eq!(plan(index, 5), plan(index, 5));
        assert_ne!(plan(index, 5).plan, plan(index, 6).plan);
    }
}

#[test]
fn every_imagined_state_is_counted() {
    let config = IcemConfig { samples: 20, iterations: 3, elites: 5, ..IcemConfig::default() };
    let (_, rows) = choice_of(&mut Icem::new(config), &PointMass, &directive(GOAL, 4), 0).unwrap();
    assert_eq!(rows, 20 * 3 * 4);
    let (_, rows) = choice_of(&mut Hold, &PointMass, &directive(GOAL, 4), 0).unwrap();
    assert_eq!(rows, 0);
}

#[test]
fn the_best_energy_never_rises_and_is_that_of_the_plan() {
    for (name, mut actor) in planners() {
        let directive = directive(GOAL, 4);
        let (choice, _) = choice_of(actor.as_mut(), &PointMass, &directive, 1).unwrap();
        assert!(choice.energies.windows(2).all(|pair| pair[1] <= pair[0]), "{name}: {:?}", choice.energies);
        let (cost, start) = (cost(), Latent::global(vec![0.0; 2]));
        let again =
            Imagination::new(&PointMass, &cost, &start, &directive).energies(&Plans::from(&choice.plan)).unwrap();
        assert_eq!(choice.energies.last(), again.first(), "{name}");
    }
}

#[test]
fn the_rollout_of_a_choice_is_that_of_its_plan() {
    let start = Latent::global(vec![0.0; 2]);
    for (name, mut actor) in planners() {
        let (choice, _) = choice_of(actor.as_mut(), &PointMass, &directive(GOAL, 4), 1).unwrap();
        let alone = rolled_out(start.values(), &Plans::from(&choice.plan));
        assert_eq!(choice.rollout, Some(alone), "{name}");
    }
}

#[test]
fn more_iterations_never_end_worse() {
    // Predictive sampling's first rounds are the same, however many follow.
    let energy = |iterations| {
        let text = format!("kind = \"predictive_sampling\"\nsamples = 32\niterations = {iterations}");
        let planner: PlannerConfig = mindseye_interface::config::parse(&text).unwrap();
        let (choice, _) = choice_of(planner.build().as_mut(), &PointMass, &directive(GOAL, 4), 2).unwrap();
        *choice.energies.last().unwrap()
    };
    let energies: Vec<f32> = (1..10).map(energy).collect();
    assert!(energies.windows(2).all(|pair| pair[1] <= pair[0]), "{energies:?}");
    assert!(energies[8] < energies[0], "{energies:?}");
}

#[test]
fn more_samples_never_end_worse() {
    // One round draws its samples one after the other: a larger round contains the smaller.
    for seed in 0..5 {
        let energy = |samples| {
            let config = IcemConfig { samples, elites: 2, iterations: 1, ..IcemConfig::default() };
            choice_of(&mut Icem::new(config), &PointMass, &directive(GOAL, 4), seed).unwrap().0.energies[0]
        };
        let energies: Vec<f32> = [2, 8, 32, 128, 512].into_iter().map(energy).collect();
        assert!(energies.windows(2).all(|pair| pair[1] <= pair[0]), "{energies:?}");
    }
}

#[test]
fn energies_belong_to_plans_and_not_to_places() {
    let (cost, start, directive) = (cost(), Latent::global(vec![0.1, 0.2]), directive(GOAL, 3));
    let imagination = Imagination::new(&PointMass, &cost, &start, &directive);
    let width = 3 * directive.chunk_width();
    let values: Vec<f32> = (0..7 * width).map(|index| ((index * 37) % 19) as f32 / 9.5 - 1.0).collect();
    let plan = |index: usize| &values[index * width..(index + 1) * width];
    let energies = |order: &[usize]| {
        let values = order.iter().flat_map(|&index| plan(index).to_vec()).collect();
        imagination.energies(&Plans::new(order.len(), 3, directive.chunk_width(), values).unwrap()).unwrap()
    };
    let ordered = energies(&[0, 1, 2, 3, 4, 5, 6]);
    let order = [3, 6, 0, 5, 1, 4, 2];
    assert_eq!(energies(&order), order.map(|index| ordered[index]));
}

#[test]
fn plans_stay_within_bounds_even_for_a_goal_out_of_reach() {
    for (name, mut actor) in all_actors() {
        for tick in 0..3 {
            let (choice, _) = choice_of(actor.as_mut(), &PointMass, &directive([50.0, -50.0], 4), tick).unwrap();
            assert_eq!(choice.plan.values().len(), 4 * 10, "{name}");
            assert!(choice.plan.values().iter().all(|value| (-1.0..=1.0).contains(value)), "{name}");
        }
    }
}

#[test]
fn a_good_proposal_is_taken() {
    // One round of two plans finds nothing good by itself.
    let directive = directive([2.0, 2.0], 4);
    let best = Plan::new(4, 10, vec![1.0; 40]).unwrap();
    let (cost, start, clock) = (cost(), Latent::global(vec![0.0; 2]), ManualClock::default());
    let deadline = Deadline { clock: &clock, at_secs: 1.0 };
    let planner =
        |name: &str| -> PlannerConfig { mindseye_interface::config::parse(&format!("kind = \"{name}\"")).unwrap() };
    let names = ["icem", "mppi", "predictive_sampling", "gradient", "hybrid"];
    for name in names {
        assert_eq!(planner(name).name(), name);
        let mut actor = planner(name).scaled_to(16).build();
        let imagination =
            Imagination::new(&PointMass, &cost, &start, &directive).with_proposals(vec![best.clone()]).unwrap();
        let choice = actor.act(&imagination, &mut Seed::new(0).rng(), &deadline).unwrap();
        assert_eq!(choice.plan, best, "{name}");
    }
    let narrow = Imagination::new(&PointMass, &cost, &start, &directive).with_proposals(vec![Plan::zeros(4, 9)]);
    assert!(narrow.err().unwrap().to_string().contains("4 chunks of 10"));
}

#[test]
fn cem_in_a_file_is_icem_without_noise_colour_elites_and_momentum() {
    let parse = |text: &str| mindseye_interface::config::parse::<PlannerConfig>(text);
    assert_eq!(parse("kind = \"cem\"").unwrap(), PlannerConfig::Icem(IcemConfig::cem()));
    let few = parse("kind = \"cem\"\nsamples = 16\niterations = 2\nelites = 4").unwrap();
    let expected = IcemConfig { samples: 16, iterations: 2, elites: 4, ..IcemConfig::cem() };
    assert_eq!(few, PlannerConfig::Icem(expected));
    assert!(parse("kind = \"cem\"\nmomentum = 0.1").unwrap_err().to_string().contains("momentum"));
    for (kind, instead) in [("random_shooting", "iterations = 1"), ("categorical_cem", "icem"), ("policy", "mode_1")] {
        let error = parse(&format!("kind = \"{kind}\"\nsamples = 9")).unwrap_err().to_string();
        assert!(error.contains(kind) && error.contains("removed") && error.contains(instead), "{error}");
    }
}

#[test]
fn planners_keep_to_the_number_of_plans_they_are_scaled_to() {
    let names = ["icem", "mppi", "predictive_sampling", "gradient", "hybrid"];
    for name in names {
        let planner: PlannerConfig = mindseye_interface::config::parse(&format!("kind = \"{name}\"")).unwrap();
        for plans in [64, 300, 1000] {
            let mut actor = planner.scaled_to(plans).build();
            let (_, rows) = choice_of(actor.as_mut(), &PointMass, &directive(GOAL, 4), 0).unwrap();
            let share = rows as f64 / 4.0 / plans as f64;
            assert!((0.5..=1.3).contains(&share), "{name}: {} plans instead of {plans}", rows / 4);
        }
    }
}

#[test]
fn planning_by_gradients_without_gradients_is_refused() {
    #[derive(Debug)]
    struct Sampled;
    impl Dynamics for Sampled {
        fn rollout(&self, context: &Context<'_>, plans: &Plans) -> Predicted<Rollouts> {
            PointMass.rollout(context, plans)
        }
    }
    for config in [PlannerConfig::Gradient(GradientConfig::default()), PlannerConfig::Hybrid(HybridConfig::default())] {
        let error = choice_of(config.build().as_mut(), &Sampled, &directive(GOAL, 4), 0).unwrap_err();
        assert!(matches!(error, Error::NotDifferentiable { part: "world model" }), "{error}");
        choice_of(config.without_gradients().build().as_mut(), &Sampled, &directive(GOAL, 4), 0).unwrap();
    }
}

#[test]
fn the_next_tick_starts_from_the_rest_of_the_previous_plan() {
    // A search of one round that starts cold is much worse than one that continues a good plan.
    let directive = directive([1.6, -1.2], 4);
    let mut actor = Icem::new(IcemConfig::default());
    let (first, _) = choice_of(&mut actor, &PointMass, &directive, 0).unwrap();
    let after = rolled_out(&[0.0; 2], &Plans::from(&first.plan)).state(0, 0, 0);
    let (cost, clock) = (cost(), ManualClock::default());
    let imagination = Imagination::new(&PointMass, &cost, &after, &directive);
    let shifted =
        imagination.energies(&Plans::from(&directive.shifted(&first.plan, directive.executed_steps))).unwrap()[0];
    let deadline = Deadline { clock: &clock, at_secs: 1.0 };
    let second = actor.act(&imagination, &mut Seed::new(1).rng(), &deadline).unwrap();
    assert!(second.energies[0] <= shifted, "{} after the first round, {shifted} by going on", second.energies[0]);
    actor.reset();
    let mut fresh = Icem::new(IcemConfig::default());
    let (cold, never) = (&mut actor, &mut fresh);
    let of = |actor: &mut Icem| actor.act(&imagination, &mut Seed::new(1).rng(), &deadline).unwrap();
    assert_eq!(of(cold), of(never), "a reset forgets");
}

#[test]
fn the_plan_under_way_goes_on_unless_another_is_better_by_the_margin() {
    // A goal far out of reach: whatever is added to the end of the plan under way makes it better by some hundredths.
    let far = Directive { executed_steps: 1, ..directive([9.0, -9.0], 1) };
    let (cost, clock) = (cost(), ManualClock::default());
    let second = |name: &str, switch_margin: f32| {
        let directive = Directive { switch_margin, ..far.clone() };
        let (_, mut actor) = planners().into_iter().find(|(other, _)| *other == name).unwrap();
        let first = choice_of(actor.as_mut(), &PointMass, &directive, 0).unwrap().0.plan;
        let moved: Vec<f32> = first.values()[..2].iter().map(|action| 0.1 * action).collect();
        let after = Latent::global(moved);
        let imagination = Imagination::new(&PointMass, &cost, &after, &directive);
        let deadline = Deadline { clock: &clock, at_secs: 1.0 };
        let choice = actor.act(&imagination, &mut Seed::new(1).rng(), &deadline).unwrap();
        let goes_on = directive.shifted(&first, 1);
        let energy_of = |plan: &Plan| imagination.energies(&Plans::from(plan)).unwrap()[0];
        assert_eq!(choice.energies.last(), Some(&energy_of(&choice.plan)), "{name}");
        (choice.plan == goes_on, energy_of(&choice.plan), energy_of(&goes_on))
    };
    for (name, _) in planners() {
        let (_, free, goes_on) = second(name, 0.0);
        assert!(free < goes_on && free > 0.9 * goes_on, "{name}: {free} by the best plan, {goes_on} by going on");
        let (is_same, kept, _) = second(name, 0.5);
        let improves = ["adam", "sgd", "hybrid"].contains(&name);
        assert!(is_same || (improves && kept <= goes_on), "{name}: {kept}, by going on {goes_on}");
    }
}

#[test]
fn plans_without_a_finite_energy_are_never_chosen() {
    /// Predicts NaN for plans that begin by going left.
    #[derive(Debug)]
    struct NanToTheLeft;
    impl NanToTheLeft {
        fn spoiled(&self, rollouts: &Rollouts, plans: &Plans) -> Predicted<Rollouts> {
            let mut values = rollouts.values().to_vec();
            for (index, states) in values.chunks_exact_mut(plans.horizon() * 2).enumerate() {
                if plans.plan(index).values()[0] < 0.0 {
                    states.fill(f32::NAN);
                }
            }
            Rollouts::new(rollouts.shape(), values)
        }
    }
    impl Dynamics for NanToTheLeft {
        fn rollout(&self, context: &Context<'_>, plans: &Plans) -> Predicted<Rollouts> {
            self.spoiled(&PointMass.rollout(context, plans)?, plans)
        }

        fn rollout_recorded(&self, context: &Context<'_>, plans: &Plans) -> Predicted<(Rollouts, Recording)> {
            let (rollouts, recording) = PointMass.rollout_recorded(context, plans)?;
            Ok((self.spoiled(&rollouts, plans)?, recording))
        }

        fn vjp(&self, recording: Recording, upstream: &[f32], cancel: Cancel<'_>) -> Predicted<Vec<f32>> {
            PointMass.vjp(recording, upstream, cancel)
        }
    }
    for (name, mut actor) in planners() {
        let (choice, _) = choice_of(actor.as_mut(), &NanToTheLeft, &directive([-0.5, 0.0], 4), 3).unwrap();
        assert!(choice.plan.values()[0] >= 0.0, "{name} chose {:?}", choice.plan.first_chunk());
        assert!(choice.energies.iter().all(|energy| energy.is_finite()), "{name}");
    }
    for (name, mut actor) in planners() {
        let error = choice_of(actor.as_mut(), &NanPredictions, &directive(GOAL, 4), 3).unwrap_err();
        assert!(matches!(error, Error::NoFiniteEnergy { .. }), "{name}: {error}");
    }
}

/// Symptom: for a motor that never moved in the recordings, planners proposed what the model had never seen, and the
/// robot would have moved it.
/// Cause: it got made-up bounds, and was searched like all others.
/// Fix: its bounds are equal, and every plan has 0 there.
#[test]
fn no_plan_moves_a_frozen_dimension() {
    for (name, mut actor) in all_actors() {
        let frozen = directive(GOAL, 4);
        let frozen = Directive { frozen: vec![false, true].into(), ..frozen };
        for seed in 0..2 {
            let choice = choice_of(actor.as_mut(), &PointMass, &frozen, seed).unwrap().0;
            let values = choice.plan.values();
            assert!(values.iter().skip(1).step_by(2).all(|value| *value == 0.0), "{name}: {values:?}");
            assert!(name == "hold" || values.iter().step_by(2).any(|value| *value != 0.0), "{name}");
        }
    }
    let proposed =
        Directive { frozen: vec![true, false].into(), ..directive(GOAL, 2) }.bounded(&[0.5, f32::NAN, 2.0, -0.5]);
    assert_eq!(proposed, [0.0, 0.0, 0.0, -0.5], "nor does a policy");
}

/// Real-time chunking: what is executed while a plan is made is a condition of the plan.
#[test]
fn plans_begin_with_what_is_committed_and_make_the_best_of_it() {
    // Two control steps away from the goal, and one that is half of the way.
    let committed = [-1.0, 1.0, -0.7, 0.9, 0.5, -0.25];
    let free = directive(GOAL, 4);
    let bound = Directive { committed: committed.into(), ..free.clone() };
    let energy = |plan: &Plan| {
        let (cost, start) = (cost(), Latent::global(vec![0.0, 0.0]));
        Imagination::new(&PointMass, &cost, &start, &bound).energies(&Plans::from(plan)).unwrap()[0]
    };
    for (name, mut actor) in planners() {
        let planned = choice_of(actor.as_mut(), &PointMass, &bound, 0).unwrap().0;
        assert_eq!(planned.plan.values()[..6], committed, "{name}");
        assert!(distance_to_goal(&planned) < 0.1, "{name}: {} m from the goal", distance_to_goal(&planned));
        // The same begin, and then what would be right without it.
        let (_, mut unbound) = planners().into_iter().find(|(other, _)| *other == name).unwrap();
        let mut ignorant = choice_of(unbound.as_mut(), &PointMass, &free, 0).unwrap().0.plan.values().to_vec();
        ignorant[..6].copy_from_slice(&committed);
        let ignorant = Plan::new(4, planned.plan.chunk_width(), ignorant).unwrap();
        let (knowing, ignorant) = (energy(&planned.plan), energy(&ignorant));
        assert!(knowing < 0.5 * ignorant, "{name}: {knowing} and {ignorant}");
        // The next tick is free again, and its previous plan is no reason to begin so.
        let after = choice_of(actor.as_mut(), &PointMass, &Directive { executed_steps: 3, ..free.clone() }, 1);
        assert_ne!(after.unwrap().0.plan.values()[..6], committed, "{name}");
    }
    let mut random = RandomActions;
    let plan = choice_of(&mut random, &PointMass, &bound, 0).unwrap().0.plan;
    assert_eq!(plan.values()[..6], committed, "also where nothing is searched");
}

#[test]
fn a_plan_that_nothing_was_searched_for_begins_with_what_is_committed() {
    let committed = [0.5, -0.5];
    let bound = Directive { committed: committed.into(), ..directive(GOAL, 2) };
    let (cost, start, clock) = (cost(), Latent::global(vec![0.0, 0.0]), ManualClock::default());
    for (name, mut actor) in planners() {
        let imagination = Imagination::new(&PointMass, &cost, &start, &bound);
        let deadline = Deadline { clock: &clock, at_secs: -1.0 };
        let choice = actor.act(&imagination, &mut Seed::new(0).rng(), &deadline).unwrap();
        assert!(choice.fallback.is_some(), "{name}");
        assert_eq!((&choice.plan.values()[..2], choice.plan.values()[2]), (&committed[..], 0.0), "{name}");
    }
}
