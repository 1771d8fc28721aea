//! Memory: bounded, searchable, and the same after saving.

mod support;

use mindseye_agent::Latent;
use mindseye_agent::memory::{Memory, Moment, RingMemory};
use mindseye_agent::perception::Sight;
use mindseye_interface::Seed;
use support::moment;

fn filled(capacity: usize, ticks: u64) -> RingMemory {
    let mut memory = RingMemory::new(capacity);
    for tick in 0..ticks {
        memory.remember(moment(tick, [tick as f32 / 3.0, -1.0], 0, 0.7 / (tick + 1) as f32));
    }
    memory
}

fn ticks(moments: &[&Moment]) -> Vec<u64> {
    moments.iter().map(|moment| moment.tick).collect()
}

#[test]
fn a_full_memory_forgets_its_oldest() {
    let memory = filled(4, 10);
    assert_eq!(memory.len(), 4);
    assert_eq!(ticks(&memory.recent(100)), [9, 8, 7, 6]);
    assert_eq!(ticks(&memory.recent(2)), [9, 8]);
    assert_eq!((memory.at(5), memory.at(6).map(|moment| moment.tick)), (None, Some(6)));
    assert!(RingMemory::new(3).is_empty());
}

#[test]
fn the_nearest_moments_come_nearest_first() {
    let memory = filled(100, 10);
    assert_eq!(ticks(&memory.nearest(&Latent::global(vec![2.1, -1.0]), 3)), [6, 7, 5]);
    assert_eq!(memory.nearest(&Latent::global(vec![4.0 / 3.0, -1.0]), 1)[0].tick, 4, "a stored state is found exactly");
}

#[test]
fn what_pursuits_cost_is_told_from_their_ends_back() {
    let mut memory = RingMemory::new(100);
    let mut remember = |tick: u64, sub_goal: usize, energy: f32, sight: Sight| {
        memory.remember(Moment { sight, ..moment(tick, [tick as f32, 0.0], sub_goal, energy) });
    };
    // One pursuit, with a picture lost on the way; another; the same goal again, elsewhere (a tick is missing).
    for (tick, energy, sight) in [(0, 8.0, Sight::Seen), (1, 4.0, Sight::Dropped), (2, 2.0, Sight::Seen)] {
        remember(tick, 0, energy, sight);
    }
    [(3, 6.0), (4, 1.0)].into_iter().for_each(|(tick, energy)| remember(tick, 1, energy, Sight::Seen));
    [(6, 3.0), (7, 5.0)].into_iter().for_each(|(tick, energy)| remember(tick, 1, energy, Sight::Seen));
    let terms = ["goal_distance".to_owned()];
    let came = memory.costs_that_came(&terms, 0.5, 100);
    // From tick 6 to the end 5; from 3 to the end 1; from 0: half of what tick 1 cost and half of the 2 from there to the end.
    assert_eq!(came.states, [6.0, 0.0, 3.0, 0.0, 0.0, 0.0]);
    assert_eq!(came.goals, [1.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
    assert_eq!(came.energies, [5.0, 1.0, 3.0]);
    assert_eq!(memory.costs_that_came(&terms, 0.5, 2).energies, [5.0, 1.0], "the newest");
    assert!(memory.costs_that_came(&["pain".to_owned()], 0.5, 100).energies.is_empty(), "nobody noted what it cost");
}

#[test]
fn samples_depend_on_the_seed_only() {
    let memory = filled(100, 10);
    let sample = |seed| ticks(&memory.sample(200, &mut Seed::new(seed).rng()));
    assert_eq!(sample(1), sample(1));
    assert_ne!(sample(1), sample(2));
    assert!((0..10).all(|tick| sample(1).contains(&tick)), "{:?}", sample(1));
    assert!(RingMemory::new(5).sample(3, &mut Seed::new(0).rng()).is_empty());
}

#[test]
fn a_memory_comes_back_from_its_file_with_equal_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let memory = filled(6, 10);
    memory.save(&one).unwrap();
    let loaded = RingMemory::load(&one).unwrap();
    assert_eq!(loaded, memory);
    loaded.save(&two).unwrap();
    assert_eq!(std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap());
}

#[test]
fn a_truncated_memory_is_refused_wherever_it_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("life.memory");
    filled(6, 3).save(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    // Only the newline at the very end may go: every moment is still whole then.
    for length in (0..whole.len() - 1).step_by(7) {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = RingMemory::load(&path).unwrap_err().to_string();
        assert!(error.contains("life.memory") && error.contains("line"), "cut at {length}: {error}");
    }
}

#[test]
fn a_broken_memory_names_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("life.memory");
    filled(6, 3).save(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    for (from, to, named) in [
        ("\"tick\":1", "\"tick\":\"one\"", "line 3"),
        ("mindseye memory 1", "mindseye memory 9", "expected mindseye memory 1"),
        ("\"capacity\":6", "\"capacity\":2", "line"),
        ("\"sub_goal\"", "\"subgoal\"", "subgoal"),
    ] {
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let error = RingMemory::load(&path).unwrap_err().to_string();
        assert!(error.contains("life.memory") && error.contains(named), "{to}: {error}");
    }
    let missing = RingMemory::load(&folder.path().join("nowhere")).unwrap_err().to_string();
    assert!(missing.contains("nowhere"), "{missing}");
}
