//! Ablation, comparison and collection on top of the evaluator.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::sync::Arc;

use crate::support::{Behaviour, FakeMethod, Line, LineBenchmark, evaluation, task};
use mindseye_agent::configurator::PlannerConfig;
use mindseye_evaluation::ablation::{AblatedAgents, AblationRow, Score, ablations, run_ablations};
use mindseye_evaluation::collection::{OnPolicyCollection, Script, ScriptedGoals, scripted_episode};
use mindseye_evaluation::comparison::compare_planners;
use mindseye_evaluation::{Error, Method};
use mindseye_interface::{Action, NoProgress, Seed};

fn agents(without: Behaviour) -> AblatedAgents {
    let method = |name, behaviour| -> Arc<dyn Method> { Arc::new(FakeMethod::new(name, behaviour)) };
    AblatedAgents {
        whole: method("whole", Behaviour::Seek),
        keeping_first_goal: method("keeping_first_goal", Behaviour::Seek),
        without_prediction: method("without_prediction", Behaviour::Seek),
        without_proposals: method("without_proposals", Behaviour::Seek),
        without_memory: method("without_memory", without),
        without_world_model: method("without_world_model", without),
        has_policy: false,
        has_critic: false,
    }
}

fn benchmark(has_hard_pairs: bool) -> LineBenchmark {
    LineBenchmark { goals: vec![0.5], has_hard_pairs }
}

fn rows(agents: &AblatedAgents, has_hard_pairs: bool) -> Vec<AblationRow> {
    let (benchmark, task) = (benchmark(has_hard_pairs), task(""));
    let ablations = ablations(&benchmark, agents, &task);
    run_ablations(&benchmark, &ablations, (10, &[3]), 2, None, &NoProgress).unwrap()
}

#[test]
fn a_row_is_significant_where_the_intervals_lie_apart() {
    let rows = rows(&agents(Behaviour::Constant(0.0)), true);
    for row in &rows {
        let ablated = ["world model", "memory"].contains(&row.module.as_str());
        assert_eq!((row.with.rate, row.without.rate), (1.0, if ablated { 0.0 } else { 1.0 }), "{row:?}");
        assert_eq!((row.is_significant, row.with.episodes, row.without.episodes), (ablated, 10, 10), "{row:?}");
    }
    let modules: Vec<&str> = rows.iter().map(|row| row.module.as_str()).collect();
    assert_eq!(modules, ["configurator", "perception", "world model", "cost", "memory"]);
}

#[test]
fn errors_of_an_ablated_agent_are_in_its_row() {
    let rows = rows(&agents(Behaviour::FailEverySecondTick), true);
    // The memory is ablated in sequences of 150 control steps (30 ticks), the world model in episodes of 50 (10
    // ticks).
    let errors = |module: &str| rows.iter().find(|row| row.module == module).unwrap().error_ticks;
    assert_eq!((errors("memory"), errors("world model"), errors("cost")), ([0, 150], [0, 50], [0, 0]));
}

#[test]
fn rows_follow_the_heads_of_the_checkpoint_and_the_pairs_of_the_benchmark() {
    let agents = AblatedAgents { has_policy: true, has_critic: true, ..agents(Behaviour::Seek) };
    let table = |has_hard_pairs| {
        let ablations = ablations(&benchmark(has_hard_pairs), &agents, &task(""));
        ablations.iter().map(|row| (row.module, row.conditions.clone(), row.score)).collect::<Vec<_>>()
    };
    let hard = table(true);
    assert_eq!(hard.len(), 8);
    assert_eq!(hard[3], ("cost", "hard goals".into(), Score::Strict));
    assert_eq!((hard[5].0, hard[6].0), ("actor", "actor"));
    assert_eq!(hard[7], ("cost", "hard goals, a horizon of 2 chunks".into(), Score::Strict));
    let offset = table(false);
    assert_eq!(offset[3], ("cost", "as shipped".into(), Score::Moderate));
    assert_eq!(offset[7].1, "goals 75 control steps away, a horizon of 2 chunks");
}

#[test]
fn planners_are_compared_at_every_number_of_plans_and_an_error_ends_the_comparison() {
    let (benchmark, task) = (benchmark(true), task(""));
    let evaluation = evaluation(&benchmark, &task, 20, 2);
    let planners = vec![("first".to_owned(), PlannerConfig::Random), ("second".to_owned(), task.planner.clone())];
    let compare = |behaviour| {
        compare_planners(&evaluation, &FakeMethod::new("agent", behaviour), &planners, &[64, 128], &NoProgress)
    };
    let comparison = compare(Behaviour::Seek).unwrap();
    let rows: Vec<(&str, usize)> = comparison.rows.iter().map(|row| (row.name.as_str(), row.plans)).collect();
    assert_eq!(rows, [("first", 64), ("first", 128), ("second", 64), ("second", 128)]);
    assert!(comparison.rows.iter().all(|row| row.predicted_states_per_tick == 10.0 && row.moderate.rate == 1.0));
    let error = compare(Behaviour::FailEverySecondTick).unwrap_err();
    assert!(matches!(&error, Error::HeldStill { ticks: 4, .. }), "{error}");
    assert!(error.to_string().contains("first, 64 plans"), "{error}");
}

/// Moves right by half.
struct HalfRight;

impl Script for HalfRight {
    fn begin(&mut self, _seed: Seed) {}

    fn act(&mut self, _state: &[f64]) -> Action {
        Action::new(vec![0.5]).unwrap()
    }
}

#[test]
fn a_scripted_episode_has_the_state_before_each_action() {
    let episode = scripted_episode(&mut Line::new(), &mut HalfRight, Seed::new(0), 3).unwrap();
    let states: Vec<f32> = episode.states.iter().map(|state| state[0]).collect();
    let expected = [0.0, 0.05, 0.1];
    assert!(states.iter().zip(expected).all(|(state, expected)| (state - expected).abs() < 1e-6), "{states:?}");
    assert_eq!(episode.actions, vec![vec![0.5]; 3]);
    assert_eq!((episode.frames.len(), episode.proprioception), (3, episode.states.clone()));
}

#[test]
fn an_agent_collects_episodes_of_the_length_asked_for_that_follow_from_their_seed() {
    let (benchmark, task) = (benchmark(true), task(""));
    let scripts = || Ok(Box::new(HalfRight) as Box<dyn Script>);
    let method = FakeMethod::new("agent", Behaviour::Seek);
    let collection =
        OnPolicyCollection { benchmark: &benchmark, goals: &ScriptedGoals(&scripts), method: &method, task: &task };
    let collect = |seed| collection.episode(Seed::new(seed), 33).unwrap();
    let episode = collect(1);
    assert_eq!((episode.actions.len(), episode.frames.len(), episode.states.len()), (33, 33, 33));
    assert!(episode == collect(1) && episode != collect(2));
    // Goals lie where the script gets to, to the right of the agent: so it gets ahead.
    assert!(episode.states[32][0] > 0.5, "{:?}", episode.states[32]);
    assert!(method.events().len() > 1, "a goal that is reached is followed by another");
}
