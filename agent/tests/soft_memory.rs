//! A soft memory retrieves what was stored under similar keys (LeCun 2022, section 3.3).

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use mindseye_agent::memory::{SoftMemory, SoftMemoryConfig};

fn memory(capacity: usize) -> SoftMemory {
    let config = SoftMemoryConfig { capacity, threshold: 1e-4, ..SoftMemoryConfig::default() };
    SoftMemory::new(config, 2, 3).unwrap()
}

fn near(a: &[f32], b: &[f32], within: f32) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < within)
}

#[test]
fn a_stored_key_retrieves_its_value() {
    let mut memory = memory(10);
    memory.write(&[0.0, 0.0], &[1.0, 2.0, 3.0], 0).unwrap();
    memory.write(&[5.0, 5.0], &[-4.0, 0.0, 9.0], 1).unwrap();
    let retrieved = memory.retrieve(&[5.0, 5.0]).unwrap();
    assert!(near(&retrieved.value, &[-4.0, 0.0, 9.0], 2e-3), "{retrieved:?}");
    assert!(retrieved.kernel_density() > 0.999);
}

#[test]
fn between_two_keys_their_values_are_blended() {
    let mut memory = memory(10);
    memory.write(&[0.0, 0.0], &[0.0, 2.0, 0.0], 0).unwrap();
    memory.write(&[0.2, 0.0], &[4.0, 2.0, 0.0], 1).unwrap();
    let first = |x: f32| memory.retrieve(&[x, 0.0]).unwrap().value[0];
    assert!((first(0.1) - 2.0).abs() < 1e-2, "half way: {}", first(0.1));
    let along: Vec<f32> = (0..=10).map(|step| first(0.02 * step as f32)).collect();
    assert!(along.windows(2).all(|pair| pair[0] < pair[1]), "{along:?}");
    assert!(near(&memory.retrieve(&[0.07, 0.0]).unwrap().value[1..2], &[2.0], 1e-2), "what both agree on stays");
}

#[test]
fn one_write_is_enough_and_changes_nothing_else() {
    let mut memory = memory(10);
    for slot in 0..5 {
        memory.write(&[slot as f32, 0.0], &[slot as f32; 3], slot).unwrap();
    }
    let before = memory.slots().to_vec();
    assert_eq!(memory.write(&[2.01, 0.0], &[8.0; 3], 9).unwrap(), 2, "near a key its slot is written");
    assert_eq!(memory.slots().len(), 5);
    for (slot, before) in memory.slots().iter().zip(&before) {
        assert_eq!(slot == before, slot.tick != 9, "{slot:?}");
    }
    let blended = &memory.slots()[2];
    assert_eq!((blended.value[0], blended.writes), (5.0, 2));
    assert_eq!(memory.write(&[2.5, 0.0], &[7.0; 3], 10).unwrap(), 5, "far from all keys a slot is allocated");
    assert!(near(&memory.retrieve(&[2.5, 0.0]).unwrap().value, &[7.0; 3], 3e-2));
}

#[test]
fn where_nothing_is_similar_nothing_is_retrieved() {
    let mut memory = memory(10);
    assert_eq!(memory.retrieve(&[0.0, 0.0]).unwrap().value, [0.0; 3]);
    memory.write(&[0.0, 0.0], &[1.0; 3], 0).unwrap();
    let far = memory.retrieve(&[3.0, 0.0]).unwrap();
    assert!(far.kernel_density() < 1e-6 && far.value[0] < 1e-6, "{far:?}");
}

#[test]
fn a_full_memory_overwrites_its_oldest_write() {
    let mut memory = memory(3);
    for slot in 0..3 {
        memory.write(&[slot as f32, 0.0], &[slot as f32; 3], slot).unwrap();
    }
    memory.write(&[0.0, 0.0], &[0.5; 3], 3).unwrap(); // the oldest is written again
    memory.write(&[9.0, 0.0], &[9.0; 3], 4).unwrap();
    let keys: Vec<f32> = memory.slots().iter().map(|slot| slot.key[0]).collect();
    assert_eq!(keys, [0.0, 9.0, 2.0]);
    let recent: Vec<u64> = memory.recent(2).iter().map(|slot| slot.tick).collect();
    assert_eq!(recent, [4, 3], "by time, newest first");
}

#[test]
fn gradients_are_those_of_the_retrieved_value() {
    let mut memory = memory(10);
    for slot in 0..6u64 {
        let wave = |phase: f32| (slot as f32 * 1.7 + phase).sin();
        memory.write(&[0.2 * wave(0.0), 0.2 * wave(1.0)], &[wave(2.0), wave(3.0), wave(4.0)], slot).unwrap();
    }
    let (query, upstream) = ([0.05f32, -0.03], [0.7f32, -1.1, 0.4]);
    let gradients = memory.gradients(&query, &upstream).unwrap();
    let energy = |query: [f32; 2]| -> f32 {
        memory.retrieve(&query).unwrap().value.iter().zip(upstream).map(|(value, upstream)| value * upstream).sum()
    };
    for index in 0..2 {
        let moved = |by: f32| {
            let mut query = query;
            query[index] += by;
            energy(query)
        };
        let measured = (moved(1e-3) - moved(-1e-3)) / 2e-3;
        assert!(
            (measured - gradients[index]).abs() < 0.02 * measured.abs().max(0.1),
            "{measured} {}",
            gradients[index]
        );
    }
}

#[test]
fn wrong_widths_and_nan_are_not_stored() {
    let mut memory = memory(3);
    let refused = memory.write(&[0.0], &[0.0; 3], 0).unwrap_err().to_string();
    assert!(refused.contains("2 and 3 finite values") && refused.contains("1 and 3"), "{refused}");
    assert!(memory.write(&[f32::NAN, 0.0], &[0.0; 3], 0).unwrap_err().to_string().contains("not all finite"));
    assert!(memory.slots().is_empty());
    assert!(memory.retrieve(&[0.0; 3]).is_err() && memory.gradients(&[0.0; 2], &[0.0]).is_err());
    let narrow = SoftMemoryConfig { bandwidth: 0.0, ..SoftMemoryConfig::default() };
    assert!(SoftMemory::new(narrow, 2, 3).unwrap_err().to_string().contains("memory.bandwidth"));
}
