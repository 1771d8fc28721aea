//! Worlds that break the protocol: each is one line that names the request, the field, what was expected and what came.
//! The worlds are scripts of the system's shell, which runs commands of worlds anyway.
#![cfg(unix)]
#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::path::Path;
use std::time::{Duration, Instant};

use mindseye_interface::{Action, Benchmark, GoalKind, PairSearch, Seed};
use mindseye_worlds::{Launch, WorldBenchmark};

/// What a world of one pixel says of itself.
const DESCRIPTION: &str = r#"{"protocol":1,"name":"dot","action":{"names":["x"],"units":["m"],"low":[-1],"high":[1]},
"control_step_secs":0.1,"cameras":[{"name":"top","height":1,"width":1}],"proprioception":["x_m"],"state":["x_m"],
"can":{"check_goal":true}}"#;
/// An observation of it.
const SEEN: &str = r#"{"state":[0.25],"proprioception":[0.25],"frames":{"top":{"raw":"AQID"}}}"#;
/// The same in the answer to a step.
const STEPPED: &str =
    r#"answer '{"steps":[{"state":[0.25],"proprioception":[0.25],"frames":{"top":{"raw":"AQID"}}}]}'"#;

/// A world that does `step` when it is to step, `describe` first of all, and what is right otherwise.
fn script(describe: &str, step: &str) -> String {
    format!(
        r#"n=0
answer() {{ echo "{{\"id\":$n,\"result\":$1}}"; }}
while read -r line; do
  case "$line" in
    *'"request":"describe"'*) {describe};;
    *'"request":"step"'*) {step};;
    *'"request":"check_goal"'*) answer '{{"moderate":false,"strict":false,"distance":0.5}}';;
    *'"request":"set_state"'*) echo "{{\"id\":$n,\"error\":\"cannot\\\\nset\"}}";;
    *) answer '{{"observation":{SEEN}}}';;
  esac
  n=$((n+1))
done"#
    )
}

fn described() -> String {
    format!("answer '{}'", DESCRIPTION.replace('\n', ""))
}

fn start(command: String, timeout_secs: f64) -> mindseye_interface::Result<WorldBenchmark> {
    WorldBenchmark::start(Launch { command, image_side: 1, timeout_secs })
}

/// The error of a step in a world that does `step` then.
fn error_of(step: &str, timeout_secs: f64) -> String {
    let mut world = start(script(&described(), step), timeout_secs).unwrap().environment().unwrap();
    let error = world.step(&Action::zeros(1)).unwrap_err().to_string();
    assert!(error.starts_with("world: step: ") && !error.contains('\n'), "{error}");
    assert_eq!(world.observe().unwrap_err().to_string(), error, "it stays broken, for the same reason");
    assert_eq!(world.stop().unwrap_err().to_string(), error);
    error
}

fn names(error: &str, parts: &[&str]) {
    assert!(parts.iter().all(|part| error.contains(part)), "{error} should name {parts:?}");
}

#[test]
fn a_world_that_keeps_the_protocol_is_observed_as_it_says() {
    let benchmark = start(script(&described(), STEPPED), 10.0).unwrap();
    let mut world = benchmark.environment().unwrap();
    let step = world.step(&Action::zeros(1)).unwrap();
    assert_eq!(step.observation.image().unwrap().pixels(), [1, 2, 3]);
    assert_eq!((step.observation.proprioception, step.observation.tick, world.state()), (vec![0.25], 1, vec![0.25]));
    assert_eq!(world.check_goal(&[0.75]).distance, 0.5);
}

#[test]
fn a_world_that_ends_is_an_error_with_its_last_words() {
    let error = error_of("echo 'ValueError: no such joint' >&2; exit 3", 10.0);
    names(&error, &["end of the process", "exit status: 3", "ValueError: no such joint"]);
}

#[test]
fn a_world_that_hangs_is_ended_when_its_time_is_over() {
    let started = Instant::now();
    names(&error_of("sleep 60", 1.0), &["within 1 s", "--world-timeout"]);
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[test]
fn what_is_no_answer_is_shown() {
    names(&error_of("echo 'Hello from the pygame community'", 10.0), &["JSON", "Hello from the pygame"]);
    names(&error_of(r#"echo '{"id":77,"result":{}}'"#, 10.0), &["id: expected that of the request", "got 77"]);
    names(&error_of(r#"echo "{\"id\":$n}""#, 10.0), &["`result` or `error`"]);
    names(&error_of("head -c 3000000 /dev/zero | tr '\\0' x; sleep 60", 10.0), &["at most", "bytes", "longer"]);
}

#[test]
fn numbers_lists_and_images_of_another_kind_are_refused_by_their_field() {
    let steps = |seen: &str| format!("answer '{{\"steps\":[{seen}]}}'");
    let changed = |from: &str, to: &str| {
        assert!(SEEN.contains(from));
        error_of(&steps(&SEEN.replace(from, to)), 10.0)
    };
    names(&changed(r#""state":[0.25]"#, r#""state":[NaN]"#), &["steps[0].state[0]: expected a finite number"]);
    names(&changed(r#""state":[0.25]"#, r#""state":[1,2]"#), &["steps[0].state: expected a list of 1", "list of 2"]);
    names(&changed(r#""proprioception":[0.25],"#, ""), &["steps[0]: expected a field `proprioception`"]);
    names(&changed("AQID", "AQ"), &["steps[0].frames.top.raw", "base64"]);
    names(&changed("AQID", "AQIDBA=="), &["steps[0].frames.top.raw: expected 3 bytes", "got 4"]);
    names(&changed("raw", "bmp"), &["steps[0].frames.top: expected one of raw, png, jpeg"]);
    names(&changed("top", "side"), &["steps[0].frames: expected a field `top`, got fields side"]);
    names(&error_of("answer '{\"steps\":[]}'", 10.0), &["steps: expected a list of 1, got a list of 0"]);
}

#[test]
fn a_description_that_makes_no_sense_is_refused() {
    let refused = |from: &str, to: &str| {
        let describe = described().replace(from, to);
        assert_ne!(describe, described());
        let error = start(script(&describe, STEPPED), 10.0).map(|_| ()).unwrap_err().to_string();
        assert!(error.starts_with("world: describe: "), "{error}");
        error
    };
    names(&refused(r#""protocol":1"#, r#""protocol":2"#), &["protocol: expected 1, got 2"]);
    names(&refused(r#""low":[-1]"#, r#""low":[]"#), &["action"]);
    names(&refused(r#""control_step_secs":0.1"#, r#""control_step_secs":0"#), &["control_step_secs", "got 0"]);
    names(&refused(r#""height":1"#, r#""height":99999"#), &["99999"]);
    names(&refused("check_goal", "chek_goal"), &["chek_goal"]);
    names(&refused(r#""state":["x_m"]"#, r#""state":["x_m","x_m"]"#), &["state", "different names", "\"x_m\" twice"]);
    let error = start("no_such_program_anywhere".into(), 10.0).map(|_| ()).unwrap_err().to_string();
    names(&error, &["describe", "no_such_program_anywhere"]);
}

#[test]
fn an_error_of_the_world_is_one_line_and_the_world_goes_on() {
    let description = described().replace(r#""check_goal":true"#, r#""check_goal":true,"set_state":true"#);
    let mut world = start(script(&description, STEPPED), 10.0).unwrap().environment().unwrap();
    let error = world.set_state(&[9.0]).unwrap_err().to_string();
    assert!(error.starts_with("world: set_state: cannot") && !error.contains('\n'), "{error}");
    assert!(world.step(&Action::zeros(1)).is_ok());
}

#[test]
fn a_world_without_snapshots_has_no_oracle_and_baselines_still_know_its_state() {
    let world = start(script(&described(), STEPPED), 10.0).unwrap().environment().unwrap();
    assert!(!world.has_snapshots());
    let mut copy = world.fork().unwrap();
    assert_eq!(copy.state(), [0.25]);
    copy.restore(&world.snapshot().unwrap()).unwrap();
    copy.step_blind(&Action::zeros(1)).unwrap();
    assert_eq!(copy.state(), [0.25], "it predicts that nothing moves");
    names(&copy.step(&Action::zeros(1)).unwrap_err().to_string(), &["dot has no snapshots"]);
}

#[test]
fn a_world_without_a_demonstrator_or_recordings_explores_and_equal_seeds_explore_equally() {
    let benchmark = start(script(&described(), STEPPED), 10.0).unwrap();
    let episode = |seed: u64| {
        let mut script = benchmark.scripts("mixture").unwrap().script().unwrap();
        script.begin(Seed::new(seed));
        (0..20).map(|_| script.act(&[0.0]).values()[0]).collect::<Vec<f32>>()
    };
    assert_eq!(episode(1), episode(1));
    assert_ne!(episode(1), episode(2));
    let refused = benchmark.scripts("demonstrator").map(|_| ()).unwrap_err().to_string();
    names(&refused, &["explorer", "got demonstrator"]);
    let hard = benchmark.start_goal_pairs(&PairSearch::new(GoalKind::Hard, 1, 0)).unwrap_err().to_string();
    names(&hard, &["hard pairs", "dot"]);
}

/// Processes of other programs that a world started, as `python` that a shell started.
fn is_running(pid: &str) -> bool {
    // A process that has ended and is not waited for yet is a zombie: it runs no more.
    let status = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    status.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

#[test]
#[cfg(target_os = "linux")]
fn a_world_ends_with_all_that_it_started_and_waits_for_its_next_episode_before() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let describe = format!("sleep 300 & echo $! >> '{}'; {}", pids.display(), described());
    // The helper must not keep the pipes open, or the world would not be seen to end.
    let describe = describe.replace("sleep 300 &", "sleep 300 > /dev/null 2>&1 < /dev/null &");
    let benchmark = start(script(&describe, STEPPED), 10.0).unwrap();
    for _ in 0..3 {
        benchmark.environment().unwrap().step(&Action::zeros(1)).unwrap();
    }
    let started = || std::fs::read_to_string(&pids).unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(started().len(), 1, "one episode after the other: one process");
    let (first, second) = (benchmark.environment().unwrap(), benchmark.environment().unwrap());
    assert_eq!(started().len(), 2, "two at the same time: two processes");
    assert!(started().iter().all(|pid| is_running(pid)));
    drop((first, second, benchmark));
    let until = Instant::now() + Duration::from_secs(5);
    while started().iter().any(|pid| is_running(pid)) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(started().iter().all(|pid| !is_running(pid)), "nothing is left over");
}
