//! The evaluator and its report: the arithmetic of rates, subsets and errors.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::sync::Mutex;

use crate::support::{Behaviour, Event, FakeMethod, LineBenchmark, evaluation, task};
use mindseye_evaluation::interval::SuccessRate;
use mindseye_evaluation::{
    CriticAccuracy, EpisodeResult, Error, EvaluationEnd, EvaluationOutcome, Journal, Method, MethodIdentity,
    ModelIdentity, Protocol,
};
use mindseye_interface::{NoProgress, Progress};

/// Pairs ask in turn for 10 degrees (goal at 0.5 m) and 30 degrees (goal at -0.5 m).
fn benchmark() -> LineBenchmark {
    LineBenchmark { goals: vec![0.5, -0.5], has_hard_pairs: true }
}

fn run(methods: &[&dyn Method], episodes: usize) -> EvaluationOutcome {
    let (benchmark, task) = (benchmark(), task(""));
    evaluation(&benchmark, &task, 20, episodes).run(methods, &NoProgress).unwrap()
}

#[test]
fn rates_count_successes_of_every_method_on_the_same_pairs() {
    let (seek, right) = (seeker(), FakeMethod::new("right", Behaviour::Constant(1.0)));
    let still = FakeMethod::new("no_op", Behaviour::Constant(0.0));
    let report = run(&[&seek, &right, &still], 4).report;
    assert_eq!(report.rates.model.moderate, SuccessRate::of(4, 4));
    assert_eq!(report.rates.model.strict, SuccessRate::of(4, 4));
    assert_eq!(report.rates.model.metrics, [("near".to_owned(), SuccessRate::of(4, 4))].into());
    assert_eq!(report.rates.baselines["right"].moderate, SuccessRate::of(2, 4));
    assert_eq!(report.rates.baselines["right"].strict, SuccessRate::of(0, 4));
    assert_eq!(report.rates.baselines["no_op"].moderate, SuccessRate::of(0, 4));
    assert_eq!(report.rates.baselines.len(), 2);
    let names: Vec<&str> = report.methods.iter().map(|method| method.name.as_str()).collect();
    assert_eq!(names, ["seeker", "right", "no_op"]);
    assert!(report.errors.is_empty());
}

#[test]
fn subsets_hold_the_pairs_on_either_side_of_twenty_degrees() {
    let right = FakeMethod::new("right", Behaviour::Constant(1.0));
    let report = run(&[&right, &seeker()], 5).report;
    let (below, above) = (&report.subsets["turn_up_to_20_degrees"], &report.subsets["turn_above_20_degrees"]);
    assert_eq!((below.model.moderate, above.model.moderate), (SuccessRate::of(3, 3), SuccessRate::of(0, 2)));
    assert_eq!(above.baselines["seeker"].moderate, SuccessRate::of(2, 2));
    assert_eq!(report.subsets.len(), 2);
}

#[test]
fn steps_to_success_and_success_within_steps_follow_from_every_episode() {
    let report = run(&[&seeker()], 3).report;
    // Half a metre at a tenth per step, moderate within 0.15 m: after four steps.
    let steps: Vec<_> = report.results.iter().map(|result| result.first_success_step).collect();
    assert_eq!(steps, [Some(4); 3]);
    assert_eq!((report.steps_to_success.p50, report.steps_to_success.max), (4.0, 4.0));
    let within = report.success_within.iter().map(|within| (within.steps, within.rate.rate));
    let within: Vec<(usize, f64)> = within.collect();
    assert_eq!(within, [(4, 1.0), (8, 1.0), (12, 1.0), (16, 1.0), (20, 1.0)]);
    let right = FakeMethod::new("right", Behaviour::Constant(1.0));
    let report = run(&[&right], 2).report;
    assert_eq!(report.success_within[0].rate, SuccessRate::of(1, 2));
    assert_eq!((report.results[0].first_success_step, report.results[1].first_success_step), (Some(4), None));
}

#[test]
fn ticks_and_predicted_states_are_of_the_method_under_test() {
    let report = run(&[&seeker(), &FakeMethod::new("no_op", Behaviour::Constant(0.0))], 3).report;
    // Four chunks of five control steps per episode, ten states each.
    assert_eq!((report.ticks, report.predicted_states_per_episode), (12, 40.0));
    assert_eq!((report.deadline_misses, report.fallbacks, report.missing_frames), (0, 0, 0));
    assert_eq!(report.planning_ms.max, 1.0);
    assert_eq!(report.planning_histogram.counts.iter().sum::<usize>(), 12);
    let routes = [("left", SuccessRate::of(1, 3)), ("right", SuccessRate::of(2, 3))];
    assert_eq!(report.routes, routes.map(|(name, rate)| (name.to_owned(), rate)).into());
}

#[test]
fn a_tick_that_holds_still_did_not_do_at_once_what_the_policy_proposed() {
    // Symptom: an agent that held still in all ticks did "at once what the policy proposed: 4 of 4". Cause: every tick
    // in Mode-1 was counted. Fix: those with an error or a fallback are not.
    let report = run(&[&FakeMethod::new("hesitating", Behaviour::InMode1)], 3).report;
    assert_eq!((report.ticks, report.mode_1_ticks), (12, 3));
    assert!(report.to_string().contains("ticks that executed the policy's proposal: 3 of 12"), "{report}");
}

#[test]
fn steps_in_forbidden_states_are_counted_and_pairs_that_end_there_are_dropped() {
    let keep_out = "keep_out = 1.0\n[[keep_out]]\nbounds = { x_m = [0.25, 0.45] }";
    let (benchmark, task) = (LineBenchmark { goals: vec![1.0, 0.3, -1.0], has_hard_pairs: true }, task(keep_out));
    let report = evaluation(&benchmark, &task, 20, 4).run(&[&seeker()], &NoProgress).unwrap().report;
    let goals: Vec<f64> = report.results.iter().map(|result| result.pair.goal[0]).collect();
    assert_eq!(goals, [1.0, -1.0, 1.0, -1.0]);
    // On the way to 1 m, 0.3 m and 0.4 m are forbidden.
    let steps: Vec<_> = report.results.iter().map(|result| result.violating_steps).collect();
    assert_eq!(steps, [Some(2), Some(0), Some(2), Some(0)]);
    let violations = report.rates.model.violations.unwrap();
    assert_eq!((violations.steps, violations.episodes), (4.0 / 80.0, SuccessRate::of(2, 4)));
}

#[test]
fn errors_of_baselines_are_reported_like_those_of_the_method_under_test() {
    let failing = FakeMethod::new("oracle", Behaviour::FailEverySecondTick);
    let report = run(&[&seeker(), &failing], 3).report;
    let errors = &report.errors["oracle"];
    assert_eq!((errors.ticks, errors.episodes, errors.first.as_deref()), (6, 3, Some("tick 2 failed")));
    assert_eq!(report.errors.len(), 1, "the method under test had none");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["errors"]["oracle"]["ticks"], 6);
    let report = run(&[&failing], 3).report;
    assert_eq!((report.errors["oracle"].ticks, report.results[0].error_ticks), (6, 2));
}

#[test]
fn a_task_that_a_baseline_cannot_run_is_refused_before_the_first_episode() {
    let (benchmark, task) = (benchmark(), task("curiosity = 0.1"));
    let tested = seeker();
    let baseline =
        FakeMethod { refused_term: Some("curiosity"), ..FakeMethod::new("random", Behaviour::Constant(1.0)) };
    let error = evaluation(&benchmark, &task, 20, 2).run(&[&tested, &baseline], &NoProgress).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("weights") && text.contains("random") && text.contains("got curiosity"), "{text}");
    assert!(tested.events().is_empty() && baseline.events().is_empty(), "no episode began");
    assert!(evaluation(&benchmark, &task, 20, 2).run(&[&tested], &NoProgress).is_ok());
}

#[test]
fn methods_need_names_of_their_own() {
    let (benchmark, task) = (benchmark(), task(""));
    let evaluation = evaluation(&benchmark, &task, 20, 1);
    let text = evaluation.run(&[&seeker(), &seeker()], &NoProgress).unwrap_err().to_string();
    assert!(text.contains("seeker twice"), "{text}");
    assert!(evaluation.run(&[], &NoProgress).unwrap_err().to_string().contains("at least one method"));
}

#[test]
fn only_the_method_under_test_is_warmed_up() {
    let (benchmark, task) = (benchmark(), task(""));
    let mut evaluation = evaluation(&benchmark, &task, 20, 2);
    evaluation.protocol.warmup_episodes = 1;
    let (tested, baseline) = (seeker(), FakeMethod::new("no_op", Behaviour::Constant(0.0)));
    let report = evaluation.run(&[&tested, &baseline], &NoProgress).unwrap().report;
    let warmed = |method: &FakeMethod| method.events().iter().filter(|event| **event == Event::StartEpisode).count();
    assert_eq!((warmed(&tested), warmed(&baseline)), (2, 0));
    assert_eq!((report.settings.warmup_episodes, report.ticks), (1, 8));
}

#[test]
fn an_episode_that_runs_again_goes_as_it_was_measured_and_has_an_image_of_every_tick() {
    let (benchmark, task) = (benchmark(), task(""));
    let mut evaluation = evaluation(&benchmark, &task, 20, 3);
    evaluation.protocol.warmup_episodes = 1;
    let tested = seeker();
    let outcome = evaluation.run(&[&tested], &NoProgress).unwrap();
    let before = outcome.report.clone();
    let pairs: Vec<_> = [2, 0].map(|place| outcome.report.results[place].pair.clone()).into();
    let again = seeker();
    let replays = evaluation.replay(&again, &pairs, &NoProgress).unwrap();
    assert_eq!(replays[0].result, outcome.episodes[2]);
    assert_eq!(replays[1].result, outcome.episodes[0]);
    let steps: Vec<usize> = replays[0].images.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, [0, 5, 10, 15]);
    let warmed = again.events().iter().filter(|event| **event == Event::StartEpisode).count();
    assert_eq!(warmed, 2, "warmed up as when it was measured");
    assert!(outcome.report == before);
}

#[test]
fn the_report_does_not_depend_on_threads_and_names_its_settings() {
    let (benchmark, task) = (benchmark(), task(""));
    let with_threads = |threads| {
        let mut evaluation = evaluation(&benchmark, &task, 20, 5);
        evaluation.protocol = Protocol { threads, seeds: vec![1, 2], ..evaluation.protocol };
        evaluation.factors = vec!["friction".into()];
        evaluation.run(&[&seeker()], &NoProgress).unwrap().report
    };
    let (one, three) = (with_threads(1), with_threads(3));
    assert_eq!(one.results, three.results);
    assert_eq!(one.rates, three.rates);
    let json = serde_json::to_value(&one).unwrap();
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    let settings = &json["settings"];
    assert_eq!(settings["benchmark"], "line");
    assert_eq!(settings["factors"], serde_json::json!(["friction"]));
    assert_eq!(settings["image_size"], serde_json::json!([1, 1]));
    assert_eq!(settings["goals"], serde_json::json!({ "kind": "offset", "goal_offset": 25 }));
    assert_eq!(settings["seeds"], serde_json::json!([1, 2]));
    assert_eq!(settings["task"]["name"], "test");
    assert_eq!(json["methods"][0], serde_json::json!({ "name": "seeker", "action_chunk": 5, "model": null }));
    assert!(json["moderate"]["rate"] == 1.0 && json["metrics"]["near"]["rate"] == 1.0, "{json}");
}

#[test]
fn a_model_is_identified_by_the_hash_of_its_weights() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("model.safetensors"), "abc").unwrap();
    let model = ModelIdentity::read(folder.path(), "model.safetensors", Some(3)).unwrap();
    // FIPS 180-2, appendix B.1.
    assert_eq!(model.fingerprint, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!((model.checkpoint.as_path(), model.training_seed), (folder.path(), Some(3)));
    let text = ModelIdentity::read(folder.path(), "weights.pt", None).unwrap_err().to_string();
    assert!(text.contains("weights.pt"), "{text}");
    assert_eq!(MethodIdentity::of(&seeker()).model, None);
}

/// Counts, and asks to stop after so many units.
#[derive(Default)]
struct CountingProgress {
    stop_after: Option<usize>,
    total: Mutex<usize>,
    done: Mutex<usize>,
}

impl Progress for CountingProgress {
    fn begin(&self, _stage: &str, total: usize, _unit: &str) {
        *self.total.lock().unwrap() += total;
    }

    fn advance(&self, done: usize, _note: &str) -> bool {
        let mut most = self.done.lock().unwrap();
        *most = done.max(*most);
        self.stop_after.is_none_or(|stop| done < stop)
    }

    fn end(&self) {}
}

#[test]
fn progress_counts_all_episodes_and_can_stop_them() {
    let (benchmark, task) = (benchmark(), task(""));
    let evaluation = evaluation(&benchmark, &task, 20, 6);
    let methods: [&dyn Method; 2] = [&seeker(), &FakeMethod::new("no_op", Behaviour::Constant(0.0))];
    let progress = CountingProgress::default();
    evaluation.run(&methods, &progress).unwrap();
    assert_eq!((*progress.total.lock().unwrap(), *progress.done.lock().unwrap()), (12, 12));
    let progress = CountingProgress { stop_after: Some(3), ..CountingProgress::default() };
    assert!(matches!(evaluation.run(&methods, &progress).unwrap_err(), Error::Stopped { .. }));
    assert!(*progress.done.lock().unwrap() < 12);
    // Symptom: Ctrl-C while 100,000 pairs were drawn waited for the last of them. Cause: nobody asked while they were.
    let progress = CountingProgress { stop_after: Some(0), ..CountingProgress::default() };
    let (tested, baseline) = (seeker(), FakeMethod::new("no_op", Behaviour::Constant(0.0)));
    let end = evaluation.run_until_stopped(&[&tested, &baseline], &progress).unwrap();
    assert!(matches!(end, EvaluationEnd::Stopped { done: 0, of: 12, partial: None }));
    assert!(tested.events().is_empty());
}

#[test]
fn a_stopped_evaluation_reports_what_is_done_and_goes_on_from_there() {
    let folder = tempfile::tempdir().unwrap();
    let (benchmark, task) = (benchmark(), task(""));
    let journal = || Journal::open(&folder.path().join("episodes.journal"), "this program").unwrap();
    let run = |stop_after: Option<usize>, methods: &[&dyn Method], journal: &Journal| {
        let mut evaluation = evaluation(&benchmark, &task, 20, 6);
        (evaluation.journal, evaluation.protocol.threads) = (Some(journal), 1);
        let progress = CountingProgress { stop_after, ..CountingProgress::default() };
        evaluation.run_until_stopped(methods, &progress).unwrap()
    };
    let episodes = |method: &FakeMethod| method.events().iter().filter(|event| is_begin(event)).count();
    let methods = || (seeker(), FakeMethod::new("no_op", Behaviour::Constant(0.0)));
    let (seek, still) = methods();
    // In the middle of the method under test, then in the middle of its baseline.
    let EvaluationEnd::Stopped { done: 2, of: 12, partial: Some(partial) } = run(Some(2), &[&seek, &still], &journal())
    else {
        panic!("stopped after two episodes")
    };
    assert_eq!((partial.results.len(), partial.rates.model.moderate), (2, SuccessRate::of(2, 2)));
    // Symptom: a resumed evaluation that was interrupted at once reported 1 episode of the 9 in its journal. Cause: an
    // episode was looked up only while nobody had asked to stop. Fix: what is in the journal is always counted.
    let (seek, still) = methods();
    let EvaluationEnd::Stopped { done: 2, partial: Some(partial), .. } = run(Some(1), &[&seek, &still], &journal())
    else {
        panic!("stopped at once, two episodes were kept")
    };
    assert_eq!((partial.results.len(), episodes(&seek)), (2, 0));
    let (seek, still) = methods();
    let EvaluationEnd::Stopped { done: 8, partial: Some(partial), .. } = run(Some(8), &[&seek, &still], &journal())
    else {
        panic!("stopped after eight episodes")
    };
    assert_eq!((episodes(&seek), episodes(&still)), (4, 2), "what was done is not done again");
    assert!(partial.results.len() == 6 && partial.rates.baselines.is_empty());
    let (seek, still) = methods();
    let EvaluationEnd::Complete(resumed) = run(None, &[&seek, &still], &journal()) else { panic!("complete") };
    assert_eq!((episodes(&seek), episodes(&still)), (0, 4));
    let whole = evaluation(&benchmark, &task, 20, 6).run(&[&methods().0, &methods().1], &NoProgress).unwrap();
    assert_eq!(resumed.report.results, whole.report.results);
    assert_eq!(resumed.report.rates, whole.report.rates);
    assert!(resumed.episodes.iter().zip(&whole.episodes).all(|(resumed, whole)| resumed.images == whole.images));
    // Another task, another method or another world are other work.
    let (other, still) = (FakeMethod::new("right", Behaviour::Constant(1.0)), methods().1);
    run(None, &[&other, &still], &journal());
    assert_eq!((episodes(&other), episodes(&still)), (6, 0));
}

fn is_begin(event: &Event) -> bool {
    matches!(event, Event::Begin { .. })
}

#[test]
fn a_critic_is_accurate_where_it_predicts_the_discounted_costs_that_followed() {
    let mut episode = run(&[&seeker()], 1).episodes.remove(0);
    // Discount 0.5, the last state lasts: 2 at the end, (1 - 0.5) * 2 + 0.5 * 2 = 2 before, 0.5 * 6 + 0.5 * 2 = 4
    // before that.
    episode.costs = vec![(8.0, Some(4.0)), (6.0, Some(2.0)), (2.0, Some(100.0))];
    let accuracy = |episode: &EpisodeResult| CriticAccuracy::of([episode].into_iter(), 0.5);
    let exact = accuracy(&episode).unwrap();
    assert_eq!((exact.r2, exact.ticks), (1.0, 2), "the last tick has no successor");
    // Persistence predicts 8 and 6 for 4 and 2: squares 16 + 16 against 1 + 1 around the mean.
    assert_eq!(exact.r2_persistence, 1.0 - 32.0 / 2.0);
    (episode.costs[0].1, episode.costs[1].1) = (Some(3.0), Some(3.0));
    assert_eq!(accuracy(&episode).unwrap().r2, 0.0, "the mean predicts nothing");
    episode.costs = vec![(8.0, None), (2.0, None)];
    assert_eq!(accuracy(&episode), None);
}

fn seeker() -> FakeMethod {
    FakeMethod::new("seeker", Behaviour::Seek)
}
