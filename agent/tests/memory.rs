//! Memory: bounded, searchable, and the same after saving.

use crate::support::transition;
use mindseye_agent::Latent;
use mindseye_agent::memory::{Memory, RingMemory, Transition};
use mindseye_interface::Seed;

fn filled(capacity: usize, ticks: u64) -> RingMemory {
    let mut memory = RingMemory::new(capacity);
    for tick in 0..ticks {
        memory.remember(transition(tick, [tick as f32 / 3.0, -1.0], 0, 0.7 / (tick + 1) as f32));
    }
    memory
}

fn ticks(transitions: &[&Transition]) -> Vec<u64> {
    transitions.iter().map(|known| known.tick).collect()
}

#[test]
fn a_full_memory_forgets_its_oldest() {
    let memory = filled(4, 10);
    assert_eq!(memory.len(), 4);
    assert_eq!(ticks(&memory.recent(100)), [9, 8, 7, 6]);
    assert_eq!(ticks(&memory.recent(2)), [9, 8]);
    assert_eq!((memory.at(5), memory.at(6).map(|known| known.tick)), (None, Some(6)));
    assert!(RingMemory::new(3).is_empty());
}

#[test]
fn the_nearest_ticks_come_nearest_first() {
    let memory = filled(100, 10);
    assert_eq!(ticks(&memory.nearest(&Latent::global(vec![2.1, -1.0]), 3)), [6, 7, 5]);
    assert_eq!(memory.nearest(&Latent::global(vec![4.0 / 3.0, -1.0]), 1)[0].tick, 4, "a stored state is found exactly");
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
    let path = folder.path().join("run.memory");
    filled(6, 3).save(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    // Only the newline at the very end may go: every tick is still whole then.
    for length in (0..whole.len() - 1).step_by(7) {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = RingMemory::load(&path).unwrap_err().to_string();
        assert!(error.contains("run.memory") && error.contains("line"), "cut at {length}: {error}");
    }
}

#[test]
fn a_broken_memory_names_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.memory");
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
        assert!(error.contains("run.memory") && error.contains(named), "{to}: {error}");
    }
    let missing = RingMemory::load(&folder.path().join("nowhere")).unwrap_err().to_string();
    assert!(missing.contains("nowhere"), "{missing}");
}
