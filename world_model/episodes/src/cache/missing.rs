//! Actions that were not taken: the last one of an episode, where its recorder says so.

use std::borrow::Cow;

use super::frames::FrameCache;

impl FrameCache {
    /// The actions that were taken `[N, A]`: without the last one of an episode where the recording says that there was
    /// none. They are what ranges and means are measured on.
    pub fn taken_actions(&self) -> Cow<'_, [f32]> {
        if self.without_action.is_empty() {
            return Cow::Borrowed(&self.actions);
        }
        let rows = self.actions.chunks_exact(self.shape.action.max(1)).enumerate();
        let taken = rows.filter(|(timestep, _)| self.without_action.binary_search(timestep).is_err());
        Cow::Owned(taken.flat_map(|(_, action)| action).copied().collect())
    }

    /// Notes the episodes that end without an action, which are read as NaN there, and puts 0 in its place.
    /// Whether an action was recorded at timestep `index`.
    pub(crate) fn has_action(&self, index: usize) -> bool {
        self.without_action.binary_search(&index).is_err()
    }

    pub(super) fn mark_missing_actions(&mut self) {
        let width = self.shape.action;
        let lasts: Vec<usize> = self.episodes().iter().filter_map(|episode| episode.clone().next_back()).collect();
        for last in lasts {
            let action = self.actions.get(last * width..(last + 1) * width).unwrap_or_default();
            if !action.is_empty() && action.iter().all(|value| value.is_nan()) {
                self.without_action.push(last);
            }
        }
        self.clear_missing_actions();
    }

    /// Puts 0 in the place of every action that was not taken: after [`FrameCache::actions_mut`] was used.
    pub(crate) fn clear_missing_actions(&mut self) {
        let width = self.shape.action;
        for &timestep in &self.without_action {
            self.actions[timestep * width..(timestep + 1) * width].fill(0.0);
        }
    }
}
