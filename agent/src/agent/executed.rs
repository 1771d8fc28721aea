//! Which actions were executed since which tick: a tick may come before the chunk of the one before has been executed
//! whole.

use std::collections::VecDeque;

use crate::memory::Arrival;

/// The actions of the newest control steps, as far back as one action chunk.
#[derive(Debug, Default)]
pub(super) struct ExecutedActions {
    /// Control steps executed so far.
    step: u64,
    /// Normalised actions of the newest steps, oldest first.
    actions: Vec<f32>,
    /// Control step and number of the ticks of the last chunk, oldest first.
    ticks: VecDeque<(u64, u64)>,
    /// The chunk that the newest tick returned, until the next tick.
    pending: Option<Vec<f32>>,
    /// How many steps of it were executed, where that was reported.
    reported: Option<usize>,
    /// Whether other actions than those of the chunk were executed.
    replaced: bool,
}

impl ExecutedActions {
    /// What was executed does not lead to what is observed next.
    pub fn clear(&mut self) {
        *self = Self { step: self.step, ..Self::default() };
    }

    /// Tick number `tick` returned `chunk`.
    pub fn returned(&mut self, tick: u64, chunk: &[f32]) {
        self.ticks.push_back((self.step, tick));
        self.pending = Some(chunk.to_vec());
        self.replaced = false;
    }

    /// Not that chunk was executed but `actions`, normalised, of `width` numbers each and at most a chunk of them.
    pub fn replace(&mut self, actions: &[f32], width: usize) {
        let Some(pending) = &mut self.pending else { return };
        self.replaced = !pending.starts_with(actions);
        self.reported = Some(actions.len() / width.max(1));
        *pending = actions.to_vec();
    }

    /// Only the first `steps` control steps of that chunk were executed.
    pub fn report(&mut self, steps: usize) {
        self.reported = Some(steps);
    }

    /// The action of the newest control step, of `width` numbers; none before the first one and after a break.
    pub fn newest(&self, width: usize) -> Option<&[f32]> {
        self.actions.rchunks_exact(width.max(1)).next()
    }

    /// The next tick begins, with chunks of `chunk` control steps and actions of `width` numbers: how many steps were
    /// executed since the one before, and what tick was one chunk ago.
    pub fn advance(&mut self, chunk: usize, width: usize) -> (usize, Arrival) {
        let reported = self.reported.take();
        let Some(pending) = self.pending.take() else { return (chunk, Arrival::WholeChunk) };
        let steps = reported.unwrap_or(chunk).min(chunk);
        let values = (steps * width).min(pending.len());
        self.actions.extend_from_slice(&pending[..values]);
        self.actions.drain(..self.actions.len().saturating_sub(chunk * width));
        self.step += steps as u64;
        let oldest = self.step.checked_sub(chunk as u64);
        while self.ticks.front().is_some_and(|(step, _)| oldest.is_some_and(|oldest| *step < oldest)) {
            self.ticks.pop_front();
        }
        if steps == chunk && !std::mem::take(&mut self.replaced) {
            return (steps, Arrival::WholeChunk);
        }
        let aligned = self.ticks.front().filter(|(step, _)| Some(*step) == oldest);
        let arrival = match aligned {
            Some((_, tick)) if self.actions.len() == chunk * width => {
                Arrival::Replanned { tick: *tick, executed: self.actions.clone() }
            }
            _ => Arrival::WithinChunk,
        };
        (steps, arrival)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ticks of chunks of four steps of one number, of which `executed` are executed in turn: how each arrived.
    fn arrivals(executed: &[usize]) -> Vec<Arrival> {
        let mut actions = ExecutedActions::default();
        let mut arrivals = Vec::new();
        for (tick, steps) in executed.iter().enumerate() {
            actions.advance(4, 1);
            let first = 10.0 * tick as f32;
            actions.returned(tick as u64, &[first, first + 1.0, first + 2.0, first + 3.0]);
            actions.report(*steps);
            arrivals.push(actions_after(&mut actions));
        }
        arrivals
    }

    /// How the next tick would arrive, leaving `actions` as they are.
    fn actions_after(actions: &mut ExecutedActions) -> Arrival {
        let mut copy = ExecutedActions {
            step: actions.step,
            actions: actions.actions.clone(),
            ticks: actions.ticks.clone(),
            pending: actions.pending.clone(),
            reported: actions.reported,
            replaced: actions.replaced,
        };
        copy.advance(4, 1).1
    }

    #[test]
    fn a_chunk_ends_where_a_tick_was_one_chunk_ago() {
        let replanned = |tick, executed: [f32; 4]| Arrival::Replanned { tick, executed: executed.to_vec() };
        assert_eq!(arrivals(&[4, 4]), [Arrival::WholeChunk, Arrival::WholeChunk]);
        assert_eq!(
            arrivals(&[2, 2, 2]),
            [Arrival::WithinChunk, replanned(0, [0.0, 1.0, 10.0, 11.0]), replanned(1, [10.0, 11.0, 20.0, 21.0])]
        );
        assert_eq!(arrivals(&[3, 3, 3]), [Arrival::WithinChunk, Arrival::WithinChunk, Arrival::WithinChunk]);
        assert_eq!(
            arrivals(&[1, 3, 4]),
            [Arrival::WithinChunk, replanned(0, [0.0, 10.0, 11.0, 12.0]), Arrival::WholeChunk]
        );
    }

    #[test]
    fn after_a_break_nothing_follows_from_what_was_before() {
        let mut actions = ExecutedActions::default();
        actions.returned(0, &[1.0; 4]);
        actions.report(2);
        actions.clear();
        assert_eq!(actions.advance(4, 1), (4, Arrival::WholeChunk));
        actions.returned(2, &[1.0; 4]);
        actions.report(2);
        assert_eq!(actions.advance(4, 1), (2, Arrival::WithinChunk));
    }

    #[test]
    fn other_actions_than_the_planned_ones_lead_to_what_is_observed_next() {
        let mut actions = ExecutedActions::default();
        actions.advance(2, 1);
        actions.returned(0, &[1.0, 2.0]);
        actions.replace(&[1.0, 2.0], 1);
        assert_eq!(actions.advance(2, 1), (2, Arrival::WholeChunk));
        actions.returned(1, &[3.0, 4.0]);
        actions.replace(&[3.0, 9.0], 1);
        assert_eq!(actions.advance(2, 1), (2, Arrival::Replanned { tick: 1, executed: vec![3.0, 9.0] }));
        actions.returned(2, &[5.0, 6.0]);
        actions.replace(&[], 1);
        assert_eq!(actions.advance(2, 1).0, 0);
        actions.returned(3, &[5.0, 6.0]);
        actions.replace(&[5.0], 1);
        assert_eq!(actions.advance(2, 1), (1, Arrival::WithinChunk));
    }
}
