//! Pages of reports: whole, alone, and with all that a reader needs.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::path::Path;

use crate::html::{self, Content};
use crate::support::{Behaviour, FakeMethod, LineBenchmark, evaluation, task};
use mindseye_agent::configurator::PlannerConfig;
use mindseye_evaluation::ablation::{AblationReport, AblationRow, Score};
use mindseye_evaluation::comparison::compare_planners;
use mindseye_evaluation::interval::SuccessRate;
use mindseye_evaluation::{Method, MethodIdentity, ModelIdentity, Settings};
use mindseye_interface::{NoProgress, Progress};
use mindseye_plots::report::{FILE, Films, Page, write_ablation, write_comparison, write_evaluation};

const FINGERPRINT: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// A name that would end elements, if it were not escaped.
const NAME: &str = "</td><script>seeker & \"co\"";
const COMMAND: &str = "mindseye evaluate --scene 'a <b>' --out report";

fn benchmark() -> LineBenchmark {
    LineBenchmark { goals: vec![0.5, -0.5], has_hard_pairs: true }
}

fn model() -> ModelIdentity {
    ModelIdentity { checkpoint: "runs/line".into(), fingerprint: FINGERPRINT.into(), training_seed: Some(41) }
}

/// Writes the page of an evaluation of eight episodes, half of them missed, with the films of `filmed`.
fn written(folder: &Path, filmed: &dyn Method, progress: &dyn Progress) -> (Content, Settings) {
    let (benchmark, task) = (benchmark(), task(""));
    let evaluation = evaluation(&benchmark, &task, 20, 8);
    let tested = FakeMethod::new(NAME, Behaviour::Constant(0.7));
    let still = FakeMethod::new("no_op", Behaviour::Constant(0.0));
    let mut outcome = evaluation.run(&[&tested, &still], &NoProgress).unwrap();
    outcome.report.methods[0].model = Some(model());
    let films = Films::of(&evaluation, filmed, &outcome.report, progress);
    write_evaluation(folder, &outcome, &films, COMMAND).unwrap();
    (html::read(&folder.join(FILE)), outcome.report.settings)
}

fn tested() -> FakeMethod {
    FakeMethod::new(NAME, Behaviour::Constant(0.7))
}

#[test]
fn the_page_of_an_evaluation_stands_alone_and_has_every_setting_and_the_fingerprint() {
    let folder = tempfile::tempdir().unwrap();
    let (page, settings) = written(folder.path(), &tested(), &NoProgress);
    for value in html::values(&settings) {
        assert!(page.text.contains(&value), "{value} of the settings");
    }
    for text in [FINGERPRINT, "runs/line", NAME, COMMAND, "50.0 [21.5, 78.5]", "goals 25 control steps away", "41"] {
        assert!(page.text.contains(text), "{text} in {}", page.text);
    }
    assert!(page.text.contains("reached 4 of 8 goals within 20 control steps"), "{}", page.text);
    let charts = page.elements.iter().filter(|name| *name == "figcaption").count();
    assert!(page.elements.iter().any(|name| name == "svg") && charts >= 4 + 6, "{charts} charts and strips");
    assert!(folder.path().join("sheet.png").exists() && !folder.path().join("success.png").exists(), "no object");
}

#[test]
fn three_best_and_three_worst_episodes_are_seen_from_start_to_goal() {
    let folder = tempfile::tempdir().unwrap();
    let (page, _) = written(folder.path(), &tested(), &NoProgress);
    // Four ticks, the end and the goal.
    assert_eq!(page.images.len(), 6 * (4 + 2));
    let strips: Vec<&str> = page.text.lines().filter(|line| line.starts_with("seed 7, pair")).collect();
    let reached = strips.iter().map(|line| line.contains("reached at step")).collect::<Vec<_>>();
    assert_eq!(reached, [true, true, true, false, false, false], "{strips:?}");
    assert_eq!(page.text.matches("\nstart\n").count(), 6);
    assert_eq!(page.text.matches("\ngoal\n").count(), 6);
    assert!(!page.text.contains("another way"), "{}", page.text);
}

#[test]
fn equal_evaluations_give_equal_pages() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for folder in &folders {
        written(folder.path(), &tested(), &NoProgress);
    }
    let bytes = folders.each_ref().map(|folder| std::fs::read(folder.path().join(FILE)).unwrap());
    assert!(bytes[0] == bytes[1] && bytes[0].len() > 10_000, "{} bytes", bytes[0].len());
}

#[test]
fn an_episode_that_goes_another_way_when_it_runs_again_is_said_to() {
    let folder = tempfile::tempdir().unwrap();
    let other = FakeMethod::new(NAME, Behaviour::Constant(0.1));
    let (page, _) = written(folder.path(), &other, &NoProgress);
    assert_eq!(page.text.matches("the world went another way").count(), 6, "{}", page.text);
    assert!(page.text.contains("50.0 [21.5, 78.5]"), "the numbers are those that were measured");
}

#[test]
fn a_page_without_episodes_says_why() {
    struct Stopped;
    impl Progress for Stopped {
        fn begin(&self, _stage: &str, _total: usize, _unit: &str) {}
        fn advance(&self, _done: usize, _note: &str) -> bool {
            false
        }
        fn end(&self) {}
    }
    let folder = tempfile::tempdir().unwrap();
    let (page, _) = written(folder.path(), &tested(), &Stopped);
    assert!(page.images.is_empty() && page.text.contains("No images of episodes: stopped after"), "{}", page.text);
    assert!(page.text.contains(FINGERPRINT));
}

#[test]
fn the_page_of_a_comparison_has_paired_differences_and_every_planner() {
    let (benchmark, task) = (benchmark(), task(""));
    let evaluation = evaluation(&benchmark, &task, 20, 4);
    let planners = vec![("first".to_owned(), PlannerConfig::Random), ("<second>".to_owned(), task.planner.clone())];
    let agent = FakeMethod::new("agent", Behaviour::Constant(1.0));
    let comparison = compare_planners(&evaluation, &agent, &planners, &[64, 128], &NoProgress).unwrap();
    let differences: Vec<_> = comparison.rows.iter().map(|row| row.to_first.map(|to| to.difference)).collect();
    assert_eq!(differences, [None, None, Some(0.0), Some(0.0)], "the agent does the same with every planner");
    let folder = tempfile::tempdir().unwrap();
    write_comparison(folder.path(), &comparison, "mindseye compare").unwrap();
    let page = html::read(&folder.path().join(FILE));
    assert!(page.text.contains("difference to first") && page.text.contains("+0.0 ["), "{}", page.text);
    assert!(page.text.contains("<second>, 128 plans.kind"), "{}", page.text);
    for value in html::values(&comparison.task) {
        assert!(page.text.contains(&value), "{value} of the task");
    }
    assert!(folder.path().join("compare.png").exists());
}

#[test]
fn the_page_of_an_ablation_has_every_row_with_its_intervals() {
    let rate = |reached| SuccessRate::of(reached, 20);
    let row = |module: &str, without, is_significant| AblationRow {
        module: module.into(),
        part: "all of it: nothing is <kept>".into(),
        conditions: "as shipped".into(),
        score: Score::Moderate,
        with: rate(20),
        without: rate(without),
        predicted_states: [640.0, 320.0],
        is_significant,
        error_ticks: [0, 3],
    };
    let report = AblationReport {
        version: "0.0.0",
        method: MethodIdentity { name: "agent".into(), action_chunk: 5, model: Some(model()) },
        benchmark: "line".into(),
        factors: vec!["friction".into()],
        image_side: 64,
        episodes: 20,
        seeds: vec![11],
        task: task("effort = 0.125"),
        rows: vec![row("memory", 0, true), row("cost", 19, false)],
    };
    let folder = tempfile::tempdir().unwrap();
    write_ablation(folder.path(), &report, "mindseye ablate").unwrap();
    let page = html::read(&folder.path().join(FILE));
    for text in [
        "In 1 of 2 comparisons",
        "memory",
        "all of it: nothing is <kept>",
        "640, then 320",
        "100.0 [83.9, 100.0]",
        "95.0 [76.4, 99.1]",
        "held still because of an error in 3 ticks",
        "0.125",
        "friction",
        FINGERPRINT,
    ] {
        assert!(page.text.contains(text), "{text} in {}", page.text);
    }
    assert!(folder.path().join("ablation.png").exists());
}

#[test]
fn a_page_that_cannot_be_written_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("taken"), "a file").unwrap();
    let page = Page::new("mindseye", "title", "lead");
    let error = page.write(&folder.path().join("taken").join(FILE)).unwrap_err().to_string();
    assert!(error.contains("taken"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
