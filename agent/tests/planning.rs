//! Planners in a world that is known in closed form.

mod support;

use mindseye_agent::actor::{
    Actor, Cem, CemConfig, Choice, ColoredNoise, Deadline, Hold, Icem, IcemConfig, Imagination, RandomActions,
};
use mindseye_agent::world_model::WorldModel;
use mindseye_agent::{Error, Latent, Plans, Result, Rollouts};
use mindseye_interface::{ManualClock, Seed};
use support::{NanWorldModel, PointMass, choice_of, cost, directive, end_of};

const GOAL: [f32; 2] = [0.7, -0.4];

fn planners() -> Vec<(&'static str, Box<dyn Actor>)> {
    let cem = CemConfig { samples: 64, elites: 10, iterations: 8, ..CemConfig::default() };
    vec![("cem", Box::new(Cem::new(cem))), ("icem", Box::new(Icem::new(IcemConfig::default())))]
}

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
fn cem_and_icem_steer_a_point_to_the_goal() {
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
    for index in 0..3 {
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
fn more_iterations_never_end_worse() {
    // CEM's first rounds are the same, however many follow (iCEM's last round differs: it tries the mean).
    let energy = |iterations| {
        let config = CemConfig { samples: 32, elites: 8, iterations, ..CemConfig::default() };
        let (choice, _) = choice_of(&mut Cem::new(config), &PointMass, &directive(GOAL, 4), 2).unwrap();
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
    let width = 3 * directive.block_width();
    let values: Vec<f32> = (0..7 * width).map(|index| ((index * 37) % 19) as f32 / 9.5 - 1.0).collect();
    let plan = |index: usize| &values[index * width..(index + 1) * width];
    let energies = |order: &[usize]| {
        let values = order.iter().flat_map(|&index| plan(index).to_vec()).collect();
        imagination.energies(&Plans::new(order.len(), 3, directive.block_width(), values).unwrap()).unwrap()
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
fn after_the_deadline_the_last_plan_goes_on_and_nothing_is_imagined() {
    let (cost, start, directive) = (cost(), Latent::global(vec![0.0; 2]), directive(GOAL, 4));
    let clock = ManualClock::default();
    let late = Deadline { clock: &clock, at_secs: 0.0 };
    for (name, mut actor) in planners() {
        let imagination = Imagination::new(&PointMass, &cost, &start, &directive);
        let choice = actor.act(&imagination, &mut Seed::new(0).rng(), &late).unwrap();
        assert!(choice.plan.values().iter().all(|&value| value == 0.0), "{name} has no plan yet: it holds still");
        assert_eq!((imagination.rows(), choice.plan.horizon()), (0, 4), "{name}");
    }
    let mut actor = Icem::new(IcemConfig::default());
    let (planned, _) = choice_of(&mut actor, &PointMass, &directive, 0).unwrap();
    let imagination = Imagination::new(&PointMass, &cost, &start, &directive);
    let late = actor.act(&imagination, &mut Seed::new(0).rng(), &late).unwrap();
    assert_eq!(late.plan, planned.plan.shifted());
}

#[test]
fn a_deadline_between_rounds_ends_the_search_with_the_best_so_far() {
    let (cost, start, directive) = (cost(), Latent::global(vec![0.0; 2]), directive(GOAL, 4));
    let clock = ManualClock::ticking(1.0);
    let imagination = Imagination::new(&PointMass, &cost, &start, &directive);
    let deadline = Deadline { clock: &clock, at_secs: 1.5 };
    let mut actor = Cem::new(CemConfig { samples: 16, elites: 4, ..CemConfig::default() });
    let choice = actor.act(&imagination, &mut Seed::new(0).rng(), &deadline).unwrap();
    assert_eq!((choice.energies.len(), imagination.rows()), (2, 2 * 16 * 4));
}

#[test]
fn the_next_tick_starts_from_the_last_plan_shifted_by_a_block() {
    // A search of one round that starts cold is much worse than one that continues a good plan.
    let directive = directive([1.6, -1.2], 4);
    let mut actor = Icem::new(IcemConfig::default());
    let (first, _) = choice_of(&mut actor, &PointMass, &directive, 0).unwrap();
    let after = PointMass.imagine(&Latent::global(vec![0.0; 2]), &Plans::from(&first.plan)).unwrap().state(0, 0, 0);
    let (cost, clock) = (cost(), ManualClock::default());
    let imagination = Imagination::new(&PointMass, &cost, &after, &directive);
    let shifted = imagination.energies(&Plans::from(&first.plan.shifted())).unwrap()[0];
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
fn plans_without_a_finite_energy_are_never_chosen() {
    /// Loses its mind for plans that begin by going left.
    struct HalfMad;
    impl WorldModel for HalfMad {
        fn imagine(&self, start: &Latent, plans: &Plans) -> Result<Rollouts> {
            let sane = PointMass.imagine(start, plans)?;
            let length = plans.horizon() * 2;
            let mut values = sane.values().to_vec();
            for (index, future) in values.chunks_exact_mut(length).enumerate() {
                if plans.plan(index).values()[0] < 0.0 {
                    future.fill(f32::NAN);
                }
            }
            Rollouts::new([plans.count(), 1, plans.horizon(), 1, 2], values)
        }
    }
    for (name, mut actor) in planners() {
        let (choice, _) = choice_of(actor.as_mut(), &HalfMad, &directive([-0.5, 0.0], 4), 3).unwrap();
        assert!(choice.plan.values()[0] >= 0.0, "{name} chose {:?}", choice.plan.first_block());
        assert!(choice.energies.iter().all(|energy| energy.is_finite()), "{name}");
    }
    for (name, mut actor) in planners() {
        let error = choice_of(actor.as_mut(), &NanWorldModel, &directive(GOAL, 4), 3).unwrap_err();
        assert!(matches!(error, Error::NoFiniteEnergy { candidates: 64 }), "{name}: {error}");
    }
}

#[test]
fn the_spectrum_of_coloured_noise_falls_with_beta() {
    let (length, draws) = (40, 2000);
    let power = |beta: f64, frequency: usize| -> f64 {
        let (noise, mut rng) = (ColoredNoise::new(length, beta), Seed::new(9).rng());
        let mut total = 0.0;
        for _ in 0..draws {
            let mut sequence = vec![0.0; length];
            noise.add_to(&mut sequence, 0, 1, &mut rng);
            let angle = |moment: usize| std::f64::consts::TAU * (frequency * moment) as f64 / length as f64;
            let part = |of: fn(f64) -> f64| -> f64 {
                sequence.iter().enumerate().map(|(moment, &value)| f64::from(value) * of(angle(moment))).sum()
            };
            total += part(f64::cos).powi(2) + part(f64::sin).powi(2);
        }
        total / f64::from(draws)
    };
    for beta in [0.0, 1.0, 2.0, 3.0] {
        let slope = (power(beta, 2) / power(beta, 16)).ln() / 8f64.ln();
        assert!((slope - beta).abs() < 0.1, "beta {beta}: power falls with exponent {slope}");
    }
}
