//! Plans with several samples: rollouts, their energies, and the plans that follow.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use crate::support::{PointMass, Predicted, choice_of, directive, end_of, task};
use mindseye_agent::actor::{Icem, IcemConfig, Imagination};
use mindseye_agent::configurator::{Configurator, SampleSource, SequenceConfigurator};
use mindseye_agent::cost::{CostModule, Curiosity, Effort, GoalDistance, Gradients, IntrinsicTerm};
use mindseye_agent::memory::RingMemory;
use mindseye_agent::world_model::{Cancel, Context, Dynamics};
use mindseye_agent::{Directive, Latent, Plans, Rollouts};
use mindseye_interface::Seed;
use mindseye_world_model::heads::stochastic::{StochasticConfig, StochasticDynamics};
use mindseye_world_model::{Head, InferenceOptions, PredictorConfig, StochasticPredictor, WeightSource};

/// A point on a plane with a risky upper half: of two samples one is where the plan leads, the other falls below the
/// line.
#[derive(Debug)]
struct Risky;

impl Dynamics for Risky {
    fn rollout(&self, context: &Context<'_>, plans: &Plans) -> Predicted<Rollouts> {
        let won = PointMass.rollout(context, plans)?;
        let lost = |states: &[f32]| -> Vec<f32> {
            let fall = |state: &[f32]| [state[0], if state[1] > 0.0 { -0.2 * state[1] } else { state[1] }];
            states.chunks_exact(2).flat_map(fall).collect()
        };
        let of_plan = won.values().chunks_exact(2 * plans.horizon());
        let values = of_plan.flat_map(|states| [states.to_vec(), lost(states)].concat()).collect();
        Rollouts::new([plans.count(), 2, plans.horizon(), 1, 2], values)
    }
}

fn with_risk(risk: f32) -> Directive {
    Directive { risk, ..directive([0.3, -0.2], 2) }
}

/// Two plans with three samples over two chunks.
fn imagined() -> (Rollouts, Plans) {
    let wave = |index: usize| ((index * 7919 + 13) % 101) as f32 / 50.0 - 1.0;
    let rollouts = Rollouts::new([2, 3, 2, 1, 2], (0..2 * 3 * 2 * 2).map(wave).collect()).unwrap();
    (rollouts, Plans::new(2, 2, 10, (0..40).map(|index| wave(index + 5)).collect()).unwrap())
}

fn goal_only() -> CostModule {
    CostModule::new(vec![Box::new(GoalDistance::euclidean(2))])
}

#[test]
fn a_plan_costs_the_mean_of_its_samples_and_risk_times_their_deviation() {
    let (rollouts, plans) = imagined();
    for risk in [0.0, 0.7, 2.0, -1.0] {
        let scored = goal_only().energies(&rollouts, &plans, &with_risk(risk)).unwrap();
        for (plan, scored) in scored.iter().enumerate() {
            let energy = |sample: usize| {
                let end = rollouts.state(plan, sample, 1);
                f64::from(end.values()[0] - 0.3).powi(2) + f64::from(end.values()[1] + 0.2).powi(2)
            };
            let mean = (0..3).map(energy).sum::<f64>() / 3.0;
            let deviation = ((0..3).map(|sample| (energy(sample) - mean).powi(2)).sum::<f64>() / 3.0).sqrt();
            let by_hand = mean + f64::from(risk) * deviation;
            assert!((f64::from(*scored) - by_hand).abs() < 1e-5, "risk {risk}: {scored}, by hand {by_hand}");
        }
    }
    let one = Rollouts::new([2, 1, 2, 1, 2], rollouts.values()[..8].to_vec()).unwrap();
    let energies = |risk| goal_only().energies(&one, &plans, &with_risk(risk)).unwrap();
    assert_eq!(energies(0.0), energies(5.0), "one sample has no standard deviation");
}

/// Compares the gradients of `cost` on every imagined value with central differences.
fn check_gradients_on_states(cost: &CostModule, directive: &Directive) {
    let (rollouts, plans) = imagined();
    let (energies, gradients) = cost.energies_and_gradients(&rollouts, &plans, directive).unwrap();
    assert_eq!(energies, cost.energies(&rollouts, &plans, directive).unwrap());
    for index in 0..rollouts.values().len() {
        let moved = |by: f32| {
            let mut values = rollouts.values().to_vec();
            values[index] += by;
            let rollouts = Rollouts::new([2, 3, 2, 1, 2], values).unwrap();
            cost.energies(&rollouts, &plans, directive).unwrap().iter().map(|&energy| f64::from(energy)).sum::<f64>()
        };
        let difference = (moved(0.01) - moved(-0.01)) / 0.02;
        let gradient = f64::from(gradients.states[index]);
        assert!(
            (gradient - difference).abs() < 0.01 * (1.0 + difference.abs()),
            "value {index}: {gradient}, {difference}"
        );
    }
}

#[test]
fn gradients_of_risk_agree_with_differences() {
    for risk in [0.0, 0.7, -1.0] {
        check_gradients_on_states(&goal_only(), &with_risk(risk));
    }
    // Where all samples are equal the deviation has a corner; the gradient is that of the mean.
    let (_, plans) = imagined();
    let equal = Rollouts::new([2, 3, 2, 1, 2], [0.1, 0.2, 0.3, 0.4].repeat(6)).unwrap();
    let gradients = |risk| goal_only().energies_and_gradients(&equal, &plans, &with_risk(risk)).unwrap().1;
    assert_eq!(gradients(3.0), gradients(0.0));
}

#[test]
fn curiosity_is_the_disagreement_of_samples_and_linear_in_its_weight() {
    let (rollouts, plans) = imagined();
    let directive = with_risk(0.0);
    let energies = Curiosity::euclidean(2).energy(&rollouts, &plans, &directive).unwrap();
    for (index, energy) in energies.iter().enumerate() {
        let (plan, chunk) = (index / 6, index % 2);
        let value = |sample: usize, part: usize| rollouts.state(plan, sample, chunk).values()[part];
        let disagreement = |part: usize| {
            let mean = (0..3).map(|sample| value(sample, part)).sum::<f32>() / 3.0;
            (0..3).map(|sample| (value(sample, part) - mean).powi(2)).sum::<f32>() / 3.0
        };
        assert!((energy + disagreement(0) + disagreement(1)).abs() < 1e-5, "state {index}: {energy}");
    }
    let scored = |goal: f32, curiosity: f32| {
        let weights = vec![("goal_distance".into(), goal), (Curiosity::NAME.into(), curiosity)];
        let cost = goal_only().with_term(Box::new(Curiosity::euclidean(2)));
        cost.energies(&rollouts, &plans, &Directive { weights, ..directive.clone() }).unwrap()
    };
    for plan in 0..2 {
        let sum = 0.5 * scored(1.0, 0.0)[plan] + 3.0 * scored(0.0, 1.0)[plan];
        assert!((scored(0.5, 3.0)[plan] - sum).abs() < 1e-5);
    }
    let without = goal_only().energies(&rollouts, &plans, &directive).unwrap();
    assert_eq!(scored(1.0, 0.0), without, "a weight of zero switches it off");
    assert!(Curiosity::new(vec![0.0; 5]).is_err());
    let narrow = Curiosity::euclidean(3).energy(&rollouts, &plans, &directive).unwrap_err().to_string();
    assert!(narrow.contains("3 values") && narrow.contains("states of 1x2"), "{narrow}");
}

#[test]
fn gradients_of_curiosity_agree_with_differences() {
    let factor = vec![2.0, 1.0, 0.0, 3.0];
    let cost = goal_only().with_term(Box::new(Curiosity::new(factor).unwrap()));
    let weights = vec![("goal_distance".into(), 0.5), (Curiosity::NAME.into(), 0.3)];
    check_gradients_on_states(&cost, &Directive { weights, ..with_risk(0.4) });
    let one = Rollouts::new([1, 1, 2, 1, 2], vec![0.3, 0.1, 0.2, 0.9]).unwrap();
    let plans = Plans::new(1, 2, 10, vec![0.5; 20]).unwrap();
    let mut gradients = Gradients::level(&one, &plans);
    Curiosity::euclidean(2).add_gradients(&one, &plans, &with_risk(0.0), &[1.0; 2], &mut gradients).unwrap();
    assert_eq!(gradients, Gradients::level(&one, &plans), "one sample has nothing to disagree with");
}

#[test]
fn a_price_on_risk_prefers_the_plan_with_a_certain_outcome() {
    // The goal is in the risky half. The mean of both samples is least at a height of 0.46; they are alike at 0.
    let goal = Directive { risk: 0.0, ..directive([0.0, 0.6], 3) };
    let height = |risk: f32| {
        let mut planner = Icem::new(IcemConfig { iterations: 6, ..IcemConfig::default() });
        let (choice, _) = choice_of(&mut planner, &Risky, &Directive { risk, ..goal.clone() }, 1).unwrap();
        end_of(&choice.plan)[1]
    };
    let (neutral, averse) = (height(0.0), height(20.0));
    assert!((neutral - 0.46).abs() < 0.1 && averse < 0.1, "neutral at {neutral}, averse at {averse}");
}

fn branching(threads: usize) -> StochasticDynamics {
    let predictor = PredictorConfig { hidden: 16, layers: 1, gated: false };
    let config = StochasticConfig { latent_width: 2, chunk_width: 10, codes: 3, predictor, hidden: 8, layers: 1 };
    let samples = StochasticPredictor::build(config, WeightSource::fresh(Seed::new(6))).unwrap();
    StochasticDynamics::new(&samples, 6, &InferenceOptions { threads, ..InferenceOptions::default() }).unwrap()
}

#[test]
fn samples_of_a_learned_model_have_the_same_bits_on_any_number_of_threads() {
    let start = Latent::global(vec![0.4, -0.3]);
    let wave = |index: usize| ((index * 7919 + 13) % 101) as f32 / 50.0 - 1.0;
    let plans = Plans::new(40, 3, 10, (0..40 * 30).map(wave).collect()).unwrap();
    let one = branching(1).rollout(&Context::of(&start), &plans).unwrap();
    assert_eq!((one.plans(), one.samples(), one.horizon(), one.width()), (40, 6, 3, 2));
    assert_eq!(one, branching(2).rollout(&Context::of(&start), &plans).unwrap());
    let differ = (0..6).any(|sample| one.state(0, sample, 2) != one.state(0, 0, 2));
    assert!(differ, "all samples are the same");
    let gradients = |threads| {
        let world = branching(threads);
        let (rollouts, recording) = world.rollout_recorded(&Context::of(&start), &plans).unwrap();
        world.vjp(recording, rollouts.values(), Cancel::never()).unwrap()
    };
    assert_eq!(gradients(1), gradients(2));
}

#[test]
fn gradients_through_several_samples_agree_with_differences() {
    let (world, start) = (branching(1), Latent::global(vec![0.4, -0.3]));
    let cost = CostModule::new(vec![Box::new(GoalDistance::euclidean(2)), Box::new(Effort)]);
    let weights = vec![("goal_distance".into(), 1.0), ("effort".into(), 0.1)];
    let directive = Directive { weights, ..with_risk(0.8) };
    let imagination = Imagination::new(&world, &cost, &start, &directive);
    let values: Vec<f32> = (0..20).map(|index| ((index * 37 + 5) % 19) as f32 / 19.0 - 0.5).collect();
    let plans = |values: Vec<f32>| Plans::new(1, 2, 10, values).unwrap();
    let (_, gradients) = imagination.energies_and_gradients(&plans(values.clone())).unwrap();
    for index in 0..20 {
        let moved = |by: f32| {
            let mut values = values.clone();
            values[index] += by;
            f64::from(imagination.energies(&plans(values)).unwrap()[0])
        };
        let difference = (moved(5e-3) - moved(-5e-3)) / 1e-2;
        let gradient = f64::from(gradients[index]);
        assert!(
            (gradient - difference).abs() < 5e-3 + 0.02 * difference.abs(),
            "action {index}: {gradient}, {difference}"
        );
    }
}

#[test]
fn a_task_file_says_how_many_samples_and_what_risk_is_worth() {
    let wanted = task("[samples]\nkind = \"latent\"\nrisk = 1.5\n");
    let samples = wanted.samples.as_ref().unwrap();
    assert_eq!((samples.kind, samples.count, samples.risk), (SampleSource::Latent, 8, 1.5));
    let of = |task| SequenceConfigurator::new(&task, vec![Latent::global(vec![0.0; 2])], 5, 2).unwrap();
    assert_eq!(of(wanted).configure(&RingMemory::new(1)).risk, 1.5);
    assert_eq!(of(task("")).configure(&RingMemory::new(1)).risk, 0.0);
    let text = |line: &str| {
        format!(
            "name = \"t\"\nhorizon_chunks = 4\nbudget_ms = 9.0\n[samples]\nkind = \"latent\"\n{line}\n[weights]\n\
             [planner]\nkind = \"hold\""
        )
    };
    for (line, named) in [("samples = 0", "samples.count"), ("risk = inf", "samples.risk"), ("k = 1", "unknown field")]
    {
        let error = mindseye_interface::config::parse::<mindseye_agent::Task>(&text(line)).unwrap_err().to_string();
        assert!(error.contains(named), "{line}: {error}");
    }
}
