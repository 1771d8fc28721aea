//! Associative memory: transitions are kept when the ticks they came from are long forgotten.

use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::support::{ACTION_CHUNK, PointMass, Predicted, configurator, modules, observation, task, transition};
use mindseye_agent::directive::StateSource;
use mindseye_agent::memory::{AssociativeMemory, Memory, RingMemory, SoftMemoryConfig, Transition};
use mindseye_agent::world_model::{Cancel, Context, Dynamics, Recording, WorldModel};
use mindseye_agent::{Agent, Latent, Plans, Result, Rollouts};
use mindseye_interface::{ManualClock, Seed};
use mindseye_world_model::{Adaptation, AdaptationConfig, Transitions};

type Tested = std::result::Result<(), Box<dyn std::error::Error>>;

/// A tick in which the state was `place` and all actions of the chunk were `action`.
fn at(tick: u64, place: [f32; 2], action: f32) -> Transition {
    let action_chunk = vec![action; 2 * ACTION_CHUNK];
    Transition { action_chunk, state_source: StateSource::Observed, ..transition(tick, place, 0, 1.0) }
}

/// A path of `moves` ticks, then `still` ticks of rest.
fn record(memory: &mut dyn Memory, moves: u64, still: u64) {
    for tick in 0..moves + still {
        let moving = tick < moves;
        memory.remember(at(tick, [tick.min(moves) as f32 * 0.5, 0.0], if moving { 0.5 } else { 0.0 }));
    }
}

/// How many of the transitions were moves.
fn moves_in(transitions: &Transitions) -> usize {
    transitions.states.chunks_exact(2).zip(transitions.next.chunks_exact(2)).filter(|(from, to)| from != to).count()
}

#[test]
fn standing_still_does_not_displace_stored_moves() -> Tested {
    let (mut ring, mut memory) = (RingMemory::new(60), AssociativeMemory::new(60, SoftMemoryConfig::default())?);
    record(&mut ring, 10, 200);
    record(&mut memory, 10, 200);
    assert_eq!(moves_in(&ring.transitions(60)), 0, "a ring has only the newest ticks");
    assert_eq!(moves_in(&memory.transitions(60)), 10);
    assert_eq!(memory.store().map(|store| store.slots().len()), Some(11), "all rest is one slot");
    assert_eq!(memory.len(), 60);
    assert_eq!(memory.recent(3), ring.recent(3), "ticks are those of a ring");
    Ok(())
}

#[test]
fn transitions_are_the_newest_and_evenly_spaced_older_ones() -> Tested {
    let mut memory = AssociativeMemory::new(10, SoftMemoryConfig::default())?;
    record(&mut memory, 101, 0);
    let ends = |count| memory.transitions(count).next.chunks_exact(2).map(|next| next[0] * 2.0).collect::<Vec<f32>>();
    assert_eq!(ends(1), [100.0]);
    assert_eq!(ends(6), [100.0, 99.0, 98.0, 97.0, 65.0, 33.0]);
    assert_eq!(ends(1000).len(), 100);
    assert_eq!(ends(0).len(), 0);
    Ok(())
}

#[test]
fn a_stored_transition_is_retrieved_and_another_has_a_low_density() -> Tested {
    let mut memory = AssociativeMemory::new(10, SoftMemoryConfig::default())?;
    assert_eq!(memory.retrieve(&Latent::global(vec![0.0, 0.0]), &[0.5; 2 * ACTION_CHUNK]), None);
    record(&mut memory, 6, 0);
    let retrieved = memory.retrieve(&Latent::global(vec![1.0, 0.0]), &[0.5; 2 * ACTION_CHUNK]).ok_or("something")?;
    assert!((retrieved.value[0] - 1.5).abs() < 0.01, "{retrieved:?}");
    assert!(retrieved.kernel_density() > 0.99, "{retrieved:?}");
    let elsewhere = memory.retrieve(&Latent::global(vec![1.0, 9.0]), &[0.5; 2 * ACTION_CHUNK]).ok_or("something")?;
    assert!(elsewhere.kernel_density() < 0.01, "{elsewhere:?}");
    assert_eq!(memory.retrieve(&Latent::global(vec![1.0]), &[0.5]), None, "of another width");
    Ok(())
}

#[test]
fn imputed_states_and_gaps_between_episodes_give_no_transitions() -> Tested {
    let (mut ring, mut memory) = (RingMemory::new(10), AssociativeMemory::new(10, SoftMemoryConfig::default())?);
    for memory in [&mut ring as &mut dyn Memory, &mut memory] {
        memory.remember(at(0, [0.0, 0.0], 0.1));
        memory.remember(Transition { state_source: StateSource::Imputed, ..at(1, [1.0, 0.0], 0.2) });
        memory.remember(at(2, [2.0, 0.0], 0.3));
        memory.remember(at(7, [3.0, 0.0], 0.4));
        assert_eq!(memory.transitions(10), Transitions::default());
        memory.remember(at(8, [4.0, 0.0], 0.5));
        assert_eq!(memory.transitions(10).next, [4.0, 0.0]);
    }
    memory.remember(at(9, [f32::NAN, 0.0], 0.5));
    assert_eq!(memory.transitions(10).next, [4.0, 0.0], "a NaN is not stored");
    Ok(())
}

#[test]
fn it_is_equal_after_saving_and_a_broken_file_is_named() -> Tested {
    let folder = tempfile::tempdir()?;
    let of = |name: &str| folder.path().join(name);
    for (name, moves) in [("empty", 0), ("full", 20)] {
        let mut memory = AssociativeMemory::new(6, SoftMemoryConfig { capacity: 8, ..SoftMemoryConfig::default() })?;
        record(&mut memory, moves, 0);
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
        (lines[..5].join("\n"), "ticks: expected 6, got 3"),
        ([&lines[..4], &["{}"]].concat().join("\n"), "line 5"),
    ] {
        let error = refused(&of("broken"), &text)?;
        assert!(error.contains(named) && error.contains("broken"), "{named}: {error}");
    }
    Ok(())
}

/// The point on the plane, predicted to drift a little, so that every tick surprises; records the transitions that it
/// is corrected by.
#[derive(Debug)]
struct Drifting(Arc<Mutex<Vec<Transitions>>>);

fn drifted(context: &Context<'_>) -> Latent {
    let values = context.latents.last().map(Latent::values).unwrap_or_default();
    Latent::global(values.iter().map(|value| value + 0.01).collect())
}

impl Dynamics for Drifting {
    fn rollout(&self, context: &Context<'_>, plans: &Plans) -> Predicted<Rollouts> {
        PointMass.rollout(&Context::of(&drifted(context)), plans)
    }

    fn rollout_recorded(&self, context: &Context<'_>, plans: &Plans) -> Predicted<(Rollouts, Recording)> {
        PointMass.rollout_recorded(&Context::of(&drifted(context)), plans)
    }

    fn vjp(&self, recording: Recording, upstream: &[f32], cancel: Cancel<'_>) -> Predicted<Vec<f32>> {
        PointMass.vjp(recording, upstream, cancel)
    }
}

impl WorldModel for Drifting {
    fn adapt(&mut self, transitions: &Transitions, _config: &AdaptationConfig) -> Result<Option<Adaptation>> {
        self.0.lock().map(|mut recorded| recorded.push(transitions.clone())).ok();
        Ok(None)
    }
}

/// The transitions that an agent with `memory` learns from in the last of 8 ticks of moving and 100 of rest, and the
/// density of its last chunk.
fn last_transitions(
    memory: Box<dyn Memory>,
) -> std::result::Result<(Transitions, Option<f32>), Box<dyn std::error::Error>> {
    let recorded = Arc::default();
    let mut modules = modules(&[[0.0, 0.0]], Box::new(Drifting(Arc::clone(&recorded))));
    modules.memory = memory;
    modules.configurator = configurator(&task("[adaptation]\nmoments = 60\nsurprise_above = 0.0\n"), &[[0.0, 0.0]]);
    let (mut agent, clock) = (Agent::new(modules, Seed::new(1)), ManualClock::default());
    let mut kernel_density = None;
    for tick in 0..108 {
        // The body does not follow its commands: it is moved, and then left alone.
        let place = [(tick.min(8) as f32).mul_add(-0.25, 2.0), 0.0];
        kernel_density = agent.tick(&observation(Some(place)), &clock).kernel_density;
    }
    let last = recorded.lock().map_err(|_| "a transition")?.last().cloned();
    Ok((last.ok_or("a transition")?, kernel_density))
}

#[test]
fn an_agent_keeps_learning_from_moves_before_a_long_rest() -> Tested {
    let (of_ring, unknown) = last_transitions(Box::new(RingMemory::new(1000)))?;
    let (of_memory, density) = last_transitions(Box::new(AssociativeMemory::new(1000, SoftMemoryConfig::default())?))?;
    assert_eq!((moves_in(&of_ring), of_ring.states.len()), (0, 120));
    assert!(moves_in(&of_memory) >= 3, "its share of what is older than the newest thirty");
    assert_eq!(of_memory.states.len(), 120);
    assert_eq!(unknown, None);
    assert!(density.is_some_and(|density| (0.0..=1.0).contains(&density)), "{density:?}");
    Ok(())
}
