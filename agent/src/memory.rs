//! Short-term memory: what happened, what was predicted, what it cost (LeCun 2022, section 3).

mod associative;
mod no_memory;
mod ring;
mod soft;

pub use associative::AssociativeMemory;
pub(crate) use no_memory::NoMemory;
pub use ring::RingMemory;
pub use soft::{Retrieval, Slot, SoftMemory, SoftMemoryConfig};

use mindseye_interface::Rng;
use mindseye_world_model::Transitions;
use serde::{Deserialize, Serialize};

use crate::directive::StateSource;
use crate::latent::{Latent, Plan};

/// One tick.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transition {
    /// Number of the tick.
    pub tick: u64,
    /// Number of the sub-goal that was pursued.
    pub sub_goal: usize,
    /// The state observed (or, where nothing was observed, predicted).
    pub latent: Latent,
    /// The goal state; memories of before have none.
    #[serde(default)]
    pub goal: Option<Latent>,
    /// Unweighted intrinsic energies of that state and of the chunk that led to it, by name.
    pub energies: Vec<(String, f32)>,
    /// The action chunk that was returned, `[A]`.
    #[serde(alias = "block", alias = "chunk")]
    pub action_chunk: Vec<f32>,
    /// The plan whose first chunk it is.
    pub plan: Plan,
    /// The state predicted for the end of that chunk.
    pub predicted: Option<Latent>,
    /// Mean squared difference between this state and the prediction for it.
    pub surprise: Option<f32>,
    /// How the state became known.
    #[serde(default)]
    #[serde(alias = "sight")]
    pub state_source: StateSource,
    /// What was executed before this state.
    #[serde(default, skip_serializing_if = "Arrival::is_whole_chunk")]
    pub arrival: Arrival,
}

/// How a tick's state relates to the states before: predictions and learning are about whole action chunks, an agent
/// may replan more often.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Arrival {
    /// The whole chunk of the tick before was executed.
    #[default]
    WholeChunk,
    /// The agent replanned within the chunk; one whole chunk ago there was another tick.
    Replanned {
        /// Number of that tick.
        tick: u64,
        /// The actions executed since, `[A]`.
        executed: Vec<f32>,
    },
    /// There was no tick one whole chunk ago: nothing predicted this state.
    WithinChunk,
}

impl Arrival {
    fn is_whole_chunk(&self) -> bool {
        *self == Self::WholeChunk
    }
}

/// Memory that ticks may take unless a task says otherwise, MiB.
pub(crate) const DEFAULT_MAX_MIB: usize = 256;

impl Transition {
    /// Memory that the tick takes, bytes.
    pub fn bytes(&self) -> usize {
        let executed = match &self.arrival {
            Arrival::Replanned { executed, .. } => executed.len(),
            Arrival::WholeChunk | Arrival::WithinChunk => 0,
        };
        let latents = [Some(&self.latent), self.goal.as_ref(), self.predicted.as_ref()];
        let latents: usize = latents.into_iter().flatten().map(|latent| latent.values().len()).sum();
        let numbers = latents + self.action_chunk.len() + self.plan.values().len() + executed;
        let names = self.energies.iter().map(|(name, _)| name.len() + size_of::<(String, f32)>());
        size_of::<Self>() + numbers * size_of::<f32>() + names.sum::<usize>()
    }

    /// The unweighted energy of the term `name`.
    pub fn energy(&self, name: &str) -> Option<f32> {
        self.energies.iter().find(|(known, _)| known == name).map(|(_, energy)| *energy)
    }
}

/// Remembers ticks.
pub trait Memory: Send {
    /// Adds a tick; a bounded memory forgets its oldest.
    fn remember(&mut self, transition: Transition);

    /// Number of ticks remembered.
    fn len(&self) -> usize;

    /// Whether nothing is remembered.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The newest `count` ticks, newest first.
    fn recent(&self, count: usize) -> Vec<&Transition>;

    /// The tick number `tick`, if it is still remembered.
    fn at(&self, tick: u64) -> Option<&Transition>;

    /// The `count` ticks whose latents are nearest to `latent`, nearest first; of equally near ones the older first.
    fn nearest(&self, latent: &Latent, count: usize) -> Vec<&Transition>;

    /// `count` ticks drawn with replacement; none if nothing is remembered.
    fn sample(&self, count: usize, rng: &mut Rng) -> Vec<&Transition>;

    /// The tick one action chunk before a tick number `tick` with `arrival`, and the chunk `[A]` that was executed
    /// since; `None` if there was none or it is forgotten.
    fn one_chunk_before<'a>(&'a self, tick: u64, arrival: &'a Arrival) -> Option<(&'a Transition, &'a [f32])> {
        match arrival {
            Arrival::WholeChunk => {
                let before = self.at(tick.checked_sub(1)?)?;
                Some((before, &before.action_chunk))
            }
            Arrival::Replanned { tick, executed } => Some((self.at(*tick)?, executed)),
            Arrival::WithinChunk => None,
        }
    }

    /// At most `count` observed transitions of one action chunk to learn from, newest first. By default those of the
    /// newest ticks.
    fn transitions(&self, count: usize) -> Transitions {
        let mut transitions = Transitions::default();
        for after in self.recent(count) {
            // A state that was not observed is a prediction: nothing to learn from.
            if let Some((before, chunk)) = self.one_chunk_before(after.tick, &after.arrival)
                && [before.state_source, after.state_source] == [StateSource::Observed; 2]
            {
                transitions.push(before.latent.values(), chunk, after.latent.values());
            }
        }
        transitions
    }

    /// What the memory retrieves for executing `chunk` in the state `latent`; nothing where it stores no such pairs.
    fn retrieve(&self, _latent: &Latent, _chunk: &[f32]) -> Option<Retrieval> {
        None
    }
}
