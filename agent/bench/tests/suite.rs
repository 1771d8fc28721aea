//! Violation of expectation, with small encoders.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::path::{Path, PathBuf};

use mindseye_bench::{Spectator, SuiteReport, SurpriseSuite};
use mindseye_interface::{NoProgress, Progress, Seed};
use mindseye_sim::intuition::Concept;

fn folder(fixture: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../world_model/tests/fixtures").join(fixture)
}

fn spectator(fixture: &str) -> Spectator {
    Spectator::load(&folder(fixture), None).unwrap()
}

fn report(spectator: &Spectator, threads: usize) -> SuiteReport {
    let concepts = [Concept::Permanence, Concept::Gravity];
    let suite = SurpriseSuite { spectator, concepts: &concepts, sets: 4, seed: Seed::new(3) };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| suite.measure("tiny", &NoProgress).unwrap().unwrap())
}

#[test]
fn a_clip_encoder_watches_the_films_and_threads_change_no_bit() {
    let tiny = spectator("vjepa2_tiny");
    let seen = report(&tiny, 1);
    assert_eq!(seen, report(&tiny, 2));
    assert_eq!(seen.concepts.iter().map(|row| row.sets).collect::<Vec<_>>(), [4, 4]);
    for row in &seen.concepts {
        let [low, high] = row.interval;
        assert!(low <= row.pairwise && row.pairwise <= high && (0.0..=1.0).contains(&row.pairwise), "{row:?}");
    }
    let text = seen.to_string();
    assert!(text.contains("permanence") && text.contains("chance: 50"), "{text}");
    let every_second = Spectator::load(&folder("vjepa2_tiny"), Some(2)).unwrap();
    assert_ne!(report(&every_second, 2).concepts, seen.concepts, "frames farther apart show other things");
    let fresh = tiny.untrained(Seed::new(1)).unwrap().unwrap();
    assert_ne!(report(&fresh, 2).concepts, seen.concepts, "other weights see other things");
}

#[test]
fn models_that_foresee_nothing_are_refused_and_a_suite_can_be_stopped() {
    struct Stopped;
    impl Progress for Stopped {
        fn begin(&self, _stage: &str, _total: usize, _unit: &str) {}
        fn advance(&self, _done: usize, _note: &str) -> bool {
            false
        }
        fn end(&self) {}
    }
    let images = spectator("dinov2_tiny");
    let concepts = [Concept::Support];
    let suite = |spectator| SurpriseSuite { spectator, concepts: &concepts, sets: 1, seed: Seed::new(0) };
    let error = suite(&images).measure("images", &NoProgress).unwrap_err().to_string();
    assert!(error.contains("a predictor of masked tokens"), "{error}");
    let clips = spectator("vjepa2_tiny");
    assert_eq!(suite(&clips).measure("clips", &Stopped).unwrap(), None);
    assert!(Spectator::load(&folder("nowhere"), None).is_err());
    let slow = Spectator::load(&folder("vjepa2_tiny"), Some(100)).unwrap();
    let error = suite(&slow).measure("slow", &NoProgress).unwrap_err().to_string();
    assert!(error.contains("frames, each 100 apart), got 32"), "{error}");
}
