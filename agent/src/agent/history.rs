//! What led to a state: the context of a prediction, from memory.

use mindseye_world_model::Context;

use crate::latent::Latent;
use crate::memory::{Arrival, Memory};

/// States one action chunk apart, oldest first, and the chunks that were executed between them.
#[derive(Debug)]
pub(super) struct History {
    latents: Vec<Latent>,
    /// `[T - 1, A]`.
    actions: Vec<f32>,
}

impl History {
    /// `latent`, the state of tick number `tick` with `arrival`, after at most `states - 1` remembered ones. It begins
    /// where memory does not know the state one whole chunk before, for example where an episode begins.
    pub fn ending_in(latent: &Latent, tick: u64, arrival: &Arrival, memory: &dyn Memory, states: usize) -> Self {
        let (mut latents, mut chunks) = (vec![latent.clone()], Vec::new());
        let (mut tick, mut arrival) = (tick, arrival);
        while latents.len() < states {
            let Some((before, chunk)) = memory.one_chunk_before(tick, arrival) else { break };
            if before.latent.shape() != latent.shape() {
                break;
            }
            latents.push(before.latent.clone());
            chunks.push(chunk);
            (tick, arrival) = (before.tick, &before.arrival);
        }
        latents.reverse();
        chunks.reverse();
        Self { latents, actions: chunks.concat() }
    }

    /// The context of a prediction from its last state, where `proprioception` is observed.
    pub fn context<'a>(&'a self, proprioception: &'a [f32]) -> Context<'a> {
        Context { proprioception, ..Context::after(&self.latents, &self.actions) }
    }
}
