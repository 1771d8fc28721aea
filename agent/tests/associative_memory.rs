//! The memory that agents live with: what comes of what is kept when moments are long forgotten.

mod support;

use std::path::Path;
use std::sync::{Arc, Mutex};

use mindseye_agent::memory::{AssociativeMemory, Memory, Moment, RingMemory, SoftMemoryConfig};
use mindseye_agent::perception::Sight;
use mindseye_agent::world_model::{Judge, WorldModel};
use mindseye_agent::{Agent, Latent, Plans, Result, Rollouts};
use mindseye_interface::{ManualClock, Seed};
use mindseye_world_model::{Adaptation, AdaptationConfig, Experience};
use support::{ACTION_BLOCK, PointMass, configurator, modules, moment, observation, task};

type Tested = std::result::Result<(), Box<dyn std::error::Error>>;

/// A moment in which the state was `place` and all actions of the block were `action`.
fn at(tick: u64, place: [f32; 2], action: f32) -> Moment {
    let block = vec![action; 2 * ACTION_BLOCK];
    Moment { block, sight: Sight::Seen, ..moment(tick, place, 0, 1.0) }
}

/// A way of `moves` steps, then `still` ticks of rest.
fn live(memory: &mut dyn Memory, moves: u64, still: u64) {
    for tick in 0..moves + still {
        let moving = tick < moves;
        memory.remember(at(tick, [tick.min(moves) as f32 * 0.5, 0.0], if moving { 0.5 } else { 0.0 }));
    }
}

/// How many of the transitions were moves.
fn moves_in(experience: &Experience) -> usize {
    experience.states.chunks_exact(2).zip(experience.next.chunks_exact(2)).filter(|(from, to)| from != to).count()
}

#[test]
fn standing_still_does_not_take_the_place_of_what_was_learnt_by_moving() -> Tested {
    let (mut ring, mut memory) = (RingMemory::new(60), AssociativeMemory::new(60, SoftMemoryConfig::default())?);
    live(&mut ring, 10, 200);
    live(&mut memory, 10, 200);
    assert_eq!(moves_in(&ring.experience(60)), 0, "a ring has only the last moments");
    assert_eq!(moves_in(&memory.experience(60)), 10);
    assert_eq!(memory.transitions().map(|transitions| transitions.slots().len()), Some(11), "all rest is one slot");
    assert_eq!(memory.len(), 60);
    assert_eq!(memory.recent(3), ring.recent(3), "moments are those of a ring");
    Ok(())
}

#[test]
fn lessons_are_the_newest_and_some_of_all_that_is_older() -> Tested {
    let mut memory = AssociativeMemory::new(10, SoftMemoryConfig::default())?;
    live(&mut memory, 101, 0);
    let ends = |count| memory.experience(count).next.chunks_exact(2).map(|next| next[0] * 2.0).collect::<Vec<f32>>();
    assert_eq!(ends(1), [100.0]);
    assert_eq!(ends(6), [100.0, 99.0, 98.0, 97.0, 65.0, 33.0]);
    assert_eq!(ends(1000).len(), 100);
    assert_eq!(ends(0).len(), 0);
    Ok(())
}

#[test]
fn what_was_lived_once_is_recalled_and_what_was_not_is_unfamiliar() -> Tested {
    let mut memory = AssociativeMemory::new(10, SoftMemoryConfig::default())?;
    assert_eq!(memory.recall(&Latent::global(vec![0.0, 0.0]), &[0.5; 2 * ACTION_BLOCK]), None);
    live(&mut memory, 6, 0);
    let recalled = memory.recall(&Latent::global(vec![1.0, 0.0]), &[0.5; 2 * ACTION_BLOCK]).ok_or("something")?;
    assert!((recalled.value[0] - 1.5).abs() < 0.01, "{recalled:?}");
    assert!(recalled.familiarity() > 0.99, "{recalled:?}");
    let elsewhere = memory.recall(&Latent::global(vec![1.0, 9.0]), &[0.5; 2 * ACTION_BLOCK]).ok_or("something")?;
    assert!(elsewhere.familiarity() < 0.01, "{elsewhere:?}");
    assert_eq!(memory.recall(&Latent::global(vec![1.0]), &[0.5]), None, "of another width");
    Ok(())
}

#[test]
fn nothing_is_learnt_of_what_was_not_seen_or_lies_between_two_lives() -> Tested {
    let (mut ring, mut memory) = (RingMemory::new(10), AssociativeMemory::new(10, SoftMemoryConfig::default())?);
    for memory in [&mut ring as &mut dyn Memory, &mut memory] {
        memory.remember(at(0, [0.0, 0.0], 0.1));
        memory.remember(Moment { sight: Sight::Dropped, ..at(1, [1.0, 0.0], 0.2) });
        memory.remember(at(2, [2.0, 0.0], 0.3));
        memory.remember(at(7, [3.0, 0.0], 0.4));
        assert_eq!(memory.experience(10), Experience::default());
        memory.remember(at(8, [4.0, 0.0], 0.5));
        assert_eq!(memory.experience(10).next, [4.0, 0.0]);
    }
    memory.remember(at(9, [f32::NAN, 0.0], 0.5));
    assert_eq!(memory.experience(10).next, [4.0, 0.0], "no numbers, no lesson");
    Ok(())
}

#[test]
fn it_comes_back_from_its_file_and_a_broken_file_is_named() -> Tested {
    let folder = tempfile::tempdir()?;
    let of = |name: &str| folder.path().join(name);
    for (name, moves) in [("empty", 0), ("full", 20)] {
        let mut memory = AssociativeMemory::new(6, SoftMemoryConfig { capacity: 8, ..SoftMemoryConfig::default() })?;
        live(&mut memory, moves, 0);
        memory.save(&of(name))?;
        let loaded = AssociativeMemory::load(&of(name))?;
        assert_eq!(loaded, memory);
        loaded.save(&of("again"))?;
        assert_eq!(std::fs::read(of(name))?, std::fs::read(of("again"))?);
    }
    let text = std::fs::read_to_string(of("full"))?;
    let lines: Vec<&str> = text.lines().collect();
    let refused = |path: &Path, text: &str| -> std::result::Result<String, Box<dyn std::error::Error>> {
        std::fs::write(path, text)?;
        Ok(AssociativeMemory::load(path).err().ok_or("an error")?.to_string())
    };
    for (text, named) in [
        (String::new(), "line 1"),
        (lines[0].replace("memory 1", "memory 9"), "expected mindseye associative memory 1"),
        (lines[0].into(), "line 2"),
        (lines[..5].join("\n"), "moments: expected 6, got 3"),
        ([&lines[..4], &["{}"]].concat().join("\n"), "line 5"),
    ] {
        let error = refused(&of("broken"), &text)?;
        assert!(error.contains(named) && error.contains("broken"), "{named}: {error}");
    }
    Ok(())
}

/// The point on the plane, always believed to drift a little, so that every moment surprises; tells what it was asked to learn from.
struct Attentive(Arc<Mutex<Vec<Experience>>>);

fn drifted(start: &Latent) -> Latent {
    Latent::global(start.values().iter().map(|value| value + 0.01).collect())
}

impl WorldModel for Attentive {
    fn imagine(&self, start: &Latent, plans: &Plans) -> Result<Rollouts> {
        PointMass.imagine(&drifted(start), plans)
    }

    fn differentiate(&self, start: &Latent, plans: &Plans, judge: &mut Judge<'_>) -> Result<Vec<f32>> {
        PointMass.differentiate(&drifted(start), plans, judge)
    }

    fn adapt(&mut self, experience: &Experience, _config: &AdaptationConfig) -> Result<Option<Adaptation>> {
        self.0.lock().map(|mut heard| heard.push(experience.clone())).ok();
        Ok(None)
    }
}

/// What an agent with `memory` was asked to learn from in the last tick of a life that moved for 8 ticks and rested for 100, and how familiar the last block was.
fn last_lessons(memory: Box<dyn Memory>) -> std::result::Result<(Experience, Option<f32>), Box<dyn std::error::Error>> {
    let heard = Arc::default();
    let mut modules = modules(&[[0.0, 0.0]], Box::new(Attentive(Arc::clone(&heard))));
    modules.memory = memory;
    modules.configurator = configurator(&task("[adaptation]\nmoments = 60\nsurprise_above = 0.0\n"), &[[0.0, 0.0]]);
    let (mut agent, clock) = (Agent::new(modules, Seed::new(1)), ManualClock::default());
    let mut familiarity = None;
    for tick in 0..108 {
        // Where the body is has nothing to do with what it was told: it is moved by somebody else, and then left alone.
        let place = [(tick.min(8) as f32).mul_add(-0.25, 2.0), 0.0];
        familiarity = agent.tick(&observation(Some(place)), &clock).familiarity;
    }
    let last = heard.lock().map_err(|_| "a lesson")?.last().cloned();
    Ok((last.ok_or("a lesson")?, familiarity))
}

#[test]
fn an_agent_goes_on_learning_from_what_it_did_before_it_rested() -> Tested {
    let (of_ring, unknown) = last_lessons(Box::new(RingMemory::new(1000)))?;
    let (of_memory, familiar) = last_lessons(Box::new(AssociativeMemory::new(1000, SoftMemoryConfig::default())?))?;
    assert_eq!((moves_in(&of_ring), of_ring.states.len()), (0, 120));
    assert!(moves_in(&of_memory) >= 3, "its share of what is older than the newest thirty");
    assert_eq!(of_memory.states.len(), 120);
    assert_eq!(unknown, None);
    assert!(familiar.is_some_and(|familiar| (0.0..=1.0).contains(&familiar)), "{familiar:?}");
    Ok(())
}
